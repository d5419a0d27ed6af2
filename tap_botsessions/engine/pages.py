"""Pages, lists and windows: what is asked of a vendor, and what comes of it."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime  # noqa: TC003 -- typing reads it in a NamedTuple
from operator import attrgetter
from types import MappingProxyType
from typing import TYPE_CHECKING, NamedTuple, Protocol

from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from tap_botsessions.engine.errors import BotError
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.records import Row

Seen = dict[tuple[str, ...], "Row"]
"""Rows by their keys."""

Errors = Mapping[str, "BotError"]
"""Why a record of a bot can't be used, by the bot."""

NOBODY = ""
"""In place of a bot, where a record does not say whose it is: all bots go on."""

_NO_ERRORS: Errors = MappingProxyType({})


class Page(NamedTuple):
    """One page of a list, and what the vendor said of the list at that moment.

    Attributes:
        rows: The records, typed.
        received: How many records came, those of no interest included.
        total: How many records the vendor counts in the whole list.
        more: Whether the vendor says that further pages follow.
        next_position: The position of the next page, going on from what came.
        errors: Of the bots in a list that several share, those of which a record on
            this page can't be used.
        answered_ids: Where ids were asked for, those that are answered.
        missing_ids: Those of them that don't exist.
        keys: What identifies each record that came, those that make no row included;
            if not given, what identifies the rows.
        size: Bytes of memory that it takes, about.
        times: When each record is of, where there are records that make no row.
    """

    rows: list[Row]
    received: int
    total: int
    more: bool
    next_position: int
    errors: Errors = _NO_ERRORS
    answered_ids: Sequence[str] = ()
    missing_ids: Sequence[str] = ()
    keys: Sequence[tuple[str, ...]] = ()
    size: int = 0
    times: Sequence[datetime] | None = None

    @property
    def all_times(self) -> Sequence[datetime]:
        """When each record that came is of."""
        return [row.time for row in self.rows] if self.times is None else self.times

    @property
    def key_set(self) -> frozenset[tuple[str, ...]]:
        """What identifies the records that came."""
        return frozenset(self.all_keys)

    @property
    def all_keys(self) -> Sequence[tuple[str, ...]]:
        """The key of each record that came, those that came twice included."""
        return self.keys or [row.key for row in self.rows]


@dataclass(frozen=True)
class Fetch:
    """A request for a page.

    Attributes:
        send: Makes one attempt and returns the page; raises TransientError where
            another attempt may succeed, and BotError where none will.
        budget: What the request is charged to.
        label: The stream and the bot, for messages.
        slow_attempts: How often it is made at most where its answer takes too long; as
            often as others if not given.
        max_bytes: What all pages may take that are asked for with it. More are an
            OversizeError; any number of bytes may come if not given.
    """

    send: Callable[[], Page]
    budget: Budget
    label: str
    slow_attempts: int | None = None
    max_bytes: int | None = None

    def max_attempts(self, most: int, *, is_slow: bool) -> int:
        """How often it is made at most, of so many attempts that others have."""
        return min(most, self.slow_attempts or most) if is_slow else most


class PagedList(Protocol):
    """A list in one window of time, served page by page at numbered positions."""

    @property
    def first(self) -> int:
        """The position of the first page."""

    @property
    def page_size(self) -> int:
        """How many records are asked for in one request."""

    def fetch(self, position: int) -> Fetch:
        """The request for the page at a position."""

    def fetch_count(self) -> Fetch:
        """A request for how many records there are, and for no more than one."""

    def remaining(self, first: Page) -> Iterable[int]:
        """The positions of the other pages, as far as the first page can tell."""


Lists = Callable[[Window], Sequence[PagedList]]
"""Makes the lists that a window consists of, often just one."""


@dataclass(frozen=True)
class WindowResult:
    """A window that was read, whole or as far as it could be.

    Attributes:
        window: The window, or the leading part of it that was read; none where the
            rows were not asked for by their time.
        rows: Its rows, in order of time, each key once.
        carried_over: Rows that came along and lie outside the window, by key.
        missing_ids: What was asked for by its id and does not exist.
        errors: The bots of which a record can't be used.
        gap: Why its rows may not be all of them; none if they are.
        expected: Records that the vendor counted in what was asked for.
        received: Records that came in the attempt that is trusted.
        size: Bytes of memory that they take, about.
        times: When each record is of that came in the attempt that is trusted.
        attempts: How often it was read.
        requests: Requests that it took, repeated ones included.
        seconds: Time that it took, from its first request on.
        begun_at: When it was begun, by the monotonic clock.
    """

    window: Window | None
    rows: list[Row]
    carried_over: Seen = field(default_factory=dict)
    missing_ids: Sequence[str] = ()
    errors: Errors = field(default_factory=dict)
    gap: str | None = None
    expected: int = 0
    received: int = 0
    size: int = 0
    times: Sequence[datetime] = ()
    attempts: int = 1
    requests: int = 0
    seconds: float = 0.0
    begun_at: float = 0.0

    def including(self, seen: Seen) -> WindowResult:
        """The same with rows that other lists held; its own are newer."""
        window = self.window
        if window is None or not seen:
            return self
        if known := {row.key for row in self.rows}:
            seen = {key: row for key, row in seen.items() if key not in known}
        start, end = window.start, window.end
        within = [row for row in seen.values() if start <= row.time < end]
        outside: Seen = {}
        if len(within) < len(seen):
            outside = {
                key: row for key, row in seen.items() if not start <= row.time < end
            }
        rows = [*self.rows, *within]
        return replace(
            self,
            rows=sorted(rows, key=attrgetter("time", "key")),
            carried_over=outside | self.carried_over,
        )

    def for_bot(self, bot: str, *, is_only: bool) -> WindowResult | BotError:
        """The part of one of the bots that were read together, or why there is none."""
        if error := self.errors.get(bot):
            return error
        if is_only:
            return self
        return replace(self, rows=[row for row in self.rows if row.bot == bot])


@dataclass(frozen=True)
class CountResult(WindowResult):
    """What a vendor counts in windows, without reading them.

    Attributes:
        totals: For each window, the records in each of the lists that it consists of.
    """

    totals: Sequence[Sequence[int]] = ()


Reading = Generator[Sequence[Fetch], Sequence[Page], WindowResult]
Requests = Generator[Sequence[Fetch], Sequence[Page], None]
