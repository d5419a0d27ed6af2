"""A sign of life, now and then, while somebody waits for a report."""

from __future__ import annotations

import logging
import math
import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable, Collection

    from tap_botsessions.engine.pacing import Budget, Clock

logger = logging.getLogger("tap-botsessions")

_FIRST = 1.5
_BETWEEN = 15.0
"""Seconds to the first line, and between two of them."""


class SignOfLife:
    """Logs how many answers have come, and what the others wait for.

    Attributes:
        asked: How many bots are asked for.
        answered: How many of them have been.
    """

    def __init__(
        self,
        on_tick: Callable[[], None],
        budgets: Collection[Budget],
        asked: int,
        clock: Clock = time,
    ) -> None:
        """Begin with no answer.

        Args:
            on_tick: What is called at each tick beside.
            budgets: What the requests are charged to.
            asked: How many bots are asked for.
            clock: What tells the time.
        """
        self.asked = asked
        self.answered = 0
        self._on_tick = on_tick
        self._budgets = budgets
        self._clock = clock
        self._next_at = clock.monotonic() + _FIRST

    def __call__(self) -> None:
        """Log a line if it is time for one."""
        self._on_tick()
        now = self._clock.monotonic()
        if now < self._next_at:
            return
        self._next_at = now + _BETWEEN
        waits = {budget.label: budget.seconds_until_free for budget in self._budgets}
        label, wait = max(waits.items(), key=lambda each: each[1], default=("", 0.0))
        free = f"; the budget of {label} is free in {math.ceil(wait)} s"
        reason = free if wait else ""
        logger.info("%d of %d are answered%s", self.answered, self.asked, reason)
