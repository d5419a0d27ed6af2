"""What Kore.ai says twice.

Source: Kore.ai XO Platform documentation, the pages Sessions History API, Conversation
History API and User Engagement Trend.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from tap_botsessions.engine.comparison import Compared, Comparison, Difference, counted
from tap_botsessions.engine.pages import Fetch, Page, WindowResult
from tap_botsessions.engine.records import Row, integer, sequence
from tap_botsessions.engine.transport import Request
from tap_botsessions.engine.windows import Window, parse_instant
from tap_botsessions.vendors.kore.lists import KoreListStream
from tap_botsessions.vendors.kore.ranges import time_range

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from tap_botsessions.engine.comparison import Found
    from tap_botsessions.engine.pages import Reading
    from tap_botsessions.engine.stream import VendorStream

_WITHOUT_TASKS = (
    "getMessagesV2 leaves out the messages of alert and action tasks, which sessions "
    "count; kore_messages_api: v1 has them"
)

_AFTER = timedelta(hours=1)
"""So much later than its session ends, a message may be of."""

_MAX_ASKED = 200
"""Sessions of a bot that version 1 is asked for, which has the messages of tasks."""


@dataclass(frozen=True)
class MessagesOfSessions(Comparison):
    """The messages of each session that is closed, against its own count.

    Attributes:
        messages: The stream of messages.
        lacks_tasks: Whether the messages of some tasks are not listed.
    """

    messages: KoreListStream
    lacks_tasks: bool
    name: ClassVar[str] = "messages by session"
    reads: ClassVar[Mapping[str, Sequence[str]]] = {
        "kore_sessions": (
            *("session_id", "start_time", "end_time", "session_status"),
            *("channel", "no_of_messages_exchanged"),
        ),
        "kore_messages": ("session_id", "message_id"),
    }

    @override
    def ask(self, bot: str, window: Window, found: Found) -> Reading | None:
        """Ask version 1, which has all messages, for sessions that lack some."""
        lacking = self._lacking(window, found)[:_MAX_ASKED] if self.lacks_tasks else []
        return self._ask(bot, lacking) if lacking else None

    def _ask(self, bot: str, sessions: Sequence[Mapping[str, Any]]) -> Reading:
        pages = yield [self._count(bot, session) for session in sessions]
        return WindowResult(None, [row for page in pages for row in page.rows])

    def _count(self, bot: str, session: Mapping[str, Any]) -> Fetch:
        start = parse_instant(session["start_time"])
        end = parse_instant(session["end_time"])
        body = {
            "sessionId": [session["session_id"]],
            "channelType": session["channel"],
            **time_range(start, min(end + _AFTER, start + timedelta(days=6))),
            "skip": 0,
            "limit": 1,
        }
        stream = self.messages
        request = Request(
            "POST",
            f"/api/public/bot/{quote(bot, safe='')}/getMessages",
            stream.account.token(bot),
            body={name: value for name, value in body.items() if value is not None},
            no_content={"total": 0},
            needs=stream.scope,
        )
        parse = partial(_total, bot, session["session_id"])
        send = partial(stream.transport.send, request, parse)
        return Fetch(send, stream.budget(bot), stream.label(bot))

    def _lacking(self, window: Window, found: Found) -> list[Mapping[str, Any]]:
        messages = Counter(each["session_id"] for each in found["kore_messages"])
        return [
            each
            for each in found["kore_sessions"]
            if _is_over(each, window)
            and messages[each["session_id"]] < (each["no_of_messages_exchanged"] or 0)
        ]

    @override
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        messages = Counter(each["session_id"] for each in found["kore_messages"])
        sessions = [each for each in found["kore_sessions"] if _is_over(each, window)]
        with_tasks = {each["session_id"]: each["messages"] for each in told}
        unasked = dict.fromkeys(
            (each["session_id"] for each in self._lacking(window, found)[_MAX_ASKED:]),
            f" (version 1 was asked for {_MAX_ASKED} others only)",
        )
        differences = [
            Difference(
                f"session {each['session_id']}{unasked.get(each['session_id'], '')}",
                said,
                came,
                known=_WITHOUT_TASKS
                if with_tasks.get(each["session_id"]) == said
                else None,
            )
            for each in sessions
            if (said := each["no_of_messages_exchanged"]) is not None
            and (came := messages[each["session_id"]]) != said
        ]
        known = {each["session_id"] for each in found["kore_sessions"]}
        differences += [
            Difference(f"session {name}, which is not listed", 0, number)
            for name, number in messages.items()
            if name is not None and name not in known and _is_new(name, window)
        ]
        return Compared(len(sessions), differences)


def _total(bot: str, session_id: str, body: Mapping[str, Any]) -> Page:
    record = {"session_id": session_id, "messages": integer(body["total"])}
    row = Row((session_id,), datetime.fromtimestamp(0, UTC), record, bot)
    return Page([row], 1, 1, more=False, next_position=0)


def _is_over(session: Mapping[str, Any], window: Window) -> bool:
    """Whether all of a session's messages lie in a window."""
    end = session["end_time"]
    is_closed = (session["session_status"] or "closed").casefold() == "closed"
    return is_closed and end is not None and parse_instant(end) < window.end


