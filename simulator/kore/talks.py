"""Kore's messages, feedback and analytics: as it lists them, and as a tap emits them.

All of them are of the sessions that getSessions lists. Sources: the pages "Conversation
History", "Get Feedback Survey Responses" and "Get Analytics".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.draws import dice, uuid
from simulator.kore.numbering import numbered, session_of, sessions_of
from simulator.kore.records import Life, channel_of, iso, version_of
from simulator.timeline import DAY, HOUR, MINUTE, SECOND, Day, Row

if TYPE_CHECKING:
    from simulator.parameters import Parameters

TYPES = (
    "successintent",
    "failintent",
    "successtask",
    "failtask",
    "performance",
    "unhandledutterance",
)
"""The lists of getAnalytics; an id begins with the place of its list."""

KINDS = (1, 2, 0)
"""The kinds of messages, `ms`: text, and those of tasks, actions and alerts."""

_TYPE_WEIGHTS = (40, 10, 20, 5, 15, 10)
_SURVEYS = (("NPS", 10), ("CSAT", 5), ("Like/Dislike", 1))
_TEXTS = (
    "Where is my order?",
    "It is on its way 🚚",
    '{"type":"template","payload":{"text":"Choose one"}}',
    "<b>&amp;</b>",
    "",
)


def draw_messages(parameters: Parameters, bot: str, day: int) -> Day:
    """Return the messages of a bot's day, of its sessions and those of the day before.

    They are seconds apart, so that no second holds more than a few.
    """
    random = dice(parameters.seed, "kore_messages", bot, day)
    rows = sorted(
        (row.at + place * _step(whole), numbered(row, ago, place))
        for ago in (0, 1)
        for row, whole in sessions_of(parameters, bot, day - ago)
        for place in range(whole.messages)
        if (row.at + place * _step(whole)) // DAY == day
    )
    share = parameters.task_messages
    weights = (1 - share, share / 2, share / 2)
    return Day.drawn_late(
        random,
        [at for at, _ in rows],
        [number for _, number in rows],
        random.choices(range(len(KINDS)), weights, k=len(rows)),
        parameters.late_fraction,
    )


def _step(whole: Life) -> int:
    """Return the time between two messages of a session."""
    return max(min(whole.length, 12 * HOUR) // whole.messages, 5 * SECOND)


def draw_feedback(parameters: Parameters, bot: str, day: int) -> Day:
    """Return the feedback of a bot's day: at the end of every other session."""
    random = dice(parameters.seed, "kore_feedback", bot, day)
    last = (day + 1) * DAY - 1
    rows = sorted(
        (min(row.at + whole.length, last), row.number)
        for row, whole in sessions_of(parameters, bot, day)
        if row.number % 2 == 0
    )
    return Day.drawn_late(
        random,
        [at for at, _ in rows],
        [number for _, number in rows],
        [number // 2 % len(_SURVEYS) for _, number in rows],
        parameters.late_fraction,
    )


def draw_analytics(parameters: Parameters, bot: str, day: int) -> Day:
    """Return the analytics of a bot's day: one for each message of a user."""
    messages = draw_messages(parameters, bot, day)
    random = dice(parameters.seed, "kore_analytics", bot, day)
    rows = [
        (at, number)
        for at, number in zip(messages.at, messages.number, strict=True)
        if not number % 2
    ]
    return Day.drawn_late(
        random,
        [at for at, _ in rows],
        [number for _, number in rows],
        random.choices(range(len(TYPES)), _TYPE_WEIGHTS, k=len(rows)),
        parameters.late_fraction,
    )


def channel(parameters: Parameters, row: Row) -> str:
    """Return the channel that a row is of."""
    return channel_of(session_of(parameters, row).life, parameters.kore_version)


def message(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a message as getMessages lists it now."""
    whole = session_of(parameters, row).life
    random = dice(parameters.seed, row.stream, row.bot, row.at, row.number)
    name = "channel" if version_of(whole, parameters.kore_version) == "2025" else "chnl"
    used = channel_of(whole, parameters.kore_version)
    is_pending = parameters.clock < row.at + parameters.pending_minutes * MINUTE
    written = random.choice(_TEXTS)
    return {
        "_id": f"ms-{uuid(random)}",
        "type": "outgoing" if row.number % 2 else "incoming",
        "status": "pending" if is_pending else "delivered",
        "createdBy": whole.user_id,
        "createdOn": iso(row.at),
        "lmodifiedOn": iso(row.at),
        "lmodifiedBy": whole.user_id,
        "timestampValue": row.at + 14,
        "botId": row.bot,
        "orgId": "o-simulated",
        "accountId": "simulated",
        "sessionId": whole.session_id,
        name: used,
        "lang": "en",
        "isBB": False,
        "isD": random.choice((0, 1, False)),
        "ms": KINDS[row.kind],
        "sT": "s",
        "__v": 0,
        "resourceid": "messages",
        "cluster_id": "1",
        "channels": [{"type": used, "channelUId": f"{whole.user_id}@example.com"}],
        "components": [
            {"_id": "cp-1", "cT": "text", "data": {"text": written}, "thumbnails": []},
            *([{"cT": "image", "data": {"url": "x"}}] if row.number % 7 == 0 else []),
        ],
        "tags": {"messageTags": [], "userTags": [], "sessionTags": []},
        "traceId": f"trace-{random.getrandbits(32):08x}",
    }


def feedback(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return an answer to a survey as getFeedbackSurveyResponses lists it."""
    whole = session_of(parameters, row).life
    random = dice(parameters.seed, row.stream, row.bot, row.at, row.number)
    survey, best = _SURVEYS[row.kind]
    return {
        "_id": f"{random.getrandbits(96):024x}",
        "surveyName": f"After the talk, {survey}",
        "surveyType": survey,
        "userId": whole.user_id,
        "channelUId": f"{whole.user_id}@example.com",
        "sessionId": whole.session_id,
        "channel": channel_of(whole, parameters.kore_version),
        "language": "en",
        "score": random.randint(0, best),
        "comments": random.choice((None, "", "Splendid service")),
        "timestamp": iso(row.at),
    }


def analytics(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a record as getAnalytics lists it."""
    whole = session_of(parameters, row).life
    random = dice(parameters.seed, row.stream, row.bot, row.at, row.number)
    of = message(parameters, row._replace(stream="kore_messages", kind=0))
    more: dict[str, Any] = {}
    if TYPES[row.kind] == "performance":
        status = random.choice((200, "500"))
        more = {"type": "script", "status": "ok", "statusCode": status}
        more["responseTime"] = random.randrange(900)
    return more | {
        "_id": f"{row.kind}{random.getrandbits(92):023x}",
        "messageId": of["_id"],
        "sessionId": whole.session_id,
        "utterance": of["components"][0]["data"]["text"],
        "intent": random.choice(("order status", None)),
        "userId": whole.user_id,
        "channelUId": f"{whole.user_id}@example.com",
        "language": "en",
        "timestamp": iso(row.at),
        "pinned": False,
        "channel": channel_of(whole, parameters.kore_version),
        "winningIntent": ["order status"],
        "isAmbiguous": random.choice((True, False, 0)),
        "ambiguousIntents": [],
        "taskName": "Order status",
        "taskId": "dg-simulated",
        "flow": [],
        "koralogstatusId": "kl-1",
        "customTags": {"userTags": [], "sessionTags": [], "messageTags": []},
        "NLAnalysis": {
            "debugTitle": "Order status",
            "result": "failintent",
            "reason": {"cause": "no match", "causeId": "C1", "text": "Where is it?"},
            "iv": "initialisation-vector",
            "cek": "wrapped-key-material",
            "nlProcess": {"deep": [{"input": "Where is it?"}]},
        },
    }


_MESSAGE = {
    "_id": "message_id",
    "createdOn": "created_on",
    "sessionId": "session_id",
    "type": "type",
    "status": "status",
    "createdBy": "user_id",
    "lang": "language",
    "lmodifiedOn": "last_modified_on",
    "components": "components",
    "channels": "channels",
    "tags": "tags",
    "ms": "message_kind",
    "traceId": "trace_id",
}
_FEEDBACK = {
    "_id": "feedback_id",
    "sessionId": "session_id",
    "surveyName": "survey_name",
    "surveyType": "survey_type",
    "score": "score",
    "comments": "comments",
    "userId": "user_id",
    "channelUId": "channel_user_id",
    "channel": "channel",
    "language": "language",
    "timestamp": "timestamp",
}
_ANALYTICS = {
    "_id": "analytics_id",
    "messageId": "message_id",
    "sessionId": "session_id",
    "utterance": "utterance",
    "intent": "intent",
    "winningIntent": "winning_intents",
    "ambiguousIntents": "ambiguous_intents",
    "taskId": "task_id",
    "taskName": "task_name",
    "nodeName": "node_name",
    "flow": "flow",
    "promptType": "prompt_type",
    "type": "performance_type",
    "status": "status",
    "responseTime": "response_time",
    "userId": "user_id",
    "channelUId": "channel_user_id",
    "channel": "channel",
    "language": "language",
    "pinned": "pinned",
    "customTags": "custom_tags",
    "timestamp": "timestamp",
}


def emitted_message(bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a message as a tap must emit it."""
    return _emitted(bot, raw, _MESSAGE, "created_on", "last_modified_on") | {
        "channel": raw.get("chnl", raw.get("channel")),
        "is_developer": bool(raw["isD"]),
        "text": raw["components"][0]["data"]["text"],
    }


def emitted_feedback(bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return an answer to a survey as a tap must emit it."""
    return _emitted(bot, raw, _FEEDBACK, "timestamp")


def emitted_analytics(bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a record of an analytics list as a tap must emit it."""
    analysis, status = raw["NLAnalysis"], raw.get("statusCode")
    reason = analysis["reason"]
    return _emitted(bot, raw, _ANALYTICS, "timestamp") | {
        "type": TYPES[int(raw["_id"][0])],
        "is_ambiguous": bool(raw["isAmbiguous"]),
        "status_code": None if status is None else str(status),
        "nl_analysis": {
            "debugTitle": analysis["debugTitle"],
            "result": analysis["result"],
            "reason": {name: reason[name] for name in ("cause", "causeId")},
        },
    }


def _emitted(
    bot: str, raw: dict[str, Any], columns: dict[str, str], *times: str
) -> dict[str, Any]:
    record = {column: raw.get(name) for name, column in columns.items()}
    for name in times:
        record[name] = str(record[name]).replace(".000Z", "Z")
    return record | {"bot_id": bot, "additional_fields": None}
