"""What Avaamo says twice.

Source: Avaamo Platform API documentation, the pages Usage, Messages, User sessions,
Query insights and Feedback.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from datetime import timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from tap_botsessions.engine.comparison import Compared, Comparison, Difference, counted
from tap_botsessions.engine.pages import Fetch, Page, WindowResult
from tap_botsessions.engine.records import Row, boolean, integer, sequence
from tap_botsessions.engine.transport import Request
from tap_botsessions.engine.windows import Window, cut_days, parse_instant
from tap_botsessions.vendors.avaamo.lists import AvaamoStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from datetime import datetime

    from tap_botsessions.engine.comparison import Found
    from tap_botsessions.engine.pages import Reading
    from tap_botsessions.engine.stream import VendorStream

_KINDS = {
    "UNHANDLED::INTENT": "unhandled_messages_count",
    "AMBIGUOUS::INTENT": "ambiguous_messages_count",
}
"""The figure of usage that a message counts for, by its intent's type."""

_COUNTED_OTHERWISE = (
    "Avaamo's own pages count sessions differently, those of usage and of intervention "
    "among them"
)

_BORDER = timedelta(minutes=1)
"""So near to the ends of a range, one list may have what another has not."""


def days_of(window: Window, offset: timedelta) -> Window:
    """The days that a window holds all of; one without time if there is none."""
    whole = [
        day
        for day in cut_days(window, offset)
        if day.start >= window.start and day.width == timedelta(days=1)
    ]
    if not whole:
        return Window(window.start, window.start)
    return Window(whole[0].start, whole[-1].end)


@dataclass(frozen=True)
class MessagesOfUsage(Comparison):
    """The messages of each day by their kinds, against the figures of its usage."""

    offset: timedelta
    name: ClassVar[str] = "messages by day"
    reads: ClassVar[Mapping[str, Sequence[str]]] = {
        "avaamo_messages": ("timetoken", "intent_type"),
        "avaamo_usage": (
            *("date", "messages_count", "unhandled_messages_count"),
            *("ambiguous_messages_count", "successful_responses_count"),
        ),
    }

    @override
    def window(self, window: Window) -> Window:
        return days_of(window, self.offset)

    @override
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        del told
        counts: Counter[str] = Counter()
        for each in found["avaamo_messages"]:
            day = _day(each["timetoken"], self.offset)
            kind = _KINDS.get(each["intent_type"] or "", "successful_responses_count")
            counts.update((f"{day}, messages_count", f"{day}, {kind}"))
        said = {
            f"{usage['date']}, {name}": usage[name] or 0
            for usage in found["avaamo_usage"]
            for name in self.reads["avaamo_usage"][1:]
        }
        days = window.width // timedelta(days=1)
        return Compared(days, list(counted(said, counts, "day")))


@dataclass(frozen=True)
class SessionsOfUsage(Comparison):
    """The sessions of each day, against the figure of its usage."""

    offset: timedelta
    name: ClassVar[str] = "sessions by day"
    reads: ClassVar[Mapping[str, Sequence[str]]] = {
        "avaamo_sessions": ("timetoken",),
        "avaamo_usage": ("date", "session_count"),
    }

    @override
    def window(self, window: Window) -> Window:
        return days_of(window, self.offset)

    @override
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        del told
        came = Counter(
            _day(each["timetoken"], self.offset) for each in found["avaamo_sessions"]
        )
        said = {
            each["date"]: each["session_count"] or 0 for each in found["avaamo_usage"]
        }
        days = window.width // timedelta(days=1)
        return Compared(days, list(counted(said, came, "day", _COUNTED_OTHERWISE)))


@dataclass(frozen=True)
class QueriesOfMessages(Comparison):
    """The queries of messages, against the messages."""

    name: ClassVar[str] = "queries by message"
    reads: ClassVar[Mapping[str, Sequence[str]]] = {
        "avaamo_messages": ("timetoken", "message_uuid"),
        "avaamo_queries": ("timetoken", "message_uuid"),
    }

    @override
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        del told
        messages, queries = (
            {each["message_uuid"]: each["timetoken"] for each in found[name]}
            for name in ("avaamo_messages", "avaamo_queries")
        )
        differences = []
        for words, some, others in (
            ("messages without a query", messages, queries),
            ("queries without a message", queries, messages),
        ):
            lonely = sorted(
                uuid
                for uuid in some.keys() - others.keys()
                if uuid is not None and _is_inside(some[uuid], window)
            )
            if lonely:
                differences.append(Difference(words, 0, len(lonely), lonely))
        return Compared(len(messages.keys() | queries.keys()), differences)


@dataclass(frozen=True)
class FeedbackOfSummary(Comparison):
    """The feedback of some days, against its summary.

    Attributes:
        feedback: The stream, by whose account the summary is asked for.
    """

    feedback: AvaamoStream
    offset: timedelta
    name: ClassVar[str] = "feedback"
    reads: ClassVar[Mapping[str, Sequence[str]]] = {
        "avaamo_feedback": ("timetoken", "positive", "feedback_id")
    }

    @override
    def window(self, window: Window) -> Window:
        return days_of(window, self.offset)

    @override
    def ask(self, bot: str, window: Window, found: Found) -> Reading:
        zone = timezone(self.offset)
        first = window.start.astimezone(zone)
        last = window.end.astimezone(zone) - timedelta(days=1)
        request = Request(
            "GET",
            f"/dashboard/bots/{quote(bot, safe='')}/feedbacks/user_feedbacks.json",
            self.feedback.account.token,
            {
                "from_date": f"{first:%d/%m/%Y}",
                "to_date": f"{last:%d/%m/%Y}",
                "utc_offset": self.feedback.config["avaamo_utc_offset"],
            },
            needs=self.feedback.needs,
        )
        parse = partial(_summary, bot, window.start)
        send = partial(self.feedback.transport.send, request, parse)
        fetch = Fetch(send, self.feedback.budget(bot), self.feedback.label(bot))
        [page] = yield [fetch]
        return WindowResult(None, page.rows)

    @override
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        del window
        feedbacks = found["avaamo_feedback"]
        came = Counter(
            "up" if each["positive"] else "down"
            for each in feedbacks
            if each["positive"] is not None
        )
        said: Counter[str] = Counter()
        for each in told:
            said["up" if each["positive"] else "down"] += each["count"]
        return Compared(len(feedbacks), list(counted(said, came, "thumbs")))


def _summary(bot: str, time: datetime, body: Mapping[str, Any]) -> Page:
    rows: list[Row] = []
    for each in sequence(body["user_feedbacks"]):
        record = {
            "positive": boolean(each["positive"]),
            "count": integer(each["count"]),
        }
        rows.append(Row((str(len(rows)),), time, record, bot))
    return Page(rows, len(rows), len(rows), more=False, next_position=0)


def _day(timetoken: float, offset: timedelta) -> str:
    return parse_instant(timetoken).astimezone(timezone(offset)).date().isoformat()


def _is_inside(timetoken: float, window: Window) -> bool:
    """Whether an instant is not near to the ends of a window."""
    return window.start + _BORDER <= parse_instant(timetoken) < window.end - _BORDER


def comparisons(streams: Mapping[str, VendorStream]) -> Iterator[Comparison]:
    """What can be compared."""
    feedback = streams["avaamo_feedback"]
    offset = timedelta(seconds=feedback.config["avaamo_utc_offset"])
    yield MessagesOfUsage(offset)
    yield SessionsOfUsage(offset)
    yield QueriesOfMessages()
    if isinstance(feedback, AvaamoStream):
        yield FeedbackOfSummary(feedback, offset)
