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
from simulator.avaamo import talks, usage
from simulator.kore import bots as kore_bots
from simulator.kore import records as kore
from simulator.kore import talks as kore_talks

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
        path: Its path; `{bot}` stands for the agent or bot.
        about: What a record is, for people.
        changes: What of a record may change after it was read, for people.
        key: The columns of the key; the first one is the agent or bot.
        replication_key: The column that bookmarks are of; None: there are none.
        bookmark: The form of a bookmark: epoch seconds, a day, an instant, or none.
        time: The column of the instant that a record is of.
        is_selected: Whether it is read unless a catalog says otherwise.
    """

    name: str
    vendor: Vendor
    endpoint: str
    path: str
    about: str
    changes: str
    key: tuple[str, ...]
    replication_key: str | None
    bookmark: Literal["seconds", "date", "date-time", "none"]
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
        field: The field of an answer that holds the records.
        form: The parameters of a range and their unit, of Avaamo's: the unit is that of
            the options if there is none.
        default_days: How far back a list goes without a range, of Avaamo's; None: to
            the beginning.
        needs_own_token: Whether it is asked for by the token of the agent itself.
        draw: Draws a day of a bot, counted from the epoch.
        record: Makes the vendor's record of a row, as it stands now.
        emitted: Makes a tap's record of a bot and the vendor's record.
    """

    field: str = "entries"
    form: tuple[str, str, str | None] = ("from_timetoken", "to_timetoken", None)
    default_days: float | None = 3
    needs_own_token: bool = False
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


@dataclass(frozen=True, kw_only=True)
class WholeStream(Stream):
    """A stream with a record for each bot, read as a whole each time.

    Attributes:
        record: Makes the vendor's record of a bot.
        emitted: Makes a tap's record of a bot and the vendor's record.
    """

    record: Callable[[Parameters, str], Record]
    emitted: Callable[[str, Record], Record]

    @override
    def expected(self, bot: str, record: Record, utc_offset: int = 0) -> Record:
        return self.emitted(bot, record)


