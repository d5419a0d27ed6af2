"""Counts of days: how time is divided, and what is left of a count."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest

from tap_botsessions.engine.changes import is_as_read
from tap_botsessions.engine.counted_days import CountedDays
from tap_botsessions.engine.parts import grouped, whole
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Sequence

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY, HOUR, SECOND = timedelta(days=1), timedelta(hours=1), timedelta(seconds=1)


def days(start: float, end: float) -> Window:
    return Window(START + start * DAY, START + end * DAY)


def within(times: Sequence[datetime], window: Window) -> list[datetime]:
    """What a list serves that is asked for a second more at its start."""
    return [time for time in times if window.start - SECOND <= time <= window.end]


def restored(counted: CountedDays, until: datetime) -> CountedDays:
    """What the next run finds in the state, which has been JSON."""
    counted.settle(until, START)
    return CountedDays(json.loads(json.dumps(counted.to_state(until))))


@pytest.mark.parametrize("seed", range(40))
def test_counts_are_those_of_the_records_however_they_were_read(seed: int) -> None:
    random = Random(seed)
    number = random.choice((0, 3, 300, 20_000))
    times = sorted(START + random.random() * 12 * DAY for _ in range(number))
    counted, until = CountedDays({}), START
    while until < START + 12 * DAY:
        start = max(until - random.choice((0, 1, 30)) * HOUR, START)
        end = until + random.choice((0.02, 0.4, 1, 6)) * DAY
        for width in (3 * HOUR, 10 * DAY):
            window = Window(start, min(start + width, end))
            if window.start < window.end:
                counted.note(window, within(times, window), 0)
            start = window.end
        until = end - HOUR
        counted = restored(counted, until)
    parts = counted.close(until)
    assert parts[0].window.start == START
    assert parts[-1].window.end == until
    for part in parts:
        if part.count is not None:
            own = [each for each in times if each in part.window]
            assert part.count == len(own)
            assert is_as_read(part, len(within(times, part.window)))
    assert len(parts) <= 2 * 13 + 2


def test_quiet_days_are_counted_in_six_requests_a_month() -> None:
    times = [START + day * DAY for day in range(31)]
    counted = CountedDays({})
    for day in range(0, 30, 6):
        counted.note(days(day, day + 6), within(times, days(day, day + 6)), 0)
        counted = restored(counted, START + (day + 6) * DAY - HOUR)
    parts = counted.close(START + 30 * DAY - HOUR)
    assert max(part.window.width for part in parts) <= DAY
    assert len(grouped(parts, 6 * DAY)) <= 6


def test_where_there_is_no_quiet_second_the_quietest_is_taken() -> None:
    times = [START + second * SECOND for second in range(2 * 86_400)]
    counted = CountedDays({})
    counted.note(days(0, 2), times, 0)
    parts = counted.close(START + 2 * DAY)
    one = whole(parts[:1])
    assert (one.count, one.before, one.after) == (86_400, 0, 1)


def test_a_part_that_is_read_again_in_two_windows_is_known_at_the_end() -> None:
    counted = CountedDays({})
    counted.note(days(0, 6), [], 0)
    counted = restored(counted, START + 6 * DAY)
    counted.forget(days(2, 3))
    counted.note(days(2, 2.5), [START + 2.25 * DAY], 0)
    counted = restored(counted, START + 6 * DAY)
    assert counted.unread == [days(2.5, 3)]
    counted.note(days(2.5, 3), [], 0)
    counted = restored(counted, START + 6 * DAY)
    assert not counted.unread
    assert sum(part.count or 0 for part in counted.close(START + 6 * DAY)) == 1


def test_what_is_read_in_part_has_to_be_read_again() -> None:
    counted = CountedDays({})
    counted.note(days(0, 1), [START + HOUR], 0)
    counted = restored(counted, START + DAY)
    counted.note(days(0.5, 2), [], 0)
    assert counted.unread == [days(0, 0.5)]


def test_what_is_counted_and_not_served_is_no_change() -> None:
    counted = CountedDays({})
    counted.note(days(0, 1), [START + HOUR], 2)
    [part] = counted.close(START + DAY)
    assert is_as_read(part, 3)
    assert not is_as_read(part, 4)
    assert not is_as_read(part, 0)


def test_a_month_takes_some_hundred_bytes_in_the_state() -> None:
    random = Random(1)
    times = sorted(START + random.random() * 30 * DAY for _ in range(3_000))
    counted = CountedDays({})
    for day in range(0, 30, 6):
        window = days(day, day + 6)
        counted.note(window, within(times, window), 0)
    counted.settle(START + 30 * DAY, START)
    assert len(json.dumps(counted.to_state(START + 30 * DAY))) < 250


def test_the_times_of_many_records_are_not_kept() -> None:
    counted = CountedDays({})
    times = [START + number * SECOND for number in range(86_400)]
    counted.note(days(0, 1), times, 0)
    counted.settle(START, START)
    assert all(part.times is None for part in counted.close(START + DAY))
    counted.settle(START + 0.5 * DAY, START)
    assert counted.unread == [days(0, 0.5), days(0.5, 1)]
    counted.note(days(0, 1), times, 0)
    assert not counted.unread
