"""How many records each day of a bot had when it was read.

When the vendor counts others later, the day has changed. No page says whether a list
includes its bounds, so days are divided where a bot has no record for a second on
either side, and what lies around other bounds may be counted or not.
"""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from tap_botsessions.engine.errors import BookmarkError
from tap_botsessions.engine.parts import (
    DAY,
    Part,
    by_days,
    divided,
    quiet_after,
    whole,
)
from tap_botsessions.engine.windows import Window, parse_instant, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

_SECOND = timedelta(seconds=1)

_MOST_TIMES = 50_000
"""Records of a bot whose times are kept in memory, so that the day can be divided."""

FROM, DAYS = "from", "days"
"""Their places in the state of a sweep."""


class CountedDays:
    """The counts of one bot, in one stream.

    In the state they are `from`, the instant where they begin, and `days`, a list with
    an item for each part: its count, where it is a day long; else a list of the
    count (null if it has to be read again), the seconds that it is long or its end, and
    the records before and after it that a list may count with it.
    """

    def __init__(self, state: Mapping[str, Any]) -> None:
        """Read what the last run left.

        Raises:
            BookmarkError: It is not as the tap wrote it.
        """
        try:
            self._parts = list(_decoded(state))
        except (KeyError, OverflowError, TypeError, ValueError) as error:
            msg = "the counts in the state are unreadable; fix or clear it"
            raise BookmarkError(msg) from error

    @property
    def window(self) -> Window | None:
        """The time of which there are counts; none as long as there is none."""
        if not self._parts:
            return None
        return Window(self._parts[0].window.start, self._parts[-1].window.end)

    def note(self, window: Window, times: Iterable[datetime], unserved: int) -> None:
        """Note that a window was read.

        Args:
            window: The window.
            times: When the records are of that came; some may lie around the window.
            unserved: How many more the vendor counts.
        """
        parts = list(divided(window, sorted(times), self._since(window.start)))
        if unserved:
            one = whole(parts)
            parts = [replace(one, after=one.after + unserved)]
        before = Window(datetime.min.replace(tzinfo=UTC), window.start)
        after = Window(window.end, datetime.max.replace(tzinfo=UTC))
        self._parts = [
            *(left for each in self._parts for left in each.clipped(before)),
            *parts,
            *(left for each in self._parts for left in each.clipped(after)),
        ]
        self._close_holes()

    def settle(self, until: datetime, oldest: datetime) -> None:
        """Keep no more than a count a day of what is not read again by the next run.

        Args:
            until: Where the next run begins to read.
            oldest: What lies before it is forgotten.
        """
        early = Window(datetime.min.replace(tzinfo=UTC), until)
        late = Window(until, datetime.max.replace(tzinfo=UTC))
        settled = [
            replace(left, times=None)
            for each in self._parts
            for left in each.clipped(early)
            if each.window.end > oldest
        ]
        dividable = [left for each in self._parts for left in each.clipped(late)]
        self._parts = [*by_days(settled), *_with_few_times(dividable)]

    def forget(self, window: Window) -> None:
        """Have what touches a window read again."""
        self._parts = [
            Part(each.window) if each.window.overlap(window) else each
            for each in self._parts
        ]

    def prepend(self, start: datetime) -> None:
        """Have what lies between an instant and all that was counted read as well."""
        self._parts.insert(0, Part(Window(start, self._parts[0].window.start)))

    @property
    def unread(self) -> list[Window]:
        """What has to be read again."""
        return [each.window for each in self._parts if each.count is None]

    def close(self, until: datetime) -> list[Part]:
        """The parts before an instant, up to where a list can be divided after it."""
        for place, each in enumerate(self._parts):
            if each.times is None or each.window.end <= until:
                continue
            cut = quiet_after(each.times, max(until, each.window.start), each.window)
            if cut is not None:
                parts = (
                    Window(each.window.start, cut),
                    Window(cut, each.window.end),
                )
                self._parts[place : place + 1] = [
                    part for own in parts for part in each.clipped(own)
                ]
                return self._parts[: place + 1]
            break
        return [each for each in self._parts if each.window.end <= until]

    def to_state(self, until: datetime) -> dict[str, Any]:
        """What the state must hold of what lies before an instant."""
        parts = [each for each in self._parts if each.window.end <= until]
        if not parts:
            return {}
        return {
            FROM: to_rfc3339(parts[0].window.start),
            DAYS: [*map(_encoded, parts)],
        }

    def _since(self, instant: datetime) -> datetime:
        """Where the day begins that goes on at an instant."""
        since = instant
        for each in reversed(self._parts):
            is_next = each.window.end == since and each.count is not None
            if is_next and instant - each.window.start <= DAY:
                since = each.window.start
        return since

    def _close_holes(self) -> None:
        """Have what lies between two parts, if anything does, read again."""
        parts = self._parts[:1]
        for part, following in pairwise(self._parts):
            if part.window.end < following.window.start:
                parts.append(Part(Window(part.window.end, following.window.start)))
            parts.append(following)
        self._parts = parts


def _with_few_times(parts: Sequence[Part]) -> list[Part]:
    """The same; of many records, the times of the earliest take memory for nothing.

    Where the next run begins within a part that can't be divided, the next sweep reads
    that part again.
    """
    kept: list[Part] = []
    number = 0
    for part in reversed(parts):
        number += part.count or 0
        kept.insert(0, part if number <= _MOST_TIMES else replace(part, times=None))
    return kept


def _encoded(part: Part) -> int | list[int | str | None]:
    window = part.window
    is_day = window.width == DAY and not (part.before or part.after)
    if is_day and part.count is not None:
        return part.count
    seconds, rest = divmod(window.width, _SECOND)
    end = to_rfc3339(window.end) if rest else seconds
    around = [part.before, part.after] if part.before or part.after else []
    return [part.count, end, *around]


def _decoded(state: Mapping[str, Any]) -> Iterator[Part]:
    if not state.get(DAYS):
        return
    start = parse_instant(state[FROM])
    for item in state[DAYS]:
        if isinstance(item, int):
            end, count, around = start + DAY, item, []
        else:
            count, until, *around = item
            is_width = isinstance(until, int)
            end = start + until * _SECOND if is_width else parse_instant(until)
        if end <= start:
            raise ValueError
        yield Part(Window(start, end), count, *around)
        start = end
