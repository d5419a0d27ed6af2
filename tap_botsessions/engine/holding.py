"""How much of what was read is held, and what is read next meanwhile."""

from __future__ import annotations

from enum import Enum, auto
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from tap_botsessions.engine.jobs import Attempt, Task
    from tap_botsessions.engine.options import Limits

_COPIES = 3
"""How often a page is in memory while it comes: in pieces, as a whole, decoded."""


class ReadAhead(Enum):
    """What is read next, by how much is held already."""

    ALL = auto()
    """Whatever there is."""

    NEEDED = auto()
    """What a bot needs for its next window to be handed out."""

    ONE = auto()
    """Likewise, of a single bot that answers."""


class Holding:
    """What was read and not yet handed out, in rows and in bytes of memory."""

    def __init__(self, limits: Limits) -> None:
        """Begin with nothing.

        Args:
            limits: How much may be held.
        """
        self._limits = limits
        self._rows = 0
        self._size = 0
        self._page_size = 0

    @property
    def read_ahead(self) -> ReadAhead:
        """What is read next, going by what is held and by what may come."""
        if self._size >= self._limits.max_bytes_ahead:
            return ReadAhead.ONE
        if self._rows >= self._limits.max_rows_ahead:
            return ReadAhead.NEEDED
        return ReadAhead.ALL

    def release(self, task: Task) -> None:
        """Note that a task holds nothing any more."""
        self.hold(task, 0, 0)

    def hold(self, task: Task, rows: int, size: int) -> None:
        """Note how much a task holds from now on."""
        self._rows += rows - task.held
        self._size += size - task.size
        task.held, task.size = rows, size

    def expect(self, attempt: Attempt) -> None:
        """Note that a page may come, which is as large as the last one."""
        attempt.size = _COPIES * (attempt.task.lane.page_size or self._page_size)
        self._size += attempt.size

    def expect_no_more(self, attempt: Attempt) -> None:
        """Note that it has come, or that it does not come."""
        self._size -= attempt.size

    def learn(self, attempt: Attempt, size: int) -> None:
        """Note how large a page was."""
        attempt.task.lane.page_size = self._page_size = size
