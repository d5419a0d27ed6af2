"""When the state is written."""

from __future__ import annotations

import pytest

from tap_botsessions.engine.options import Limits
from tap_botsessions.singer.checkpoints import Checkpoints


class Clock:
    """A clock that stands still until it is set."""

    now = 1_000.0

    def monotonic(self) -> float:
        return self.now

    time = monotonic


class Written:
    """Counts the states that are written."""

    def __init__(self) -> None:
        """Begin with none."""
        self.clock = Clock()
        self.count = 0
        self.checkpoints = Checkpoints(self.write, Limits(), self.clock)

    def write(self) -> None:
        self.count += 1


@pytest.fixture
def written() -> Written:
    return Written()


def test_no_state_is_more_than_two_seconds_late(written: Written) -> None:
    """However many windows are read, and also while none is."""
    for tenth in range(100):
        written.clock.now = 1_000.0 + tenth / 10
        written.checkpoints.add(1)
    assert written.count == 4
    written.clock.now += 1.95
    written.checkpoints.on_tick()
    assert written.count == 5
    written.clock.now += 100
    written.checkpoints.on_tick()
    assert written.count == 5  # there is nothing new


def test_no_more_than_so_many_rows_are_without_a_state(written: Written) -> None:
    for _ in range(100):
        written.checkpoints.add(1_000)
    assert written.count == 5


def test_a_state_is_written_before_a_wait(written: Written) -> None:
    written.checkpoints.add(1)
    written.checkpoints.on_tick(lambda: False)
    assert written.count == 0
    written.clock.now += 0.3
    written.checkpoints.on_tick(lambda: True)
    assert written.count == 1
