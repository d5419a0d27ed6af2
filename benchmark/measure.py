"""What a program takes: time, processor time and memory, as the system counts them."""

from __future__ import annotations

import os
import time
from contextlib import contextmanager
from pathlib import Path
from subprocess import Popen
from threading import Timer
from typing import TYPE_CHECKING, NamedTuple

from demo.stopping import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

CORES = sorted(os.sched_getaffinity(0))
CLIENT, SERVER = CORES[0], CORES[-1]
"""The core that clients run on, and the server's."""

_LONGEST = 900.0
_LOG_LINES = 15


class ProgramError(Exception):
    """A program failed, or did not do what it is measured for."""


class Cost(NamedTuple):
    """What a run of a program took.

    Attributes:
        wall: Seconds from its start to its end.
        cpu: Seconds of processor time, its own and the system's on its behalf.
        memory: Megabytes (10^6 bytes) resident at the peak.
    """

    wall: float
    cpu: float
    memory: float


def run(
    command: Sequence[str | Path],
    output: Path,
    log: Path,
    environment: Mapping[str, str],
    source: Path = Path(os.devnull),
) -> Cost:
    """Run a program to its end on the clients' core.

    Args:
        command: The program and its arguments.
        output: Where its output goes.
        log: Where what it logs goes.
        environment: Variables beside those of this process.
        source: What its standard input reads.

    Raises:
        ProgramError: It failed, or took too long.
    """
    begin = time.monotonic()
    with source.open("rb") as given, output.open("wb") as out, log.open("wb") as err:
        with undisturbed(), pinned(CLIENT):
            process = Popen(  # noqa: S603 -- one of the benchmark's own programs
                command,
                stdin=given,
                stdout=out,
                stderr=err,
                env=os.environ | environment,
            )
        guard = Timer(_LONGEST, process.kill)
        guard.start()
        try:
            _, status, usage = os.wait4(process.pid, 0)
            process.returncode = os.waitstatus_to_exitcode(status)
        finally:
            guard.cancel()
            if process.returncode is None:
                process.kill()
                process.wait()
    wall = time.monotonic() - begin
    if process.returncode:
        last = log.read_text(errors="replace").splitlines()[-_LOG_LINES:]
        first = f"{command[0]} ended with exit code {process.returncode}"
        raise ProgramError("\n".join([first, *last]))
    return Cost(wall, usage.ru_utime + usage.ru_stime, usage.ru_maxrss * 1024 / 1e6)


@contextmanager
def pinned(core: int) -> Iterator[None]:
    """Let what is started in the block run on one core."""
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, CORES)
