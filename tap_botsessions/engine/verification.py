"""Whether the pages of a list can be trusted to be the whole of it."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import FilterError

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from datetime import datetime

    from tap_botsessions.engine.pages import Page
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.windows import Window

_ROUNDING = timedelta(seconds=2)
"""How far a record may lie outside of the range that was asked for."""

_CAPS = 500
"""Limits that servers set to a list are multiples of this, or a few pages."""

_FEW_PAGES = 10

_STUCK = 10
"""So many pages that are alike are one page, whatever position is asked for."""

_LEAST_PAGE = 10
"""Servers have pages of this many records or more; fewer are what is left of one."""


@dataclass(frozen=True)
class Walk:
    """The pages of a list, read from the first to the last.

    Attributes:
        pages: The pages.
        page_size: How many records each of them was asked to have.
    """

    pages: Sequence[Page]
    page_size: int

    @property
    def total(self) -> int:
        """The records that the vendor counted at first."""
        return self.pages[0].total

    @property
    def received(self) -> int:
        """The records that came."""
        return sum(page.received for page in self.pages)

    @property
    def size(self) -> int:
        """Bytes of memory that they take, about."""
        return sum(page.size for page in self.pages)

    @property
    def times(self) -> list[datetime]:
        """When each record that came is of."""
        return [time for page in self.pages for time in page.all_times]

    @property
    def totals(self) -> set[int]:
        """What the vendor counted, from page to page."""
        return {page.total for page in self.pages}

    @cached_property
    def keys(self) -> list[frozenset[tuple[str, ...]]]:
        """The keys of each page's records, of pages that have any."""
        return [keys for page in self.pages if (keys := page.key_set)]

    @property
    def repeated(self) -> int:
        """How many records came after another one of the same key."""
        return sum(len(page.all_keys) for page in self.pages) - self.distinct

    @cached_property
    def distinct(self) -> int:
        """How many records came, each counted once."""
        return len(frozenset().union(*self.keys))

    @property
    def overlaps(self) -> bool:
        """Whether a page may have begun before the end of the one before it.

        So it is where a page lacks a record of its own, and the next one is asked for
        by the number of records that came.
        """
        return any(
            page.received < self.page_size and page.key_set & following.key_set
            for page, following in pairwise(self.pages)
        )

    @cached_property
    def flaw(self) -> str:
        """Why it can't be trusted, in words; nothing if it can."""
        totals = sorted(self.totals)
        if len(totals) > 1:
            return f"the count moved between {totals[0]} and {totals[-1]}"
        if self.received != self.total:
            return f"{self.received} records came where {self.total} were counted"
        return "a record came twice" if self.repeated else ""

    def is_same(self, other: Walk | None) -> bool:
        """Whether the vendor said the same in another walk: the list stands still."""
        return (
            other is not None
            and self.totals == other.totals
            and self.received == other.received
            and self.keys == other.keys
        )

    @property
    def is_of_one_page(self) -> bool:
        """Whether all that came was on one page."""
        return len(self.keys) == 1

    @property
    def counts_repeats(self) -> bool:
        """Whether it adds up only if what came twice is counted twice."""
        return self.repeated > 0 and self.totals != {self.distinct}

    @property
    def adds_up(self) -> bool:
        """Whether it is whole, provided that the list stands still.

        Then what came twice is listed twice, and counted twice or once. But where a
        page came twice as a whole, the server may ignore which one was asked for.
        """
        keys = self.keys
        return len(set(keys)) == len(keys) and (
            self.totals == {self.distinct}
            or (self.totals == {self.received} and not self.overlaps)
        )


def is_stuck(pages: Sequence[Page]) -> bool:
    """Whether a server gives the same page whatever position it is asked for."""
    last = pages[-_STUCK:]
    return len(last) == _STUCK and all(
        after.all_keys and after.all_keys == before.all_keys
        for after, before in pairwise(reversed(last))
    )


def is_likely_cap(first: Page, page_size: int) -> bool:
    """Whether a count is as round as the limit that a server may set to its lists.

    Args:
        first: The first page of the list.
        page_size: How many records it was asked to have; fewer may be served.
    """
    sizes = {page_size}
    if _LEAST_PAGE <= first.received < first.total:
        sizes.add(first.received)
    count = first.total
    return count > 0 and (
        count % _CAPS == 0
        or any(count % size == 0 and count <= _FEW_PAGES * size for size in sizes)
    )


def check_in_window(window: Window, rows: Iterable[Row]) -> None:
    """Compare rows with the range that was asked for.

    Avaamo removed parameters by which its lists were filtered once and may ignore them
    (release notes, Atlas 8): an answer to another question must not pass for an answer
    to this one.

    Raises:
        FilterError: A row lies outside.
    """
    start, end = window.start - _ROUNDING, window.end + _ROUNDING
    for row in rows:
        if not start <= row.time <= end:
            msg = (
                f"{window}: the server sent a record of another time, so it does not "
                f"filter as documented; nothing is emitted of this window or after it"
            )
            raise FilterError(msg)
