"""What must be in the tables, by the simulator's own account, and what is.

A connection's search_path says which schema the tables are in.
"""

from __future__ import annotations

from datetime import UTC, date, datetime
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from psycopg import sql
from psycopg.rows import dict_row

from simulator.emitted import instant
from simulator.streams import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from psycopg import Connection

    from simulator import World

Key = tuple[str, ...]
Record = dict[str, Any]
Records = dict[Key, Record]
"""The rows of a table by their keys, in the form of the tap's records."""
Snapshot = dict[str, Records]
"""The rows of every table, by the table's name."""

TABLES = [name for name, stream in STREAMS.items() if stream.is_selected]
"""The tables, each with the name of its stream."""


def differences(connection: Connection[Any], world: World) -> list[str]:
    """Compare the tables with the truth, from the world's start up to its clock.

    Returns:
        A line for each way in which a table differs; none if all are equal.
    """
    now = datetime.fromtimestamp(world.now, UTC)
    return [
        f"{table}: {line}"
        for table in TABLES
        for line in _compare(
            table,
            read_records(connection, table),
            world.expected(table, world.start, now),
        )
    ]


def snapshot(connection: Connection[Any]) -> Snapshot:
    """Read all tables."""
    return {table: _by_key(table, read_records(connection, table)) for table in TABLES}


def read_records(connection: Connection[Any], table: str) -> list[Record]:
    """Read a table: its rows as records, without the columns that the target adds."""
    query = sql.SQL("SELECT * FROM {}").format(sql.Identifier(table))
    rows = connection.cursor(row_factory=dict_row).execute(query).fetchall()
    return [
        {
            name: _written(value)
            for name, value in row.items()
            if not name.startswith("_sdc_")
        }
        for row in rows
    ]


def _written(value: object) -> object:
    """Return a value as a record has it; instants in the tables are in UTC."""
    match value:
        case datetime():
            return instant(value.replace(tzinfo=UTC).timestamp())
        case date():
            return value.isoformat()
        case Decimal():
            return float(value)
        case _:
            return value


def _by_key(table: str, records: Iterable[Record]) -> Records:
    return {STREAMS[table].key_of(record): record for record in records}


def _compare(table: str, found: list[Record], truth: Records) -> Iterator[str]:
    rows = _by_key(table, found)
    if len(found) > len(rows):
        yield f"{len(found) - len(rows)} rows have the key of another row"
    if missing := truth.keys() - rows.keys():
        yield f"{len(missing)} of {len(truth)} rows are missing, {_first(missing)}"
    if invented := rows.keys() - truth.keys():
        yield f"{len(invented)} rows should not be there, {_first(invented)}"
    both = rows.keys() & truth.keys()
    columns = {name for key in both for name in rows[key].keys() | truth[key].keys()}
    for column in sorted(columns):
        if wrong := [
            key for key in both if rows[key].get(column) != truth[key].get(column)
        ]:
            key = min(wrong)
            yield (
                f"{column} differs in {len(wrong)} rows, {_first(wrong)}: it is "
                f"{rows[key].get(column)}, the truth is {truth[key].get(column)}"
            )


def _first(keys: Iterable[Key]) -> str:
    return f"the first is {' '.join(min(keys))}"
