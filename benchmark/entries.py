"""Messages in the vendor's form: the simulator's, with ids and times of our own."""

from __future__ import annotations

import uuid
from datetime import timedelta
from functools import cache

import msgspec

from simulator import World

_KINDS = 1000


@cache
def entry(number: int, milliseconds: int) -> bytes:
    """A message by its number and its time, made once."""
    identity = str(uuid.UUID(int=number)).encode()
    return _templates()[number % _KINDS] % (identity, milliseconds / 1000)


@cache
def _templates() -> list[bytes]:
    """Messages of the simulator's, with places for an id and a time."""
    world = World(sessions_per_day=_KINDS)
    end = world.start + timedelta(days=1)
    truth = world.truth("avaamo_messages", world.agents[0], world.start, end)
    return [
        msgspec.json.encode(message | {"message_uuid": "\0id", "created_at": "\0at"})
        .replace(b"%", b"%%")
        .replace(rb"\u0000id", b"%b")
        .replace(rb'"\u0000at"', b"%.3f")
        for message in truth[:_KINDS]
    ]
