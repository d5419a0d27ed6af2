"""The stream that Singer sees: a vendor's, read ahead, emitted and checkpointed."""

from __future__ import annotations

from contextlib import contextmanager
from functools import partial
from typing import TYPE_CHECKING

from singer_sdk import Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from typing_extensions import override

from tap_botsessions.engine.errors import BotError, Failure, OutputError, RecordError
from tap_botsessions.engine.jobs import Job, TimeRanges
from tap_botsessions.engine.pages import NOBODY
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.stream import SyncRanges
from tap_botsessions.engine.transport import discreet_urllib3
from tap_botsessions.engine.workers import Workers
from tap_botsessions.reports.progress import StreamProgress
from tap_botsessions.reports.summaries import Summaries
from tap_botsessions.singer.bookmarks import Bookmarks
from tap_botsessions.singer.emitter import Chunk, Emitter

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog
    from singer_sdk.tap_base import Tap

    from tap_botsessions.engine.jobs import Outcome
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.stream import VendorStream
    from tap_botsessions.singer.run import Run


class SingerStream(Stream):
    """A stream that is read bot by bot, each with a bookmark of its own.

    The bots are read at once, and their windows are emitted as they come, in order for
    each bot; hence the SDK's way of syncing, one partition after another, is replaced.

    Attributes:
        source: The vendor's stream.
        emit: Writes its messages.
        progress: How far it is.
        summaries: Log that from time to time.
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
        self.progress = StreamProgress(source.name, source.bot_noun)
        self.summaries = Summaries(self.progress, self.logger)
        self._run = run
        self._of_nobody: set[BotError] = set()
        self._bookmarks = Bookmarks(self, source)

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
        self.progress.know(self.source.bots)

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for chunk in self.read(context):
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
        self.find_bots(self._run.shutdown.on_tick)
        reading = self.read(context)
        with (
            discreet_urllib3(),
            _closing(reading),
            self._run.flushing(),
            self.progress.reading(),
            self.summaries.logging(),
        ):
            yield from self.emit.all_of(reading, write_messages=write_messages)
            self._run.failures.extend(
                Failure(self.source.vendor, self.name, self.source.label(bot), error)
                for bot, error in self._bookmarks.gap_errors()
            )

    def read(self, context: Context | None) -> Generator[Chunk, None, None]:
        """Read all bots, or one, and checkpoint after each window.

        Args:
            context: The bot's; none for all of them.

        Yields:
            Records, some at a time; those of a bot in order of time.
        """
        source = self.source
        if source.bots_error:
            self._mark_failed(self.name, source.bots_error, [])
        with Scheduler(
            self._jobs([context[source.bot_key]] if context else source.bots),
            workers=Workers(source.config["max_concurrent_requests"]),
            retries=source.config["max_retries"],
            limits=source.limits,
            on_tick=self._on_tick,
        ) as scheduler:
            for outcome in scheduler:
                yield from self._emitted(outcome, scheduler)
        silent = self.progress.silent(source.options.start_date)
        if source.is_shared and silent:
            self.logger.warning(
                "%s: no records, although other bots of the account have some; check "
                "the id in kore_bot_ids",
                source.label(*silent),
            )

    def ranges(self, bots: Iterable[str]) -> dict[str, SyncRanges | BotError]:
        """What this run reads of bots by time, or why a bot can't be read."""
        found: dict[str, SyncRanges | BotError] = {}
        for bot in bots:
            try:
                sync_range = self.source.sync_range(bot, self._bookmarks.restore(bot))
                ranges = list(self.source.ranges(sync_range))
            except BotError as error:
                found[bot] = error
            else:
                gaps = self._bookmarks.gaps_to_read(bot, ranges)
                found[bot] = SyncRanges(gaps, ranges)
        return found

    def _emitted(self, outcome: Outcome, scheduler: Scheduler) -> Iterator[Chunk]:
        """Have a window's records emitted, and checkpoint."""
        bot, result = outcome.bot, outcome.result
        if isinstance(result, BotError):
            self._fail(bot, result)
            return
        revisits = self.source.revisits
        rows = revisits.to_emit(bot, result) if revisits else result.rows
        records = [row.record for row in rows]
        size = _rows_per_write(result, self.source.limits)
        for start in range(0, len(records), size):
            if start:
                scheduler.poll()
            chunk = Chunk(records[start : start + size])
            yield chunk
            if chunk.error is not None:
                scheduler.drop(outcome.job, bot)
                self._fail(bot, chunk.error)
                return
        if (error := result.errors.get(NOBODY)) and error not in self._of_nobody:
            self._of_nobody.add(error)
            unowned = RecordError(f"{self.source.first_label}: {error}")
            self._mark_failed(self.name, unowned, [])
        vouched = self.source.clip_to_clock(result)
        self._note_gap(bot, result)
        audited = vouched if result.gap is None else result
        self._run.audit.record(self.name, bot, audited, len(records))
        self._checkpoint(bot, vouched, len(records))
        self._log(bot, result, len(records))

    def _on_tick(self) -> None:
        self._run.shutdown.on_tick()
        self.source.transport.end_overdue()
        self.summaries.on_tick()
        self._run.checkpoints.on_tick(self.progress.is_waiting)

    def _log(self, bot: str, result: WindowResult, emitted: int) -> None:
        """Report a window that was read."""
        self.progress.read(bot, result, emitted)
        self.logger.debug(
            "%s: read %s: %d rows, %d requests, %.1f s",
            self.source.label(bot),
            result.window or self.source.first_label,
            emitted,
            result.requests,
            result.seconds,
        )

    def _jobs(self, bots: Iterable[str]) -> list[Job]:
        ranges: dict[str, SyncRanges] = {}
        for bot, found in self.ranges(bots).items():
            if isinstance(found, BotError):
                self._fail(bot, found)
            else:
                ranges[bot] = found
        self._bookmarks.warn_of_skipped(
            {bot: found.ranges for bot, found in ranges.items()}
        )
        jobs = [
            self._job(group, ranges[group[0]])
            for group in self.source.group_bots(ranges)
        ]
        for job in jobs:
            for bot in job.bots:
                self.progress.expect(bot, job, self.source.budget(bot))
        self._announce(jobs)
        return jobs

    def _job(self, bots: Sequence[str], found: SyncRanges) -> Job:
        """What is to be read in this run of bots that are read together."""
        source = self.source
        return Job(
            bots,
            TimeRanges(
                found.ranges,
                partial(source.read, bots),
                source.max_window,
                found.gaps,
            ),
            first=source.read_first(bots, found),
            settles_first=source.settles_first,
            on_request=partial(self.progress.requested, bots[0]),
            host=source.transport.health,
        )

    def _announce(self, jobs: Iterable[Job]) -> None:
        """Log what is to be read: a line for all bots of which that is the same."""
        alike: dict[str, list[str]] = {}
        for job in jobs:
            otherwise = self.source.first_label if job.first else "nothing new"
            alike.setdefault(str(job.sync_range or otherwise), []).extend(job.bots)
        for sync_range, bots in alike.items():
            self.logger.info("%s: reading %s", self.source.label(*bots), sync_range)

    def _note_gap(self, bot: str, result: WindowResult) -> None:
        """Note what adds up and what does not, however late it is.

        A bookmark goes no further than the vendor's time, which more and more answers
        show. It must not come to pass a gap that was beyond it at first.
        """
        self._bookmarks.note(bot, result)
        if result.gap is not None:
            self.logger.warning(
                "%s: a gap, %s: %s; what came is emitted, and the next run reads it "
                "again",
                self.source.label(bot),
                result.window,
                result.gap,
            )

    def _fail(self, bot: str, error: BotError) -> None:
        """Read no more of a bot; its bookmark stays, and the others go on."""
        self._mark_failed(self.source.label(bot), error, [bot])

    def _mark_failed(self, label: str, error: BotError, bots: Iterable[str]) -> None:
        if self.ABORT_AT_RECORD_COUNT is not None:
            msg = f"{label}: {error}"
            raise BotError(msg) from error
        self.progress.fail(bots)
        failures, words = self._run.failures, str(error)
        alike = next((each for each in failures if str(each.error) == words), None)
        failures.append(Failure(self.source.vendor, self.name, label, error))
        if alike:
            self.logger.info("%s failed for the same reason as %s", label, alike.label)
            return
        others = "; the others go on" if self.progress.under_way else ""
        self.logger.warning("%s failed: %s%s", label, error, others)

    def _checkpoint(self, bot: str, result: WindowResult, rows: int) -> None:
        """Move a bot's bookmark on to the end of a window."""
        if self._bookmarks.are_kept:
            self._bookmarks.move(bot, result.window.end if result.window else None)
            self._run.checkpoints.add(rows)

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


def _rows_per_write(result: WindowResult, limits: Limits) -> int:
    """How many rows of a window are emitted between two looks at what has come in."""
    row = result.size / max(len(result.rows), 1)
    by_size = int(limits.max_bytes_per_write / max(row, 1))
    return max(min(limits.rows_per_write, by_size), 1)


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
