"""Bots of which a report has the same to say."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Protocol, TypeVar

from tap_botsessions.engine.listing import MAX_LISTED, many

if TYPE_CHECKING:
    from collections.abc import Callable, Hashable, Iterator, Mapping, Sequence

Bot = TypeVar("Bot")
Key = TypeVar("Key", bound="Hashable")


def grouped(bots: Sequence[Bot], key: Callable[[Bot], Key]) -> Mapping[Key, list[Bot]]:
    """Bots that have something in common, in the order of the first of them."""
    groups = defaultdict(list)
    for bot in bots:
        groups[key(bot)].append(bot)
    return groups


def in_lines(
    bots: Sequence[Bot], key: Callable[[Bot], Hashable]
) -> Iterator[list[Bot]]:
    """The bots of each line of a table.

    Args:
        bots: The bots, in the order of the table.
        key: What would be written of a bot. Bots of which the same would be written
            share a line, where the first of them would be, if they are too many to be
            listed.
    """
    groups = grouped(bots, key)
    for bot in bots:
        alike = groups[key(bot)]
        if len(alike) <= MAX_LISTED:
            yield [bot]
        elif alike[0] is bot:
            yield alike


class Named(Protocol):
    """What a report has of a bot."""

    @property
    def bot(self) -> str:
        """Its id."""


def name_of(line: Sequence[Named], noun: str) -> str:
    """The bot of a line, or how many they are that share it."""
    return line[0].bot if len(line) == 1 else f"{many(len(line), noun)}, each"
