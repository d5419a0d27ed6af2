"""One of our programs on a terminal of its own, and what a person sees there."""

from __future__ import annotations

import os
import pty
import select
import termios
import time
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import IO, TYPE_CHECKING

import pyte

from tests.programs import started

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from tests.programs import Process

PATIENCE = 60.0
"""Seconds after which something that must come about counts as missing."""

DRAWING = {
    "COLUMNS",
    "FORCE_COLOR",
    "LINES",
    "NO_COLOR",
    "TTY_COMPATIBLE",
    "TTY_INTERACTIVE",
}


@dataclass
class Terminal:
    """A terminal, and the program that runs on it.

    Attributes:
        process: The program.
        screen: What is to be seen.
        own_end: Where what the program writes comes out.
        programs_end: Where it writes to.
        written: All that came, to the byte.
    """

    process: Process
    screen: pyte.HistoryScreen
    own_end: int
    programs_end: int
    written: bytearray = field(default_factory=bytearray)

    def __post_init__(self) -> None:
        """Draw on the screen what comes."""
        self._stream = pyte.ByteStream(self.screen)

    @property
    def lines(self) -> list[str]:
        """The lines of the screen, those that are empty included."""
        return [line.rstrip() for line in self.screen.display]

    @property
    def history(self) -> list[str]:
        """The lines that have scrolled by."""
        columns = range(self.screen.columns)
        return [
            "".join(line[column].data for column in columns).rstrip()
            for line in self.screen.history.top
        ]

    @property
    def text(self) -> str:
        """All that is to be seen."""
        return "\n".join(self.lines)

    def say(self, line: str) -> None:
        """Write a line, as another program does that shares the terminal."""
        os.write(self.programs_end, f"{line}\n".encode())

    def resize(self, columns: int, lines: int) -> None:
        """Give the terminal another size."""
        termios.tcsetwinsize(self.programs_end, (lines, columns))
        self.screen.resize(lines, columns)

    def wait_for(self, what: Callable[[], object]) -> None:
        """Draw what comes until something is the case."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert time.monotonic() < deadline, self.text
            self._draw()

    def wait_for_more(self) -> None:
        """Draw what comes until something has come."""
        before = len(self.written)
        self.wait_for(lambda: len(self.written) > before)

    def wait(self) -> int:
        """Draw what comes until the program ends.

        Returns:
            Its exit code.
        """
        self.wait_for(lambda: self.process.poll() is not None)
        while self._draw():
            pass
        return self.process.wait()

    def _draw(self) -> bool:
        ready, _, _ = select.select([self.own_end], [], [], 0.05)
        if not ready:
            return False
        came = os.read(self.own_end, 1 << 16)
        self.written += came
        self._stream.feed(came)
        return True


def variables(**more: str) -> dict[str, str]:
    """This process's variables, but for those that say how to draw, and others."""
    kept = {name: value for name, value in os.environ.items() if name not in DRAWING}
    return kept | more


@contextmanager
def on_terminal(
    command: Sequence[str | Path],
    stdout: IO[bytes] | int | None = None,
    columns: int = 80,
    lines: int = 24,
    **environment: str,
) -> Iterator[Terminal]:
    """Run a program on a terminal; it is killed at the end if it is still there.

    Args:
        command: `TAP` or `SOURCE` of `tests.programs`, and its arguments.
        stdout: Where its standard output goes; to the terminal if not given.
        columns: The terminal's.
        lines: The terminal's.
        environment: Variables beside those of this process.
    """
    own_end, programs_end = pty.openpty()
    termios.tcsetwinsize(programs_end, (lines, columns))
    screen = pyte.HistoryScreen(columns, lines, history=1000)
    try:
        with started(
            *command,
            stdout=programs_end if stdout is None else stdout,
            stderr=programs_end,
            environment=variables(**{"TERM": "xterm-256color", **environment}),
        ) as process:
            yield Terminal(process, screen, own_end, programs_end)
    finally:
        os.close(own_end)
        os.close(programs_end)
