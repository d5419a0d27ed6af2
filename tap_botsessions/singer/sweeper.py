"""Looking again at what was read, and reading again what has changed since."""

from __future__ import annotations

import math
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from tap_botsessions.engine.changes import Changes
from tap_botsessions.engine.jobs import Job, TimeRanges
from tap_botsessions.engine.list_stream import ListStream
from tap_botsessions.engine.listing import many
from tap_botsessions.engine.parts import whole
from tap_botsessions.engine.stream import SyncRanges
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_botsessions.engine.jobs import Outcome
    from tap_botsessions.engine.parts import Part
    from tap_botsessions.engine.scheduler import Scheduler
    from tap_botsessions.engine.sweep import Sweep
    from tap_botsessions.singer.emitter import Chunk
    from tap_botsessions.singer.syncing import StreamSync

_DAY = timedelta(days=1)


class Sweeper:
    """Sweeps the bots of a stream of which it is time."""

    def __init__(self, reading: StreamSync) -> None:
        """Prepare to sweep.

        Args:
            reading: What has read the stream.
        """
        self._reading = reading
        self._source = reading.source
        self._bookmarks = reading.bookmarks
        self._changed = 0

    @property
    def due(self) -> dict[str, Sweep]:
        """The sweeps of which it is time, of bots that have not failed."""
        return {
            bot: sweep
            for bot in self._source.bots
            if (sweep := self._bookmarks.sweep(bot))
            and sweep.is_due
            and bot not in self._reading.failed
        }

    def requests(self) -> dict[str, int]:
        """How many requests it takes at the least to sweep each bot that is due.

        Those of bots that are counted together are the first one's.
        """
        source, due = self._source, self.due
        if not isinstance(source, ListStream):
            return {
                bot: math.ceil(sweep.share / _DAY)
                for bot, sweep in due.items()
                if sweep.oldest < self._bookmarks.read_until(bot)
            }
        spans = self._spans(source, due)
        return {
            group[0]: sum(
                len(source.lists(group, whole(span).window)) for span in spans[group[0]]
            )
            for group in self._groups(spans)
        }

    def read(self) -> Generator[Chunk, None, None]:
        """Compare counts, and read again what has changed and what it is the turn of.

        Yields:
            Records, some at a time.
        """
        due = self.due
        if not due:
            return
        logger, label = self._reading.logger, self._source.label(*due)
        logger.info("%s: looking again at what was read before", label)
        if isinstance(self._source, ListStream):
            yield from self._reading.outcomes(
                self._count_jobs(self._source, due), self._noted
            )
            ranges = {bot: self._unread(bot) for bot in due}
        else:
            ranges = {bot: self._days(bot) for bot in due}
        sum((each.width for those in ranges.values() for each in those), 0 * _DAY)
        again = [each.width for those in ranges.values() for each in those]
        logger.info(
            "%s: %s changed since; %.1f days of them are read again",
            label,
            many(self._changed, "part"),
            sum(again, 0 * _DAY) / _DAY,
        )
        yield from self._reading.outcomes(
            self._read_jobs(ranges), partial(self._reading.emitted, is_again=True)
        )
        for bot, sweep in due.items():
            if bot not in self._reading.failed:
                sweep.finish()
            self._reading.checkpoint(bot)

    def _count_jobs(self, source: ListStream, due: Mapping[str, Sweep]) -> list[Job]:
        spans = self._spans(source, due)
        return [
            replace(self._job(group), first=source.find_changes(group, spans[group[0]]))
            for group in self._groups(spans)
        ]

    def _spans(
        self, source: ListStream, due: Mapping[str, Sweep]
    ) -> dict[str, list[list[Part]]]:
        """What is counted at once of each bot."""
        return {
            bot: sweep.spans(self._bookmarks.read_until(bot), source.max_window)
            for bot, sweep in due.items()
        }

    def _groups(
        self, spans: Mapping[str, Sequence[Sequence[Part]]]
    ) -> Iterator[list[str]]:
        """The bots that are counted together."""
        ranges = {
            bot: SyncRanges([], [part.window for span in those for part in span])
            for bot, those in spans.items()
            if those
        }
        for group in self._source.group_bots(ranges):
            alike: list[list[str]] = []
            for bot in group:
                for those in alike:
                    if spans[those[0]] == spans[bot]:
                        those.append(bot)
                        break
                else:
                    alike.append([bot])
            yield from alike

    def _noted(self, outcome: Outcome, _scheduler: Scheduler) -> Iterable[Chunk]:
        """Note what of a bot has changed."""
        sweep = self._bookmarks.sweep(outcome.bot)
        if isinstance(outcome.result, Changes) and sweep:
            for window in outcome.result.changed:
                sweep.days.forget(window)
            self._changed += len(outcome.result.changed)
            self._reading.checkpoint(outcome.bot)
        elif isinstance(outcome.result, Exception):
            self._reading.fail(outcome.bot, outcome.result)
        return ()

    def _unread(self, bot: str) -> list[Window]:
        """What is read again of a list: what has changed, and a span in turn."""
        sweep = self._bookmarks.sweep(bot)
        if sweep is None or bot in self._reading.failed:
            return []
        until = self._bookmarks.read_until(bot)
        sweep.mark_turn(until)
        unread = [part.window for part in sweep.days.close(until) if part.count is None]
        return [each for window in unread for each in self._source.ranges(window)]

    def _days(self, bot: str) -> list[Window]:
        """What is read again of a stream that can't be counted: some days in turn."""
        sweep, source = self._bookmarks.sweep(bot), self._source
        if sweep is None:
            return []
        until = self._whole(self._bookmarks.read_until(bot))
        turn = sweep.take_turn(until, math.ceil(sweep.share / _DAY) * _DAY)
        return [*source.ranges(Window(self._whole(turn.start), self._whole(turn.end)))]

    def _whole(self, instant: datetime) -> datetime:
        """The latest instant up to then that can be a bookmark."""
        return self._source.from_bookmark(self._source.to_bookmark(instant))

    def _read_jobs(self, ranges: Mapping[str, Sequence[Window]]) -> list[Job]:
        source = self._source
        wanted = {bot: SyncRanges([], those) for bot, those in ranges.items() if those}
        return [
            replace(
                self._job(group),
                by_time=TimeRanges(
                    wanted[group[0]].ranges,
                    partial(source.read, group),
                    source.max_window,
                ),
                settles_first=source.settles_first,
            )
            for group in source.group_bots(wanted)
        ]

    def _job(self, bots: Sequence[str]) -> Job:
        return Job(
            bots,
            on_request=partial(self._reading.progress.requested, bots[0]),
            host=self._source.transport.health,
        )
