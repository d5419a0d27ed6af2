"""Avaamo: user sessions, messages and usage of agents.

Source: Avaamo Platform API documentation, Analytics API, the pages User
sessions, Messages and Usage.
"""

from __future__ import annotations

from typing import Any, ClassVar

from tap_botsessions.engine.records import (
    Columns,
    mapping,
    number,
    text,
)
from tap_botsessions.vendors.avaamo.lists import AvaamoListStream, AvaamoStream
from tap_botsessions.vendors.avaamo.usage import AvaamoUsage


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
    endpoint = "sessions.json"
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
    endpoint = "messages.json"
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


STREAMS: tuple[type[AvaamoStream], ...] = (AvaamoSessions, AvaamoMessages, AvaamoUsage)
