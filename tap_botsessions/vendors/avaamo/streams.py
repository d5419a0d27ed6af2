"""Avaamo: sessions, messages, queries, transcripts, feedback and usage of agents.

Source: Avaamo Platform API documentation: of its Analytics API the pages User sessions,
Messages and Usage, and the pages Query insights, Get messages and Feedback.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.records import (
    Columns,
    Derived,
    boolean,
    integer,
    mapping,
    number,
    sequence,
    text,
    written,
)
from tap_botsessions.vendors.avaamo.lists import AvaamoListStream, AvaamoStream
from tap_botsessions.vendors.avaamo.time_forms import units_of
from tap_botsessions.vendors.avaamo.usage import AvaamoUsage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from requests.auth import AuthBase


def user(value: object) -> dict[str, Any]:
    """A message's user: names come as integers too, and either field may be missing."""
    fields = mapping(value)
    if all(type(item) is str for item in fields.values()):
        return fields
    known = ("first_name", "layer_id")
    return {
        name: item if item is None or name not in known else text(item)
        for name, item in fields.items()
    }


class AvaamoSessions(AvaamoListStream):
    """User sessions; the page gives them no id of their own."""

    name = "avaamo_sessions"
    answers_check = True
    path = "/bots/analytics/{}/sessions.json"
    primary_keys = ("agent_id", "layer_id", "created_at")
    identity = "layer_id"
    # The time is in UNIX epoch seconds, an integer or a float (samples of both pages).
    columns: ClassVar[Columns] = {
        "layer_id": ("layer_id", text),
        "created_at": ("timetoken", number),
        "first_name": ("first_name", text),
        "last_name": ("last_name", text),
    }


class AvaamoMessages(AvaamoListStream):
    """Messages of users, with the intent that each was matched to."""

    name = "avaamo_messages"
    path = "/bots/analytics/{}/messages.json"
    primary_keys = ("agent_id", "message_uuid")
    identity = "message_uuid"
    columns: ClassVar[Columns] = {
        "message_uuid": ("message_uuid", text),
        "created_at": ("timetoken", number),
        "content": ("content", text),
        "score": ("score", number),
        "intent_type": ("intent_type", text),
        "intent_name": ("intent_name", text),
        "channel_name": ("channel_name", text),
        "user": ("user", user),
    }


class AvaamoQueries(AvaamoListStream):
    """Queries of users, each with its conversation (page Query insights)."""

    name = "avaamo_queries"
    selected_by_default = False
    path = "/api/v1/agents/{}/query_insights.json"
    entries_field = "queries"
    primary_keys = ("agent_id", "query_id")
    identity = "query_id"
    # The page says "UNIX Epoch Timestamp", and its example has 16 digits. Without a
    # start, the list goes back to the beginning.
    time_forms = units_of("start_time", "end_time", 1_000_000, 1, 1_000)
    default_range = None
    columns: ClassVar[Columns] = {
        "id": ("query_id", integer),
        "created_at": ("timetoken", number),
        "conversation_uuid": ("conversation_uuid", text),
        "message_uuid": ("message_uuid", text),
        "user_query": ("user_query", text),
        "intent_name": ("intent_name", text),
        "intent_type": ("intent_type", text),
        "node_key": ("node_key", text),
        "detected_language": ("detected_language", text),
        "channel": ("channel", mapping),
        "user": ("user", mapping),
        "skill": ("skill", mapping),
        "tags": ("tags", sequence),
        "insights": ("insights", mapping),
    }


def conversation_uuid(record: Mapping[str, Any]) -> str | None:
    """The conversation of a message of a transcript."""
    uuid = (record["conversation"] or {}).get("uuid")
    return uuid if isinstance(uuid, str) else None


class AvaamoTranscripts(AvaamoListStream):
    """Messages of both sides, by the agent's own token (page Get messages).

    The token says which agent it is: the path names none.
    """

    name = "avaamo_transcripts"
    selected_by_default = False
    path = "/v1/messages.json"
    needs = "avaamo_agent_tokens (Agent > Settings)"
    params: ClassVar[Mapping[str, str]] = {"device_info": "false"}
    primary_keys = ("agent_id", "message_uuid")
    identity = "message_uuid"
    # The page of 2026 has seconds; before, other parameters were in microseconds. What
    # comes without a start is "the latest 5".
    time_forms = (
        *units_of("from_timetoken", "to_timetoken", 1),
        *units_of("since_timetoken", "timetoken", 1_000_000),
        *units_of("from_timetoken", "to_timetoken", 1_000_000, 1_000),
        *units_of("since_timetoken", "timetoken", 1),
    )
    default_range = None
    columns: ClassVar[Columns] = {
        "uuid": ("message_uuid", text),
        "created_at": ("timetoken", number),
        "request_message_uuid": ("request_message_uuid", text),
        "agent_message_uuid": ("agent_message_uuid", text),
        "content": ("content", text),
        "content_type": ("content_type", text),
        "sequence": ("sequence", text),
        "user": ("user", mapping),
        "conversation": ("conversation", mapping),
        "external_source": ("external_source", text),
        "device_uuid": ("device_uuid", text),
        "custom_properties": ("custom_properties", mapping),
        "attachments": ("attachments", sequence),
    }
    derived: ClassVar[Derived] = {"conversation_uuid": conversation_uuid}
    # Who has read a message changes for ever; timetoken is created_at once more.
    left_out = frozenset({"read_acks", "timetoken"})

    @override
    def credentials(self, agent: str) -> AuthBase:
        return self.account.agent_token(agent)


class AvaamoFeedback(AvaamoListStream):
    """Thumbs up and down, with comments (page Feedback)."""

    name = "avaamo_feedback"
    selected_by_default = False
    path = "/dashboard/bots/{}/feedbacks.json"
    entries_field = "feedbacks"
    params: ClassVar[Mapping[str, str]] = {"response_type": "detailed"}
    primary_keys = ("agent_id", "feedback_id")
    identity = "feedback_id"
    # Seconds on the page of 2026, microseconds before.
    time_forms = units_of("since_timetoken", "timetoken")
    default_range = None
    columns: ClassVar[Columns] = {
        "id": ("feedback_id", integer),
        "created_at": ("timetoken", number),
        "message_uuid": ("message_uuid", text),
        "conversation_uuid": ("conversation_uuid", text),
        "positive": ("positive", boolean),
        "comment": ("comment", text),
        "user_query": ("user_query", text),
        "bot_replies": ("bot_replies", written),
        "intent_name": ("intent_name", text),
        "intent_type": ("intent_type", text),
        "node_key": ("node_key", text),
        "skill_name": ("skill_name", text),
        "user": ("user", mapping),
    }


STREAMS: tuple[type[AvaamoStream], ...] = (
    AvaamoSessions,
    AvaamoMessages,
    AvaamoUsage,
    AvaamoQueries,
    AvaamoTranscripts,
    AvaamoFeedback,
)
