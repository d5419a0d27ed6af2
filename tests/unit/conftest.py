"""A clock that stands still unless a test moves it."""

from __future__ import annotations

from dataclasses import dataclass

import pytest


@dataclass
class Clock:
    """Both clocks of a machine; they go on when `now` is changed."""

    now: float = 1_000_020.0

    def monotonic(self) -> float:
        return self.now

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()
