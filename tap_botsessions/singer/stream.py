"""The base class of all streams: bots read ahead, emitted and checkpointed."""

from __future__ import annotations

from abc import abstractmethod
from collections.abc import Mapping
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from functools import partial
from importlib import resources
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple

from singer_sdk import SchemaDirectory, Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from typing_extensions import override

from tap_botsessions.config.settings import given
from tap_botsessions.engine.errors import BookmarkError, BotError, MapError, RecordError
from tap_botsessions.engine.personal import Personal
from tap_botsessions.engine.scheduler import Job, ReadAhead
from tap_botsessions.engine.windows import (
    Window,
    parse_instant,
    starting_point,
    to_rfc3339,
)
from tap_botsessions.reports.progress import StreamProgress
from tap_botsessions.reports.summaries import MOST_BOTS, Summaries
from tap_botsessions.singer.emitter import Emitter

if TYPE_CHECKING:
    from collections.abc import Generator, Iterable, Iterator, Sequence

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.reader import Reading, Seen, Taken
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.transport import Transport
    from tap_botsessions.tap import TapBotsessions

SCHEMAS: SchemaDirectory = SchemaDirectory(
    resources.files("tap_botsessions") / "schemas"
)

_CLOCKS_APART = timedelta(minutes=1)
"""How far apart the clocks of two machines that run the tap in turn may be."""

_ROWS_AT_A_TIME = 500
"""Rows that are emitted between two looks at what has come in meanwhile."""


class Failure(NamedTuple):
    """A bot that was given up, in one stream."""

    stream: str
    what: str
    error: BotError


Failures = list[Failure]

Ids = Mapping[str, datetime | None]


