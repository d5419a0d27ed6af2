"""Somebody who waits for a report is told why within two seconds."""

from __future__ import annotations

from typing import TYPE_CHECKING

from tap_botsessions.engine.pacing import Budget
from tap_botsessions.reports.waiting import SignOfLife

if TYPE_CHECKING:
    import pytest


class Clock:
    """A clock that stands still until it is set."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


def test_what_is_waited_for_is_told_soon_and_then_now_and_again(
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("INFO")
    clock, ticks = Clock(), []
    budget = Budget("Avaamo", 1, clock=clock)
    assert budget.try_acquire() == 0
    sign_of_life = SignOfLife(lambda: ticks.append(1), [budget], 60, clock)
    assert budget.try_acquire() > 0
    for seconds in range(20):
        clock.now = 1_000.0 + seconds
        sign_of_life()
        sign_of_life.answered += seconds == 0
    lines = [each.getMessage() for each in caplog.records[1:]]
    # The first is the budget's own.
    start = "1 of 60 are answered; the budget of Avaamo is free in "
    assert [line.startswith(start) for line in lines] == [True, True]
    assert len(ticks) == 20
