"""How a stream's records leave, as the SDK's messages.

What is private to the SDK's streams is used here; only the method by which they sync is
replaced elsewhere, in `SingerStream`.
"""

from __future__ import annotations

from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from msgspec import MsgspecError
from singer_sdk.exceptions import (
    AbortedSyncFailedException,
    AbortedSyncPausedException,
    MapExpressionError,
)
from singer_sdk.mapper import SameRecordTransform

from tap_botsessions.config.inputs import one_line
from tap_botsessions.engine.errors import MapError, RecordError
from tap_botsessions.singer.writer import PieceWriter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from singer_sdk import Stream, Tap
    from singer_sdk.helpers.types import Record

    from tap_botsessions.engine.errors import BotError


_UNWRITABLE = (MsgspecError, OverflowError, RecursionError, TypeError, UnicodeError)
"""What a record fails with that can't be made into JSON."""


@dataclass
class Chunk:
    """Records of a bot that leave together.

    Attributes:
        records: The records.
        error: Why they can't be written, if so.
    """

    records: Sequence[Record]
    error: BotError | None = None


@contextmanager
def keeping_error(chunk: Chunk) -> Iterator[None]:
    """Note why the records of a chunk can't be written, if so, and go on."""
    try:
        yield
    except MapError as error:
        chunk.error = error
    except _UNWRITABLE as error:
        kind = type(error).__name__
        chunk.error = RecordError(f"a record can't be written ({kind})")


class Emitter:
    """Writes the messages of a stream."""

    def __init__(self, tap: Tap, stream: Stream) -> None:
        """Prepare to write.

        Args:
            tap: The tap, which knows where to.
            stream: The stream, which knows what is selected and mapped.
        """
        self._tap = tap
        self._stream = stream

    def schema(self) -> None:
        """Write the schema."""
        self._stream._write_schema_message()

    def records(self, records: Iterable[Record]) -> None:
        """Write records, by the catalog's selection and the stream's maps.

        Raises:
            MapError: A map fails on one of them.
        """
        with _mapping():
            for record in records:
                self._stream._write_record_message(record)

    def sample(self) -> None:
        """Write the schema and one record, if there is any.

        Raises:
            BotError: The stream can't be read.
        """
        self._stream.ABORT_AT_RECORD_COUNT = 1
        self._stream.selected = True
        self.schema()
        with suppress(AbortedSyncFailedException, AbortedSyncPausedException):
            list(self._stream._sync_records())

    def all_of(
        self, reading: Iterator[Chunk], *, write_messages: bool
    ) -> Generator[Record, None, None]:
        """Write all that is read, before more is asked for, and keep the SDK's metrics.

        What can't be written is for the reader to act on.

        Args:
            reading: Records, some at a time.
            write_messages: Whether to write them; they are for a BATCH if not.

        Yields:
            The records, if they are not written.
        """
        write = self._plain_writer() or self.records
        with (
            self._stream.get_record_counter() as counter,
            self._stream.get_sync_timer(),
        ):
            for chunk in self._up_to_limit(reading):
                with keeping_error(chunk):
                    if write_messages:
                        write(chunk.records)
                    else:
                        yield from self._mapped(chunk.records)
                    counter.increment(len(chunk.records))

    def _plain_writer(self) -> Callable[[Sequence[Record]], None] | None:
        """A quicker way to write records, if they are to be written as they are.

        The SDK's passes each through its catalog's selection and its stream maps.
        """
        writer = self._tap.message_writer
        [stream_map, *others] = self._stream.stream_maps
        if (
            not isinstance(writer, PieceWriter)
            or others
            or type(stream_map) is not SameRecordTransform
            or stream_map.flattening_enabled
            or not all(self._stream.mask.values())
            or self._stream._stream_version is not None
        ):
            return None
        return partial(writer.write_records, stream_map.stream_alias)

    def _up_to_limit(self, reading: Iterator[Chunk]) -> Iterator[Chunk]:
        """Abort the sync at the limit that a test run sets."""
        limit = self._stream.ABORT_AT_RECORD_COUNT
        left = limit
        for chunk in reading:
            if left is None:
                yield chunk
                continue
            chunk.records = chunk.records[:left]
            yield chunk
            left -= len(chunk.records)
            if left == 0:
                self._stream._check_max_record_limit(current_record_index=limit or 0)

    def _mapped(self, records: Sequence[Record]) -> Iterator[Record]:
        """Records for a BATCH, by the catalog's selection and the stream's map.

        The SDK's batches pass by both, and by flattening.
        """
        for record in records:
            with _mapping():
                messages = list(self._stream._generate_record_messages(record))
            for message in messages:
                yield message.record


@contextmanager
def _mapping() -> Iterator[None]:
    """Report a stream map that fails, and nothing of the record that it fails on."""
    try:
        yield
    except (OSError, RecursionError, MsgspecError):
        raise  # the target is gone, or it is the record
    except Exception as error:  # an expression can fail in any way
        kind = type(error.__cause__ or error).__name__
        where = f", {error}" if isinstance(error, MapExpressionError) else ""
        msg = f"stream_maps: an expression fails on a record ({kind}{where})"
        raise MapError(one_line(msg)) from error
