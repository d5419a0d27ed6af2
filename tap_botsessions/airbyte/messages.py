"""Airbyte's messages: records, states, statuses, errors and the log."""

from __future__ import annotations

import logging
import threading
import time
import traceback
from collections import deque
from typing import TYPE_CHECKING, Any, Literal

import msgspec
from singer_sdk.singerlib import RecordMessage, StateMessage
from typing_extensions import override

from tap_botsessions.airbyte.catalog import NO_CURSOR
from tap_botsessions.engine.masking import Mask
from tap_botsessions.engine.options import Limits
from tap_botsessions.singer.writer import PieceWriter

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import IO

    from singer_sdk.helpers.types import Record
    from singer_sdk.singerlib.encoding.simple import Message

    from tap_botsessions.engine.errors import FailureType

Status = Literal["STARTED", "RUNNING", "COMPLETE", "INCOMPLETE"]

_encoder = msgspec.json.Encoder()

_SECONDS_BETWEEN_STATES = 1.0
_LEVELS = {"CRITICAL": "FATAL", "ERROR": "ERROR", "WARNING": "WARN", "DEBUG": "DEBUG"}


class AirbyteWriter(PieceWriter):
    """Writes what the tap writes as Airbyte's messages, the states coalesced.

    A state leaves with the piece that is written next: when there are records enough,
    or at a checkpoint when the last one is a second old.

    Attributes:
        masked: Takes secrets out of everything but records and states.
    """

    def __init__(self, file: IO[bytes]) -> None:
        """Begin with nothing to write."""
        super().__init__(Limits().bytes_per_write, file)
        self.masked = Mask()
        self._stream = ""
        self._resumes = False
        self._state: dict[str, Any] | None = None
        self._records = 0
        self._last_flush = 0.0
        self._logged: deque[bytes] = deque()

    def begin(self, stream: str, *, resumes: bool) -> None:
        """Go on to a stream.

        Args:
            stream: Its name.
            resumes: Whether a later run is to go on from its state.
        """
        self._stream, self._resumes = stream, resumes
        self._state, self._records = None, 0
        self.status("STARTED")
        self.status("RUNNING")

    def end(self, state: dict[str, Any], *, is_complete: bool) -> None:
        """Write a stream's last state, whatever came before, and how it ended."""
        self._state = state if self._resumes else NO_CURSOR
        self.flush()
        self.status("COMPLETE" if is_complete else "INCOMPLETE")

    @override
    def write_message(self, message: Message) -> None:
        match message:
            case RecordMessage(stream=stream, record=record):
                self.write_records(stream, [record])
            case StateMessage(value=value):
                self.write_state(value)

    @override
    def write_state(self, state: Mapping[str, Any]) -> None:
        if self._resumes:
            self._state = state.get("bookmarks", {}).get(self._stream)
            if time.monotonic() > self._last_flush + _SECONDS_BETWEEN_STATES:
                self.flush()

    @override
    def write_records(self, stream: str, records: Sequence[Record]) -> None:
        now = _milliseconds()
        self._records += len(records)
        self.write_lines(
            {
                "type": "RECORD",
                "record": {"stream": stream, "data": record, "emitted_at": now},
            }
            for record in records
        )

    @override
    def flush(self) -> None:
        if self._state is not None:
            state, self._state = self._state, None
            count, self._records = self._records, 0
            self._add(
                "STATE",
                state={
                    "type": "STREAM",
                    "stream": {
                        "stream_descriptor": {"name": self._stream},
                        "stream_state": state,
                    },
                    "sourceStats": {"recordCount": float(count)},
                },
            )
        while self._logged:
            self._pending += self._logged.popleft()
        self._last_flush = time.monotonic()
        super().flush()

    def tell(self, kind: str, **content: object) -> None:
        """Write a message, and all before it."""
        self._add(kind, **content)
        self.flush()

    def log(self, level: str, message: str) -> None:
        """Write a line of the log; from another thread, with what is written next."""
        content = {"level": level, "message": self.masked(message)}
        self._logged.append(_line("LOG", log=content))
        if threading.current_thread() is threading.main_thread():
            self.flush()

    def status(self, status: Status) -> None:
        """Say how the stream fares."""
        self._trace(
            "STREAM_STATUS",
            stream_status={
                "stream_descriptor": {"name": self._stream},
                "status": status,
            },
        )

    def error(
        self,
        message: str,
        failure_type: FailureType,
        stream: str | None = None,
        error: Exception | None = None,
    ) -> None:
        """Say what failed, in words for people.

        Args:
            message: The words.
            failure_type: What can fix it.
            stream: The stream that it is about, if it is about one.
            error: What was not foreseen, if that is what it was.
        """
        content: dict[str, Any] = {
            "message": self.masked(message),
            "failure_type": failure_type,
        }
        if stream:
            content["stream_descriptor"] = {"name": stream}
        if error:
            frames = traceback.format_tb(error.__traceback__)
            content["internal_message"] = type(error).__name__
            content["stack_trace"] = self.masked("".join(frames))
        self._trace("ERROR", error=content)

    def _trace(self, kind: str, **content: object) -> None:
        now = float(_milliseconds())
        self.tell("TRACE", trace={"type": kind, "emitted_at": now, **content})

    def _add(self, kind: str, **content: object) -> None:
        self._pending += _line(kind, **content)


class AirbyteLog(logging.Handler):
    """Sends the log where Airbyte looks for it."""

    def __init__(self, writer: AirbyteWriter) -> None:
        """Log through a writer."""
        super().__init__()
        self._writer = writer

    @override
    def emit(self, record: logging.LogRecord) -> None:
        level = _LEVELS.get(record.levelname, "INFO")
        self._writer.log(level, self.format(record))


def _line(kind: str, **content: object) -> bytes:
    return _encoder.encode({"type": kind, **content}) + b"\n"


def _milliseconds() -> int:
    return int(time.time() * 1000)
