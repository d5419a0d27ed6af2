"""Reading windows whole: pages, verification against the vendor's count, re-reads.

The functions here do no I/O. They are generators that yield batches of fetches, each a
request to be made, and are sent the pages. Whoever drives them (see `scheduler`)
decides when, where and how many at a time the requests are made.

Why a window can be trusted: an attempt to read it counts only if the vendor's count
stood still from the first page to the last, as many records came as were counted, and
no key came twice. A list that moved under the paging breaks one of the three. It is
read again, and what earlier attempts saw is kept, since records can also leave a list.
Where a list won't stand still, or can't be read to its end, its window is narrowed.
What does not add up in a single second is a gap: it is emitted as it came, and named.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.errors import OversizeError, RequestError
from tap_botsessions.engine.narrowing import (
    CappedError,
    NarrowError,
    RefusedError,
    RepeatsError,
    TooLargeError,
    TooManyError,
    UnequalError,
    UnownedListError,
    check_owners,
    check_repeats,
    check_size,
    in_vain,
    may_ask_too_much,
)
from tap_botsessions.engine.pages import NOBODY, WindowResult
from tap_botsessions.engine.verification import Walk, is_likely_cap, is_stuck
from tap_botsessions.engine.windows import Window, narrowed

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Sequence
    from datetime import datetime, timedelta

    from tap_botsessions.engine.capacity import Capacity
    from tap_botsessions.engine.errors import BotError
    from tap_botsessions.engine.pages import (
        Fetch,
        Lists,
        Page,
        PagedList,
        Reading,
        Seen,
    )

_ATTEMPTS = 2
"""At a request whose answer takes too long, before less is asked for."""


class _AllFailedError(Exception):
    """A record can't be used of each of the bots: the rest is for nobody."""


@dataclass
class _Union:
    """All that came while a window was read, whatever came of the attempt."""

    rows: Seen
    bots: frozenset[str] = frozenset()
    errors: dict[str, BotError] = field(default_factory=dict)

    def add(self, *pages: Page) -> None:
        for page in pages:
            self.rows.update({row.key: row for row in page.rows})
            self.errors.update(page.errors)
            self.errors.pop(NOBODY, None)
        if self.bots and self.bots <= self.errors.keys():
            raise _AllFailedError

    def forget(self, start: datetime) -> None:
        """Keep nothing from an instant on: it takes memory, and is read again."""
        late = [key for key, row in self.rows.items() if row.time >= start]
        for key in late:
            del self.rows[key]


def read_window(
    lists: Lists,
    window: Window,
    seen: Seen,
    capacity: Capacity,
    bots: Iterable[str] = (),
) -> Reading:
    """Read a window whole, or a leading part of it.

    Args:
        lists: Makes the lists of a window.
        window: The window.
        seen: Rows in the window or after it that earlier readings came upon, by key.
        capacity: How much can be asked for at once, as earlier windows showed.
        bots: The bots that it is read for, if they share its lists.

    Returns:
        What was read; it has a `gap` where that may not be all. What remains of the
        window is the caller's to ask for.

    Raises:
        RequestError: It is not answered, nor is any part of it.
    """
    union = _Union(dict(seen), frozenset(bots))
    return _WindowReader(lists, capacity, union).read(window)


class _WholeList(NamedTuple):
    """A list that was read: what was counted, what came, and at which attempt."""

    expected: int
    received: int
    attempts: int
    size: int
    times: Sequence[datetime]


