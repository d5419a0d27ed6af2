"""What the tap must make of the simulator's records, worked out another way."""

from __future__ import annotations

import re
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any, Literal, get_args

if TYPE_CHECKING:
    from simulator import World

Keyed = dict[tuple[str, ...], dict[str, Any]]
Name = Literal["avaamo_messages", "avaamo_sessions", "avaamo_usage", "kore_sessions"]
STREAMS = get_args(Name)
AVAAMO_LISTS: tuple[Name, ...] = ("avaamo_messages", "avaamo_sessions")
LISTS: tuple[Name, ...] = (*AVAAMO_LISTS, "kore_sessions")
"""The streams whose records are those of paged lists."""

KEYS = {
    "avaamo_messages": ("agent_id", "message_uuid"),
    "avaamo_sessions": ("agent_id", "layer_id", "created_at"),
    "avaamo_usage": ("agent_id", "date"),
    "kore_sessions": ("bot_id", "session_id"),
    "sync_windows": ("run_id", "number"),
}


def expected(world: World, stream: Name, start: datetime, end: datetime) -> Keyed:
    """Every record of a range, of all bots, by key."""
    bots = world.bots if stream == "kore_sessions" else world.agents
    records = [
        made(stream, bot, raw)
        for bot in bots
        for raw in world.truth(stream, bot, start, end)
    ]
    return {key_of(stream, record): record for record in records}


def made(stream: str, bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The record that a vendor's record of a bot makes."""
    return _MAKERS[stream](bot, raw)


def assert_same(found: Keyed, truth: Keyed) -> None:
    """Hold records against the truth; of what differs, the first few are told.

    A plain comparison would have pytest work out the difference of whole tables.
    """
    wrong = [
        (key, found.get(key), truth.get(key))
        for key in found.keys() | truth.keys()
        if found.get(key) != truth.get(key)
    ]
    told = "".join(f"\n{key}: {one} is not {other}" for key, one, other in wrong[:3])
    assert not wrong, f"{len(wrong)} records differ{told}"


def key_of(stream: str, record: dict[str, Any]) -> tuple[str, ...]:
    """The values of a record's key."""
    return tuple(record[name] for name in KEYS[stream])


def iso(seconds: float) -> str:
    """UNIX epoch seconds as the tap writes an instant."""
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace(".000", "").replace("+00:00", "Z")


def _string(value: object) -> str | None:
    return None if value is None else str(value)


def _clean(value: str) -> str:
    return re.sub("[\0\ud800-\udfff]", "\ufffd", value)


def _session(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    return {
        "agent_id": agent,
        "layer_id": raw["layer_id"],
        "created_at": iso(raw["created_at"]),
        "timetoken": raw["created_at"],
        "first_name": _string(raw["first_name"]),
        "last_name": _string(raw.get("last_name")),
        "additional_fields": None,
    }


def _message(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    user = {name: str(value) for name, value in raw["user"].items()}
    return {
        **raw,
        "agent_id": agent,
        "created_at": iso(raw["created_at"]),
        "timetoken": raw["created_at"],
        "content": _clean(raw["content"]),
        "user": user,
        "additional_fields": None,
    }


def _usage(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    figures = raw["aggregate_stats"]
    return {
        **figures,
        "agent_id": agent,
        "date": iso(figures["start_time"])[:10],
        "utc_offset": 0,
        "start_time": iso(figures["start_time"]),
        "end_time": iso(figures["end_time"]),
        "previous_interval_stats": raw["previous_interval_stats"],
        "stats": raw["stats"],
        "additional_fields": None,
    }


_KORE_NAMES = {
    "sessionId": "session_id",
    "channel": "channel",
    "userId": "user_id",
    "start_time": "start_time",
    "end_time": "end_time",
    "session_lang": "session_lang",
    "sessionType": "session_type",
    "containmentType": "containment_type",
    "sessionStatus": "session_status",
    "isDeveloper": "is_developer",
    "tags": "tags",
    "noOfMessagesExchanged": "no_of_messages_exchanged",
    "noOfTasksExecuted": "no_of_tasks_executed",
}


def _kore(bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    record = {column: raw.get(name) for name, column in _KORE_NAMES.items()}
    languages = raw["session_lang"]
    developer = raw.get("isDeveloper")
    return {
        **record,
        "bot_id": bot,
        "start_time": raw["start_time"].replace(".000Z", "Z"),
        "end_time": raw["end_time"].replace(".000Z", "Z"),
        "session_lang": [languages] if isinstance(languages, str) else languages,
        "is_developer": None if developer is None else bool(developer),
        "additional_fields": None,
    }


_MAKERS = {
    "avaamo_messages": _message,
    "avaamo_sessions": _session,
    "avaamo_usage": _usage,
    "kore_sessions": _kore,
}
