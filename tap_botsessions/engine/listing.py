"""Things in messages, of which there may be hundreds: their names and their number."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable

MAX_LISTED = 10
"""So many bots, or ids, are named in a line."""


def listed(
    names: Iterable[object], most: int = MAX_LISTED, separator: str = ", "
) -> str:
    """The first of some names, and how many more there are."""
    words = [str(name) for name in names]
    more = len(words) - most
    shown = separator.join(words[:most])
    return f"{shown} and {more} more" if more > 0 else shown


def many(number: int, what: str) -> str:
    """So many things of a kind, in words."""
    return f"{number:,} {what}" if number == 1 else f"{number:,} {what}s"
