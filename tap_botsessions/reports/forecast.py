"""What it will take to read a range, worked out from how dense it is.

The reader itself is driven, with counts in place of pages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.capacity import Capacity, next_width
from tap_botsessions.engine.errors import IncompleteError
from tap_botsessions.engine.pages import Fetch, Page, WindowResult
from tap_botsessions.engine.reader import read_window
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime, timedelta

    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import Reading

_DAY = 86_400
_SWING = 0.6
"""A day's quietest hour has as much less than the mean as its busiest has more. Windows
that are narrower than a day get filled the less for it.
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
    """A stretch, and the records that each list has in its sample.

    Attributes:
        stretch: The stretch.
        totals: The records.
        swing: How much a day's busiest hour has more than the mean, as a share of it.
    """

    stretch: Stretch
    totals: Sequence[int]
    swing: float = _SWING

    def rows(self, window: Window) -> list[float]:
        """The records that each list has where a window lies in the stretch."""
        span, sample = self.stretch
        start, end = max(window.start, span.start), min(window.end, span.end)
        share = 0.0
        if start < end:
            busy = _busy(Window(start, end), self.swing)
            share = busy / _busy(sample, self.swing)
        return [share * total for total in self.totals]


@dataclass(frozen=True)
class ForecastInput:
    """What a forecast is made from.

    Attributes:
        densities: The stretches of the range, in order.
        page_size: Records in a page.
        max_width: How wide a window may be.
        limits: How much the reader reads at once.
        budget: What the requests would be charged to.
    """

    densities: Sequence[Density]
    page_size: int
    max_width: timedelta
    limits: Limits
    budget: Budget


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


def forecast(given: ForecastInput) -> Forecast:
    """Work out what it takes to read a range.

    Raises:
        IncompleteError: There are more records in a second than can be true.
    """
    _check(given)
    results = list(_windows(given))
    rows = [sum(density.rows(density.stretch.span)) for density in given.densities]
    return Forecast(
        windows=len(results),
        rows=round(sum(rows)),
        requests=sum(result.requests for result in results),
        is_counted=all(span == sample for (span, sample), *_ in given.densities),
    )


def _check(given: ForecastInput) -> None:
    for density in given.densities:
        sample = density.stretch.sample
        count = max(density.totals, default=0)
        if count > given.limits.max_rows_per_second * sample.width.total_seconds():
            msg = f"{sample}: {count} records are counted, which can't be true"
            raise IncompleteError(msg)


def _windows(given: ForecastInput) -> Iterator[WindowResult]:
    """Cut a range as the scheduler does, each window as wide as the last one says."""
    first, last = given.densities[0].stretch.span, given.densities[-1].stretch.span
    left = [Window(first.start, last.end)]
    capacity = Capacity(given.limits)
    width = given.max_width
    while left:
        span = left.pop()
        requested = Window(span.start, min(span.start + width, span.end))
        result = _drive(_reading(given, requested, capacity))
        read = result.window or requested
        ends = read.end, requested.end, span.end
        rest = [Window(start, end) for start, end in pairwise(ends) if start < end]
        left += reversed(rest)
        width = next_width(
            result, result.received, requested, given.max_width, given.limits
        )
        yield result


def _reading(given: ForecastInput, window: Window, capacity: Capacity) -> Reading:
    first = given.densities[0].stretch.span.start

    def counts(end: datetime) -> list[int]:
        before = Window(first, end)
        parts = zip(*(each.rows(before) for each in given.densities), strict=True)
        return [round(sum(rows)) for rows in parts]

    def lists(part: Window) -> list[_CountedList]:
        # The halves of a window have as many records as all of it.
        both = zip(counts(part.start), counts(part.end), strict=True)
        return [_CountedList(given, end - start) for start, end in both]

    return read_window(lists, window, {}, capacity)


def _drive(reading: Reading) -> WindowResult:
    """Give a reading the pages that it asks for, and count them."""
    requests = 0
    pages: list[Page] | None = None
    while True:
        try:
            batch = next(reading) if pages is None else reading.send(pages)
        except StopIteration as stop:
            result: WindowResult = stop.value
            return WindowResult(
                result.window, [], received=result.received, requests=requests
            )
        requests += len(batch)
        pages = [fetch.send() for fetch in batch]


@dataclass(frozen=True)
class _CountedList:
    """A list of so many records; a position is how many are skipped."""

    given: ForecastInput
    total: int
    first: int = 0

    @property
    def page_size(self) -> int:
        return self.given.page_size

    def fetch(self, position: int) -> Fetch:
        send = partial(self._page, position)
        return Fetch(send, self.given.budget, "a forecast")

    def fetch_count(self) -> Fetch:
        return self.fetch(self.first)

    def remaining(self, first: Page) -> range:
        return range(first.received, self.total, self.given.page_size)

    def _page(self, position: int) -> Page:
        received = min(self.given.page_size, max(self.total - position, 0))
        following = position + received
        return Page([], received, self.total, following < self.total, following)


def _busy(window: Window, swing: float) -> float:
    """The seconds of a window, more of them for its busy hours."""
    start, end = (
        math.cos(math.tau * instant.timestamp() / _DAY)
        for instant in (window.start, window.end)
    )
    return window.width.total_seconds() + (start - end) * swing * _DAY / math.tau
