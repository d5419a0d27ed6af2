"""What it will take to read a range, worked out from how dense it is.

Pure functions, which cut a range as the reader does.
"""

from __future__ import annotations

import math
from itertools import pairwise, takewhile
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.errors import IncompleteError
from tap_botsessions.engine.reader import MOST, ROWS, next_width
from tap_botsessions.engine.windows import Window, narrowed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import timedelta

_DAY = 86_400
_SWING = 0.6
"""How much a day's busiest hour has more than the mean, as a share of it; its quietest
hour has as much less. Windows that are narrower than a day get filled the less for it.
"""


class Forecast(NamedTuple):
    """What it takes to read a range.

    Attributes:
        windows: Windows.
        rows: Records that the vendor counts in them.
        requests: Requests, none repeated.
        is_counted: Whether all records were counted. Else they are extrapolated.
    """

    windows: int
    rows: int
    requests: int
    is_counted: bool = True


class Stretch(NamedTuple):
    """A part of a range, and the window in it that stands for all of it."""

    span: Window
    sample: Window


class Density(NamedTuple):
    """A stretch, and the records that each list has in its sample."""

    stretch: Stretch
    totals: Sequence[int]

    def rows(self, window: Window) -> list[float]:
        """The records that each list has where a window lies in the stretch."""
        span, sample = self.stretch
        start, end = max(window.start, span.start), min(window.end, span.end)
        share = _busy(Window(start, end)) / _busy(sample) if start < end else 0.0
        return [share * total for total in self.totals]


def stretches(span: Window, width: timedelta, most: int) -> list[Stretch]:
    """Divide a range into stretches of whole windows, each with the one in its middle.

    Args:
        span: The range.
        width: How wide the windows are; the last one may be narrower.
        most: How many stretches there may be.
    """
    count = -(-span.width // width)
    parts = min(most, count)

    def window(first: int, after: int) -> Window:
        end = min(span.start + after * width, span.end)
        return Window(span.start + first * width, end)

    places = [part * count // parts for part in range(parts + 1)]
    return [
        Stretch(window(first, after), window(middle, middle + 1))
        for first, after in pairwise(places)
        for middle in [(first + after - 1) // 2]
    ]


def forecast(
    densities: Sequence[Density], page_size: int, widest: timedelta
) -> Forecast:
    """Say what it takes to read a range.

    Args:
        densities: Those of its stretches, one after another.
        page_size: How many records a request brings.
        widest: How wide a window may be.

    Raises:
        IncompleteError: There are more records in a second than can be true.
    """
    taken = list(_windows(densities, page_size, widest))
    rows = [sum(density.rows(density.stretch.span)) for density in densities]
    return Forecast(
        windows=len(taken),
        rows=round(sum(rows)),
        requests=sum(each.requests for each in taken),
        is_counted=all(span == sample for (span, sample), _ in densities),
    )


class _Taken(NamedTuple):
    """A window as it would be taken."""

    window: Window
    rows: int
    requests: int


def _windows(
    densities: Sequence[Density], page_size: int, widest: timedelta
) -> Iterator[_Taken]:
    """Go through a range as `ReadAhead` does, each window as wide as the last says."""
    first, last = densities[0].stretch.span, densities[-1].stretch.span
    left = [Window(first.start, last.end)]
    width = widest
    while left:
        span = left.pop()
        asked = Window(span.start, min(span.start + width, span.end))
        taken = _take(densities, asked, page_size)
        ends = taken.window.end, asked.end, span.end
        rest = [Window(start, end) for start, end in pairwise(ends) if start < end]
        left += reversed(rest)
        width = next_width(taken.window, taken.rows, asked, widest)
        yield taken


def _take(densities: Sequence[Density], window: Window, page_size: int) -> _Taken:
    """Take a window as the reader does, narrowed where a list holds too much."""
    requests = 0
    most = ROWS
    while True:
        lists = zip(*(density.rows(window) for density in densities), strict=True)
        totals = [round(sum(parts)) for parts in lists]
        fit = list(takewhile(most.__ge__, totals))
        requests += sum(max(math.ceil(total / page_size), 1) for total in fit)
        if len(fit) == len(totals):
            return _Taken(window, sum(totals), requests)
        requests += 1
        too_many = totals[len(fit)]
        part = narrowed(window, 0.95 * most / too_many)
        if part is None and too_many > MOST:
            msg = f"{window}: {too_many} records are counted in a second"
            raise IncompleteError(msg)
        most = most if part else MOST
        window = part or window


def _busy(window: Window) -> float:
    """The seconds of a window, more of them for its busy hours."""
    start, end = (
        math.cos(math.tau * instant.timestamp() / _DAY)
        for instant in (window.start, window.end)
    )
    return window.width.total_seconds() + (start - end) * _SWING * _DAY / math.tau
