"""PyAirbyte in a process of its own, and what it is given to do."""

from __future__ import annotations

import json
import os
import select
import signal
import subprocess
import sys
import time
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

from tests.conftest import config_for, end_of
from tests.pins import environment
from tests.truth import STREAMS, Keyed, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from simulator import Simulator

PEERS = Path(__file__).with_name("peers")
SOURCE = Path(sys.executable).with_name("source-botsessions")

PATIENCE = 60.0
"""Seconds after which something that must come about counts as missing."""


@dataclass(frozen=True)
class Answer:
    """What a script came to, see `peers/pyairbyte_session.py`."""

    error: str | None
    read: int
    tables: Mapping[str, list[dict[str, Any]]]
    states: Mapping[str, Any]

    def rows(self, stream: str) -> Keyed:
        """The rows of a stream by their keys, each of which is there once."""
        rows = self.tables.get(stream, [])
        for row in rows:
            if isinstance(row.get("stats"), str):
                # Of two types, which PyAirbyte holds as text.
                row["stats"] = json.loads(row["stats"])
        found = {key_of(stream, row): row for row in rows}
        assert len(found) == len(rows)
        return found

    def count(self) -> int:
        """How many rows there are."""
        return sum(map(len, self.tables.values()))


@dataclass
class Session:
    """A process that runs scripts which use PyAirbyte.

    Attributes:
        process: The process.
        home: Where it keeps what is its own.
        is_busy: Whether a script was begun whose answer is still to come.
    """

    process: subprocess.Popen[str]
    home: Path
    is_busy: bool = False

    def run(self, job: Job, script: str, **settings: Any) -> Answer:
        """Run a script, with settings of the source beside the usual ones."""
        self.begin(job, script, **settings)
        return self.answer()

    def begin(self, job: Job, script: str, **settings: Any) -> None:
        """Begin to run a script."""
        job.write("config.json", json.dumps(config_for(job.simulator, **settings)))
        job.write("script.py", script)
        request = {"folder": str(job.folder), "script": "script.py"}
        cast("IO[str]", self.process.stdin).write(json.dumps(request) + "\n")
        cast("IO[str]", self.process.stdin).flush()
        self.is_busy = True

    def answer(self) -> Answer:
        """Wait until the script has ended."""
        line = cast("IO[str]", self.process.stdout).readline()
        assert line, self.told()
        self.is_busy = False
        return Answer(**json.loads(line))

    def wait_for(self, is_so: Callable[[], bool]) -> None:
        """Wait until something is so, which must be before a script has ended."""
        answers = cast("IO[str]", self.process.stdout)
        end = time.monotonic() + PATIENCE
        while not is_so():
            ended, _, _ = select.select([answers], [], [], 0.01)
            assert not ended, self.answer().error
            assert time.monotonic() < end, self.told()

    def settle(self, job: Job) -> None:
        """End a script that a test left behind, so that another can begin."""
        if not self.is_busy:
            return
        if job.is_reading:
            os.kill(job.pid, signal.SIGKILL)
        self.answer()

    def told(self) -> str:
        """All that a user could see, in the terminal or in files of a log."""
        logs = [path for path in self.home.rglob("*.log") if path.is_file()]
        return "".join(path.read_text() for path in [self.home / "stderr", *logs])


@dataclass(frozen=True)
class Job:
    """A folder to run scripts in, as a user would set it up.

    Attributes:
        folder: The folder.
        simulator: What is read.
    """

    folder: Path
    simulator: Simulator

    def write(self, name: str, text: str) -> Path:
        """Write a file into the folder."""
        path = self.folder / name
        path.write_text(text)
        return path

    @property
    def pid(self) -> int:
        """The process of the source that reads, or that was the last to read."""
        return int((self.folder / "read.pid").read_text())

    @property
    def is_reading(self) -> bool:
        """Whether that process still runs; one that nobody has buried does not."""
        try:
            status = Path(f"/proc/{self.pid}/status").read_text()
        except FileNotFoundError:
            return False
        return "State:\tZ" not in status

    def assert_whole(self, answer: Answer) -> None:
        """The tables hold all that the simulator shows, as it is."""
        assert answer.error is None
        for stream in STREAMS:
            assert_same(answer.rows(stream), self.truth(stream))

    def truth(self, stream: str) -> Keyed:
        """What the table of a stream must hold, as the simulator's clock stands."""
        world = self.simulator.world
        return expected(world, stream, world.start, end_of(world))

    def total(self) -> int:
        """How many rows that are."""
        return sum(len(self.truth(stream)) for stream in STREAMS)


@contextmanager
def started(home: Path) -> Iterator[Session]:
    """Start a session; it is killed at the end if it is still there.

    The source that it finds leaves a file that tells its process.
    """
    programs = home / "bin"
    programs.mkdir(parents=True)
    source = programs / SOURCE.name
    source.write_text(f'#!/bin/sh\necho $$ > "$1.pid"\nexec "{SOURCE}" "$@"\n')
    source.chmod(0o755)
    with (
        (home / "stderr").open("w") as stderr,
        subprocess.Popen(  # noqa: S603 -- our own program
            [environment("airbyte") / "python", PEERS / "pyairbyte_session.py"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=stderr,
            text=True,
            env=variables(home) | {"PATH": f"{programs}:{os.defpath}"},
        ) as process,
    ):
        try:
            yield Session(process, home)
        finally:
            process.kill()


def variables(home: Path) -> dict[str, str]:
    """Variables by which PyAirbyte leaves the network and the user's home alone."""
    return {
        "AIRBYTE_LOGGING_ROOT": str(home),
        "AIRBYTE_OFFLINE_MODE": "1",
        "AIRBYTE_PROJECT_DIR": str(home),
        "DO_NOT_TRACK": "1",
        "HOME": str(home),
        "TZ": "Asia/Kolkata",  # times must be in UTC wherever this is
    }
