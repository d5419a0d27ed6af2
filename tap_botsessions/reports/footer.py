"""The last lines of a terminal, kept apart from what else is written to it.

What is above them scrolls by itself. So what the tap logs, and what a target logs that
shares the terminal, does not tear them, nor is it erased by them. A display that moves
up over its former self, as rich's does, erases what was written in between.
"""

from __future__ import annotations

import os
import select
import sys
from contextlib import suppress
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

_SAVE, _RESTORE = "\x1b7", "\x1b8"  # the cursor
_ERASE_LINE, _ERASE_BELOW = "\x1b[K", "\x1b[J"
_DOWN, _UP = "\x1bD", "\x1bM"
_SCROLL_ALL = f"{_SAVE}\x1b[r{_RESTORE}"  # to set what scrolls moves the cursor

_FEWEST_COLUMNS = 60
_FEWEST_LINES = 16

_PATIENCE = 0.2
"""Seconds; a terminal may take in nothing, since Ctrl-S was pressed."""


def is_possible() -> bool:
    """Whether standard error is such a terminal, and not where the records go, too."""
    return (
        sys.stderr.isatty()
        and not sys.stdout.isatty()
        and os.environ.get("TERM", "") not in {"", "dumb", "unknown"}
        and is_large(os.get_terminal_size(sys.stderr.fileno()))
    )


def is_large(size: os.terminal_size) -> bool:
    """Whether a terminal has room for a footer and more."""
    return size.columns >= _FEWEST_COLUMNS and size.lines >= _FEWEST_LINES


class Footer:
    """Lines at the bottom of a terminal."""

    def __init__(self, terminal: int) -> None:
        """Begin with none.

        Args:
            terminal: Its file descriptor.
        """
        self._terminal = terminal
        self._size = os.terminal_size((0, 0))
        self._height = 0

    @property
    def size(self) -> os.terminal_size:
        """The columns and lines of the whole terminal."""
        with suppress(OSError):
            return os.get_terminal_size(self._terminal)
        return self._size

    def show(self, lines: Sequence[str], size: os.terminal_size) -> None:
        """Show lines, in place of those before.

        Args:
            lines: Fewer than the terminal's, and each shorter than those; there may
                be none.
            size: The terminal's.
        """
        text = ""
        if size != self._size or len(lines) > self._height:
            self._size, self._height = size, len(lines)
            text = self._reserved()
        blank = [""] * (self._height - len(lines))
        top = size.lines - self._height + 1
        drawn = (
            f"\x1b[{line};1H{content}{_ERASE_LINE}"
            for line, content in enumerate([*blank, *lines], top)
        )
        self._write(f"{text}{_SAVE}{''.join(drawn)}{_RESTORE}")

    def close(self, text: str) -> None:
        """Take the lines away, and write a text where all else is written."""
        self._write(f"{_SCROLL_ALL}{_ERASE_BELOW}\n{text}")

    def _reserved(self) -> str:
        """Make room below the cursor, and have only what is above that scroll."""
        room = _DOWN * self._height + _UP * self._height
        scrolled = f"{_SAVE}\x1b[1;{self._size.lines - self._height}r{_RESTORE}"
        return f"{_SCROLL_ALL}{_ERASE_BELOW}{room}{scrolled}"

    def _write(self, text: str) -> None:
        """Write to the terminal all at once, or not at all if it takes nothing in."""
        _, is_ready, _ = select.select([], [self._terminal], [], _PATIENCE)
        pending = text.encode() if is_ready else b""
        with suppress(OSError):  # it is gone
            while pending:
                pending = pending[os.write(self._terminal, pending) :]
