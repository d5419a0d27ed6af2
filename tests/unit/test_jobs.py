"""How wide the windows of a lane are, and what one leaves to the others."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest

from tap_botsessions.engine.jobs import Job, Lane, TimeRanges
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.records import Row
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterable

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


def row(seconds: int) -> Row:
    """A row of so many seconds after the start."""
    return Row((str(seconds),), START + seconds * SECOND, {}, "a bot")


def seconds_of(rows: Iterable[Row]) -> list[str]:
    return [row.key[0] for row in rows]


@pytest.mark.parametrize("state", ["to come", "under way", "over"])
def test_a_row_of_a_later_window_is_left_to_it(state: str) -> None:
    """Lists are a little wider than their windows; the later one may not serve it."""
    first, second = (
        Window(START, START + 10 * SECOND),
        Window(START + 10 * SECOND, START + 11 * SECOND),
    )
    third = Window(second.end, START + 20 * SECOND)
    lane = Lane(
        Job(["a bot"], TimeRanges([first, second, third], cast("Any", None), DAY))
    )
    one, other, last = lane.tasks
    read = WindowResult(second, [], gap="1 is counted, and none came")
    if state == "over":
        other.outcome = read
    other.begun = state != "to come"
    came = {each.key: each for each in (row(10), row(12))}
    lane.insert_rest(one, WindowResult(first, [row(9)], carried_over=came), Limits())
    result = other.outcome or read.including(other.seen)
    assert isinstance(result, WindowResult)
    assert seconds_of(result.rows) == ["10"]
    assert seconds_of(last.seen.values()) == ["12"]


@pytest.mark.parametrize("state", ["under way", "over", "handed out"])
def test_a_row_of_a_gap_that_comes_with_the_next_window_is_emitted(state: str) -> None:
    """What is served of a gap is emitted, whatever list it comes in."""
    first, second = (
        Window(START, START + SECOND),
        Window(START + SECOND, START + 9 * SECOND),
    )
    lane = Lane(Job(["a bot"], TimeRanges([first, second], cast("Any", None), DAY)))
    one, other = lane.tasks
    gap = WindowResult(first, [], gap="1 is counted, and none came")
    if state != "under way":
        one.outcome = gap
    if state == "handed out":
        assert [outcome.result for outcome in lane.hand_out()] == [gap]
    came = {row(0).key: row(0)}
    read = WindowResult(second, [row(5)], carried_over=came)
    result = lane.completed(other, read)
    lane.insert_rest(other, result, Limits())
    before = one.outcome if state == "over" else lane.completed(one, gap)
    assert isinstance(before, WindowResult)
    emitted = before.rows if state != "handed out" else result.rows
    assert "0" in seconds_of(emitted)
    assert lane.completed(other, read).rows.count(row(0)) == (state == "handed out")


def test_a_row_that_came_in_its_own_window_is_the_one_that_counts() -> None:
    window = Window(START, START + 10 * SECOND)
    newer = row(5)._replace(record={"state": "closed"})
    found = WindowResult(window, [newer]).including({row(5).key: row(5)})
    assert found.rows == [newer]
