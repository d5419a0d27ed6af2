"""How wide the windows of a lane are."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

from tap_botsessions.engine.jobs import Job, Lane, TimeRanges
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from tap_botsessions.engine.jobs import Task

START = datetime(2026, 3, 1, tzinfo=UTC)
SECOND, DAY = timedelta(seconds=1), timedelta(days=1)


def over(lane: Lane, task: Task) -> None:
    """Have a task be read as it was asked for, without a row."""
    lane.insert_rest(task, WindowResult(cast("Window", task.requested), []), Limits())


def test_a_gap_that_adds_up_now_leaves_the_windows_after_it_wide() -> None:
    gaps = [Window(START, START + SECOND)]
    ranges = [Window(START + DAY, START + 20 * DAY)]
    reader = cast("Any", None)
    lane = Lane(Job(["a bot"], TimeRanges(ranges, reader, 6 * DAY, gaps)))
    over(lane, lane.tasks[0])
    requested = lane.narrow(lane.tasks[1], ranges[0])
    assert requested.width == 6 * DAY
