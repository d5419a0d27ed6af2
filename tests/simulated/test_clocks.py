"""A clock that is not the vendor's loses nothing, and is reported."""

from __future__ import annotations

import copy
import logging
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from simulator import World
from simulator.streams import DAILY
from tap_botsessions.engine.windows import parse_instant, to_rfc3339
from tests.conftest import Synced, Tap, end_of, sync
from tests.truth import STREAMS, assert_same, expected
from tests.unit.test_open_sessions import START, day

if TYPE_CHECKING:
    from collections.abc import Collection

    from simulator import Simulator

KORE = ("kore_sessions",)
EVER = "2099-01-01T00:00:00Z"


@pytest.fixture(autouse=True)
def warnings(caplog: pytest.LogCaptureFixture) -> pytest.LogCaptureFixture:
    caplog.set_level(logging.WARNING)
    return caplog


def read(
    simulator: Simulator,
    at: datetime,
    ahead: timedelta,
    state: dict[str, Any] | None = None,
    streams: tuple[str, ...] = (),
    **settings: Any,
) -> Synced:
    """Run the tap at an instant of the vendor's clock, by one that is ahead of it."""
    simulator.world.now = at.timestamp()
    with pytest.MonkeyPatch.context() as patch:
        milliseconds = int((at + ahead).timestamp() * 1000)
        patch.setattr(Tap, "initialized_at", milliseconds)
        return sync(simulator, copy.deepcopy(state), streams, end_date=EVER, **settings)


def about(warnings: pytest.LogCaptureFixture, words: str) -> list[str]:
    return [message for message in warnings.messages if words in message]


@pytest.mark.parametrize("date", ["world", "nonsense", "cached"])
@pytest.mark.parametrize("api", ["bot", "account"])
def test_a_clock_that_is_ahead_loses_nothing(
    simulator: Simulator,
    warnings: pytest.LogCaptureFixture,
    date: Literal["world", "nonsense", "cached"],
    api: str,
) -> None:
    """By more than the lookback, and into a day that is not over for the vendor.

    Where the header does not tell, Avaamo's time token and the records do.
    """
    simulator.options.date = date
    simulator.world.open_fraction = 0
    ahead = timedelta(hours=30)
    runs: list[Synced] = []
    for hours in (-1, 2, 40):
        at = day(10) + timedelta(hours=hours)
        state = runs[-1].state if runs else None
        runs.append(read(simulator, at, ahead, state, kore_api=api))
        assert not runs[-1].failures
    for stream in STREAMS:
        found = {
            key: record for run in runs for key, record in run.records[stream].items()
        }
        truth = expected(simulator.world, stream, START, end_of(simulator.world))
        # A day that is to come for the vendor is one of no use, and read again.
        assert_same({key: found.get(key, {}) for key in truth}, truth)
    assert len(about(warnings, "behind this machine's")) == 2 * len(runs)


def assert_just_before(bookmarks: Collection[object], at: datetime) -> None:
    """The header has whole seconds, and what a run has taken to get there counts."""
    parsed = [parse_instant(bookmark) for bookmark in bookmarks]
    assert parsed
    assert all(at - timedelta(seconds=20) < each <= at for each in parsed)


def test_no_bookmark_is_later_than_the_vendors_clock(simulator: Simulator) -> None:
    simulator.options.date = "world"
    bookmarks = read(simulator, day(10), timedelta(hours=2)).bookmarks
    for stream in STREAMS:
        own = [mark for (name, _), mark in bookmarks.items() if name == stream]
        if stream in DAILY:
            assert set(own) == {day(9).date().isoformat()}
        else:
            assert_just_before(own, day(10))


@pytest.mark.parametrize("hours", [0, 2])
def test_no_bookmark_is_later_than_this_machines_clock(
    simulator: Simulator, warnings: pytest.LogCaptureFixture, hours: int
) -> None:
    simulator.options.date = "world"
    at = day(10)
    synced = read(simulator, at, -timedelta(hours=hours), streams=KORE)
    assert {*synced.bookmarks.values()} == {
        to_rfc3339(at - timedelta(hours=hours)),
    }
    told = about(warnings, "s ahead of this machine's")
    assert len(told) == (hours > 0)


def test_old_dates_are_believed_where_nothing_else_is_known(
    simulator: Simulator, warnings: pytest.LogCaptureFixture
) -> None:
    """What is read again for that is no secret, and no more than since that time."""
    simulator.world = World(sessions_per_day=0)
    simulator.options.date = "cached"
    first = read(simulator, day(10), timedelta(0), streams=KORE)
    assert_just_before(first.bookmarks.values(), day(7))
    assert len(about(warnings, "s behind this machine's")) == 1
    for bot in simulator.world.bots:
        simulator.world.add_late("kore_sessions", bot, day(8))
    second = read(simulator, day(11), timedelta(0), first.state, streams=KORE)
    truth = expected(simulator.world, "kore_sessions", START, day(11))
    assert_same(second.records["kore_sessions"], truth)
