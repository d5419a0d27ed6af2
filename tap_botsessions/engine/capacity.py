"""How much a vendor can be asked for at once, as a run learns it of a bot.

No page names a limit but Avaamo's, which says what to do about a 504: to ask for a
shorter range (page Getting started). So a limit is learnt where it is met, and tried
again after a while: what looks like one may have been a passing trouble.
"""

from __future__ import annotations

import math
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.windows import Window

_PATIENCE = 8
"""Windows of the width that was learnt before a wider one is tried again."""

_MAX_DISPUTED = 3
"""So many gaps of a bot are narrowed down while no count of its has been right."""

_MAX_NARROWED = 50
"""So many gaps of a bot are narrowed down in one run."""


class Capacity:
    """What can be asked of a bot at once.

    Attributes:
        limits: The bounds that hold for every bot.
        max_rows: Records of a list that can be had, as far as is known.
        max_width: How wide a window may be; none as long as no limit was met.
        windows_read: How many windows were read whole.
        most_served: The most records of a list that was read whole, so that no limit
            can lie at fewer; it can lie at just as many.
        counts_repeats: Whether a list of one page counted a record twice that came
            twice, so that longer ones are believed to.
    """

    def __init__(self, limits: Limits) -> None:
        """Begin without any limit but those of every bot."""
        self.limits = limits
        self.max_rows = limits.max_window_rows
        self.max_width: timedelta | None = None
        self.windows_read = 0
        self.most_served = 0
        self.counts_repeats = False
        self._nonempty_windows = 0
        self._gaps = 0
        self._patience = _PATIENCE
        self._windows_left = 0
        self._is_trying = False

    @property
    def narrows_gaps(self) -> bool:
        """Whether it is worth the requests to find out where records don't add up.

        Not where a vendor counts otherwise than it serves: it would be done for each
        second of the range.
        """
        return self._gaps < (_MAX_NARROWED if self._nonempty_windows else _MAX_DISPUTED)

    @property
    def most_rows(self) -> int:
        """Records that a list may count, or its window is narrowed.

        A limit that was learnt is none where a vendor counts otherwise than it serves.
        """
        return self.max_rows if self.narrows_gaps else self.limits.max_window_rows

    def width_for(self, width: timedelta) -> timedelta:
        """How wide a window may be that is to be so wide.

        Now and then one window, and no other meanwhile, tries a wider one than is known
        to be answered.
        """
        if self.max_width is None or width <= self.max_width:
            return width
        if self._windows_left > 0 or self._is_trying:
            return self.max_width
        self._is_trying = True
        return min(width, 2 * self.max_width)

    def end_trial(self, width: timedelta) -> None:
        """Note that a window that was to be so wide is over, whatever came of it."""
        if self._is_trying and self.max_width is not None and width > self.max_width:
            self._learn(self.max_width)

    def note_whole(
        self, width: timedelta, rows: int, refused: timedelta | None
    ) -> None:
        """Note that a window was read whole.

        Args:
            width: How wide it is.
            rows: How many records it holds.
            refused: How wide the last one was that was tried before and not answered.
        """
        self.windows_read += 1
        self._nonempty_windows += rows > 0
        if refused is not None:
            self._note_refused(refused)
        elif self.max_width is not None and width > self.max_width:
            self._learn(width)
        elif self.max_width is not None and 2 * width >= self.max_width:
            self._windows_left -= 1

    def _note_refused(self, width: timedelta) -> None:
        """Learn from a width that is too much, unless it is known to be.

        Several windows of one width are under way at once, and each is refused.
        """
        if self.max_width is None:
            self._learn(width / 2)
        elif width <= self.max_width or self._is_trying:
            self._patience *= 2
            self._learn(min(width / 2, self.max_width))

    def _learn(self, width: timedelta) -> None:
        self.max_width = width
        self._windows_left = self._patience
        self._is_trying = False

    def note_served(self, rows: int) -> None:
        """Note that no more than so many records of a list can be had."""
        self.max_rows = max(min(self.max_rows, rows), 1)

    def note_served_whole(self, rows: int) -> None:
        """Note that so many records came of a list that adds up."""
        self.most_served = max(self.most_served, rows)

    def note_gap(self) -> None:
        """Note that a window did not add up."""
        self._gaps += 1


def next_width(
    result: WindowResult,
    rows: int,
    requested: Window,
    max_width: timedelta,
    limits: Limits,
) -> timedelta:
    """How wide the next window of a bot should be, from how dense the last one was.

    Args:
        result: What was read.
        rows: How many rows it has.
        requested: What was to be read.
        max_width: The limit.
        limits: How much a window may hold.
    """
    if result.window is not None and result.window.end < requested.end:
        return result.window.width
    by_rows = limits.max_window_rows / max(rows, 1)
    by_size = limits.max_window_bytes / max(result.size, 1)
    growth = min(0.95 * by_rows, 0.95 * by_size, 2)
    seconds = max(math.floor(requested.width.total_seconds() * growth), 1)
    return min(timedelta(seconds=seconds), max_width)
