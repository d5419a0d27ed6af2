"""How a range is extrapolated from a few windows."""

from __future__ import annotations

from datetime import timedelta
from itertools import pairwise

from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import World
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.windows import Window
from tap_botsessions.reports.forecast import (
    Density,
    Forecast,
    ForecastInput,
    Stretch,
    forecast,
    stretches,
)

DAY = timedelta(days=1)


def test_the_requests_of_a_narrowed_window_are_counted() -> None:
    span = Window(World.start, World.start + 6 * DAY)
    density = Density(Stretch(span, span), [100, 6000], swing=0.0)
    found = forecast(
        ForecastInput([density], 1000, 6 * DAY, Limits(), Budget("tests", 60))
    )
    # The second list is found to hold too much once the first has been read. Then two
    # parts with 2850 of it, three pages each, and the rest, each with the first.
    assert found == Forecast(windows=3, rows=6100, requests=2 + 4 + 4 + 2)


@settings(deadline=None)
@given(
    width=st.timedeltas(timedelta(seconds=1), 6 * DAY),
    windows=st.floats(0.001, 500),
    most=st.integers(1, 9),
)
def test_stretches_are_whole_windows_with_the_sample_in_the_middle(
    width: timedelta, windows: float, most: int
) -> None:
    span = Window(World.start, World.start + width * windows)
    found = stretches(span, width, most)
    count = -(-span.width // width)
    assert len(found) == min(most, count)
    assert found[0].span.start == span.start
    assert found[-1].span.end == span.end
    for one, other in pairwise(found):
        assert one.span.end == other.span.start
    for stretch, sample in found:
        before, after = sample.start - stretch.start, stretch.end - sample.end
        assert before >= timedelta(0) <= after
        assert before % width == timedelta(0)
        assert abs(before - after) <= width
        assert sample.width == width or sample.end == span.end
