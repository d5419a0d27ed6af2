"""Kore's sessions: in the shapes of its API versions, and as a tap must emit them.

Sources: the page "Sessions History" (API v10.1.3), the older "Get Sessions" (v7),
and what live responses of 2025 add. That an active session is served as
selfService is inferred from those.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple, TypeVar

from simulator.draws import dice, uuid
from simulator.timeline import DAY, HOUR, MINUTE, SECOND, Row, Shape, draw_day

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.parameters import Parameters, Version
    from simulator.timeline import Day

CONTAINMENT_TYPES = ("selfService", "dropOff", "agent")
"""The kinds of closed sessions."""

_CONTAINMENT_WEIGHTS = (50, 30, 20)

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


def draw_sessions(parameters: Parameters, bot: str, day: int) -> Day:
    """Return the sessions of a bot's day, counted from the epoch."""
    rate = parameters.sessions_of(bot)
    return _draw_sessions(parameters.seed, rate, parameters.late_fraction, bot, day)


@lru_cache(maxsize=4096)
def _draw_sessions(
    seed: int, rate: float, late_fraction: float, bot: str, day: int
) -> Day:
    random = dice(seed, "kore_sessions", bot, day)
    count = int(rate + random.random())
    shape = Shape(_CONTAINMENT_WEIGHTS, late_fraction)
    return draw_day(random, day, count, shape)


def life(parameters: Parameters, row: Row) -> Life:
    """Return what becomes of a session."""
    return _life(parameters.seed, row, parameters.open_fraction)


@lru_cache(maxsize=65536)
def _life(seed: int, row: Row, open_fraction: float) -> Life:
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


def state(parameters: Parameters, row: Row) -> State:
    """Return a session as it stands by the clock.

    Until it closes, it is served as selfService with what happened so far.
    """
    whole, now = life(parameters, row), parameters.clock
    closed = now >= row.at + whole.length + INACTIVITY
    progress = min(1.0, max(0, now - row.at) / whole.length)
    return State(
        end=row.at + int(whole.length * progress),
        closed=closed,
        interactive=progress >= whole.first_user_message,
        containment_type=CONTAINMENT_TYPES[row.kind] if closed else "selfService",
        messages=max(1, int(whole.messages * progress)),
        tasks=int(whole.tasks * progress),
    )


def session(parameters: Parameters, row: Row) -> dict[str, Any]:
    """Return a session as getSessions lists it now, in the API version that is set."""
    return _session(
        row, life(parameters, row), state(parameters, row), parameters.kore_version
    )


def _session(row: Row, life: Life, state: State, version: Version) -> dict[str, Any]:
    version = version_of(life, version)
    new = version == "2025"
    # Documented as 1 or 0, shown as a boolean.
    developer = (False, True, 0, 1) if new else (False, True)
    record = {
        "sessionId": life.session_id,
        "botId": row.bot,
        "channel": channel_of(life, version),
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


def version_of(life: Life, version: Version) -> Version:
    """Return the version in whose shape a session is served."""
    if version == "mixed":
        return _pick(("v7", "v8", "v9", "v10", "2025"), life.look // 101)
    return version


def channel_of(life: Life, version: Version) -> str:
    """Return the channel of a session."""
    is_new = version_of(life, version) == "2025"
    return _pick(("rtm", "msteams", "korevg") if is_new else ("rtm", "sms"), life.look)


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


_COLUMNS = {
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


def emitted_session(bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    """Return a session as a tap must emit it."""
    languages = raw["session_lang"]
    developer = raw.get("isDeveloper")
    return {
        **{column: raw.get(name) for name, column in _COLUMNS.items()},
        "bot_id": bot,
        "start_time": raw["start_time"].replace(".000Z", "Z"),
        "end_time": raw["end_time"].replace(".000Z", "Z"),
        "session_lang": [languages] if isinstance(languages, str) else languages,
        "is_developer": None if developer is None else bool(developer),
        "additional_fields": None,
    }


def _pick(values: Sequence[_T], look: int) -> _T:
    return values[look % len(values)]


def iso(at: int) -> str:
    """Return epoch milliseconds as Kore writes them, in UTC."""
    moment = datetime.fromtimestamp(at // SECOND, tz=UTC)
    return f"{moment:%Y-%m-%dT%H:%M:%S}.{at % SECOND:03d}Z"
