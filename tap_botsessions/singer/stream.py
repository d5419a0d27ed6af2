"""The stream that Singer sees: a vendor's, read ahead, emitted and checkpointed."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from typing_extensions import override

from tap_botsessions.engine.errors import OutputError
from tap_botsessions.engine.transport import discreet_urllib3
from tap_botsessions.singer.bookmarks import Bookmarks
from tap_botsessions.singer.emitter import Emitter
from tap_botsessions.singer.sweeper import Sweeper
from tap_botsessions.singer.syncing import StreamSync

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog
    from singer_sdk.tap_base import Tap

    from tap_botsessions.engine.stream import VendorStream
    from tap_botsessions.singer.emitter import Chunk
    from tap_botsessions.singer.run import Run


class SingerStream(Stream):
    """A stream that is read bot by bot, each with a bookmark of its own.

    The bots are read at once, and their windows are emitted as they come, in order for
    each bot; hence the SDK's way of syncing, one partition after another, is replaced.

    Attributes:
        source: The vendor's stream.
        emit: Writes its messages.
        reading: Reads its bots.
        sweeper: Looks again at what was read of them.
    """

    # The columns' conversions have typed the records already.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(self, tap: Tap, source: VendorStream, run: Run) -> None:
        """Prepare to read a vendor's stream.

        Args:
            tap: The tap.
            source: The vendor's stream.
            run: What the streams of the run share.
        """
        super().__init__(tap, schema=source.schema, name=source.name)
        self.primary_keys = source.primary_keys
        self.replication_key = source.replication_key
        self.selected_by_default = source.selected_by_default
        self.source = source
        self.emit = Emitter(tap, self)
        self.reading = StreamSync(source, Bookmarks(self, source), run, self.logger)
        self.sweeper = Sweeper(self.reading)
        self._run = run

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        return [{self.source.bot_key: bot} for bot in self.source.bots]

    @property
    @override
    def is_sorted(self) -> bool:
        return True

    def find_bots(self, on_tick: Callable[[], None]) -> None:
        """Have the vendor say which bots there are, if the settings ask for that."""
        self.source.find_bots(on_tick)
        self.reading.progress.know(self.source.bots)

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for chunk in self._read(context):
            yield from chunk.records

    @override
    def _sync_records(
        self, context: Context | None = None, *, write_messages: bool = True
    ) -> Generator[Record, None, None]:
        """Emit the records of all bots.

        This replaces a private method of the SDK's, which reads one partition after
        another, moves bookmarks by records and keeps books on each: here bots are read
        at once, bookmarks move by windows, and records need no further care.

        Yields:
            The records, if they are not written: they are for a BATCH then.
        """
        reading = self.reading
        self.find_bots(self._run.shutdown.on_tick)
        with reading.progress.reading(), reading.summaries.logging():
            new = self._read(context)
            yield from self._emitted(new, write_messages=write_messages)
        if not write_messages:
            yield from self._emitted(self.sweeper.read(), write_messages=False)
        reading.report_gaps()

    def sweep(self) -> None:
        """Look again at what was read long ago, after all that is new.

        What is for a BATCH has been, since its records leave together.
        """
        if self.sweeper.due:
            for _ in self._emitted(self.sweeper.read(), write_messages=True):
                pass
            self.reading.report_gaps()

    def _read(self, context: Context | None) -> Generator[Chunk, None, None]:
        """Read all bots, or one."""
        source, reading = self.source, self.reading
        reading.raises = self.ABORT_AT_RECORD_COUNT is not None
        return reading.read([context[source.bot_key]] if context else source.bots)

    def _emitted(
        self, chunks: Generator[Chunk, None, None], *, write_messages: bool
    ) -> Generator[Record, None, None]:
        """Write what is read, or yield it for a BATCH; then write the state."""
        with discreet_urllib3(), _closing(chunks), self._run.flushing():
            yield from self.emit.all_of(chunks, write_messages=write_messages)

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """None: a bookmark is never taken from a record, so it needs no bound."""

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the selection from a catalog; the replication key is not its to say."""
        super().apply_catalog(catalog)
        self.replication_key = self.source.replication_key
        if self.replication_key is None:
            self.forced_replication_method = REPLICATION_FULL_TABLE


@contextmanager
def _closing(
    reading: Generator[Chunk, None, None],
) -> Iterator[None]:
    """End a reading with the block, in the thread that it runs in.

    But not where what is read can't be written: the process is to end then, and waits
    for no request.
    """
    try:
        yield
    except OutputError:
        raise
    except BaseException:
        reading.close()
        raise
    reading.close()
