"""What must be in the tables, by the simulator's own account, and what is.

A connection's search_path says which schema the tables are in.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any, Literal

from psycopg import sql
from psycopg.rows import dict_row

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping

    from psycopg import Connection

    from simulator import World

Key = tuple[Any, ...]
Row = dict[str, Any]
Rows = dict[Key, Row]
"""The rows of a table by their keys."""
Snapshot = dict[str, Rows]
"""The rows of every table, by the table's name."""

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


@dataclass(frozen=True)
class Table:
    """A table, and how its columns follow from a vendor's records.

    Attributes:
        name: The name of the table, and of its stream.
        bot: The column of the bot's id.
        key: The columns that tell a bot's rows apart.
        columns: Telling columns, the key's included: the vendor's field and what
            PostgreSQL makes of it.
    """

    name: Literal["avaamo_sessions", "avaamo_messages", "avaamo_usage", "kore_sessions"]
    bot: Literal["agent_id", "bot_id"]
    key: tuple[str, ...]
    columns: Mapping[str, tuple[str, Callable[[Any], object]]]

    def by_key(self, rows: Iterable[Row]) -> Rows:
        """The rows by their keys, the bot's id first."""
        key = (self.bot, *self.key)
        return {tuple(row[column] for column in key): row for row in rows}


def text(value: object) -> str:
    """A string without the characters that no database takes."""
    return _UNSTORABLE.sub("\ufffd", str(value))


def number(value: float) -> Decimal:
    """A number as it is written."""
    return Decimal(str(value))


def time(value: str | float) -> datetime:
    """An instant in UTC, from ISO 8601 or from epoch seconds."""
    moment = (
        datetime.fromisoformat(value)
        if isinstance(value, str)
        else datetime.fromtimestamp(value, UTC)
    )
    return moment.astimezone(UTC).replace(tzinfo=None)


def day(value: float) -> date:
    """The day of an instant in UTC."""
    return time(value).date()


TABLES = (
    Table(
        name="avaamo_sessions",
        bot="agent_id",
        key=("layer_id", "created_at"),
        columns={
            "layer_id": ("layer_id", text),
            "created_at": ("created_at", time),
            "first_name": ("first_name", text),
        },
    ),
    Table(
        name="avaamo_messages",
        bot="agent_id",
        key=("message_uuid",),
        columns={
            "message_uuid": ("message_uuid", text),
            "created_at": ("created_at", time),
            "content": ("content", text),
            "score": ("score", number),
        },
    ),
    Table(
        name="avaamo_usage",
        bot="agent_id",
        key=("date",),
        columns={
            "date": ("start_time", day),
            "start_time": ("start_time", time),
            "session_count": ("session_count", number),
            "messages_count": ("messages_count", number),
            "success_rate": ("success_rate", number),
        },
    ),
    Table(
        name="kore_sessions",
        bot="bot_id",
        key=("session_id",),
        columns={
            "session_id": ("sessionId", text),
            "start_time": ("start_time", time),
            "end_time": ("end_time", time),
            "session_status": ("sessionStatus", text),
            "containment_type": ("containmentType", text),
            "no_of_messages_exchanged": ("noOfMessagesExchanged", number),
        },
    ),
)


def differences(connection: Connection[Any], world: World) -> list[str]:
    """Compare the tables with the truth, from the world's start up to its clock.

    Returns:
        A line for each way in which a table differs; none if all are equal.
    """
    return [
        f"{table.name}: {line}"
        for table in TABLES
        for line in _compare(table, found(connection, table), truth(world, table))
    ]


def snapshot(connection: Connection[Any]) -> Snapshot:
    """Read all tables."""
    return {table.name: table.by_key(found(connection, table)) for table in TABLES}


def found(connection: Connection[Any], table: Table) -> list[Row]:
    """Read a table."""
    columns = map(sql.Identifier, [table.bot, *table.columns])
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(columns), sql.Identifier(table.name)
    )
    return connection.cursor(row_factory=dict_row).execute(query).fetchall()


def truth(world: World, table: Table) -> list[Row]:
    """Make the rows that a table must have, as the simulator's clock stands."""
    now = datetime.fromtimestamp(world.now, UTC)
    bots = world.agents if table.bot == "agent_id" else world.bots
    return [
        {table.bot: bot, **_row(table, record)}
        for bot in bots
        for record in world.truth(table.name, bot, world.start, now)
    ]


def _row(table: Table, record: Mapping[str, Any]) -> Row:
    fields = record.get("aggregate_stats", record)  # usage has its figures in there
    values = {
        column: (fields.get(field), convert)
        for column, (field, convert) in table.columns.items()
    }
    return {
        column: None if value is None else convert(value)
        for column, (value, convert) in values.items()
    }


def _compare(table: Table, found: list[Row], truth: list[Row]) -> Iterator[str]:
    is_rows, must_rows = table.by_key(found), table.by_key(truth)
    if len(found) > len(is_rows):
        yield f"{len(found) - len(is_rows)} rows have the key of another row"
    if missing := must_rows.keys() - is_rows.keys():
        yield f"{len(missing)} of {len(must_rows)} rows are missing, {_first(missing)}"
    if invented := is_rows.keys() - must_rows.keys():
        yield f"{len(invented)} rows should not be there, {_first(invented)}"
    both = is_rows.keys() & must_rows.keys()
    for column in table.columns:
        if wrong := [
            key for key in both if is_rows[key][column] != must_rows[key][column]
        ]:
            key = min(wrong)
            yield (
                f"{column} differs in {len(wrong)} rows, {_first(wrong)}: it is "
                f"{is_rows[key][column]}, the truth is {must_rows[key][column]}"
            )


def _first(keys: Iterable[Key]) -> str:
    return f"the first is {' '.join(map(str, min(keys)))}"
