"""Which of Kore's sessions a message, a feedback or an analytics record is of.

The number of its row tells. That of a feedback is its session's, which began on the
same day. That of a message has the session's, whether this began on the day before, and
the place in the session; an analytics record is numbered as the message that it is of.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from simulator.kore.records import Life, draw_sessions, life
from simulator.timeline import DAY, Row

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.parameters import Parameters

_PER_SESSION = 4096
"""Messages are numbered so far apart by their sessions."""

_LATE_PLACE = _PER_SESSION // 2
"""No session has so many messages: here begin those that are put in by hand.

They are of the user, as is all that getAnalytics tells of.
"""


class Session(NamedTuple):
    """A session, and what becomes of it."""

    row: Row
    life: Life


def sessions_of(parameters: Parameters, bot: str, day: int) -> Iterator[Session]:
    """Return the sessions that are drawn of a bot's day."""
    if day < parameters.first_day:
        return  # no list has a session of before the data begins
    drawn = draw_sessions(parameters, bot, day)
    for at, number, kind in zip(drawn.at, drawn.number, drawn.kind, strict=True):
        row = Row("kore_sessions", bot, at, number, kind)
        yield Session(row, life(parameters, row))


def numbered(session: Row, ago: int, place: int) -> int:
    """Return the number of a message.

    Args:
        session: Its session.
        ago: How many days before that began, 0 or 1.
        place: How many messages of the session come before it.
    """
    return (2 * session.number + ago) * _PER_SESSION + place


def session_of(parameters: Parameters, row: Row) -> Session:
    """Return the session that a row is of; one that is in no list if none is."""
    number, ago = row.number, 0
    if row.stream != "kore_feedback":
        number, ago = divmod(row.number // _PER_SESSION, 2)
    drawn = draw_sessions(parameters, row.bot, row.at // DAY - ago)
    if number < len(drawn.number):
        of = Row("kore_sessions", row.bot, drawn.at[number], number, drawn.kind[number])
    else:
        of = Row("kore_sessions", row.bot, row.at, number, 0)
    return Session(of, life(parameters, of))


def session_id_of(parameters: Parameters, row: Row) -> str:
    """Return the id of the session that a row is or is of."""
    if row.stream == "kore_sessions":
        return life(parameters, row).session_id
    return session_of(parameters, row).life.session_id


def late_number(parameters: Parameters, row: Row, session_id: str) -> int:
    """Return the number of a row that is of a session and is put in by hand.

    Args:
        parameters: Those of the data.
        row: The row, with the number of those that were put in before it.
        session_id: The session.

    Raises:
        ValueError: The stream is not of sessions, or none was drawn that it can be of.
    """
    if row.stream not in OF_SESSIONS:
        msg = f"{row.stream} is not of sessions, but {', '.join(OF_SESSIONS)} are"
        raise ValueError(msg)
    is_feedback = row.stream == "kore_feedback"
    for ago in (0,) if is_feedback else (0, 1):
        for session, whole in sessions_of(parameters, row.bot, row.at // DAY - ago):
            if whole.session_id == session_id:
                place = _LATE_PLACE + 2 * row.number % _LATE_PLACE
                return session.number if is_feedback else numbered(session, ago, place)
    msg = f"{session_id} is no session that {row.stream} of that day can be of"
    raise ValueError(msg)


OF_SESSIONS = ("kore_messages", "kore_feedback", "kore_analytics")
"""The streams whose records are of sessions, which they name by `sessionId`."""
