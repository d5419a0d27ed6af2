"""Both programs as processes that start at once.

They are forked from a server that has loaded their modules, which takes most of the
time of a start. Each is a process like any other: with a process id, arguments, files,
an environment and signals of its own. Tests of the start itself run the file `TAP` or
`SOURCE`, and so do those of other programs that are given one to run.

As `config_for` has them wait for no host that is down, so they wait for none that was
never reached.
"""

from __future__ import annotations

import multiprocessing
import os
import subprocess
import sys
from contextlib import contextmanager, suppress
from dataclasses import replace
from importlib import import_module
from multiprocessing.reduction import DupFd
from pathlib import Path
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAP = Path(sys.executable).with_name("tap-botsessions")
SOURCE = Path(sys.executable).with_name("source-botsessions")

PATIENCE = 120.0
"""Seconds after which a program that should end counts as hung."""

_MODULES = {
    TAP.name: "tap_botsessions.__main__",
    SOURCE.name: "tap_botsessions.airbyte.__main__",
}
_context = multiprocessing.get_context("forkserver")
_context.set_forkserver_preload(
    [
        "tests.programs",
        "tap_botsessions.airbyte.cli",
        "tap_botsessions.reports.display",
        "tap_botsessions.reports.check_report",
        "tap_botsessions.reports.plan_report",
        "tap_botsessions.tap",
    ]
)


class Process:
    """A program that was started; what `subprocess.Popen` has as well means the same.

    Attributes:
        stdout: The end of its standard output to read from, if that is a pipe.
        stderr: Likewise of its standard error.
    """

    def __init__(
        self,
        command: tuple[str | Path, ...],
        stdout: IO[bytes] | int,
        stderr: IO[bytes] | int,
        environment: Mapping[str, str] | None = None,
        folder: Path | None = None,
    ) -> None:
        """Start a program.

        Args:
            command: `TAP` or `SOURCE`, and its arguments.
            stdout: A file, a file descriptor, `subprocess.PIPE` or `.DEVNULL`.
            stderr: Likewise.
            environment: All of its variables; those of this process if not given.
            folder: Its working directory; that of this process if not given.
        """
        program, *arguments = command
        self.stdout, to_stdout = _ends(stdout)
        self.stderr, to_stderr = _ends(stderr)
        self._process = _context.Process(
            target=_become,
            args=(
                [Path(program).name, *map(str, arguments)],
                dict(os.environ if environment is None else environment),
                str(folder or Path.cwd()),
                {1: _Passed(to_stdout), 2: _Passed(to_stderr)},
            ),
        )
        self._process.start()
        os.close(to_stdout)
        os.close(to_stderr)

    @property
    def pid(self) -> int:
        """Its process id."""
        assert self._process.pid is not None
        return self._process.pid

    @property
    def returncode(self) -> int | None:
        """Its exit code, or the negative number of the signal that ended it."""
        return self.poll()

    def poll(self) -> int | None:
        """Its exit code, if it has ended."""
        return self._process.exitcode

    def wait(self, timeout: float | None = None) -> int:
        """Wait until it has ended.

        Args:
            timeout: The seconds after which that counts as failed.

        Returns:
            Its exit code.

        Raises:
            subprocess.TimeoutExpired: It still runs.
        """
        self._process.join(timeout)
        code = self._process.exitcode
        if code is None:
            raise subprocess.TimeoutExpired(self._process.name, timeout or 0)
        return code

    def send_signal(self, signum: int) -> None:
        """Send a signal, unless it has ended."""
        if self.poll() is None:
            with suppress(ProcessLookupError):
                os.kill(self.pid, signum)

    def kill(self) -> None:
        """Kill it, if it has not ended, and close its pipes."""
        self._process.kill()
        self._process.join()
        for pipe in (self.stdout, self.stderr):
            if pipe:
                pipe.close()


@contextmanager
def started(
    *command: str | Path,
    stdout: IO[bytes] | int,
    stderr: IO[bytes] | int,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> Iterator[Process]:
    """Run a program for the block; it is killed at the end if it is still there.

    The arguments are those of `Process`.
    """
    process = Process(command, stdout, stderr, environment, folder)
    try:
        yield process
    finally:
        process.kill()


def run(
    *command: str | Path,
    environment: Mapping[str, str] | None = None,
    folder: Path | None = None,
) -> subprocess.CompletedProcess[str]:
    """Run a program to its end.

    The arguments are those of `Process`.

    Returns:
        Its exit code, and what it wrote.
    """
    with TemporaryFile() as stdout, TemporaryFile() as stderr:
        with started(
            *command,
            stdout=stdout,
            stderr=stderr,
            environment=environment,
            folder=folder,
        ) as process:
            code = process.wait(PATIENCE)
        return subprocess.CompletedProcess(
            command, code, _written(stdout), _written(stderr)
        )


def _written(file: IO[bytes]) -> str:
    file.seek(0)
    return file.read().decode()


def _ends(where: IO[bytes] | int) -> tuple[IO[bytes] | None, int]:
    """The end of a pipe to read from, if it is one, and a new end to write to."""
    if where == subprocess.PIPE:
        reading, writing = os.pipe()
        return os.fdopen(reading, "rb"), writing
    if where == subprocess.DEVNULL:
        return None, os.open(os.devnull, os.O_WRONLY)
    return None, os.dup(where if isinstance(where, int) else where.fileno())


class _Passed:
    """A file descriptor that goes along to another process."""

    def __init__(self, descriptor: int) -> None:
        self._descriptor = descriptor
        self._passed: Any = None

    @override
    def __getstate__(self) -> object:
        return DupFd(self._descriptor)

    def __setstate__(self, passed: object) -> None:
        self._passed = passed

    def become(self, number: int) -> None:
        """Put it in the place of another one."""
        descriptor = self._passed.detach()
        os.dup2(descriptor, number)
        os.close(descriptor)


def _become(
    command: list[str],
    environment: dict[str, str],
    folder: str,
    files: dict[int, _Passed],
) -> None:
    """Make this process, which is a fork of the server's, one of a program."""
    for number, file in files.items():
        file.become(number)
    sys.stdout = os.fdopen(1, "w", encoding="utf-8", closefd=False)
    sys.stderr = os.fdopen(
        2, "w", 1, encoding="utf-8", errors="backslashreplace", closefd=False
    )
    os.environ.clear()
    os.environ.update(environment)
    os.chdir(folder)
    sys.argv = command
    tap: Any = import_module("tap_botsessions.tap").TapBotsessions
    tap.limits = replace(tap.limits, max_unreached=0.0)
    import_module(_MODULES[command[0]]).main()
