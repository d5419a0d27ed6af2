"""The tables as the tap wrote them: every column, in the form of its records.

A connection's search_path says which schema the tables are in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from simulator.emitted import instant
from tests.truth import key_of

if TYPE_CHECKING:
    from psycopg import Connection

    from tests.truth import Keyed

TYPES = {
    "avaamo_messages": {
        "agent_id": "text",
        "message_uuid": "text",
        "created_at": "timestamp",
        "timetoken": "numeric",
        "content": "text",
        "score": "numeric",
        "intent_type": "text",
        "intent_name": "text",
        "channel_name": "text",
        "user": "jsonb",
        "additional_fields": "jsonb",
    },
    "avaamo_sessions": {
        "agent_id": "text",
        "layer_id": "text",
        "created_at": "timestamp",
        "timetoken": "numeric",
        "first_name": "text",
        "last_name": "text",
        "additional_fields": "jsonb",
    },
    "avaamo_usage": {
        "agent_id": "text",
        "date": "date",
        "utc_offset": "int8",
        "start_time": "timestamp",
        "end_time": "timestamp",
        "session_count": "int8",
        "messages_count": "int8",
        "unhandled_messages_count": "int8",
        "successful_responses_count": "int8",
        "ambiguous_messages_count": "int8",
        "interventions_count": "int8",
        "success_rate_count": "int8",
        "success_rate": "numeric",
        "previous_interval_stats": "jsonb",
        "stats": "jsonb",
        "additional_fields": "jsonb",
    },
    "kore_sessions": {
        "bot_id": "text",
        "session_id": "text",
        "start_time": "timestamp",
        "end_time": "timestamp",
        "user_id": "text",
        "channel": "text",
        "session_lang": "_text",
        "session_type": "text",
        "containment_type": "text",
        "session_status": "text",
        "is_developer": "bool",
        "tags": "jsonb",
        "no_of_messages_exchanged": "int8",
        "no_of_tasks_executed": "int8",
        "additional_fields": "jsonb",
    },
}
"""The type of every column, by the name of its table; `_text` is an array of text."""

COLUMNS = """
    SELECT column_name, udt_name FROM information_schema.columns
    WHERE table_schema = current_schema() AND table_name = %s
    AND column_name NOT LIKE '\\_sdc\\_%%'
"""
KEY = """
    SELECT column_name FROM information_schema.key_column_usage
    WHERE table_schema = current_schema() AND table_name = %s
    ORDER BY ordinal_position
"""
TABLES = """
    SELECT table_name FROM information_schema.tables
    WHERE table_schema = current_schema()
"""


def table_names(connection: Connection[Any]) -> set[str]:
    """The names of all tables."""
    return {name for (name,) in connection.execute(TABLES)}


def columns_of(connection: Connection[Any], table: str) -> dict[str, str]:
    """A table's columns and their types, those that the target adds aside."""
    return dict(connection.execute(COLUMNS, (table,)).fetchall())


def key_columns(connection: Connection[Any], table: str) -> tuple[str, ...]:
    """The columns of a table's primary key."""
    return tuple(name for (name,) in connection.execute(KEY, (table,)))


def read_table(connection: Connection[Any], table: str) -> Keyed:
    """The rows of a table, as records by their keys."""
    columns = columns_of(connection, table)
    query = sql.SQL("SELECT {} FROM {}").format(
        sql.SQL(", ").join(map(sql.Identifier, columns)), sql.Identifier(table)
    )
    rows = connection.cursor(row_factory=dict_row).execute(query).fetchall()
    records = [{name: written(value) for name, value in row.items()} for row in rows]
    found = {key_of(table, record): record for record in records}
    assert len(found) == len(records), f"{table} has rows with the same key"
    return found


def written(value: object) -> object:
    """A value as a record has it, for columns whose instants are in UTC."""
    match value:
        case datetime():
            return instant(value.replace(tzinfo=UTC).timestamp())
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case _:
            return value
