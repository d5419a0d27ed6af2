"""Avaamo's sessions and messages: as it lists them, and as a tap must emit them.

Sources: the pages "User sessions" and "Messages". The noise in names and numbers
is that of the vendor's other samples: integers as names, missing names and ids,
whole seconds as int or as float.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.draws import dice, uuid
from simulator.emitted import instant, storable, string
from simulator.timeline import (
    DAY,
    HOUR,
    LATE,
    SECOND,
    Day,
    Row,
    Shape,
    draw_day,
)

if TYPE_CHECKING:
    from random import Random

    from simulator.parameters import Parameters

INTENT_TYPES = (
    "INLINE::INTENT",
    "KNOWLEDGEPACK::INTENT",
    "SYSTEM::INTENT",
    "JS::INTENT",
    "WIlD_CARD::INTENT",  # sic: the vendor's spelling
    "PREUNHANDLED::INTENT",
    "AMBIGUOUS::INTENT",
    "UNHANDLED::INTENT",
)
"""Avaamo's kinds of messages."""

USERS = 997
"""Users of a bot; a prime, so that sessions of one instant have different users."""

_INTENT_WEIGHTS = (40, 20, 10, 8, 3, 3, 6, 10)
_NAMES = ("David", "Ana", "Zoë", "Łukasz", "O'Neil", "李娜")
_CONTENTS = (
    "",
    "Where is my order?",
    'He said "no", then\nleft',
    "olé 🤖👩‍👩‍👧",
    "a\\b\tc",
    "<b>&amp;</b>",
)
_HOSTILE = ("nul \x00 inside", "lone \ud83d surrogate")


class User(NamedTuple):
    """A user of an Avaamo agent."""

    first_name: str | int
    last_name: str | None
    layer_id: str


@lru_cache(maxsize=65536)
def _user(seed: int, bot: str, number: int) -> User:
    """Return a user: most are "You", and some names are integers."""
    random = dice(seed, bot, "user", number)
    layer_id = uuid(random)
    if number % 2:
        return User("You", None, layer_id)
    if number % 12 == 0:
        return User(random.randrange(10_000, 9_999_999), "Miller", layer_id)
    return User(random.choice(_NAMES), random.choice(["Miller", None]), layer_id)


def draw_sessions(parameters: Parameters, agent: str, day: int) -> Day:
    """Return the sessions of an agent's day, counted from the epoch."""
    random = dice(parameters.seed, "avaamo_sessions", agent, day)
    count = int(parameters.sessions_of(agent) + random.random())
    shape = Shape((1,), parameters.late_fraction, parameters.equal_sessions)
    return draw_day(random, day, count, shape)


def draw_messages(parameters: Parameters, agent: str, day: int) -> Day:
    """Return the messages of an agent's day, counted from the epoch.

    Each is of a user of a session of that day, and follows its beginning within the
    hour. A message's number modulo `USERS` is its user's.
    """
    sessions = draw_sessions(parameters, agent, day)
    random = dice(parameters.seed, "avaamo_messages", agent, day)
    rate = len(sessions.at) * parameters.messages_per_session
    count = int(rate + random.random())
    users = [_user_number(number) for number in sessions.number]
    places = random.choices(range(len(users)), k=count) if users else []
    dealt = zip(places, _pauses(random, len(places)), strict=True)
    last = (day + 1) * DAY - 1
    rows = sorted(
        (min(sessions.at[place] + pause, last), index * USERS + users[place])
        for index, (place, pause) in enumerate(dealt)
    )
    shape = Shape(_INTENT_WEIGHTS, parameters.late_fraction)
    return Day.drawn(
        random, [at for at, _ in rows], [number for _, number in rows], shape
    )


def _pauses(random: Random, count: int) -> list[int]:
    """Return milliseconds from sessions' beginnings to messages, most of them few."""
    pauses = [int(HOUR * random.random() ** 4) for _ in range(count)]
    pauses[::2] = [pause - pause % SECOND for pause in pauses[::2]]
    return pauses


def session(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a session as sessions.json lists it."""
    seed = parameters.seed
    random = dice_of(seed, row)
    user = _user(seed, row.bot, _user_number(row.number))
    last_name = {} if user.last_name is None else {"last_name": user.last_name}
    return {
        "first_name": user.first_name,
        **last_name,
        "layer_id": user.layer_id,
        "created_at": created_at(random, row.at),
    }


def _user_number(number: int) -> int:
    """Tell rows of one instant apart by their user.

    Rows drawn for one instant have consecutive numbers.
    """
    return number if number >= LATE else number * 379 % USERS


def message(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a message as messages.json lists it."""
    seed = parameters.seed
    random = dice_of(seed, row)
    contents = _CONTENTS + _HOSTILE if parameters.hostile_text else _CONTENTS
    user = _user(seed, row.bot, row.number % USERS)
    layer_id = {} if random.randrange(20) == 0 else {"layer_id": user.layer_id}
    return {
        "message_uuid": uuid(random),
        "score": random.choice((0, 1, 1.0)),
        "content": random.choice(contents),
        "intent_type": INTENT_TYPES[row.kind],
        "channel_name": random.choice(("web", "msteams", "ivr")),
        "created_at": created_at(random, row.at),
        "user": {"first_name": user.first_name, **layer_id},
        "intent_name": random.choice(("custom code", "order status", "opening hours")),
    }


def emitted_session(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a session as a tap must emit it."""
    return {
        "agent_id": agent,
        "layer_id": raw["layer_id"],
        "created_at": instant(raw["created_at"]),
        "timetoken": raw["created_at"],
        "first_name": string(raw["first_name"]),
        "last_name": string(raw.get("last_name")),
        "additional_fields": None,
    }


def emitted_message(agent: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a message as a tap must emit it."""
    return {
        **raw,
        "agent_id": agent,
        "created_at": instant(raw["created_at"]),
        "timetoken": raw["created_at"],
        "content": storable(raw["content"]),
        "user": {name: str(value) for name, value in raw["user"].items()},
        "additional_fields": None,
    }


def created_at(random: Random, at: int) -> float:
    """Return epoch seconds; whole ones are sometimes an int, as in the samples."""
    if at % SECOND or random.randrange(2):
        return at / SECOND
    return at // SECOND


def dice_of(seed: int, row: Row) -> Random:
    """Return the random generator that belongs to a row."""
    return dice(seed, row.stream, row.bot, row.at, row.number)
