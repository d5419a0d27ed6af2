"""What a vendor's clock shows, from what its answers say."""

from __future__ import annotations

import logging
import time
from datetime import datetime, timedelta

import pytest

from tap_botsessions.engine.clock import VendorClock
from tests.unit.test_open_sessions import START

HOUR, SECOND = timedelta(hours=1), timedelta(seconds=1)


def clock(*shown: timedelta | None) -> VendorClock:
    """A clock of which answers have shown these times, from the run's start on."""
    found = VendorClock(START)
    for each in shown:
        found.note(None if each is None else (START + each).timestamp())
    return found


@pytest.mark.parametrize(
    ("shown", "run_start"),
    [
        ((), START),
        ((None,), START),
        ((-timedelta(seconds=1),), START),
        ((HOUR,), START),
        ((10_000 * HOUR,), START),
        ((-2 * HOUR,), START - 2 * HOUR),
        ((-72 * HOUR, -2 * HOUR, None, -5 * HOUR), START - 2 * HOUR),
        ((-72 * HOUR, timedelta(0)), START),
        ((timedelta(0), -72 * HOUR), START),
    ],
)
def test_a_run_began_at_the_latest_time_shown_and_not_later(
    shown: tuple[timedelta | None, ...], run_start: datetime
) -> None:
    found = clock(*shown).run_start
    assert abs(found - run_start) <= SECOND
    assert found <= START


@pytest.mark.parametrize("shown", [-62_135_596_800.0, 0.0, -1.0])
def test_a_time_before_the_epoch_is_none(shown: float) -> None:
    found = VendorClock(START)
    found.note(shown)
    assert found.run_start == START


def test_a_clock_that_is_set_meanwhile_is_not_the_vendors(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """What counts is how long the run has taken, by a clock that nobody sets."""
    found = clock()
    later = time.monotonic() + 600
    monkeypatch.setattr("time.monotonic", lambda: later)
    found.note((START + timedelta(seconds=600) - 2 * HOUR).timestamp())
    assert abs(found.run_start - (START - 2 * HOUR)) <= SECOND


@pytest.mark.parametrize(
    ("shown", "words"),
    [
        (timedelta(seconds=-29), None),
        (timedelta(seconds=29), None),
        (timedelta(seconds=-31), "Avaamo answers by a clock that is 31 s behind"),
        (timedelta(seconds=31), "Avaamo answers by a clock that is 31 s ahead"),
    ],
)
def test_clocks_that_are_apart_are_reported_once(
    caplog: pytest.LogCaptureFixture, shown: timedelta, words: str | None
) -> None:
    caplog.set_level(logging.WARNING)
    found = clock(shown)
    found.report("Avaamo")
    found.report("Avaamo")
    if words is None:
        assert caplog.messages == []
    else:
        [message] = caplog.messages
        assert words in message