def _is_new(session_id: str, window: Window) -> bool:
    """Whether a session began in a window, by the time that its id begins with.

    An id may have been given up to ten minutes after the start, as was seen.
    """
    try:
        time = parse_instant(int(session_id[:8], 16))
    except (OverflowError, ValueError):
        return False
    return window.start + timedelta(minutes=10) <= time < window.end


@dataclass(frozen=True)
class UsersByDay(Comparison):
    """The users of each day's sessions, against the trend of user engagement.

    Attributes:
        sessions: The stream of sessions, by whose app the trend is asked for.
    """

    sessions: KoreListStream
    name: ClassVar[str] = "users by day"
    reads: ClassVar[Mapping[str, Sequence[str]]] = {
        "kore_sessions": ("start_time", "user_id")
    }

    @override
    def window(self, window: Window) -> Window:
        return whole_days(window)

    @override
    def ask(self, bot: str, window: Window, found: Found) -> Reading:
        last = window.end - timedelta(days=1)
        request = Request(
            "POST",
            f"/api/public/bot/{quote(bot, safe='')}/v2/userEngagementTrend",
            self.sessions.account.token(bot),
            {
                "aggregation_type": "daily",
                "start_date": f"{window.start:%Y-%m-%d}",
                "end_date": f"{last:%Y-%m-%d}",
                "timeZoneOffset": "UTC",
            },
            {},
            needs="Metrics",
        )
        send = partial(self.sessions.transport.send, request, partial(_trend, bot))
        fetch = Fetch(send, self.sessions.budget(bot), self.sessions.label(bot))
        [page] = yield [fetch]
        return WindowResult(None, page.rows)

    @override
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        users = defaultdict(set)
        for each in found["kore_sessions"]:
            if each["user_id"] is not None:
                users[each["start_time"][:10]].add(each["user_id"])
        came = {day: len(names) for day, names in users.items()}
        said = {each["date"]: each["users"] for each in told}
        days = window.width // timedelta(days=1)
        return Compared(days, list(counted(said, came, "day")))


def _trend(bot: str, body: Mapping[str, Any]) -> Page:
    rows = []
    for each in sequence(body["trends"]):
        day = datetime.strptime(each["date"], "%b %d %Y").date()  # noqa: DTZ007 -- a day
        date = day.isoformat()
        record = {"date": date, "users": integer(each["users"])}
        rows.append(Row((date,), parse_instant(date), record, bot))
    return Page(rows, len(rows), len(rows), more=False, next_position=0)


def whole_days(window: Window) -> Window:
    """The days of UTC that a window holds all of; one without time if none."""
    day = timedelta(days=1)
    start = window.start.replace(hour=0, minute=0, second=0, microsecond=0)
    if start < window.start:
        start += day
    end = window.end.replace(hour=0, minute=0, second=0, microsecond=0)
    return Window(start, max(start, end))


def comparisons(streams: Mapping[str, VendorStream]) -> Iterator[Comparison]:
    """What can be compared."""
    sessions = streams["kore_sessions"]
    is_v1 = sessions.config["kore_messages_api"] == "v1" or sessions.is_shared
    messages = streams["kore_messages"]
    if isinstance(messages, KoreListStream):
        yield MessagesOfSessions(messages, lacks_tasks=not is_v1)
    if isinstance(sessions, KoreListStream):
        yield UsersByDay(sessions)
