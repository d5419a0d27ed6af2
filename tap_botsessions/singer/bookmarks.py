"""The bookmarks of a stream's bots, in the state of the SDK's form."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING, Any

from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE

from tap_botsessions.engine.errors import BookmarkError
from tap_botsessions.engine.gaps import GAPS, GapError, Gaps
from tap_botsessions.engine.list_stream import ListStream
from tap_botsessions.engine.sweep import SWEEP, Sweep
from tap_botsessions.engine.windows import Window, starting_point, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from datetime import datetime

    from singer_sdk import Stream

    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.stream import VendorStream

_CLOCKS_APART = timedelta(minutes=1)
"""How far apart the clocks of two machines that run the tap in turn may be."""


class Bookmarks:
    """The instants up to which the bots of a stream have been read."""

    def __init__(self, stream: Stream, source: VendorStream) -> None:
        """Keep the bookmarks of a stream.

        Args:
            stream: The stream, in whose state they are.
            source: The vendor's, which says what a bookmark is like.
        """
        self._stream = stream
        self._source = source
        self._gaps: dict[str, Gaps] = {}
        self._sweeps: dict[str, Sweep] = {}
        self._is_counted = isinstance(source, ListStream)

    @property
    def are_kept(self) -> bool:
        """Whether there are any; a catalog may ask for all records each time."""
        return self._stream.replication_method != REPLICATION_FULL_TABLE

    def state_of(self, bot: str) -> dict[str, Any]:
        """The state of a bot, to be read and changed."""
        return self._stream.get_context_state({self._source.bot_key: bot})

    def get(self, bot: str) -> datetime | None:
        """The instant up to which a bot has been read, if there is one.

        Raises:
            BookmarkError: The state holds something else, or an instant that is still
                to come: when it has come, nobody would know what was left out.
        """
        state, name = self.state_of(bot), self._source.replication_key
        if (
            not self.are_kept
            or state.get("replication_key") != name
            or state.get("replication_key_value") is None
        ):
            return None
        try:
            bookmark = self._source.from_bookmark(state["replication_key_value"])
        except (OverflowError, ValueError) as error:
            msg = f"the bookmark in the state is no {name}; fix or clear the state"
            raise BookmarkError(msg) from error
        options = self._source.options
        if bookmark > options.run_start + max(options.lookback, _CLOCKS_APART):
            msg = (
                f"the bookmark in the state, {to_rfc3339(bookmark)}, is in the future: "
                f"what came before it can't have been read; check the clock, and fix "
                f"or clear the state"
            )
            raise BookmarkError(msg)
        return bookmark

    def restore(self, bot: str) -> datetime | None:
        """The bookmark of a bot; what is to be read again is learnt from its state.

        Raises:
            BookmarkError: The state is not as the tap wrote it.
        """
        bookmark = self.get(bot)
        state = self.state_of(bot) if self.are_kept else {}
        self._gaps[bot] = Gaps(state, self._source.options.limits.max_gaps)
        if self.are_kept and _is_swept(self._source):
            self._sweeps[bot] = Sweep(state, self._source.options)
        if self._source.revisits:
            self._source.revisits.restore(bot, self.state_of(bot), bookmark)
        return bookmark

    def gaps_to_read(self, bot: str, ranges: Iterable[Window]) -> list[Window]:
        """What did not add up in an earlier run and is in none of these ranges.

        Args:
            bot: A bot that was restored.
            ranges: What is read of it anyway.
        """
        gaps = self._gaps[bot].outside(ranges)
        scope = self._source.options.scope
        parts = [part for gap in gaps if (part := gap.overlap(scope))]
        return [each for part in parts for each in self._source.ranges(part)]

    def gap_errors(self) -> Iterator[tuple[str, GapError]]:
        """What still does not add up, of each bot; a warning of what is accepted."""
        options = self._source.options
        for bot, gaps in self._gaps.items():
            failing = []
            for gap in gaps.all:
                if not gap.window.overlap(options.scope):
                    continue
                if options.accepts_gap_of(gap.since):
                    self._stream.logger.warning(
                        "%s: accepted: %s", self._source.label(bot), gap
                    )
                else:
                    failing.append(gap)
            if failing:
                yield bot, GapError(failing)

    def note(self, bot: str, result: WindowResult) -> None:
        """Note whether a window of a bot adds up."""
        if result.window is None:
            return
        now = self._source.options.run_start
        self._gaps[bot].note(result.window, result.gap, now)
        sweep = self._sweeps.get(bot) if self._is_counted else None
        if sweep and result.window.end > sweep.oldest:
            unserved = max(result.expected - result.received, 0) if result.gap else 0
            sweep.days.note(result.window, result.times, unserved)

    def sweep(self, bot: str) -> Sweep | None:
        """The sweep of a bot, if there is one."""
        return self._sweeps.get(bot)

    def read_until(self, bot: str) -> datetime:
        """The instant before which the next run does not read."""
        options = self._source.options
        return starting_point(options.start_date, self.get(bot), options.lookback)

    def move(self, bot: str, end: datetime | None) -> None:
        """Move a bot's bookmark on, never back, and keep its gaps.

        Args:
            bot: The bot.
            end: The instant up to which it has been read; none if what was read was
                not asked for by its time.
        """
        changes: dict[str, Any] = {GAPS: self._gaps[bot].to_state()}
        bookmark = self.get(bot)
        if end is not None and (bookmark is None or end > bookmark):
            changes["replication_key"] = self._source.replication_key
            changes["replication_key_value"] = self._source.to_bookmark(end)
        if self._source.revisits:
            changes |= self._source.revisits.to_state(bot, end)
        state = self.state_of(bot)
        for name, value in changes.items():
            if value is None:
                state.pop(name, None)
            else:
                state[name] = value
        if (sweep := self._sweeps.get(bot)) and self.get(bot):
            kept = sweep.to_state(self.read_until(bot))
            state.update({SWEEP: kept} if kept else {})

    def warn_of_skipped(self, ranges: Mapping[str, Sequence[Window]]) -> None:
        """Warn once of what no run reads: from a bookmark to a later start_date.

        Args:
            ranges: The ranges that this run reads of each bot.
        """
        skipped = {
            bot: bookmark
            for bot, parts in ranges.items()
            if parts and (bookmark := self.get(bot)) and bookmark < parts[0].start
        }
        if skipped:
            options = self._source.options
            self._stream.logger.warning(
                "%s: start_date, %s, is later than the bookmark in the state, %s%s: "
                "what lies between is not read, by this run or a later one; to have "
                "it, set start_date back and go on from the state of before this run",
                self._source.label(*skipped),
                to_rfc3339(options.start_date),
                to_rfc3339(min(skipped.values())),
                "" if len(skipped) == 1 else " for the earliest",
            )


def _is_swept(source: VendorStream) -> bool:
    """Whether what was read of a stream is looked at again later."""
    options = source.options
    sometime = Window(options.run_start - timedelta(days=1), options.run_start)
    return options.config["sweep_days"] > 0 and any(source.ranges(sometime))
