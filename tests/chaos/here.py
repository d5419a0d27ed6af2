"""The tap's command line in this process; an end of a process is an exception here."""

from __future__ import annotations

import errno
import faulthandler
import gc
import io
import logging
import os
import signal
import sys
import threading
import traceback
import warnings
from contextlib import contextmanager, redirect_stderr, redirect_stdout
from tempfile import TemporaryFile
from typing import IO, TYPE_CHECKING, NoReturn, cast
from unittest.mock import patch

from tap_botsessions.tap import TapBotsessions
from tests.chaos.quick import quick

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from tests.chaos.nemesis import Ending
    from tests.chaos.quick import Start
    from tests.chaos.vendors import Vendors

PATIENCE = 900.0
"""Seconds after which a run counts as stuck, however busy the machine."""


class EndedError(BaseException):
    """The process would end here.

    Attributes:
        code: As a parent sees it.
    """

    def __init__(self, code: int) -> None:
        """End with a code."""
        super().__init__(code)
        self.code = code


class Pipe:
    """Stands in for standard output.

    Attributes:
        data: What has been written.
        buffer: As that of a file of text.
        is_broken: Whether its other end has been closed.
    """

    def __init__(self, ending: Ending | None) -> None:
        """Prepare to break as an ending has it."""
        self.data = bytearray()
        self.buffer = self
        self.is_broken = False
        self._is_a_kill = ending is not None and ending.kind == "SIGKILL"
        self._left = ending.at if ending and ending.by_bytes else None

    def kill(self) -> None:
        """Take nothing more."""
        self._left = 0

    def write(self, piece: bytes) -> int:
        """Take a piece, or a part of it and end."""
        if self._left is None:
            self.data += piece
            return len(piece)
        self.data += piece[: self._left]
        if len(piece) > self._left:
            self._left = 0
            self._break()
        self._left -= len(piece)
        return len(piece)

    def flush(self) -> None:
        """Do nothing: all that is taken is taken."""

    def _break(self) -> NoReturn:
        if self._is_a_kill:
            raise EndedError(-signal.SIGKILL)
        self.is_broken = True
        raise BrokenPipeError(errno.EPIPE, "Broken pipe")


def run_here(vendors: Vendors, start: Start) -> None:
    """Run the tap, and record what comes of it."""
    run, ending = vendors.run, vendors.run.step.weather.ending
    pipe, log = Pipe(ending), io.StringIO()
    if ending and not ending.by_bytes:
        vendors.at_request(ending.at, _killer(pipe, ending))
    with (
        quick(start),
        patch("tap_botsessions.singer.writer.die_of", _die_of),
        patch("tap_botsessions.tap.die_of", _die_of),
        patch("tap_botsessions.singer.run.die_of", _die_of),
        patch("tap_botsessions.tap.exit_broken_output", _give_up_writing),
        patch.dict(os.environ, start.environment),
        _restored(),
        redirect_stderr(log),
        redirect_stdout(cast("IO[str]", pipe)),
        _watched(),
    ):
        run.code = _code(start.arguments)
        _see_requests_off()
    run.output, run.is_broken = bytes(pipe.data), pipe.is_broken
    run.log += log.getvalue()


def _killer(pipe: Pipe, ending: Ending) -> Callable[[], object]:
    if ending.kind == "SIGKILL":
        return pipe.kill
    return lambda: os.kill(os.getpid(), signal.Signals[ending.kind])


def _code(arguments: list[str]) -> int:
    """Run the command line; the exit code that its process would have."""
    try:
        TapBotsessions.cli.main(arguments, prog_name="tap-botsessions")
    except EndedError as ended:
        return ended.code
    except SystemExit as ended:
        return int(ended.code or 0)
    except Exception:  # noqa: BLE001 -- what a process would show
        traceback.print_exc()
        return 1


def _die_of(signum: int) -> NoReturn:
    raise EndedError(-signum)


def _give_up_writing(_: OSError) -> NoReturn:
    raise EndedError(1)


def _see_requests_off() -> None:
    """Wait for requests that are under way: they would end with a process."""
    gc.collect()  # a reading that was not closed ends as it is thrown away
    for thread in threading.enumerate():
        if thread.name.startswith("tap-botsessions"):
            while thread.is_alive() and not _is_idle(thread):
                thread.join(0.01)


def _is_idle(thread: threading.Thread) -> bool:
    """Whether a thread waits for something to do.

    It does so for ever where the alarm of a shutdown, which would end a process, is an
    exception in the midst of closing an executor.
    """
    frames = sys._current_frames()  # noqa: SLF001 -- public but for its name
    frame = frames.get(thread.ident or 0)
    return frame is not None and frame.f_code.co_name == "_worker"


@contextmanager
def _watched() -> Iterator[None]:
    """Raise an error in this thread if it is stuck."""

    def give_up(*_: object) -> NoReturn:
        with TemporaryFile("w+") as file:
            faulthandler.dump_traceback(file)
            file.seek(0)
            raise TimeoutError(f"stuck, its threads at\n{file.read()}")

    before = signal.signal(signal.SIGUSR1, give_up)
    timer = threading.Timer(PATIENCE, lambda: os.kill(os.getpid(), signal.SIGUSR1))
    timer.start()
    try:
        yield
    finally:
        timer.cancel()
        signal.signal(signal.SIGUSR1, before)


@contextmanager
def _restored() -> Iterator[None]:
    """Put back all that a command line changes in its process."""
    root, thresholds, hook = logging.getLogger(), gc.get_threshold(), sys.excepthook
    handlers, level = list(root.handlers), root.level
    numbers = (signal.SIGTERM, signal.SIGINT, signal.SIGALRM)
    signals = {number: signal.getsignal(number) for number in numbers}
    try:
        with warnings.catch_warnings():
            yield
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        for number, handler in signals.items():
            signal.signal(number, handler)
        logging.captureWarnings(capture=False)
        root.handlers[:] = handlers
        root.setLevel(level)
        sys.excepthook = hook
        gc.unfreeze()
        gc.set_threshold(*thresholds)
