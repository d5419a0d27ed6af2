"""Standard output: lines in larger pieces, and how a signal ends them."""

from __future__ import annotations

import errno
import logging
import os
import signal
import sys
from contextlib import suppress
from datetime import UTC, datetime
from hashlib import blake2b
from typing import TYPE_CHECKING, Any, NoReturn

import msgspec
from singer_sdk.contrib.msgspec import MsgSpecWriter
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_botsessions.engine.errors import OutputError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from typing import IO

    from singer_sdk.helpers.types import Record
    from singer_sdk.singerlib.encoding.simple import Message

_encoder = msgspec.json.Encoder()

_SECONDS_TO_END = 4.0

_AGAIN = "run again with the last state"


class PieceWriter(MsgSpecWriter):
    """Writes records in larger pieces; other messages leave at once, with those."""

    def __init__(self, piece: int, file: IO[bytes] | None = None) -> None:
        """Begin with nothing to write.

        Args:
            piece: The bytes that are collected before they are written.
            file: Where to write; standard output if not given.
        """
        self._piece = piece
        self._file = file
        self._pending = bytearray()
        self._last_state = b""
        self._states: set[bytes] = set()

    @override
    def write_message(self, message: Message) -> None:
        if isinstance(message, StateMessage):
            self.write_state(message.value)
            return
        self._pending += self.format_message(message)
        if len(self._pending) >= self._piece or not isinstance(message, RecordMessage):
            self.flush()

    def write_state(self, state: Mapping[str, Any]) -> None:
        """Write a STATE message, unless it is the same as the last one."""
        line = _state_line(state)
        if line != self._last_state:
            self._last_state = line
            self._states.add(_digest(line))
            self._pending += line
        self.flush()

    def has_written(self, state: object) -> bool:
        """Whether a STATE message of it was among those that were written."""
        return _digest(_state_line(state)) in self._states

    def write_records(self, stream: str, records: Sequence[Record]) -> None:
        """Write RECORD messages of a stream, encoded all at once."""
        now = datetime.now(UTC)
        self.write_lines(
            {
                "type": "RECORD",
                "stream": stream,
                "record": record,
                "time_extracted": now,
            }
            for record in records
        )

    def write_lines(self, messages: Iterable[Mapping[str, object]]) -> None:
        """Write messages, encoded all at once."""
        self._pending += _encoder.encode_lines(messages)
        if len(self._pending) >= self._piece:
            self.flush()

    def flush(self) -> None:
        """Write what is pending.

        Raises:
            OutputError: It can't be written.
        """
        pending, self._pending = self._pending, bytearray()
        try:
            file = self._file or _standard_output()
            # Under PYTHONUNBUFFERED a file has no buffer, and may take only a part.
            while pending:
                del pending[: file.write(pending) or 0]
            file.flush()
        except OSError as error:
            raise OutputError(error) from error


def _state_line(state: object) -> bytes:
    return _encoder.encode({"type": "STATE", "value": state}) + b"\n"


def _digest(line: bytes) -> bytes:
    return blake2b(line, digest_size=16).digest()


def _standard_output() -> IO[bytes]:
    if sys.stdout is None:  # the process was started without one
        raise OSError(errno.EBADF, os.strerror(errno.EBADF))
    return sys.stdout.buffer


class Shutdown:
    """A signal to end: acted on between two messages, never within one.

    If the run does not come to that within seconds, since the target takes nothing in,
    it is ended where it is.

    Attributes:
        before_exit: What is done in either case just before the process dies.
    """

    def __init__(self, write_rest: Callable[[], None]) -> None:
        """Prepare for a signal.

        Args:
            write_rest: Writes what still has to be written.
        """
        self.before_exit: Callable[[], None] = lambda: None
        self._write_rest = write_rest
        self._signal: int | None = None
        self._alarm: Any = None

    def request(self, signum: int) -> None:
        """Note a signal, from within its handler."""
        if self._signal is not None:
            return
        self._signal = signum
        self._alarm = signal.signal(signal.SIGALRM, lambda *_: self._die_of(signum))
        signal.setitimer(signal.ITIMER_REAL, _SECONDS_TO_END)

    def on_tick(self) -> None:
        """End the run if a signal came: no message is half written now."""
        if self._signal is not None:
            self._write_rest()
            self._die_of(self._signal)

    def cancel(self) -> None:
        """Forget a signal, and put the alarm back that was there before."""
        if self._signal is not None:
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.signal(signal.SIGALRM, self._alarm)
            self._signal = None

    def _die_of(self, signum: int) -> NoReturn:
        try:
            self.before_exit()
        finally:
            die_of(signum)


def exit_broken_output(error: OutputError) -> NoReturn:
    """End this process with 1, and wait for no request: nobody takes in what comes."""
    logging.shutdown()
    line = f"standard output can't be written ({error}); when it can, {_AGAIN}"
    if isinstance(error.cause, BrokenPipeError):
        line = f"standard output was closed (the target ended); {_AGAIN}"
        line += "; the target's log may say why"
    with suppress(OSError):  # standard error may be gone as well
        sys.stderr.write(f"Error: {line}\n")
        sys.stderr.flush()
    os._exit(1)


def die_of(signum: int) -> NoReturn:
    """End this process by a signal, so that its parent can tell.

    A process that has number 1 is not ended by signals and exits with a shell's code.
    """
    signal.signal(signum, signal.SIG_DFL)
    os.kill(os.getpid(), signum)
    os._exit(128 + signum)
