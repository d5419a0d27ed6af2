"""How fast target-postgres loads what the tap has written, by the target's settings."""

from __future__ import annotations

import json
from contextlib import ExitStack
from statistics import median
from typing import TYPE_CHECKING, NamedTuple

import psycopg
from psycopg.sql import SQL, Identifier

from benchmark.measure import SERVER, ProgramError, pinned, run
from benchmark.programs import TAP, script
from benchmark.report import Table, note
from benchmark.serving import Served
from demo.postgres import run_postgres
from demo.run import address_of

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from benchmark.cases import Case
    from benchmark.measure import Cost
    from demo.postgres import Server

MESSAGES = 50_000
_COPY = {"use_copy": True}
_UNCHECKED = {"validate_records": False}

WAYS: Mapping[str, Mapping[str, object]] = {
    "as it comes": {},
    "`validate_records: false`": _UNCHECKED,
    "`use_copy: true`": _COPY,
    "both": _COPY | _UNCHECKED,
    "both, `batch_size_rows: 20000`": _COPY | _UNCHECKED | {"batch_size_rows": 20_000},
    "both, `batch_size_rows: 50000`": _COPY | _UNCHECKED | {"batch_size_rows": 50_000},
}
"""Settings of the target, by how they are told; the first to compare with."""


class _Loads(NamedTuple):
    """A first load into tables that are not there, and another one of the same rows."""

    first: Cost
    again: Cost


def loading(case: Case) -> Table:
    """Load the same messages in each way, by turns."""
    served = Served(case.root, MESSAGES)
    case.runner.check(TAP, served, 1)
    loads: dict[str, list[_Loads]] = {way: [] for way in WAYS}
    with ExitStack() as blocks:
        with pinned(SERVER):
            server = blocks.enter_context(run_postgres())
        for turn in range(case.runs):
            for way, settings in WAYS.items():
                note(f"target-postgres, {way}: {turn + 1} of {case.runs}")
                first = _load(case.runner.output, server, settings)
                again = _load(case.runner.output, server, settings)
                loads[way].append(_Loads(first, again))
                _forget(server, served.records)
    base, *_ = loads.values()
    return Table(
        f"(i) {MESSAGES:,} messages from a file into target-postgres, start included",
        ("its settings", "rows/s", "ratio", "again", "ratio", "peak memory"),
        [(way, *_figures(own, base)) for way, own in loads.items()],
    )


def _figures(own: list[_Loads], base: list[_Loads]) -> tuple[str, ...]:
    """Rows in a second beside those of the base, of both loads, and the memory."""
    turns = [*zip(own, base, strict=True)]
    first = median(other.first.wall / each.first.wall for each, other in turns)
    again = median(other.again.wall / each.again.wall for each, other in turns)
    return (
        f"{MESSAGES / median(each.first.wall for each in own):,.0f}",
        f"{first:.2f}",
        f"{MESSAGES / median(each.again.wall for each in own):,.0f}",
        f"{again:.2f}",
        f"{median(each.first.memory for each in own):.0f} MB",
    )


def _load(written: Path, server: Server, settings: Mapping[str, object]) -> Cost:
    """Load what was written."""
    config = written.with_name("target.json")
    address = {"sqlalchemy_url": address_of(server), "default_target_schema": _SCHEMA}
    config.write_text(json.dumps({**address, **settings}))
    return run(
        [script("target-postgres"), "--config", config],
        written.with_name("states"),
        written.with_name("log"),
        {},
        source=written,
    )


def _forget(server: Server, rows: int) -> None:
    """Drop the table, in which each row must be once."""
    schema = Identifier(_SCHEMA)
    count = SQL("SELECT count(*) FROM {}.avaamo_messages").format(schema)
    with psycopg.connect(server.dsn) as connection:
        found = connection.execute(count).fetchone()
        if found != (rows,):
            msg = f"target-postgres has loaded {found} rows of {rows}"
            raise ProgramError(msg)
        connection.execute(SQL("DROP SCHEMA {} CASCADE").format(schema))


_SCHEMA = "benchmark"
