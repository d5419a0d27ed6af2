"""Time: instants, windows, and how a range is cut into windows.

Everything here is a pure function of its arguments. Instants are `datetime`s in UTC.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING

import msgspec
from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True, slots=True)
class Window:
    """A span of time that is read as a whole.

    Attributes:
        start: The first instant inside.
        end: The first instant after it.
    """

    start: datetime
    end: datetime

    @property
    def width(self) -> timedelta:
        """The time from start to end."""
        return self.end - self.start

    def overlap(self, other: Window) -> Window | None:
        """The part that lies in another window as well, if there is one."""
        start, end = max(self.start, other.start), min(self.end, other.end)
        return Window(start, end) if start < end else None

    def __contains__(self, instant: datetime) -> bool:
        """Whether the instant lies in the window, its start included, its end not."""
        return self.start <= instant < self.end

    @override
    def __str__(self) -> str:
        """The window as two RFC 3339 instants."""
        return f"{to_rfc3339(self.start)} to {to_rfc3339(self.end)}"


def parse_instant(value: object) -> datetime:
    """Read an instant.

    Args:
        value: An RFC 3339 date-time, a date (its midnight), or UNIX epoch seconds.
            What names no offset is in UTC.

    Raises:
        ValueError: It is none of these, or out of the range of years 1 to 9999.
    """
    if isinstance(value, float | int) and not isinstance(value, bool):
        try:
            return datetime.fromtimestamp(value, UTC)
        except (OverflowError, OSError) as error:
            raise ValueError(str(error)) from error
    if isinstance(value, str):
        instant = datetime.fromisoformat(value.upper())  # RFC 3339 allows t and z
        if instant.tzinfo is None:
            return instant.replace(tzinfo=UTC)
        try:
            return instant.astimezone(UTC)
        except OverflowError as error:
            raise ValueError(str(error)) from error
    msg = f"a {type(value).__name__} is no instant"
    raise ValueError(msg)


def to_rfc3339(instant: datetime) -> str:
    """Write an instant as RFC 3339 in UTC, with as many decimals as it needs.

    >>> to_rfc3339(datetime(2026, 5, 1, 12, 0, 0, 250_000, tzinfo=UTC))
    '2026-05-01T12:00:00.250Z'
    """
    written: str = msgspec.to_builtins(instant)
    if instant.microsecond and instant.microsecond % 1000 == 0:
        return f"{written[:-4]}Z"
    return written


def starting_point(
    start_date: datetime,
    bookmark: datetime | None,
    lookback: timedelta,
) -> datetime:
    """Where a run begins to read: a lookback before the bookmark, if there is one."""
    if bookmark is None:
        return start_date
    try:
        return max(bookmark - lookback, start_date)
    except OverflowError:
        return start_date


def shifted(instant: datetime, by: timedelta) -> datetime:
    """An instant so much later, or itself where the calendar ends before that."""
    try:
        return instant + by
    except OverflowError:
        return instant


def cut_days(span: Window, utc_offset: timedelta) -> Iterator[Window]:
    """Cut a span into the calendar days that it touches.

    The first window begins at its day's midnight, even where the span begins later.
    The last one ends with the span, so that a day which is not over can be told. A span
    that is empty touches none.

    Args:
        span: What to cut.
        utc_offset: How far east of UTC the days begin.
    """
    if span.start >= span.end:
        return
    zone = timezone(utc_offset)
    start = midnight(span.start.astimezone(zone).date(), utc_offset)
    while start < span.end:
        yield Window(start, min(start + timedelta(days=1), span.end))
        start += timedelta(days=1)


def midnight(day: date, utc_offset: timedelta) -> datetime:
    """The instant at which a day begins, so far east of UTC."""
    zone = timezone(utc_offset)
    return datetime(day.year, day.month, day.day, tzinfo=zone).astimezone(UTC)


def narrowed(window: Window, share: float) -> Window | None:
    """The leading part of a window, cut at a whole second.

    Args:
        window: What to narrow.
        share: The part to keep, between 0 and 1.

    Returns:
        The part, about a second wide at least; nothing if that is the whole window.
    """
    seconds = max(math.floor(window.width.total_seconds() * share), 1)
    end = window.start.replace(microsecond=0) + timedelta(seconds=seconds)
    return Window(window.start, end) if window.start < end < window.end else None