_LISTS = (
    ListStream(
        name="avaamo_messages",
        vendor="avaamo",
        endpoint="messages",
        path="/bots/analytics/{bot}/messages.json",
        about="a message of a user, with the intent it was matched to",
        changes="Nothing that is known.",
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
        path="/bots/analytics/{bot}/sessions.json",
        about="a user's session with an agent",
        changes="Nothing that is known.",
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
        field="sessions",
        path="/api/public/bot/{bot}/getSessions",
        about="a session of a bot",
        changes=(
            "All but its start until it is closed: it is followed for "
            "`kore_open_session_days`. What changes of a closed one later, such as "
            "tags, comes in the turn of a sweep."
        ),
        key=("bot_id", "session_id"),
        replication_key="start_time",
        bookmark="date-time",
        time="start_time",
        draw=kore.draw_sessions,
        record=kore.session,
        emitted=kore.emitted_session,
    ),
    ListStream(
        name="kore_messages",
        vendor="kore",
        endpoint="getMessages",
        path="/api/public/bot/{bot}/getMessages",
        field="messages",
        about="a message of a user or of the bot",
        changes=(
            "`status` and `tags` for a while: within the lookback they are read "
            "again, later in the turn of a sweep. Kore.ai can erase messages, which "
            "a sweep finds."
        ),
        key=("bot_id", "message_id"),
        replication_key="created_on",
        bookmark="date-time",
        time="created_on",
        is_selected=False,
        draw=kore_talks.draw_messages,
        record=kore_talks.message,
        emitted=kore_talks.emitted_message,
    ),
    ListStream(
        name="kore_feedback",
        vendor="kore",
        endpoint="getFeedbackSurveyResponses",
        path="/api/public/bot/{bot}/getFeedbackSurveyResponses",
        field="result",
        about="a user's answer to a survey",
        changes="Nothing that is known.",
        key=("bot_id", "feedback_id"),
        replication_key="timestamp",
        bookmark="date-time",
        time="timestamp",
        is_selected=False,
        draw=kore_talks.draw_feedback,
        record=kore_talks.feedback,
        emitted=kore_talks.emitted_feedback,
    ),
    ListStream(
        name="kore_analytics",
        vendor="kore",
        endpoint="getAnalytics",
        path="/api/public/bot/{bot}/getAnalytics",
        field="result",
        about="a message as it was understood, or a task that ran",
        changes=(
            "`pinned` and `custom_tags` whenever somebody changes them; beyond the "
            "lookback they come in the turn of a sweep."
        ),
        key=("bot_id", "type", "analytics_id"),
        replication_key="timestamp",
        bookmark="date-time",
        time="timestamp",
        is_selected=False,
        draw=kore_talks.draw_analytics,
        record=kore_talks.analytics,
        emitted=kore_talks.emitted_analytics,
    ),
    ListStream(
        name="avaamo_queries",
        vendor="avaamo",
        endpoint="query_insights",
        path="/api/v1/agents/{bot}/query_insights.json",
        field="queries",
        form=("start_time", "end_time", "microseconds"),
        default_days=None,
        about="a query of a user, with its conversation",
        changes=(
            "`tags` whenever somebody changes them; beyond the lookback they "
            "come in the turn of a sweep."
        ),
        key=("agent_id", "query_id"),
        replication_key="timetoken",
        bookmark="seconds",
        time="created_at",
        is_selected=False,
        draw=avaamo.draw_messages,
        record=talks.query,
        emitted=talks.emitted_query,
    ),
    ListStream(
        name="avaamo_transcripts",
        vendor="avaamo",
        endpoint="transcripts",
        path="/v1/messages.json",
        form=("from_timetoken", "to_timetoken", "seconds"),
        default_days=None,
        needs_own_token=True,
        about="a message of a user or of the agent",
        changes=(
            "Who has read a message, which is left out. `custom_properties` beyond "
            "the lookback come in the turn of a sweep."
        ),
        key=("agent_id", "message_uuid"),
        replication_key="timetoken",
        bookmark="seconds",
        time="created_at",
        is_selected=False,
        draw=talks.draw_transcripts,
        record=talks.transcript,
        emitted=talks.emitted_transcript,
    ),
    ListStream(
        name="avaamo_feedback",
        vendor="avaamo",
        endpoint="feedbacks",
        path="/dashboard/bots/{bot}/feedbacks.json",
        field="feedbacks",
        form=("since_timetoken", "timetoken", "seconds"),
        default_days=4,
        about="a user's thumb up or down, with its comment",
        changes=(
            "Whether a user who changes a thumb makes a new record is not "
            "documented; a change beyond the lookback comes in the turn of a sweep."
        ),
        key=("agent_id", "feedback_id"),
        replication_key="timetoken",
        bookmark="seconds",
        time="created_at",
        is_selected=False,
        draw=talks.draw_feedback,
        record=talks.feedback,
        emitted=talks.emitted_feedback,
    ),
)
_DAILY = (
    DailyStream(
        name="avaamo_usage",
        vendor="avaamo",
        endpoint="usage",
        path="/bots/analytics/{bot}/usage.json",
        about="an agent's figures of a calendar day",
        changes=(
            "A day's figures until it is over, and where messages come late: days "
            "within the lookback are read again, others in the turn of a sweep."
        ),
        key=("agent_id", "date"),
        replication_key="date",
        bookmark="date",
        time="start_time",
        days=usage.daily_usage,
        emitted=usage.emitted_usage,
    ),
)

_WHOLE = (
    WholeStream(
        name="kore_bots",
        vendor="kore",
        endpoint="bots",
        path="/api/public/bots",
        about="a bot of the account",
        changes=(
            "All of it; all of it is read each time. A bot that is gone stays in "
            "the warehouse."
        ),
        key=("bot_id",),
        replication_key=None,
        bookmark="none",
        time="created_on",
        is_selected=False,
        record=kore_bots.bot_record,
        emitted=kore_bots.emitted_bot,
    ),
)

LISTS = {stream.name: stream for stream in _LISTS}
DAILY = {stream.name: stream for stream in _DAILY}
WHOLE = {stream.name: stream for stream in _WHOLE}
STREAMS: dict[str, Stream] = dict(sorted((LISTS | DAILY | WHOLE).items()))
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
