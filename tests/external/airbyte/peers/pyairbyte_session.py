"""Runs scripts that use PyAirbyte, and tells what is in their cache afterwards.

Each line of standard input is a request in JSON: the folder to be in, and the script to
run. Each line of standard output is an answer in JSON:

    error    the exception that ended the script, or null
    read     how many records the script's `result` counts, 0 without one
    tables   the rows of each table, values written as the tap writes them
    states   the state of each stream

PyAirbyte takes seconds to load, therefore one process runs many scripts.
"""

import json
import os
import runpy
import sys
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from airbyte.caches import DuckDBCache


def answer(folder: str, script: str) -> dict[str, Any]:
    """Run a script in a folder."""
    os.chdir(folder)
    error, names = None, {}
    try:
        names = runpy.run_path(script)
    except Exception as raised:  # noqa: BLE001 -- whatever it is, it is told
        error = str(raised)
    read = names["result"].processed_records if "result" in names else 0
    with DuckDBCache(db_path="botsessions.duckdb") as cache:
        return {"error": error, "read": read, **contents(cache)}


def contents(cache: DuckDBCache) -> dict[str, Any]:
    """Tell what is in a cache."""
    tables = {row["name"]: [] for row in cache.run_sql_query("SHOW TABLES")}
    for name in tables:
        tables[name] = cache.run_sql_query(f'FROM "{name}"')
    states = tables.get("_airbyte_state", [])
    return {
        "tables": {
            name: [written(row) for row in rows]
            for name, rows in tables.items()
            if not name.startswith("_")
        },
        "states": {
            row["stream_name"]: json.loads(row["state_json"])["stream"]["stream_state"]
            for row in states
        },
    }


def written(row: dict[str, Any]) -> dict[str, Any]:
    """A row without what PyAirbyte adds to it."""
    return {
        name: text_of(value)
        for name, value in row.items()
        if not name.startswith("_airbyte")
    }


def text_of(value: object) -> object:
    """A value as the tap writes it."""
    match value:
        case datetime():  # in UTC, but without saying so
            return value.isoformat(timespec="milliseconds").replace(".000", "") + "Z"
        case date():
            return value.isoformat()
        case Decimal():  # by way of a double, so that the last digits are made up
            return round(float(value), 6)
    return value


if __name__ == "__main__":
    # What PyAirbyte prints is no answer.
    answers = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)
    for line in sys.stdin:
        answers.write(json.dumps(answer(**json.loads(line))) + "\n")
