"""Kore's sessions, in the shapes of its API versions.

Sources: the page "Sessions History" (API v10.1.3), the older "Get Sessions" (v7),
and what live responses of 2025 add. That an active session is served as
selfService is inferred from those.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, Literal, NamedTuple, TypeVar

from simulator.draws import dice, uuid
from simulator.timeline import DAY, HOUR, MINUTE, SECOND, Row

if TYPE_CHECKING:
    from collections.abc import Sequence

Version = Literal["v7", "v8", "v9", "v10", "2025", "mixed"]

CONTAINMENT_TYPES = ("selfService", "dropOff", "agent")
"""The kinds of closed sessions."""

USERS = 997
"""Users of a bot."""

INACTIVITY = 15 * MINUTE
"""A session closes this long after its last message (the vendor's default)."""

ID_LAG = 579 * SECOND
"""The furthest that the time inside a session id was seen after its start."""

_NEVER = 2.0
_T = TypeVar("_T")


class Life(NamedTuple):
    """What becomes of a session.

    Attributes:
        session_id: 24 hex digits, the id's creation time in seconds first.
        user_id: The session's user.
        length: Milliseconds from the first message to the last.
        messages: Messages in all.
        tasks: Tasks in all.
        first_user_message: When the session becomes interactive, as a share of
            its length.
        look: A number that decides about values without a meaning.
    """

    session_id: str
    user_id: str
    length: int
    messages: int
    tasks: int
    first_user_message: float
    look: int


class State(NamedTuple):
    """A session as it stands at an instant; `end` in epoch milliseconds."""

    end: int
    closed: bool
    interactive: bool
    containment_type: str
    messages: int
    tasks: int


@lru_cache(maxsize=65536)
def life(seed: int, row: Row, open_fraction: float) -> Life:
    """Return what becomes of a session.

    Args:
        seed: Seed of the world.
        row: The session's place.
        open_fraction: Share of sessions that stay open for days.
    """
    random = dice(seed, row.stream, row.bot, row.at, row.number)
    lag = random.choice((0, 0, 0, random.randrange(ID_LAG)))
    length = int(random.expovariate(1 / (4 * MINUTE))) % HOUR + 1
    days = random.randrange(DAY, 14 * DAY)
    return Life(
        session_id=f"{(row.at + lag) // SECOND:08x}{random.getrandbits(64):016x}",
        user_id=_user_id(seed, row.bot, random.randrange(USERS)),
        length=days if random.random() < open_fraction else length,
        messages=1 + int(random.expovariate(1 / 6)),
        tasks=random.randrange(4),
        first_user_message=random.choice((0.0, 0.0, 0.0, 0.3, _NEVER)),
        look=random.getrandbits(32),
    )


@lru_cache(maxsize=65536)
def _user_id(seed: int, bot: str, number: int) -> str:
    return f"u-{uuid(dice(seed, bot, 'user', number))}"


def state(row: Row, life: Life, now: int) -> State:
    """Return a session as it stands at `now`, in epoch milliseconds.

    Until it closes, it is served as selfService with what happened so far.
    """
    closed = now >= row.at + life.length + INACTIVITY
    progress = min(1.0, max(0, now - row.at) / life.length)
    return State(
        end=row.at + int(life.length * progress),
        closed=closed,
        interactive=progress >= life.first_user_message,
        containment_type=CONTAINMENT_TYPES[row.kind] if closed else "selfService",
        messages=max(1, int(life.messages * progress)),
        tasks=int(life.tasks * progress),
    )


def session(row: Row, life: Life, state: State, version: Version) -> dict[str, Any]:
    """Return a session as getSessions of that API version lists it."""
    if version == "mixed":
        version = _pick(("v7", "v8", "v9", "v10", "2025"), life.look // 101)
    new = version == "2025"
    channels = ("rtm", "msteams", "korevg") if new else ("rtm", "sms")
    # Documented as 1 or 0, shown as a boolean.
    developer = (False, True, 0, 1) if new else (False, True)
    record = {
        "sessionId": life.session_id,
        "botId": row.bot,
        "channel": _pick(channels, life.look),
        "userId": life.user_id,
        "start_time": iso(row.at),
        "end_time": iso(state.end),
        "session_lang": ["en"] if version in {"v10", "2025"} else "en",
        "sessionType": "interactive" if state.interactive else "non-interactive",
        "isDeveloper": _pick(developer, life.look // 31),
        "sessionStatus": "closed" if state.closed else "active",
        "tags": _tags(life, state, new=new),
        "noOfMessagesExchanged": state.messages,
        "noOfTasksExecuted": state.tasks,
        "containmentType": state.containment_type,
    }
    return {name: record[name] for name in record if name not in _ABSENT[version]}


_V10 = {"sessionStatus", "noOfMessagesExchanged", "noOfTasksExecuted"}
_V9 = {"containmentType"}
_V8 = {"sessionType", "isDeveloper", "tags"}
_ABSENT: dict[str, set[str]] = {
    "v7": _V8 | _V9 | _V10,
    "v8": _V9 | _V10,
    "v9": _V10,
    "v10": set(),
    "2025": set(),
}


def _tags(life: Life, state: State, *, new: bool) -> dict[str, Any]:
    values = ("newuser", "gold", None, 7) if new else ("newuser", "gold")
    value = _pick(values, life.look // 7)
    tags: dict[str, Any] = {
        "userTags": [{"value": value, "name": "regular"}],
        "sessionTags": [{"value": "yes", "name": "solved"}] if state.closed else [],
    }
    return tags | {"altText": []} if new else tags


def _pick(values: Sequence[_T], look: int) -> _T:
    return values[look % len(values)]


def iso(at: int) -> str:
    """Return epoch milliseconds as Kore writes them, in UTC."""
    moment = datetime.fromtimestamp(at // SECOND, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % SECOND:03d}Z"
