"""Avaamo's sessions and messages, in the vendor's shape.

Sources: the pages "User sessions" and "Messages". The noise in names and numbers
is that of the vendor's other samples: integers as names, missing names and ids,
whole seconds as int or as float.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.draws import dice, uuid
from simulator.timeline import SECOND, Row

if TYPE_CHECKING:
    from random import Random

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

LATE = 1 << 40
"""Rows put in by hand are numbered from here."""

USERS = 997
"""Users of a bot; a prime, so that rows of one instant have different users."""

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


def session(seed: int, row: Row) -> dict[str, Any]:
    """Return a session as sessions.json lists it."""
    random = _dice(seed, row)
    user = _user(seed, row.bot, _user_number(row.number))
    last_name = {} if user.last_name is None else {"last_name": user.last_name}
    return {
        "first_name": user.first_name,
        **last_name,
        "layer_id": user.layer_id,
        "created_at": _created_at(random, row.at),
    }


def _user_number(number: int) -> int:
    """Tell rows of one instant apart by their user.

    Rows drawn for one instant have consecutive numbers.
    """
    return number if number >= LATE else number * 379 % USERS


def message(seed: int, row: Row, *, hostile: bool) -> dict[str, Any]:
    """Return a message as messages.json lists it.

    Args:
        seed: Seed of the world.
        row: The message's place.
        hostile: Put NUL and lone surrogates into some contents.
    """
    random = _dice(seed, row)
    user = _user(seed, row.bot, random.randrange(USERS))
    layer_id = {} if random.randrange(20) == 0 else {"layer_id": user.layer_id}
    return {
        "message_uuid": uuid(random),
        "score": random.choice((0, 1, 1.0)),
        "content": random.choice(_CONTENTS + _HOSTILE if hostile else _CONTENTS),
        "intent_type": INTENT_TYPES[row.kind],
        "channel_name": random.choice(("web", "msteams", "ivr")),
        "created_at": _created_at(random, row.at),
        "user": {"first_name": user.first_name, **layer_id},
        "intent_name": random.choice(("custom code", "order status", "opening hours")),
    }


def _created_at(random: Random, at: int) -> float:
    """Return epoch seconds; whole ones are sometimes an int, as in the samples."""
    if at % SECOND or random.randrange(2):
        return at / SECOND
    return at // SECOND


def _dice(seed: int, row: Row) -> Random:
    return dice(seed, row.stream, row.bot, row.at, row.number)
