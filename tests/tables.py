"""The tables as the tap wrote them: every column, in the form of its records.

A connection's search_path says which schema the tables are in.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from demo.truth import read_records
from tests.schemas import columns, form_of
from tests.truth import key_of

if TYPE_CHECKING:
    from psycopg import Connection

    from tests.truth import Keyed

FORMS = {
    "string": "text",
    "date-time": "timestamp",
    "date": "date",
    "integer": "int8",
    "number": "numeric",
    "boolean": "bool",
    "strings": "_text",
    "json": "jsonb",
}
"""The type of a column in PostgreSQL by its form; `_text` is an array of text."""


def types_of(stream: str) -> dict[str, str]:
    """The type of every column of a stream's table in PostgreSQL."""
    return {name: FORMS[form_of(column)] for name, column in columns(stream).items()}


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
    records = read_records(connection, table)
    found = {key_of(table, record): record for record in records}
    assert len(found) == len(records), f"{table} has rows with the same key"
    return found
