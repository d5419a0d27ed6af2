"""What a sync reads of a stream: its bots at once, each in order of time."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import BotError, Failure, RecordError
from tap_botsessions.engine.jobs import Job, TimeRanges
from tap_botsessions.engine.pages import NOBODY
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.stream import SyncRanges
from tap_botsessions.engine.workers import Workers
from tap_botsessions.reports.progress import StreamProgress
from tap_botsessions.reports.summaries import Summaries
from tap_botsessions.singer.emitter import Chunk

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Iterator, Sequence
    from datetime import datetime
    from logging import Logger

    from tap_botsessions.engine.jobs import Outcome
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.stream import VendorStream
    from tap_botsessions.singer.bookmarks import Bookmarks
    from tap_botsessions.singer.run import Run


class StreamSync:
    """Reads the bots of a stream, and checkpoints after each window.

    Attributes:
        source: The vendor's stream.
        bookmarks: The bookmarks of its bots.
        progress: How far it is.
        summaries: Log that from time to time.
        failed: The bots that have failed.
        raises: Whether it ends at the first bot that fails.
    """

    def __init__(
        self, source: VendorStream, bookmarks: Bookmarks, run: Run, logger: Logger
    ) -> None:
        """Prepare to read.

        Args:
            source: The vendor's stream.
            bookmarks: The bookmarks of its bots.
            run: What the streams of the run share.
            logger: Where to log.
        """
        self.source = source
        self.bookmarks = bookmarks
        self.progress = StreamProgress(source.name, source.bot_noun)
        self.summaries = Summaries(self.progress, logger)
        self.failed: set[str] = set()
        self.raises = False
        self.logger = logger
        self._run = run
        self._of_nobody: set[BotError] = set()

    def read(self, bots: Sequence[str]) -> Generator[Chunk, None, None]:
        """Read bots, and checkpoint after each window.

        Args:
            bots: Their ids.

        Yields:
            Records, some at a time; those of a bot in order of time.
        """
        source = self.source
        if source.bots_error:
            self._mark_failed(self.source.name, source.bots_error, [])
        yield from self.outcomes(self._jobs(bots), self.emitted)
        silent = self.progress.silent(source.options.start_date)
        if source.is_shared and silent:
            self.logger.warning(
                "%s: no records, although other bots of the account have some; check "
                "the id in kore_bot_ids",
                source.label(*silent),
            )

    def outcomes(
        self,
        jobs: Sequence[Job],
        use: Callable[[Outcome, Scheduler], Iterable[Chunk]],
    ) -> Generator[Chunk, None, None]:
        """What is made of jobs' outcomes, as they come."""
        source = self.source
        with Scheduler(
            jobs,
            workers=Workers(source.config["max_concurrent_requests"]),
            retries=source.config["max_retries"],
            limits=source.limits,
            on_tick=self._on_tick,
        ) as scheduler:
            for outcome in scheduler:
                yield from use(outcome, scheduler)

    def ranges(self, bots: Iterable[str]) -> dict[str, SyncRanges | BotError]:
        """What this run reads of bots by time, or why a bot can't be read."""
        found: dict[str, SyncRanges | BotError] = {}
        for bot in bots:
            try:
                sync_range = self.source.sync_range(bot, self.bookmarks.restore(bot))
                ranges = list(self.source.ranges(sync_range))
            except BotError as error:
                found[bot] = error
            else:
                gaps = self.bookmarks.gaps_to_read(bot, ranges)
                found[bot] = SyncRanges(gaps, ranges)
        return found

    def emitted(
        self, outcome: Outcome, scheduler: Scheduler, *, is_again: bool = False
    ) -> Iterator[Chunk]:
        """Have a window's records emitted, and checkpoint.

        Args:
            outcome: The window.
            scheduler: What reads.
            is_again: Whether the bookmark of the bot is beyond it.
        """
        bot, result = outcome.bot, outcome.result
        if isinstance(result, BotError):
            self.fail(bot, result)
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
                self.fail(bot, chunk.error)
                return
        if (error := result.errors.get(NOBODY)) and error not in self._of_nobody:
            self._of_nobody.add(error)
            unowned = RecordError(f"{self.source.first_label}: {error}")
            self._mark_failed(self.source.name, unowned, [])
        vouched = self.source.clip_to_clock(result)
        self._note_gap(bot, result)
        audited = vouched if result.gap is None else result
        self._run.audit.record(self.source, bot, audited, len(records))
        end = vouched.window.end if vouched.window and not is_again else None
        self.checkpoint(bot, end, len(records))
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
                self.fail(bot, found)
            else:
                ranges[bot] = found
        self.bookmarks.warn_of_skipped(
            {bot: found.ranges for bot, found in ranges.items()}
        )
        jobs = [
            self._job(group, ranges[group[0]])
            for group in self.source.group_bots(ranges)
        ]
        for job in jobs:
            for bot in job.bots:
                self.progress.expect(bot, job, self.source.budget(bot))
        _announce(self.source, jobs, self.logger)
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

    def _note_gap(self, bot: str, result: WindowResult) -> None:
        """Note what adds up and what does not, however late it is.

        A bookmark goes no further than the vendor's time, which more and more answers
        show. It must not come to pass a gap that was beyond it at first.
        """
        self.bookmarks.note(bot, result)
        if result.gap is not None:
            self.logger.warning(
                "%s: a gap, %s: %s; what came is emitted, and the next run reads it "
                "again",
                self.source.label(bot),
                result.window,
                result.gap,
            )

    def report_gaps(self) -> None:
        """Have the run fail for what does not add up, unless it has already."""
        for bot, error in self.bookmarks.gap_errors():
            label = self.source.label(bot)
            failure = Failure(self.source.vendor, self.source.name, label, error)
            if str(failure) not in map(str, self._run.failures):
                self._run.failures.append(failure)

    def fail(self, bot: str, error: BotError) -> None:
        """Read no more of a bot; its bookmark stays, and the others go on."""
        self.failed.add(bot)
        self._mark_failed(self.source.label(bot), error, [bot])

    def _mark_failed(self, label: str, error: BotError, bots: Iterable[str]) -> None:
        if self.raises:
            msg = f"{label}: {error}"
            raise BotError(msg) from error
        self.progress.fail(bots)
        failures, words = self._run.failures, str(error)
        alike = next((each for each in failures if str(each.error) == words), None)
        failures.append(Failure(self.source.vendor, self.source.name, label, error))
        if alike:
            self.logger.info("%s failed for the same reason as %s", label, alike.label)
            return
        others = "; the others go on" if self.progress.under_way else ""
        self.logger.warning("%s failed: %s%s", label, error, others)

    def checkpoint(self, bot: str, end: datetime | None = None, rows: int = 0) -> None:
        """Move a bot's bookmark on to the end of a window, if one was read by time."""
        if self.bookmarks.are_kept:
            self.bookmarks.move(bot, end)
            self._run.checkpoints.add(rows)


def _announce(source: VendorStream, jobs: Iterable[Job], logger: Logger) -> None:
    """Log what is to be read: a line for all bots of which that is the same."""
    alike: dict[str, list[str]] = {}
    for job in jobs:
        otherwise = source.first_label if job.first else "nothing new"
        alike.setdefault(str(job.sync_range or otherwise), []).extend(job.bots)
    for sync_range, bots in alike.items():
        logger.info("%s: reading %s", source.label(*bots), sync_range)


def _rows_per_write(result: WindowResult, limits: Limits) -> int:
    """How many rows of a window are emitted between two looks at what has come in."""
    row = result.size / max(len(result.rows), 1)
    by_size = int(limits.max_bytes_per_write / max(row, 1))
    return max(min(limits.rows_per_write, by_size), 1)
