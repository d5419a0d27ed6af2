"""Avaamo's queries, transcripts and feedback: as listed, and as a tap emits them.

All of them are of the messages that messages.json lists. Sources: the pages "Query
insights", "Get messages" and "Feedback".
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from simulator.avaamo.records import (
    USERS,
    created_at,
    dice_of,
    draw_messages,
    message,
)
from simulator.draws import dice, uuid
from simulator.emitted import instant, storable
from simulator.timeline import DAY, LATE, SECOND, Day, Row

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.parameters import Parameters

_SIDES = 4
"""Drawn rows of a transcript are numbered so far apart by their messages."""

_OUTGOING, _LATER = 1, 2
"""Whether it is the answer, and whether that came later."""

_PAUSE = 5 * SECOND
"""From a message to its answer."""

_COMMENTS = ("", "Thanks, that helped!", "no 😡", None)


def draw_transcripts(parameters: Parameters, agent: str, day: int) -> Day:
    """Return both sides of an agent's day: an answer after each message."""
    messages = draw_messages(parameters, agent, day)
    last = (day + 1) * DAY - 1
    rows = []
    for at, number, kind, seen in zip(*messages, strict=True):
        rows.append((at, number * _SIDES, kind, seen))
        is_later = at + _PAUSE <= last
        answer = number * _SIDES + _OUTGOING + _LATER * is_later
        delay = _PAUSE * is_later
        rows.append((at + delay, answer, kind, seen + delay))
    return _day(rows)


def draw_feedback(parameters: Parameters, agent: str, day: int) -> Day:
    """Return the feedback of an agent's day: on every third message."""
    messages = draw_messages(parameters, agent, day)
    return _day(row for row in zip(*messages, strict=True) if row[1] % 3 == 0)


def _day(rows: Iterable[tuple[int, ...]]) -> Day:
    return Day.of(*([*column] for column in zip(*sorted(rows), strict=True)))


def query(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a query as query_insights.json lists it."""
    of = _message(parameters, row, row.number)
    random = dice_of(parameters.seed, row)
    return {
        "id": random.getrandbits(50),
        "channel": {"id": 7, "name": of["channel_name"], "type": "web"},
        "user": {"id": row.number % USERS, "display_name": "Ana Query"},
        "user_query": of["content"],
        "intent_name": of["intent_name"],
        "intent_type": of["intent_type"],
        "node_key": "1.2",
        "detected_language": random.choice(("en-US", "de-DE", None)),
        "created_at": of["created_at"],
        "conversation_uuid": _conversation(parameters.seed, row, row.number),
        "message_uuid": of["message_uuid"],
        "skill": {"id": 12, "name": "orders"},
        "tags": random.choice(([], [{"id": 3, "name": "vip"}])),
        "insights": {"original_text": of["content"], "entities": [], "negation": False},
    }


def transcript(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a message of either side as /v1/messages.json lists it."""
    number, side = divmod(row.number, _SIDES)
    if row.number >= LATE:
        number, side = row.number, row.number & _OUTGOING
    delay = _PAUSE * (side == _OUTGOING + _LATER)
    asked = row._replace(at=row.at - delay)
    of = _message(parameters, asked, number)
    conversation = _conversation(parameters.seed, row, number)
    is_answer = bool(side & _OUTGOING)
    random = dice_of(parameters.seed, row)
    own = uuid(random) if is_answer else of["message_uuid"]
    return {
        "uuid": own,
        "content": f"Answer to: {of['content']}" if is_answer else of["content"],
        "content_type": random.choice(("text", "card")) if is_answer else "text",
        "created_at": created_at(random, row.at),
        "timetoken": row.at * 1000,
        "user": {
            "first_name": of["user"]["first_name"],
            "last_name": "Transcript",
            "layer_id": of["user"].get("layer_id"),
            "email": f"user-{number % USERS}@example.com",
            "phone": None,
            "avaamo_id": number % USERS,
        },
        "external_source": None,
        "device_uuid": f"device-{number % USERS}",
        "request_message_uuid": of["message_uuid"] if is_answer else None,
        "sequence": "1/1",
        "custom_properties": {"ticket": f"T-{number}"},
        "agent_message_uuid": None,
        "read_acks": [{"at": parameters.now}],
        "attachments": [] if number % 9 else [{"url": "https://files.example.com/a"}],
        "conversation": {
            "uuid": conversation,
            "mode": "direct",
            "display_name": "Ana Transcript",
            "locale": "en-US",
        },
    }


def feedback(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a feedback as feedbacks.json lists it."""
    of = _message(parameters, row, row.number)
    random = dice_of(parameters.seed, row)
    return {
        "id": random.getrandbits(50),
        "comment": random.choice(_COMMENTS),
        "positive": random.choice((True, True, False)),
        "node_key": "1.2",
        "intent_type": "Q&A Intent",
        "intent_name": of["intent_name"],
        "created_at": of["created_at"],
        "message_uuid": of["message_uuid"],
        "conversation_uuid": _conversation(parameters.seed, row, row.number),
        "skill_name": "orders",
        "bot_replies": random.choice((None, ["Here you are", {"card": "Thanks"}])),
        "user_query": of["content"],
        "user": {
            "display_name": "Ana Feedback",
            "id": row.number % USERS,
            "first_name": "Ana",
            "last_name": "Feedback",
            "uid": f"uid-{row.number % USERS}",
        },
    }


def emitted_query(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a query as a tap must emit it."""
    return _emitted(agent, raw, "id", "query_id") | {
        "user_query": storable(raw["user_query"]),
        "insights": raw["insights"]
        | {"original_text": storable(raw["insights"]["original_text"])},
    }


def emitted_transcript(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a message of either side as a tap must emit it."""
    record = _emitted(agent, raw, "uuid", "message_uuid")
    del record["read_acks"]
    return record | {
        "conversation_uuid": raw["conversation"]["uuid"],
        "content": storable(raw["content"]),
    }


def emitted_feedback(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a feedback as a tap must emit it."""
    replies = raw["bot_replies"]
    return _emitted(agent, raw, "id", "feedback_id") | {
        "user_query": storable(raw["user_query"]),
        "bot_replies": None
        if replies is None
        else '["Here you are",{"card":"Thanks"}]',
    }


def _emitted(
    agent: str, raw: dict[str, Any], identity: str, column: str
) -> dict[str, Any]:
    return {
        **{name: value for name, value in raw.items() if name != identity},
        "agent_id": agent,
        column: raw[identity],
        "created_at": instant(raw["created_at"]),
        "timetoken": raw["created_at"],
        "additional_fields": None,
    }


def _message(parameters: Parameters, row: Row, number: int) -> dict[str, Any]:
    """Return the message that a row is about, as messages.json lists it."""
    of = Row("avaamo_messages", row.bot, row.at, number, row.kind)
    return message(parameters, of)


def _conversation(seed: int, row: Row, number: int) -> str:
    """Return the conversation of a user and a day."""
    key = (row.bot, "conversation", row.at // DAY, number % USERS)
    return uuid(dice(seed, *key))
