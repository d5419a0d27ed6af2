"""A vendor's stream: how its records are asked for, whatever becomes of them.

It knows neither the Singer SDK nor a state. The stream that Singer sees is made of it
by `tap_botsessions.singer.stream`.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import TYPE_CHECKING, Any, ClassVar, NamedTuple, Protocol

from tap_botsessions.engine.listing import MAX_LISTED
from tap_botsessions.engine.personal import Personal
from tap_botsessions.engine.schemas import load_schema
from tap_botsessions.engine.windows import Window, parse_instant, starting_point

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from datetime import timedelta

    from tap_botsessions.engine.errors import BotError
    from tap_botsessions.engine.options import Config, Options
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import (
        Reading,
        Seen,
        WindowResult,
    )
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.transport import Transport

Ids = Mapping[str, datetime | None]
"""Ids of records, each with the time of the record where that is known."""


class Revisits(Protocol):
    """Records that are read again by their ids, beside the windows of their bots."""

    def restore(
        self, bot: str, state: Mapping[str, Any], bookmark: datetime | None
    ) -> None:
        """Learn what the last run left in the state of a bot, and its bookmark.

        Raises:
            BookmarkError: It is not as the tap wrote it.
        """

    def range_start(self, bot: str) -> datetime | None:
        """The instant from which a bot must be read again by time, if there is one."""

    def ids(self, bots: Iterable[str], ranges: Sequence[Window]) -> Ids:
        """What to read by id of bots, beside these ranges."""

    def batches(self, ids: Ids) -> Sequence[Ids]:
        """Divide ids into those that one request asks for."""

    def read(self, bots: Sequence[str], ids: Ids) -> Reading:
        """Read records by their ids, as they are now."""

    def to_emit(self, bot: str, result: WindowResult) -> Iterable[Row]:
        """The rows of a result that are to be emitted; it is noted what they show."""

    def to_state(self, bot: str, end: datetime | None) -> dict[str, Any]:
        """What to keep in the state of a bot.

        Args:
            bot: The bot.
            end: Up to where this run has read all; none as long as it is nowhere.

        Returns:
            Values by their names; null for what has to go.
        """


class SyncRanges(NamedTuple):
    """What a run reads of a bot by time.

    Attributes:
        gaps: What did not add up in an earlier run, and lies in no range.
        ranges: The ranges, in order, none of them empty.
    """

    gaps: Sequence[Window]
    ranges: Sequence[Window]


class VendorStream(ABC):
    """A stream that is read bot by bot, in windows of time.

    Attributes:
        vendor: The vendor's name, for people.
        name: The stream's name.
        bot_key: The column that holds the bot's id, and the key of its state.
        primary_keys: The columns that identify a record.
        replication_key: The column whose values bookmarks are like; none if all of it
            is read each time.
        first_label: What is read without a window, for messages.
        selected_by_default: Whether it is read unless a catalog says otherwise.
        filters: The settings that leave some of its records out.
        options: What the run is asked to do.
        transport: What its requests are made by.
        limits: The bounds that are no settings.
        schema: The JSON schema of its records.
        personal: Protects the personal data of its records.
        revisits: What is read again by its id, if anything.
    """

    vendor: ClassVar[str]
    name: ClassVar[str]
    bot_key: ClassVar[str]
    primary_keys: ClassVar[tuple[str, ...]]
    replication_key: ClassVar[str | None]
    first_label: ClassVar[str] = "nothing"
    selected_by_default: ClassVar[bool] = True
    filters: ClassVar[tuple[str, ...]] = ()

    def __init__(self, options: Options, transport: Transport) -> None:
        """Prepare to read bots.

        Args:
            options: What the run is asked to do.
            transport: What requests are made by.
        """
        self.options = options
        self.transport = transport
        self.limits = options.limits
        self.schema = load_schema(self.name)
        self.personal = Personal(options.config, self.schema)
        self.revisits: Revisits | None = None

    @property
    @abstractmethod
    def bots(self) -> Sequence[str]:
        """The ids of the bots to read."""

    @property
    def bots_error(self) -> BotError | None:
        """Why it can't be known which bots to read, if so."""
        return None

    def find_bots(self, on_tick: Callable[[], None]) -> None:
        """Have the vendor say which bots there are, if the settings ask for that.

        Args:
            on_tick: Called again and again meanwhile.
        """
        del on_tick

    @property
    def config(self) -> Config:
        """The settings."""
        return self.options.config

    @property
    def bot_noun(self) -> str:
        """What the vendor calls a bot."""
        return self.bot_key.removesuffix("_id")

    def label(self, *bots: str) -> str:
        """The stream and the bots, or how many they are, for messages."""
        if not bots:
            return self.name
        if len(bots) > MAX_LISTED:
            return f"{self.name}, {len(bots)} {self.bot_noun}s"
        noun = self.bot_noun if len(bots) == 1 else f"{self.bot_noun}s"
        return f"{self.name}, {noun} {', '.join(bots)}"

    @abstractmethod
    def budget(self, bot: str) -> Budget:
        """What requests for a bot are charged to."""

    def read_first(self, bots: Sequence[str], found: SyncRanges) -> Reading | None:
        """Read what is asked for without a window, before all windows.

        Args:
            bots: One bot, or those of a group of `group_bots`.
            found: What is read of them by time.

        Returns:
            None if there is nothing.
        """
        if self.revisits is None:
            return None
        ids = self.revisits.ids(bots, found.ranges)
        return self.revisits.read(bots, ids) if ids else None

    @abstractmethod
    def read(self, bots: Sequence[str], window: Window, seen: Seen) -> Reading:
        """Read a window of bots whole, or a leading part of it.

        Args:
            bots: One bot, or those of a group of `group_bots`.
            window: The window.
            seen: Rows in the window or after it that were seen before, by key.
        """

    @abstractmethod
    def to_bookmark(self, instant: datetime) -> str | int:
        """The bookmark of a bot whose records before an instant have all been read."""

    def from_bookmark(self, value: object) -> datetime:
        """The instant from which a bot with this bookmark is read on.

        Raises:
            ValueError: It is no bookmark.
        """
        return parse_instant(value)

    def sync_range(self, bot: str, bookmark: datetime | None) -> Window:
        """The range of a bot that this run reads.

        Args:
            bot: The bot.
            bookmark: The instant up to which it has been read, if there is one.
        """
        options = self.options
        start = starting_point(options.start_date, bookmark, options.lookback)
        if self.revisits and (again := self.revisits.range_start(bot)):
            start = min(start, again)
        return Window(start, max(start, options.end))

    def clip_to_clock(self, result: WindowResult) -> WindowResult:
        """A result with no more of its window than the vendor's clock vouches for.

        What lies beyond is yet to be filled, and so is left to the next run.
        """
        clock = self.transport.clock
        clock.report(self.vendor)
        if (window := result.window) is None:
            return result
        now = clock.run_start
        return replace(
            result, window=Window(min(window.start, now), min(window.end, now))
        )

    def ranges(self, sync_range: Window) -> Iterable[Window]:
        """The parts of a range that are read by themselves, none of them empty."""
        return [sync_range] if sync_range.start < sync_range.end else []

    @property
    def max_window(self) -> timedelta:
        """The widest span that is read and checked as a whole."""
        return self.options.max_window

    @property
    def settles_first(self) -> bool:
        """Whether the first window of a bot may settle how the others are read."""
        return False

    @property
    def is_shared(self) -> bool:
        """Whether the vendor serves the records of several bots in one list."""
        return False

    def group_bots(self, ranges: Mapping[str, SyncRanges]) -> list[list[str]]:
        """The bots whose records come by one reading, together.

        Args:
            ranges: What is to be read of each bot.
        """
        return [[bot] for bot in ranges]

    def remarks(self) -> Iterator[str]:
        """Where the vendor answers other than one would think, and what follows."""
        yield from ()
