"""The server as a process of its own, on a core of its own."""

from __future__ import annotations

import json
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from subprocess import PIPE, Popen
from typing import TYPE_CHECKING
from urllib.request import urlopen

from benchmark.measure import SERVER, ProgramError, pinned
from benchmark.pages import START
from demo.stopping import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime


@dataclass(frozen=True)
class Served:
    """What a program is to read.

    Attributes:
        root: Where the server is.
        messages: How many messages each agent has.
        agents: How many agents there are.
        latency: Milliseconds until an answer.
        limit: Requests that are answered in any minute; 0 for no limit.
        window_days: How wide the tap's windows are.
        text: Characters of each message's text; 0 for the simulator's own texts.
        start: Where the tap begins to read.
    """

    root: str
    messages: int
    agents: int = 1
    latency: int = 0
    limit: int = 0
    window_days: int = 6
    text: int = 0
    start: datetime = START

    @property
    def url(self) -> str:
        """The base URL of the API."""
        return f"{self.root}/{self.messages}/{self.latency}/{self.limit}/{self.text}"

    @property
    def ids(self) -> list[str]:
        """The agents' ids."""
        return [str(201 + number) for number in range(self.agents)]

    @property
    def records(self) -> int:
        """How many messages there are in all."""
        return self.messages * self.agents

    def answered(self) -> dict[str, int]:
        """How many requests were answered since the last call, by status."""
        with urlopen(f"{self.root}/requests") as answer:  # noqa: S310 -- on this machine
            counts: dict[str, int] = json.load(answer)
        return counts


@contextmanager
def serving() -> Iterator[str]:
    """Serve for the length of the block.

    Yields:
        The server's root URL.
    """
    with undisturbed(), pinned(SERVER):
        process = Popen(
            [sys.executable, "-m", "benchmark.server"], stdout=PIPE, text=True
        )
    try:
        root = process.stdout.readline().strip() if process.stdout else ""
        if not root:
            msg = "the server did not start"
            raise ProgramError(msg)
        yield root
    finally:
        process.kill()
        process.communicate()