class BotStream(Stream):
    """A stream that is read bot by bot, each with a bookmark of its own.

    A leaf says what it is by its class attributes and how a window is read by `take`.
    The bots are read at once, and their windows are emitted as they come, in order for
    each bot; hence the SDK's way of syncing, one partition after another, is replaced.

    Attributes:
        vendor: Whose it is, for people.
        bot_key: The column that holds the bot's id, and the key of its state.
        page_size_setting: The setting that says how many records a page has.
        margin: How much earlier than at its start a list of a window is asked for.
        bots: The ids of the bots to read.
        together: Those of them that are read by one reading, by the first of them.
        failures: Where the bots that failed are put down.
        personal: Protects the personal data of its records.
        progress: How far it is.
        summaries: Tell the log of that.
    """

    vendor: ClassVar[str]
    bot_key: ClassVar[str]
    page_size_setting: ClassVar[str]
    margin: ClassVar[timedelta]

    # The columns' conversions have typed the records already.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(
        self, tap: TapBotsessions, bots: Sequence[str], failures: Failures
    ) -> None:
        """Prepare to read bots.

        Args:
            tap: The tap.
            bots: The ids of the bots to read.
            failures: Where the bots that failed are put down.
        """
        super().__init__(tap, schema=SCHEMAS.get_schema(self.name))
        self.tap = tap
        self.emit = Emitter(tap, self)
        self.personal = Personal(tap.config, self.schema)
        self.bots = bots
        self.together: dict[str, list[str]] = {}
        self.failures = failures
        self.progress = StreamProgress(self.name, self.kind, bots)
        self.summaries = Summaries(self.progress, self.logger)
        self.run_start = datetime.fromtimestamp(tap.initialized_at // 1000, UTC)

    @property
    @abstractmethod
    def transport(self) -> Transport:
        """What the stream's requests are made by."""

    @abstractmethod
    def budget(self, bot: str) -> Budget:
        """What requests for a bot are charged to."""

    @abstractmethod
    def take(self, bot: str, window: Window, seen: Seen) -> Reading:
        """Read a window of a bot whole, or a leading part of it."""

    @abstractmethod
    def to_bookmark(self, instant: datetime) -> str | int:
        """The bookmark of a bot whose records before an instant have all been read."""

    def from_bookmark(self, value: object) -> datetime:
        """The instant from which a bot with this bookmark is read on.

        Raises:
            ValueError: It is no bookmark.
        """
        return parse_instant(value)

    def probe(self, bot: str, window: Window) -> Reading:
        """Ask for the first page of a window, whose rows are left in their order."""
        raise NotImplementedError

    @property
    def lists(self) -> int:
        """How many lists make up a window; none where a window is one record."""
        return 0

    def count(self, bot: str, windows: Iterable[Window]) -> Reading:
        """Ask how many records each list of windows has; it returns a `Counted`."""
        raise NotImplementedError

    def spans(self, span: Window) -> Iterable[Window]:
        """The ranges that a range is read in, at the least."""
        return [span] if span.start < span.end else []

    def ids(self, bot: str, spans: Sequence[Window]) -> Ids:  # noqa: ARG002 -- for leaves
        """What is read beside these ranges of a bot, whenever it was.

        Returns:
            By the ids, when each was, if that is known.
        """
        return {}

    def ids_of(self, bots: Iterable[str], spans: Sequence[Window]) -> Ids:
        """The ids of all of some bots that are read together."""
        return {
            name: start for bot in bots for name, start in self.ids(bot, spans).items()
        }

    def batches(self, ids: Ids) -> Sequence[Ids]:  # noqa: ARG002 -- for leaves
        """Divide ids into those that one request asks for."""
        return ()

    def to_emit(self, bot: str, taken: Taken) -> Iterable[Row]:  # noqa: ARG002 -- for leaves
        """The rows of what was taken that are to be emitted."""
        return taken.rows

    def to_state(self, bot: str, end: datetime | None) -> dict[str, Any]:
        """What to change in the state of a bot that has been read up to an instant.

        Args:
            bot: The bot.
            end: The instant; none if what was read was not asked for by its time.

        Returns:
            Values by their names; null for what has to go.
        """
        bookmark = self.bookmark(self.context_of(bot))
        if end is None or (bookmark is not None and end <= bookmark):
            return {}
        return {
            "replication_key": self.replication_key,
            "replication_key_value": self.to_bookmark(end),
        }

    @property
    def is_shared(self) -> bool:
        """Whether what is asked for a bot holds others' records, too."""
        return False

    def alike(self, spans: Mapping[str, Sequence[Window]]) -> dict[str, list[str]]:
        """The bots whose records come by one reading, by the first of them.

        Args:
            spans: The ranges that are to be read of each bot.
        """
        return {bot: [bot] for bot in spans}

    def shares(
        self, bot: str, outcome: Taken | BotError
    ) -> Iterable[tuple[str, Taken | BotError]]:
        """What came of a reading, for each of the bots that it was made for.

        Args:
            bot: The first of them.
            outcome: What came of it.
        """
        return [(bot, outcome)]

    def job(self, bot: str, spans: Sequence[Window]) -> Job:
        """What is to be read in this run for a bot, and for those alike.

        Args:
            bot: The first of them.
            spans: The ranges.
        """
        return Job(
            bot,
            partial(self.take, bot),
            spans,
            self.widest,
            asked=partial(self.progress.asked, bot),
        )

    @property
    def widest(self) -> timedelta:
        """The widest span that is read and checked as a whole."""
        return max(timedelta(days=self.config["window_days"]), timedelta(seconds=1))

    def span(self, bot: str) -> Window:
        """The range of a bot that this run reads."""
        start = starting_point(
            parse_instant(self.config["start_date"]),
            self.bookmark(self.context_of(bot)),
            timedelta(hours=self.config["lookback_hours"]),
        )
        return Window(start, max(start, self.end))

    @property
    def end(self) -> datetime:
        """The instant up to which this run reads."""
        if given(self.config, "end_date"):
            return min(self.run_start, parse_instant(self.config["end_date"]))
        return self.run_start

    def bookmark(self, context: Context) -> datetime | None:
        """The instant up to which a bot has been read, if there is one.

        Raises:
            BookmarkError: The state holds something else, or an instant that is still
                to come: when it has come, nobody would know what was left out.
        """
        state = self.get_context_state(context)
        if (
            self.replication_method == REPLICATION_FULL_TABLE
            or state.get("replication_key") != self.replication_key
            or state.get("replication_key_value") is None
        ):
            return None
        try:
            bookmark = self.from_bookmark(state["replication_key_value"])
        except (OverflowError, ValueError) as error:
            msg = (
                f"the bookmark in the state is no {self.replication_key}; mend or "
                f"clear the state"
            )
            raise BookmarkError(msg) from error
        lookback = timedelta(hours=self.config["lookback_hours"])
        if bookmark > self.run_start + max(lookback, _CLOCKS_APART):
            msg = (
                f"the bookmark in the state, {to_rfc3339(bookmark)}, is in the future: "
                f"what came before it can't have been read; check the clock, and mend "
                f"or clear the state"
            )
            raise BookmarkError(msg)
        return bookmark

    def context_of(self, bot: str) -> dict[str, str]:
        """The SDK's context of a bot: its partition."""
        return {self.bot_key: bot}

    def what(self, *bots: str) -> str:
        """The stream and the bots, or how many they are, for messages."""
        if len(bots) > MOST_BOTS:
            return f"{self.name}, {len(bots)} {self.kind}s"
        kind = self.kind if len(bots) == 1 else f"{self.kind}s"
        return f"{self.name}, {kind} {', '.join(bots)}"

    @property
    def kind(self) -> str:
        """What the vendor calls a bot."""
        return self.bot_key.removesuffix("_id")

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        return [self.context_of(bot) for bot in self.bots]

    @property
    @override
    def is_sorted(self) -> bool:
        return True

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        for records in self.read(context):
            yield from records

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
        reading = self.read(context)
        with (
            self.tap.flushing(),
            self.progress.reading(),
            self.summaries.telling(),
        ):
            try:
                yield from self.emit.all_of(reading, write_messages=write_messages)
            except (MapError, RecordError) as error:
                self._put_aside(self.name, error, self.bots)

    def read(self, context: Context | None) -> Iterator[Sequence[Record]]:
        """Read all bots, or one, and checkpoint after each window.

        Args:
            context: The bot's; none for all of them.

        Yields:
            Records, some at a time; those of a bot in order of time.
        """
        bots = [context[self.bot_key]] if context else self.bots
        with ReadAhead(
            self._jobs(bots),
            workers=self.config["max_concurrent_requests"],
            retries=self.config["max_retries"],
            heed=self._heed,
        ) as ahead:
            for lead, outcome in ahead:
                for bot, share in self.shares(lead, outcome):
                    if isinstance(share, BotError):
                        self._fail(bot, share)
                    else:
                        yield from self._emitted(bot, share, ahead)

    def _emitted(
        self, bot: str, taken: Taken, ahead: ReadAhead
    ) -> Iterator[Sequence[Record]]:
        """Have a window's records emitted, and checkpoint."""
        records = [row.record for row in self.to_emit(bot, taken)]
        for start in range(0, len(records), _ROWS_AT_A_TIME):
            if start:
                ahead.poll()
            yield records[start : start + _ROWS_AT_A_TIME]
        self.tap.audit.put_down(self.name, bot, taken, len(records))
        self._checkpoint(bot, taken)
        self._tell(bot, taken, len(records))

    def _heed(self) -> None:
        self.tap.ending.heed()
        self.transport.end_overdue()
        self.summaries.heed()

    def _tell(self, bot: str, taken: Taken, emitted: int) -> None:
        """Tell of a window that was read."""
        self.progress.read(bot, taken, emitted)
        self.logger.debug(
            "%s: read %s: %d rows, %d requests, %.1f s",
            self.what(bot),
            taken.window or "sessions by their ids",
            emitted,
            taken.requests,
            taken.seconds,
        )

    def _jobs(self, bots: Iterable[str]) -> list[Job]:
        spans: dict[str, Sequence[Window]] = {}
        for bot in bots:
            try:
                spans[bot] = list(self.spans(self.span(bot)))
            except BotError as error:
                self._fail(bot, error)
        self.together = self.alike(spans)
        jobs = [self.job(lead, spans[lead]) for lead in self.together]
        for job in jobs:
            for bot in self.together[job.bot]:
                self.progress.expect(replace(job, bot=bot), self.budget(bot))
        self._announce(jobs)
        return jobs

    def _announce(self, jobs: Iterable[Job]) -> None:
        """Tell of what is to be read: a line for all bots that are read alike."""
        alike: dict[str, list[str]] = {}
        for job in jobs:
            otherwise = "sessions by their ids" if job.first else "nothing new"
            bots = alike.setdefault(str(job.span or otherwise), [])
            bots += self.together[job.bot]
        for span, bots in alike.items():
            self.logger.info("%s: reading %s", self.what(*bots), span)

    def _fail(self, bot: str, error: BotError) -> None:
        """Put a bot aside; its bookmark stays, and the others go on."""
        self._put_aside(self.what(bot), error, [bot])

    def _put_aside(self, what: str, error: BotError, bots: Iterable[str]) -> None:
        if self.ABORT_AT_RECORD_COUNT is not None:
            msg = f"{what}: {error}"
            raise BotError(msg) from error
        self.logger.info("%s: put aside", what)
        self.failures.append(Failure(self.name, what, error))
        self.progress.give_up(bots)

    def _checkpoint(self, bot: str, taken: Taken) -> None:
        """Move a bot's bookmark on to the end of a window, and write the state."""
        if self.replication_method == REPLICATION_FULL_TABLE:
            return
        state = self.get_context_state(self.context_of(bot))
        for name, value in self.to_state(
            bot, taken.window.end if taken.window else None
        ).items():
            if value is None:
                state.pop(name, None)
            else:
                state[name] = value
        if not self.get_batch_config(self.config):
            # In BATCH mode the records leave later, and the SDK writes the state then.
            self.tap.state_writer.write_state(self.tap_state)

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """None: a bookmark is never taken from a record, so it needs no bound."""

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the selection from a catalog; the replication key is not its to say."""
        replication_key = self.replication_key
        super().apply_catalog(catalog)
        self.replication_key = replication_key
