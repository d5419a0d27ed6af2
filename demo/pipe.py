"""`tap-botsessions | target-postgres`, as two processes and a pipe between them.

All their files are in one folder: the state, from which the next run goes on, in
state.json, and each one's configuration and log under its name, such as
tap-botsessions.json and tap-botsessions.log.
"""

from __future__ import annotations

import json
import os
import sys
from contextlib import ExitStack, contextmanager
from pathlib import Path
from subprocess import PIPE, Popen
from typing import IO, TYPE_CHECKING, Any

from demo.stopping import undisturbed

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

TAP = "tap-botsessions"
TARGET = "target-postgres"
LOG_LINES = 15


class PipeError(Exception):
    """A process failed; the message says which, and has the end of its log."""


def sync(
    folder: Path,
    tap: Mapping[str, Any],
    target: Mapping[str, Any],
    *arguments: str | Path,
) -> None:
    """Run the pipe, from the state in the folder if there is one, and keep the new one.

    Args:
        folder: Where the files are.
        tap: The tap's configuration.
        target: The target's configuration.
        *arguments: Of the tap, beside.

    Raises:
        PipeError: If a process fails.
    """
    state = folder / "state.json"
    known = ("--state", state) if state.exists() else ()
    with (
        start(folder, TARGET, target, stdin=PIPE) as loader,
        start(folder, TAP, tap, *known, *arguments, stdout=loader.stdin) as reader,
    ):
        states, _ = loader.communicate()  # which closes this process's end of the pipe
        reader.wait()
    *whole_lines, _ = states.split("\n")
    if whole_lines:
        state.write_text(whole_lines[-1])
    # If both failed, the tap most likely did for want of its target.
    failures = [
        failure(folder, name, process.returncode)
        for name, process in ((TARGET, loader), (TAP, reader))
        if process.returncode
    ]
    if failures:
        raise PipeError("\n".join(failures))


@contextmanager
def start(
    folder: Path,
    program: str,
    config: Mapping[str, Any],
    *arguments: str | Path,
    stdin: int | None = None,
    stdout: int | IO[str] | None = PIPE,
) -> Iterator[Popen[str]]:
    """Run a program of this environment, at most for the length of the block."""
    path = Path(sys.executable).with_name(program)
    config_file = folder / f"{program}.json"
    config_file.write_text(json.dumps(config, indent=2))
    with log_of(folder, program).open("a") as log, ExitStack() as blocks:
        with undisturbed():
            process = Popen(  # noqa: S603 - one of the two programs above
                [path, "--config", config_file, *arguments],
                stdin=stdin,
                stdout=stdout,
                stderr=log,
                # Simulator and server are on this machine, not behind a proxy.
                env={**os.environ, "no_proxy": "127.0.0.1"},
                text=True,
            )
            blocks.enter_context(process)
            blocks.callback(process.kill)
        yield process


def log_of(folder: Path, program: str) -> Path:
    """The file that a program logs to."""
    return folder / f"{program}.log"


def failure(folder: Path, program: str, code: int) -> str:
    """Say that a program failed, with the end of its log."""
    log = log_of(folder, program)
    tail = log.read_text(errors="replace").splitlines()[-LOG_LINES:]
    return "\n".join(
        [f"{program} ended with exit code {code}; the end of {log}:", *tail]
    )
