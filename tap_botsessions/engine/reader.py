"""Reading windows whole: pages, verification against the vendor's count, re-reads.

The functions here do no I/O. They are generators that yield batches of fetches, each a
request to be made, and are sent the pages. Whoever drives them (see `scheduler`)
decides when, where and how many at a time the requests are made.

Why a window can be trusted: an attempt to read it counts only if the vendor's count
stood still from the first page to the last, as many records came as were counted, and
no key came on two pages. A list that moved under the paging breaks one of the three. It
is read again, and what earlier attempts saw is kept, since records can also leave a
list. Where a list won't stand still, its window is narrowed, in the end to a single
page, which can't be torn.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.errors import FilterError, IncompleteError
from tap_botsessions.engine.pages import CountResult, WindowResult
from tap_botsessions.engine.windows import Window, narrowed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence

    from tap_botsessions.engine.errors import RecordError
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import (
        Fetch,
        Lists,
        Page,
        PagedList,
        Reading,
        Seen,
    )
    from tap_botsessions.engine.records import Row

_ROUNDING = timedelta(seconds=2)
"""How far a record may lie outside of the range that was asked for."""


class _TooManyError(Exception):
    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total


class _AllFailedError(Exception):
    """A record can't be used of each of the bots: the rest is for nobody."""


class _MovedError(IncompleteError):
    """The list did not stand still in any attempt; less of it may."""


@dataclass
class _Union:
    """All that came while a window was read, whatever came of the attempt."""

    rows: Seen
    bots: frozenset[str] = frozenset()
    errors: dict[str, RecordError] = field(default_factory=dict)

    def add(self, *pages: Page) -> None:
        for page in pages:
            self.rows.update((row.key, row) for row in page.rows)
            self.errors.update(page.errors)
        if self.bots and self.bots <= self.errors.keys():
            raise _AllFailedError


def read_window(
    lists: Lists,
    window: Window,
    seen: Seen,
    limits: Limits,
    bots: Iterable[str] = (),
) -> Reading:
    """Read a window whole, or a leading part of it where it holds too much.

    Args:
        lists: Makes the lists of a window.
        window: The window.
        seen: Rows in the window or after it that earlier readings came upon, by key.
        limits: How much is read at once, and how often.
        bots: The bots that it is read for, if they share its lists.

    Returns:
        What was read. What remains of the window is the caller's to ask for.

    Raises:
        IncompleteError: The records don't add up to the vendor's count.
    """
    union = _Union(dict(seen), frozenset(bots))
    max_rows = limits.max_window_rows
    while True:
        whole: list[_WholeList] = []
        try:
            for paged in lists(window):
                read = yield from _read_list(paged, union, max_rows, limits)
                whole.append(read)
        except _AllFailedError:
            return _result(window, union, [])
        except _TooManyError as error:
            part = narrowed(window, 0.95 * max_rows / error.total)
            if part is None and error.total > limits.max_rows_per_second:
                msg = f"{window}: {error.total} records are counted in a second"
                raise IncompleteError(msg) from error
            max_rows = max_rows if part else limits.max_rows_per_second
        except _MovedError as error:
            part = narrowed(window, 0.5)
            if part is None:
                raise IncompleteError(f"{window}: {error}") from error
        except IncompleteError as error:
            raise IncompleteError(f"{window}: {error}") from error
        else:
            return _result(window, union, whole)
        window = part or window


class _WholeList(NamedTuple):
    """A list that was read whole: what was counted, what came, at which attempt."""

    expected: int
    received: int
    attempts: int


def _result(window: Window, union: _Union, lists: Sequence[_WholeList]) -> WindowResult:
    seen = union.rows
    rows = sorted(
        (row for row in seen.values() if row.time in window),
        key=attrgetter("time", "key"),
    )
    return WindowResult(
        window,
        rows,
        carried_over={key: row for key, row in seen.items() if row.time >= window.end},
        errors=union.errors,
        expected=sum(each.expected for each in lists),
        received=sum(each.received for each in lists),
        attempts=max((each.attempts for each in lists), default=1),
    )


