"""When the state is written: soon after what it vouches for, and no more often.

A state holds the bookmarks of all bots. Written after each window, states would
outgrow the records of a run with many bots.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pacing import Clock


class Checkpoints:
    """Writes the state once enough has been read since the last time."""

    def __init__(
        self, write: Callable[[], None], limits: Limits, clock: Clock = time
    ) -> None:
        """Begin with nothing read.

        Args:
            write: Writes the state.
            limits: How much may be read again after a kill.
            clock: What tells the time.
        """
        self._write = write
        self._limits = limits
        self._clock = clock
        self._rows = 0
        self._since: float | None = None
        self._next_look = 0.0

    def add(self, rows: int) -> None:
        """Note that the state has changed, and vouches for so many more rows."""
        self._rows += rows
        if self._since is None:
            self._since = self._clock.monotonic()
        if self._rows >= self._limits.max_rows_unvouched:
            self.write()
        else:
            self.on_tick()

    def on_tick(self, is_idle: Callable[[], bool] = lambda: False) -> None:
        """Write the state if it is time for that.

        Args:
            is_idle: Tells whether nothing can be read for a while, so that the state
                need not wait for more; asked now and then.
        """
        if self._since is None:
            return
        now = self._clock.monotonic()
        if now - self._since >= self._limits.max_seconds_unvouched:
            self.write()
        elif now >= self._next_look:
            self._next_look = now + self._limits.tick
            if is_idle():
                self.write()

    def write(self) -> None:
        """Write the state, if there is something that no state vouches for yet."""
        if self._since is None:
            return
        self._rows = 0
        self._since = None
        self._write()
