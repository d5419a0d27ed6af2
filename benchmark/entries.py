"""Messages in the vendor's form: the simulator's, with ids and times of our own."""

from __future__ import annotations

import uuid
from datetime import UTC, datetime, timedelta
from functools import cache

import msgspec

from simulator import World

_KINDS = 1000


@cache
def entry(number: int, milliseconds: int) -> bytes:
    """A message by its number and its time, made once."""
    return _filled(_templates()[number % _KINDS], number, milliseconds)


def long_entry(text: int, number: int, milliseconds: int) -> bytes:
    """Likewise, with a text of so many characters."""
    return _filled(_long_template(text), number, milliseconds)


@cache
def kore_entry(number: int, milliseconds: int) -> bytes:
    """A message of Kore.ai's by its number and its time, made once."""
    identity = str(uuid.UUID(int=number)).encode()
    time = datetime.fromtimestamp(milliseconds // 1000, UTC)
    written = f"{time:%Y-%m-%dT%H:%M:%S}.{milliseconds % 1000:03}Z".encode()
    return _kore_templates()[number % _KINDS] % (identity, written)


def _filled(template: bytes, number: int, milliseconds: int) -> bytes:
    identity = str(uuid.UUID(int=number)).encode()
    return template % (identity, milliseconds / 1000)


@cache
def _long_template(text: int) -> bytes:
    return _templates()[0].replace(b'"content":"', b'"content":"' + b"x" * text, 1)


@cache
def _kore_templates() -> list[bytes]:
    """Messages of the simulator's, with places for an id and a time."""
    world = World(sessions_per_day=_KINDS)
    end = world.start + timedelta(days=1)
    truth = world.truth("kore_messages", world.bots[0], world.start, end)
    return [
        msgspec.json.encode(message | {"_id": "\0id", "createdOn": "\0at"})
        .replace(b"%", b"%%")
        .replace(rb"\u0000id", b"%b")
        .replace(rb"\u0000at", b"%b")
        for message in truth[:_KINDS]
    ]


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
