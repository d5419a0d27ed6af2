"""The base class of all streams: windows, read whole, emitted, checkpointed."""

from __future__ import annotations

from abc import abstractmethod
from datetime import UTC, datetime, timedelta
from importlib import resources
from typing import TYPE_CHECKING, ClassVar

from singer_sdk import SchemaDirectory, Stream
from singer_sdk.helpers.conform import TypeConformanceLevel
from singer_sdk.singerlib.catalog import REPLICATION_FULL_TABLE
from typing_extensions import override

from tap_botsessions.errors import BookmarkError, BotError, IncompleteError
from tap_botsessions.reader import drive, next_width
from tap_botsessions.settings import given
from tap_botsessions.windows import Window, parse_instant, starting_point

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from singer_sdk import Tap
    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog

    from tap_botsessions.reader import Reading, Taken
    from tap_botsessions.records import Row

_SCHEMAS: SchemaDirectory = SchemaDirectory(resources.files(__package__) / "schemas")

_ROUNDING = timedelta(seconds=2)
"""How far a record may lie outside of the range that was asked for."""


class BotStream(Stream):
    """A stream that is read bot by bot, each with a bookmark of its own.

    A leaf says what it is by its class attributes and how a window is read by `take`.

    Attributes:
        bot_key: The column that holds the bot's id, and the key of its state.
        bots: The ids of the bots to read.
        failures: Where the bots that failed are put down, a line each.
    """

    bot_key: ClassVar[str]

    # The columns' conversions have typed the records already.
    TYPE_CONFORMANCE_LEVEL = TypeConformanceLevel.NONE

    def __init__(
        self,
        tap: Tap,
        bots: Sequence[str],
        failures: list[str],
    ) -> None:
        """Prepare to read bots.

        Args:
            tap: The tap.
            bots: The ids of the bots to read.
            failures: Where the bots that failed are put down, a line each.
        """
        super().__init__(tap, schema=_SCHEMAS.get_schema(self.name))
        self.bots = bots
        self.failures = failures
        self.run_start = datetime.fromtimestamp(tap.initialized_at // 1000, UTC)

    @abstractmethod
    def take(
        self,
        bot: str,
        window: Window,
        seen: dict[tuple[str, ...], Row],
    ) -> Reading:
        """Read a window of a bot whole, or a leading part of it."""

    def to_bookmark(self, instant: datetime) -> str | int:
        """The bookmark of a bot whose records before an instant have all been read."""
        raise NotImplementedError

    def from_bookmark(self, value: object) -> datetime:
        """The instant from which a bot with this bookmark is read on.

        Raises:
            ValueError: It is no bookmark.
        """
        return parse_instant(value)

    @property
    @override
    def partitions(self) -> list[dict[str, str]]:
        return [{self.bot_key: bot} for bot in self.bots]

    @property
    @override
    def is_sorted(self) -> bool:
        return True

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        bot = (context or {})[self.bot_key]
        try:
            span = self._span(context)
            self.logger.info("%s: reading %s", self.what(bot), span)
            for row in self.revisit(bot):
                yield row.record
            for taken in self.read(bot, span):
                for row in taken.rows:
                    yield row.record
                self._checkpoint(context, taken.window.end)
        except BotError as error:
            line = f"{self.what(bot)}: {error}"
            if self.ABORT_AT_RECORD_COUNT is not None:
                raise BotError(line) from error
            self.logger.error("%s", line)  # noqa: TRY400 -- a line for people
            self.failures.append(line)

    def read(self, bot: str, span: Window) -> Iterator[Taken]:
        """Read a range of a bot window by window, as wide as its density allows."""
        widest = max(timedelta(days=self.config["window_days"]), timedelta(seconds=1))
        width = widest
        start = span.start
        seen: dict[tuple[str, ...], Row] = {}
        while start < span.end:
            asked = Window(start, min(start + width, span.end))
            taken = drive(self.take(bot, asked, seen))
            yield taken
            width = next_width(taken, asked, widest)
            start = taken.window.end
            seen = taken.beyond

    def revisit(self, bot: str) -> Iterable[Row]:  # noqa: ARG002 -- for leaves
        """Read records again by other means than their time, before the windows."""
        return ()

    def what(self, bot: str) -> str:
        """The stream and the bot, for messages."""
        return f"{self.name}, {self.bot_key.removesuffix('_id')} {bot}"

    @staticmethod
    def hold_to(window: Window, rows: Iterable[Row]) -> None:
        """Hold rows against the range that was asked for.

        Avaamo removed parameters by which its lists were filtered once and may ignore
        them (release notes, Atlas 8): an answer to another question must not pass for
        an answer to this one.

        Raises:
            IncompleteError: A row lies outside.
        """
        start, end = window.start - _ROUNDING, window.end + _ROUNDING
        for row in rows:
            if not start <= row.time <= end:
                msg = (
                    f"{window}: the server sent a record of another time, so it does "
                    f"not filter as documented; nothing of this window is emitted"
                )
                raise IncompleteError(msg)

    def _span(self, context: Context | None) -> Window:
        """The range of a bot that this run reads."""
        start = starting_point(
            parse_instant(self.config["start_date"]),
            self._bookmark(context),
            timedelta(hours=self.config["lookback_hours"]),
        )
        end = self.run_start
        if given(self.config, "end_date"):
            end = min(end, parse_instant(self.config["end_date"]))
        return Window(start, max(start, end))

    def _bookmark(self, context: Context | None) -> datetime | None:
        state = self.get_context_state(context)
        if (
            self.replication_method == REPLICATION_FULL_TABLE
            or state.get("replication_key") != self.replication_key
            or state.get("replication_key_value") is None
        ):
            return None
        try:
            return self.from_bookmark(state["replication_key_value"])
        except ValueError as error:
            msg = (
                f"the bookmark in the state is no {self.replication_key}; mend or "
                f"clear the state"
            )
            raise BookmarkError(msg) from error

    def _checkpoint(self, context: Context | None, end: datetime) -> None:
        """Move a bot's bookmark on to the end of a window, and write the state.

        The SDK moves bookmarks by records and has no public way to move one by the end
        of a window; the two private names that this takes stand here and below. In
        BATCH mode the records leave later, and the SDK writes the state after them.
        """
        if self.replication_method == REPLICATION_FULL_TABLE:
            return
        bookmark = self._bookmark(context)
        if bookmark is None or bookmark < end:
            state = self.get_context_state(context)
            state["replication_key"] = self.replication_key
            state["replication_key_value"] = self.to_bookmark(end)
            self.state_manager.is_flushed = False
        if not self.get_batch_config(self.config):
            self._write_state_message()

    @override
    def _increment_stream_state(
        self,
        latest_record: Record,
        *,
        context: Context | None = None,
    ) -> None:
        """Leave the bookmark: it moves by windows."""

    @override
    def compare_start_date(self, value: str, start_date_value: str) -> str:
        """Leave it to `starting_point`, which can read every kind of bookmark."""
        return value

    @override
    def get_replication_key_signpost(self, context: Context | None = None) -> None:
        """None: a bookmark is never taken from a record, so it needs no bound."""

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the selection from a catalog; the replication key is not its to say."""
        replication_key = self.replication_key
        super().apply_catalog(catalog)
        self.replication_key = replication_key
