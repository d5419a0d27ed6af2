"""Workers whose time is made up: hours of waiting take no time."""

from __future__ import annotations

import heapq
import itertools
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_botsessions.engine.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_botsessions.engine.jobs import Attempt


@dataclass
class Clock:
    """A clock that stands still unless it is moved on.

    Attributes:
        now: Seconds.
        took: How long the request took that was made last.
    """

    now: float = 1000.0
    took: float = 0.0


@dataclass
class Flight:
    """The requests in flight, by when they come to their end."""

    landing: list[tuple[float, int, Attempt, object]] = field(default_factory=list)
    peak: int = 0


class VirtualWorkers(Workers):
    """Make each request at once, and deliver what came of it when its time has come."""

    def __init__(self, count: int, clock: Clock) -> None:
        """Prepare for so many requests at once, by a clock."""
        super().__init__(count)
        self.flight = Flight()
        self._clock = clock
        self._numbers = itertools.count()

    @override
    def now(self) -> float:
        return self._clock.now

    @override
    def send(self, attempt: Attempt) -> None:
        answer: object
        try:
            answer = attempt.fetch.send()
        except Exception as error:  # noqa: BLE001 -- taken in like an answer
            answer = error
        landing = self.flight.landing
        at = self._clock.now + self._clock.took
        heapq.heappush(landing, (at, next(self._numbers), attempt, answer))
        self.flight.peak = max(self.flight.peak, len(landing))
        assert len(landing) <= self.count

    @override
    def next_answer(self, seconds: float) -> tuple[Attempt, object] | None:
        landing, until = self.flight.landing, self._clock.now + seconds
        if not landing or landing[0][0] > until:
            self._clock.now = until
            return None
        at, _, attempt, answer = heapq.heappop(landing)
        self._clock.now = max(self._clock.now, at)
        return attempt, answer

    @override
    def close(self, tick: float, on_tick: Callable[[], None]) -> None:
        self.abandon()