def _read_list(
    paged: PagedList,
    union: _Union,
    max_rows: int,
    limits: Limits,
) -> Generator[Sequence[Fetch], Sequence[Page], _WholeList]:
    flaws = set()
    for attempt in range(1, limits.max_attempts + 1):
        pages = yield from _read_pages(paged, union, max_rows, limits.max_pages_ahead)
        keys = [{row.key for row in page.rows} for page in pages]
        flaw = _flaw(pages, is_torn=len(set().union(*keys)) < sum(map(len, keys)))
        if flaw is None:
            received = sum(page.received for page in pages)
            return _WholeList(pages[0].total, received, attempt)
        flaws.add(flaw)
    found = " and ".join(sorted(flaw.text for flaw in flaws))
    msg = (
        f"{found}, in {limits.max_attempts} attempts; the window is not emitted, so "
        f"that no record is lost in silence"
    )
    if len(flaws) == 1 and all(flaw.still for flaw in flaws):
        raise IncompleteError(msg)
    raise _MovedError(msg)


def _read_pages(
    paged: PagedList,
    union: _Union,
    max_rows: int,
    max_pages: int,
) -> Generator[Sequence[Fetch], Sequence[Page], list[Page]]:
    """Walk a list from page to page; the pages that the first one foretells at once.

    The rows of all that come join the union, those of pages that were foretold wrongly
    included.
    """
    [page] = yield [paged.fetch(paged.first)]
    union.add(page)
    if page.total > max_rows:
        raise _TooManyError(page.total)
    foretold = iter(paged.remaining(page))
    at_hand: dict[int, Page] = {}
    pages = [page]
    received = page.received
    while (
        page.received
        and received < 2 * page.total + 1
        and (received < page.total or page.more)
    ):
        if page.next_position not in at_hand:
            ahead = islice(foretold, max_pages)
            positions = [*dict.fromkeys([page.next_position, *ahead])]
            batch = yield [paged.fetch(position) for position in positions]
            at_hand.update(zip(positions, batch, strict=True))
            union.add(*batch)
        page = at_hand[page.next_position]
        pages.append(page)
        received += page.received
    return pages


class _Flaw(NamedTuple):
    """Why the pages of a list can't be trusted to be the whole of it.

    Attributes:
        text: It in words.
        still: Whether the list may have stood still all the same. If every attempt has
            such a flaw and the same, what the vendor says of the list is wrong.
    """

    text: str
    still: bool = False


def _flaw(pages: Sequence[Page], *, is_torn: bool) -> _Flaw | None:
    totals = sorted({page.total for page in pages})
    if len(totals) > 1:
        return _Flaw(f"the count moved between {totals[0]} and {totals[-1]}")
    received = sum(page.received for page in pages)
    if received != totals[0]:
        text = f"{received} records came where {totals[0]} were counted"
        return _Flaw(text, still=True)
    if is_torn:
        return _Flaw("a record came on two pages")
    return None


def read_first_page(lists: Lists, window: Window) -> Reading:
    """Ask for the first page of the first list of a window, and no more.

    Returns:
        Its rows in the vendor's order.
    """
    first, *_ = lists(window)
    [page] = yield [first.fetch(first.first)]
    return WindowResult(
        window,
        page.rows,
        errors=page.errors,
        expected=page.total,
        received=page.received,
    )


def count_records(lists: Lists, windows: Iterable[Window]) -> Reading:
    """Ask how many records the vendor counts in windows, one window after another.

    Returns:
        A `CountResult`; no rows.
    """
    totals: list[list[int]] = []
    received = 0
    for window in windows:
        pages = yield [paged.fetch_count() for paged in lists(window)]
        totals.append([page.total for page in pages])
        received += sum(page.received for page in pages)
    return CountResult(None, [], received=received, totals=totals)


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
                f"filter as documented; nothing of this window is emitted"
            )
            raise FilterError(msg)


def next_width(
    read: Window, rows: int, requested: Window, max_width: timedelta, limits: Limits
) -> timedelta:
    """How wide the next window of a bot should be, from how dense the last one was.

    Args:
        read: What was read.
        rows: How many rows that held.
        requested: What was to be read.
        max_width: The limit.
        limits: How many rows a window may hold.
    """
    if read.end < requested.end:
        return read.width
    growth = min(0.95 * limits.max_window_rows / max(rows, 1), 2)
    seconds = max(math.floor(requested.width.total_seconds() * growth), 1)
    return min(timedelta(seconds=seconds), max_width)
