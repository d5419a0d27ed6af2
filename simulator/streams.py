"""The streams of both vendors, a row each: all that repeats them derives from here.

A tap must emit of each vendor's record what `expected` makes of it. That is worked out
apart from the tap's own code, so that it can show that code to be wrong.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

from typing_extensions import override

from simulator.avaamo import records as avaamo
from simulator.avaamo import usage
from simulator.kore import records as kore

if TYPE_CHECKING:
    from collections.abc import Callable
    from datetime import datetime

    from simulator.avaamo.usage import Lookup
    from simulator.exchange import Vendor
    from simulator.parameters import Parameters
    from simulator.timeline import Day, Row

Record = dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class Stream(ABC):
    """A stream.

    Attributes:
        name: Its name, and that of its table.
        vendor: Whose it is.
        endpoint: The endpoint that serves it, as in `Call.endpoint`.
        about: What a record is, for people.
        key: The columns of the key; the first one is the agent or bot.
        replication_key: The column that bookmarks are of.
        bookmark: The form of a bookmark: epoch seconds, a day, or an instant.
        time: The column of the instant that a record is of.
        is_selected: Whether it is read unless a catalog says otherwise.
    """

    name: str
    vendor: Vendor
    endpoint: str
    about: str
    key: tuple[str, ...]
    replication_key: str
    bookmark: Literal["seconds", "date", "date-time"]
    time: str
    is_selected: bool = True

    @property
    def bot_key(self) -> str:
        """The column of the agent or bot."""
        return self.key[0]

    def key_of(self, record: Record) -> tuple[str, ...]:
        """Return the values of a record's key."""
        return tuple(record[name] for name in self.key)

    @abstractmethod
    def expected(self, bot: str, record: Record, utc_offset: int = 0) -> Record:
        """Return the record that a tap must emit.

        Args:
            bot: The agent or bot.
            record: The vendor's record.
            utc_offset: Seconds east of UTC at which a day begins.
        """


@dataclass(frozen=True, kw_only=True)
class ListStream(Stream):
    """A stream whose records are those of a paged list.

    Attributes:
        draw: Draws a day of a bot, counted from the epoch.
        record: Makes the vendor's record of a row, as it stands now.
        emitted: Makes a tap's record of a bot and the vendor's record.
    """

    draw: Callable[[Parameters, str, int], Day]
    record: Callable[[Parameters, Row], Record]
    emitted: Callable[[str, Record], Record]

    @override
    def expected(self, bot: str, record: Record, utc_offset: int = 0) -> Record:
        return self.emitted(bot, record)


@dataclass(frozen=True, kw_only=True)
class DailyStream(Stream):
    """A stream with a record for each day, counted from lists.

    Attributes:
        days: Makes the vendor's records of a bot, of the days that begin in a range;
            the number is seconds east of UTC.
        emitted: Makes a tap's record of a bot, the vendor's record and those seconds.
    """

    days: Callable[[Lookup, str, datetime, datetime, int], list[Record]]
    emitted: Callable[[str, Record, int], Record]

    @override
    def expected(self, bot: str, record: Record, utc_offset: int = 0) -> Record:
        return self.emitted(bot, record, utc_offset)


_LISTS = (
    ListStream(
        name="avaamo_messages",
        vendor="avaamo",
        endpoint="messages",
        about="a message of a user, with the intent it was matched to",
        key=("agent_id", "message_uuid"),
        replication_key="timetoken",
        bookmark="seconds",
        time="created_at",
        draw=avaamo.draw_messages,
        record=avaamo.message,
        emitted=avaamo.emitted_message,
    ),
    ListStream(
        name="avaamo_sessions",
        vendor="avaamo",
        endpoint="sessions",
        about="a user's session with an agent",
        key=("agent_id", "layer_id", "created_at"),
        replication_key="timetoken",
        bookmark="seconds",
        time="created_at",
        draw=avaamo.draw_sessions,
        record=avaamo.session,
        emitted=avaamo.emitted_session,
    ),
    ListStream(
        name="kore_sessions",
        vendor="kore",
        endpoint="getSessions",
        about="a session of a bot",
        key=("bot_id", "session_id"),
        replication_key="start_time",
        bookmark="date-time",
        time="start_time",
        draw=kore.draw_sessions,
        record=kore.session,
        emitted=kore.emitted_session,
    ),
)
_DAILY = (
    DailyStream(
        name="avaamo_usage",
        vendor="avaamo",
        endpoint="usage",
        about="an agent's figures of a calendar day",
        key=("agent_id", "date"),
        replication_key="date",
        bookmark="date",
        time="start_time",
        days=usage.daily_usage,
        emitted=usage.emitted_usage,
    ),
)

LISTS = {stream.name: stream for stream in _LISTS}
DAILY = {stream.name: stream for stream in _DAILY}
STREAMS: dict[str, Stream] = dict(sorted((LISTS | DAILY).items()))
"""All streams by their names, in the order of these."""


def served_by(vendor: Vendor, endpoint: str) -> Stream:
    """Return the stream of an endpoint.

    Raises:
        KeyError: If there is none.
    """
    for stream in STREAMS.values():
        if (stream.vendor, stream.endpoint) == (vendor, endpoint):
            return stream
    raise KeyError(endpoint)
