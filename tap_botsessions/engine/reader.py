"""Reading windows whole: pages, verification against the vendor's count, re-reads.

The functions here do no I/O. They are generators that yield batches of fetches, each a
request to be made, and are sent the pages. Whoever drives them (see `ahead`) decides
when, where and how many at a time the requests are made.

Why a window can be trusted: an attempt to read it counts only if the vendor's count
stood still from the first page to the last, as many records came as were counted, and
no key came on two pages. A list that moved under the paging breaks one of the three. It
is read again, and what was seen in earlier attempts is kept, since records can also
leave a list. Where a list won't stand still, its window is narrowed, in the end to a
single page, which can't be torn.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Generator, Iterable, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from itertools import islice
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tap_botsessions.engine.errors import FilterError, IncompleteError
from tap_botsessions.engine.windows import Window, narrowed

if TYPE_CHECKING:
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.records import Row

ROWS = 3_000
"""A window is narrowed until the vendor counts no more records in it than this."""

MOST = 10 * ROWS
"""A count of more than this in a single second is taken for wrong."""

PAGES = 50
"""So many pages are asked for ahead, lest a wrong count make for as many requests."""

_ROUNDING = timedelta(seconds=2)
"""How far a record may lie outside of the range that was asked for."""

ATTEMPTS = 3
"""How often a list that moves is read before its window is narrowed."""


Seen = dict[tuple[str, ...], "Row"]
"""Rows by their keys."""


class Page(NamedTuple):
    """One page of a list, and what the vendor said of the list at that moment.

    Attributes:
        rows: The records, typed.
        received: How many records came, those of no interest included.
        total: How many records the vendor counts in the whole list.
        more: Whether the vendor says that further pages follow.
        following: The position of the next page, going on from what came.
        told: The ids of which it tells, where ids were asked for.
        gone: Those of them that don't exist.
    """

    rows: list[Row]
    received: int
    total: int
    more: bool
    following: int
    told: Sequence[str] = ()
    gone: Sequence[str] = ()


@dataclass(frozen=True)
class Fetch:
    """A request for a page.

    Attributes:
        send: Makes one attempt and returns the page; raises TransientError where
            another attempt may succeed, and BotError where none will.
        budget: What the request is charged to.
        what: The stream and the bot, for messages.
    """

    send: Callable[[], Page]
    budget: Budget
    what: str


class Listing(Protocol):
    """A list in one window of time, served page by page at numbered positions."""

    @property
    def first(self) -> int:
        """The position of the first page."""

    def fetch(self, position: int) -> Fetch:
        """The request for the page at a position."""

    def ahead(self, first: Page) -> Iterable[int]:
        """The positions of the other pages, as far as the first page can tell."""


Listings = Callable[[Window], Sequence[Listing]]
"""The lists that make up a window, more than one where the vendor wants it so."""


@dataclass(frozen=True)
class Taken:
    """A window that was read whole.

    Attributes:
        window: The window, or the leading part of it that was taken; none where the
            rows were not asked for by their time.
        rows: Its rows, in order of time, each key once.
        beyond: Rows that were seen on the way and lie after the window, by key.
        gone: What was asked for by its id and does not exist.
        expected: Records that the vendor counted in what was asked for.
        received: Records that came in the attempt that is trusted.
        attempts: How often it was read.
        requests: Requests that it took, repeated ones included.
        seconds: Time that it took, from its first request on.
    """

    window: Window | None
    rows: list[Row]
    beyond: Seen = field(default_factory=dict)
    gone: Sequence[str] = ()
    expected: int = 0
    received: int = 0
    attempts: int = 1
    requests: int = 0
    seconds: float = 0.0


Reading = Generator[Sequence[Fetch], Sequence[Page], Taken]


class _TooManyError(Exception):
    def __init__(self, total: int) -> None:
        super().__init__(total)
        self.total = total


class _MovedError(IncompleteError):
    """The list did not stand still in any attempt; less of it may."""


def take(
    listings: Listings,
    window: Window,
    seen: Seen,
    max_rows: int = ROWS,
) -> Reading:
    """Take a window whole, or a leading part of it where it holds too much.

    Args:
        listings: Makes the lists of a window.
        window: The window.
        seen: Rows that earlier readings saw in the window or after it, by key.
        max_rows: More than this are not taken at once.

    Returns:
        What was taken. What remains of the window is the caller's to ask for.

    Raises:
        IncompleteError: The records don't add up to the vendor's count.
    """
    union = dict(seen)
    while True:
        lists: list[_Whole] = []
        try:
            for listing in listings(window):
                whole = yield from _take_list(listing, union, max_rows)
                lists.append(whole)
        except _TooManyError as error:
            part = narrowed(window, 0.95 * max_rows / error.total)
            if part is None and error.total > MOST:
                msg = f"{window}: {error.total} records are counted in a second"
                raise IncompleteError(msg) from error
            max_rows = max_rows if part else MOST
        except _MovedError as error:
            part = narrowed(window, 0.5)
            if part is None:
                raise IncompleteError(f"{window}: {error}") from error
        except IncompleteError as error:
            raise IncompleteError(f"{window}: {error}") from error
        else:
            return _taken(window, union, lists)
        window = part or window


class _Whole(NamedTuple):
    """A list that was read whole: what was counted, what came, at which attempt."""

    expected: int
    received: int
    attempts: int


def _taken(window: Window, union: Seen, lists: Sequence[_Whole]) -> Taken:
    rows = sorted(
        (row for row in union.values() if row.time in window),
        key=attrgetter("time", "key"),
    )
    beyond = {key: row for key, row in union.items() if row.time >= window.end}
    return Taken(
        window,
        rows,
        beyond,
        expected=sum(each.expected for each in lists),
        received=sum(each.received for each in lists),
        attempts=max((each.attempts for each in lists), default=1),
    )


def _take_list(
    listing: Listing,
    union: Seen,
    max_rows: int,
) -> Generator[Sequence[Fetch], Sequence[Page], _Whole]:
    flaws = set()
    for attempt in range(1, ATTEMPTS + 1):
        pages = yield from _read_pages(listing, union, max_rows)
        keys = [{row.key for row in page.rows} for page in pages]
        flaw = _flaw(pages, is_torn=len(set().union(*keys)) < sum(map(len, keys)))
        if flaw is None:
            received = sum(page.received for page in pages)
            return _Whole(pages[0].total, received, attempt)
        flaws.add(flaw)
    told = " and ".join(sorted(flaw.text for flaw in flaws))
    msg = (
        f"{told}, in {ATTEMPTS} attempts; the window is not emitted, so that no record "
        f"is lost in silence"
    )
    if len(flaws) == 1 and all(flaw.still for flaw in flaws):
        raise IncompleteError(msg)
    raise _MovedError(msg)


def _read_pages(
    listing: Listing,
    union: Seen,
    max_rows: int,
) -> Generator[Sequence[Fetch], Sequence[Page], list[Page]]:
    """Walk a list from page to page; the pages that the first one foretells at once.

    The rows of all that come join the union, those of pages that were foretold wrongly
    included.
    """
    [page] = yield [listing.fetch(listing.first)]
    _join(union, page)
    if page.total > max_rows:
        raise _TooManyError(page.total)
    foretold = iter(listing.ahead(page))
    at_hand: dict[int, Page] = {}
    pages = [page]
    received = page.received
    while (
        page.received
        and received < 2 * page.total + 1
        and (received < page.total or page.more)
    ):
        if page.following not in at_hand:
            positions = [*dict.fromkeys([page.following, *islice(foretold, PAGES)])]
            batch = yield [listing.fetch(position) for position in positions]
            at_hand.update(zip(positions, batch, strict=True))
            _join(union, *batch)
        page = at_hand[page.following]
        pages.append(page)
        received += page.received
    return pages


def _join(union: Seen, *pages: Page) -> None:
    union.update((row.key, row) for page in pages for row in page.rows)


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


def first_page(listing: Listing, window: Window) -> Reading:
    """Ask for the first page of a list, and no more."""
    [page] = yield [listing.fetch(listing.first)]
    return Taken(window, page.rows, expected=page.total, received=page.received)


def hold_to(window: Window, rows: Iterable[Row]) -> None:
    """Hold rows against the range that was asked for.

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


def next_width(taken: Window, rows: int, asked: Window, widest: timedelta) -> timedelta:
    """How wide the next window of a bot should be, from how dense the last one was.

    Args:
        taken: What was taken.
        rows: How many rows that held.
        asked: What was to be taken.
        widest: The limit.
    """
    if taken.end < asked.end:
        return taken.width
    growth = min(0.95 * ROWS / max(rows, 1), 2)
    seconds = max(math.floor(asked.width.total_seconds() * growth), 1)
    return min(timedelta(seconds=seconds), widest)
