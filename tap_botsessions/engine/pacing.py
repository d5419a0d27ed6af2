"""When requests may be made: budgets kept ahead of time, and pauses before retries."""

from __future__ import annotations

import logging
import time
from typing import TYPE_CHECKING, Protocol, cast

from pyrate_limiter import InMemoryBucket, Rate, RateItem

if TYPE_CHECKING:
    from pyrate_limiter import Decision

    from tap_botsessions.engine.errors import RateLimit

logger = logging.getLogger("tap-botsessions")

# The part of a minute that is kept beyond it and beyond the hour: a request takes its
# time to arrive, and some take more than others, so the vendor may see two requests
# closer together than they were sent.
_MARGIN = 1 / 60


class Clock(Protocol):
    """What tells the time, as the module `time` does."""

    def monotonic(self) -> float:
        """Seconds that never go back."""

    def time(self) -> float:
        """Seconds since the epoch."""


class Budget:
    """The requests of one bot or account, over rolling minutes and hours.

    A budget is no lock: it is used by one thread. Others may look at it.

    Attributes:
        label: Whose budget it is.
        per_minute: Requests in any minute.
        per_hour: Requests in any hour, if that is limited too.
    """

    def __init__(
        self,
        label: str,
        per_minute: int,
        per_hour: int | None = None,
        *,
        minute: float = 60.0,
        clock: Clock | None = None,
    ) -> None:
        """Set up the rates.

        Args:
            label: Whose budget it is.
            per_minute: Requests in any minute.
            per_hour: Requests in any hour, if that is limited too.
            minute: Seconds of a minute; an hour has sixty.
            clock: What tells the time, if not the machine.
        """
        margin = minute * _MARGIN
        by_minute = Rate(per_minute, round((minute + margin) * 1000))
        rates = [by_minute]
        if per_hour is not None:
            interval = round((60 * minute + margin) * 1000)
            # An hour can't hold more than its minutes do.
            most = per_minute * interval // by_minute.interval
            by_hour = Rate(min(per_hour, most), interval)
            rates = [by_minute, by_hour] if per_hour > per_minute else [by_hour]
        self.label = label
        self.per_minute = per_minute
        self.per_hour = per_hour
        self._minute = minute
        self._clock = clock or time
        self._rates = rates
        self._bucket = InMemoryBucket(rates)
        self._blocked_until = 0.0
        self._is_announced = False

    @property
    def seconds_until_free(self) -> float:
        """Seconds for which no request may be made, as far as is known."""
        return max(self._blocked_until - self._clock.monotonic(), 0.0)

    def seconds(self, requests: int) -> float:
        """How long so many requests take, made as soon as may be, the first at once."""
        left, milliseconds = max(requests - 1, 0), 0
        for rate in reversed(self._rates):
            times, left = divmod(left, rate.limit)
            milliseconds += times * rate.interval
        return milliseconds / 1000

    def try_acquire(self) -> float:
        """Take a place for one request, if there is one.

        Returns:
            0 if the request may be made now, else the seconds to wait before asking
            again; no place is taken then.
        """
        if (wait := self.seconds_until_free) > 0:
            return wait
        now = self._milliseconds()
        self._bucket.leak(now)
        decision = cast("Decision", self._bucket.put_decision(RateItem("", now)))
        if decision.allowed:
            return 0.0
        wait = (decision.retry_after_ms or 1000) / 1000
        self._blocked_until = self._clock.monotonic() + wait
        level = logging.DEBUG if self._is_announced else logging.INFO
        logger.log(
            level, "%s: waiting %.0f s for the budget of requests", self.label, wait
        )
        self._is_announced = True
        return wait

    def block(self, limit: RateLimit, wait: float | None) -> float:
        """Make no request for a while: the vendor has refused one for its rate.

        Args:
            limit: The limit that was exceeded.
            wait: Seconds that the vendor asks to wait, if it says so. Else it is until
                the minute is over, or until the hour frees a place.

        Returns:
            The seconds that the pause takes.
        """
        if wait is None:
            wait = self._to_free_hour() if limit == "hour" else self._to_next_minute()
        self._blocked_until = max(self._blocked_until, self._clock.monotonic() + wait)
        return wait

    def _to_next_minute(self) -> float:
        return self._minute - self._clock.time() % self._minute

    def _to_free_hour(self) -> float:
        """Seconds until the first request of the hour is an hour old.

        Requests of other clients are not known; without any of its own, a minute.
        """
        first = self._bucket.peek(self._bucket.count() - 1)
        if first is None:
            return self._to_next_minute()
        age = (self._milliseconds() - first.timestamp) / 1000
        return max(60 * self._minute - age, 1.0)

    def _milliseconds(self) -> int:
        return int(self._clock.monotonic() * 1000)