class _WindowReader:
    """Reads one window, narrowed as far as need be."""

    def __init__(self, lists: Lists, capacity: Capacity, union: _Union) -> None:
        self._lists = lists
        self._capacity = capacity
        self._limits = capacity.limits
        self._union = union
        self._refused: timedelta | None = None
        self._refusals = 0

    def read(self, window: Window) -> Reading:
        width = self._capacity.width_for(window.width)
        if width < window.width:
            window = narrowed(window, width / window.width) or window
        try:
            return (yield from self._read_narrowed(window))
        finally:
            self._capacity.end_trial(width)

    def _read_narrowed(self, window: Window) -> Reading:
        while True:
            read: list[_WholeList] = []
            try:
                for place, paged in enumerate(self._lists(window)):
                    yield from self._read_list(paged, place, window, read)
            except _AllFailedError:
                return self._result(window, [])
            except NarrowError as error:
                part = self._part(window, error)
                if part is None:
                    self._capacity.note_gap()
                    return replace(self._result(window, read), gap=str(error))
                window = part
                if isinstance(error, TooLargeError):
                    self._union.forget(window.end)
            else:
                result = self._result(window, read)
                self._capacity.note_whole(window.width, len(result.rows), self._refused)
                return result

    def _result(self, window: Window, lists: Sequence[_WholeList]) -> WindowResult:
        result = WindowResult(
            window,
            [],
            errors=self._union.errors,
            expected=sum(each.expected for each in lists),
            received=sum(each.received for each in lists),
            size=sum(each.size for each in lists),
            times=[time for each in lists for time in each.times],
            attempts=max((each.attempts for each in lists), default=1),
        )
        return result.including(self._union.rows)

    def _part(self, window: Window, error: NarrowError) -> Window | None:
        """The leading part of a window to read instead; none if it is a gap.

        Raises:
            RequestError: Nothing of the bot is answered.
        """
        if (
            isinstance(error, RepeatsError | UnequalError | UnownedListError)
            and not self._capacity.narrows_gaps
        ):
            return None
        if isinstance(error, UnownedListError) and error.first is not None:
            second = error.first.replace(microsecond=0)
            if window.start < second:
                return Window(window.start, second)
            return narrowed(window, 0)
        if not isinstance(error, RefusedError):
            return narrowed(window, error.share)
        self._refusals += 1
        self._refused = window.width
        part = narrowed(window, 0.5**self._refusals)
        if part is None and not error.received and not self._capacity.windows_read:
            raise in_vain(error.error, self._refusals) from error
        return part

    def _read_list(
        self, paged: PagedList, place: int, window: Window, read: list[_WholeList]
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Read a list until it adds up; what came of it joins those that were read.

        Raises:
            NarrowError: It does not, or it can't be read to its end.
        """
        before: Walk | None = None
        flaws = set()
        for attempt in range(1, self._limits.max_attempts + 1):
            is_doubtful = before is not None and before.repeated > 0
            walk = yield from self._walk(paged, place, window, past_end=is_doubtful)
            read[place:] = [
                _WholeList(walk.total, walk.received, attempt, walk.size, walk.times)
            ]
            if not walk.flaw or (walk.is_same(before) and walk.adds_up):
                check_repeats(walk, self._capacity)
                check_owners(walk, window)
                self._capacity.note_served_whole(walk.received)
                return
            flaws.add(walk.flaw)
            if walk.is_same(before):
                break
            before = walk
        if walk.received <= walk.total - paged.page_size:
            self._capacity.note_served(walk.received)
        found = " and ".join(sorted(flaws)[:2])
        msg = f"{found}, in {attempt} attempts"
        raise UnequalError(msg)

    def _walk(
        self, paged: PagedList, place: int, window: Window, *, past_end: bool
    ) -> Generator[Sequence[Fetch], Sequence[Page], Walk]:
        """Go from page to page; to those that the first one foretells at once.

        The rows of all that come join the union, those of pages that were foretold
        wrongly included. With `past_end`, and for a count that a limit may have cut, it
        goes on until a page is empty, whatever is counted.
        """
        half = narrowed(window, 0.5)
        [page] = yield from self._fetch([paged.fetch(paged.first)], half, 0)
        is_cap = page.total >= self._capacity.most_served and is_likely_cap(
            page, paged.page_size
        )
        past_end = past_end or is_cap
        most = self._limits.max_rows_per_second
        if half is not None or not past_end:
            most = min(2 * page.total, most)
        if half is not None:
            if page.total > self._capacity.most_rows:
                raise TooManyError(page.total, self._capacity.most_rows)
            if is_cap:
                yield from self._check_cap(place, page.total, window, half)
            check_size(page, self._limits)
        foretold = iter(paged.remaining(page))
        at_hand: dict[int, Page] = {}
        pages = [page]
        received = page.received
        while (
            page.received
            and received <= most
            and (received < page.total or page.more or past_end)
            and not is_stuck(pages)
        ):
            if page.next_position not in at_hand:
                ahead = islice(foretold, self._limits.max_pages_ahead)
                positions = [*dict.fromkeys([page.next_position, *ahead])]
                fetches = [paged.fetch(position) for position in positions]
                try:
                    batch = yield from self._fetch(fetches, half, received)
                except RefusedError:
                    is_last = received >= page.total and not page.more
                    if is_last and page.received < paged.page_size:
                        break
                    raise
                at_hand.update(zip(positions, batch, strict=True))
            page = at_hand[page.next_position]
            pages.append(page)
            received += page.received
        return Walk(pages, paged.page_size)

    def _check_cap(
        self, place: int, total: int, window: Window, half: Window
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Compare a round count with those of the halves, which no limit may cut.

        A half that has as many records as the whole is divided in its turn: the limit
        may have cut both.

        Raises:
            CappedError: There are more.
        """
        part: Window | None = half
        while part is not None:
            cut = part.end
            after = Window(cut, window.end)
            # What a vendor is asked for is a little wider than the window: around the
            # cut records are in both halves.
            fetches = [
                self._lists(each)[place].fetch_count()
                for each in (part, after, Window(cut, cut))
            ]
            for _ in range(self._limits.max_attempts):
                first, second, both = yield from self._fetch(fetches, half, 0)
                in_parts = first.total + second.total - both.total
                if in_parts >= total:  # else a count is wrong, and proves nothing
                    break
            if in_parts > total:
                msg = f"{total} records are counted, and more in parts of it"
                raise CappedError(msg)
            if total not in {first.total, second.total}:
                return
            window = part if first.total == total else after
            part = narrowed(window, 0.5)

    def _fetch(
        self, fetches: Sequence[Fetch], half: Window | None, received: int
    ) -> Generator[Sequence[Fetch], Sequence[Page], Sequence[Page]]:
        """Have pages fetched, without much patience where less can be asked for.

        Raises:
            TooLargeError: They take too much memory.
            RefusedError: One can't be had.
            RequestError: Likewise, and nor could less.
        """
        if half is not None:
            most = self._limits.max_window_bytes
            fetches = [
                replace(fetch, slow_attempts=_ATTEMPTS, max_bytes=most)
                for fetch in fetches
            ]
        try:
            pages = yield fetches
        except OversizeError as error:
            raise TooLargeError(error.size, self._limits.max_window_bytes) from error
        except RequestError as error:
            if not may_ask_too_much(error, is_first=not received):
                raise
            raise RefusedError(error, received) from error
        self._union.add(*pages)
        return pages
