"""Parts of a bot's time, each with the number of its records.

No page says whether a list includes its bounds, so time is divided where a bot has no
record for a second on either side.
"""

from __future__ import annotations

from bisect import bisect_left
from collections import deque
from dataclasses import dataclass
from datetime import datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING

from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

_SECOND = timedelta(seconds=1)

DAY = timedelta(days=1)
"""No part is wider, if that can be."""


@dataclass(frozen=True)
class Part:
    """A part of a bot's time, and the records that it had when it was read.

    Attributes:
        window: The part.
        count: Its records; none if it has to be read again.
        before: Records of the second before it, which a list may count with it.
        after: Likewise, of the second after it.
        times: When each of its records is of, as long as it may be divided.
    """

    window: Window
    count: int | None = None
    before: int = 0
    after: int = 0
    times: Sequence[datetime] | None = None

    def clipped(self, window: Window) -> Iterator[Part]:
        """What is left of it within a window, if anything."""
        own = self.window.overlap(window)
        if own is None or own == self.window:
            yield from () if own is None else (self,)
        elif self.times is None:
            yield Part(own)
        else:
            yield counted(own, self.times)

    def joined(self, following: Part) -> Part:
        """It and the part that follows, of which the times are not needed."""
        is_known = self.count is not None and following.count is not None
        return Part(
            Window(self.window.start, following.window.end),
            (self.count or 0) + (following.count or 0) if is_known else None,
            self.before,
            following.after,
        )


def whole(parts: Sequence[Part]) -> Part:
    """Parts that follow one another, as one."""
    first, *others = parts
    for each in others:
        first = first.joined(each)
    return first


def counted(window: Window, times: Sequence[datetime]) -> Part:
    """A part of a list whose records are of these times, in their order."""
    start, end = bisect_left(times, window.start), bisect_left(times, window.end)
    return Part(
        window,
        end - start,
        start - bisect_left(times, window.start - _SECOND),
        bisect_left(times, window.end + _SECOND) - end,
        times,
    )


def divided(
    window: Window, times: Sequence[datetime], since: datetime
) -> Iterator[Part]:
    """The parts of a window that was read, none wider than a day if that can be.

    Args:
        window: The window.
        times: The times of its records, in their order.
        since: Where the part begins that it goes on with.
    """
    start = window.start
    while (day_end := since + DAY) < window.end:
        latest = Window(max(start, day_end - DAY / 2), day_end)
        cut = _quiet_before(times, latest, window)
        since = day_end if cut is None else cut
        if cut is not None and start < cut:
            yield counted(Window(start, cut), times)
            start = cut
    yield counted(Window(start, window.end), times)


def _quiet_before(
    times: Sequence[datetime], within: Window, window: Window
) -> datetime | None:
    """The latest instant without records around it, or with as few as there are.

    Args:
        times: The times of the records, in their order.
        within: Where it may lie, its end included.
        window: It lies a second from its ends: what lies beyond is not known.

    Returns:
        A whole second; none if there is no place for it.
    """
    cut = min(within.end, window.end - _SECOND).replace(microsecond=0)
    earliest = max(within.start, window.start + _SECOND)
    best: tuple[int, datetime] | None = None
    while cut >= earliest:
        first = bisect_left(times, cut - _SECOND)
        last = bisect_left(times, cut + _SECOND)
        if best is None or last - first < best[0]:
            best = last - first, cut
        if first == last:
            break
        cut = (times[first] - _SECOND).replace(microsecond=0)
    return best[1] if best else None


def quiet_after(
    times: Sequence[datetime], earliest: datetime, window: Window
) -> datetime | None:
    """The earliest whole second without records around it, from an instant on.

    Args:
        times: The times of the records, in their order.
        earliest: The instant.
        window: What is known.
    """
    cut = _whole_second(max(earliest, window.start + _SECOND))
    while cut <= window.end - _SECOND:
        last = bisect_left(times, cut + _SECOND)
        if bisect_left(times, cut - _SECOND) == last:
            return cut
        cut = _whole_second(times[last - 1] + _SECOND, is_after=True)
    return None


def _whole_second(instant: datetime, *, is_after: bool = False) -> datetime:
    """The first whole second that is not before an instant, or is after it."""
    whole_second = instant.replace(microsecond=0)
    if is_after or whole_second < instant:
        return whole_second + _SECOND
    return whole_second


def by_days(parts: Sequence[Part]) -> list[Part]:
    """The same with parts joined, so that there are about as many as days."""
    joined: list[Part] = []
    left = deque(parts)
    while left:
        run = [left.popleft()]
        latest = run[0].window.start + DAY
        while left and _are_alike(run[0], left[0]) and left[0].window.end <= latest:
            run.append(left.popleft())
        is_cut_short = bool(left) and _are_alike(run[0], left[0])
        if is_cut_short and run[0].count is not None:
            best = _best_end(run, left[0], latest - DAY / 2)
            left.extendleft(reversed(run[best:]))
            run = run[:best]
        joined.append(whole(run))
    return joined


def _best_end(run: Sequence[Part], following: Part, earliest: datetime) -> int:
    """How many of some parts to join, so that few records lie around their end.

    Args:
        run: The parts.
        following: The part that follows them.
        earliest: Where they should not end before.
    """
    ends = [
        (part.after + later.before, -place)
        for place, (part, later) in enumerate(pairwise([*run, following]), start=1)
        if part.window.end >= earliest
    ]
    return -min(ends)[1] if ends else len(run)


def _are_alike(part: Part, following: Part) -> bool:
    """Whether two parts are both known, or both to be read again."""
    return (part.count is None) == (following.count is None)


def grouped(parts: Iterable[Part], max_width: timedelta) -> list[list[Part]]:
    """Parts that follow one another, together as long as they are no wider."""
    groups: list[list[Part]] = []
    for part in parts:
        if groups and _fits(groups[-1], part, max_width):
            groups[-1].append(part)
        else:
            groups.append([part])
    return groups


def _fits(group: Sequence[Part], part: Part, max_width: timedelta) -> bool:
    start, end = group[0].window.start, group[-1].window.end
    return end == part.window.start and part.window.end - start <= max_width
