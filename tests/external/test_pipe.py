"""The pipe into a real PostgreSQL whose time zone is not UTC."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import pytest

from demo.pipe import sync
from demo.postgres import run_postgres
from demo.run import SCHEMA, connect, target_config
from demo.truth import differences
from simulator import Simulator, World
from tests.conftest import config_for
from tests.truth import LISTS

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.postgres import Server

START = datetime(2026, 3, 1, tzinfo=UTC)

COLUMNS = """
    SELECT column_name, data_type FROM information_schema.columns
    WHERE table_schema = %s AND table_name = %s AND column_name NOT LIKE '\\_sdc%%'
"""


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres("Asia/Kolkata") as running:
        yield running


def test_two_runs_fill_the_tables_with_the_truth(
    server: Server, tmp_path: Path
) -> None:
    """All record shapes, hostile texts and late records, first whole and then news."""
    world = World(
        sessions_per_day=15,
        days=20,
        hostile_text=True,
        equal_sessions=0.1,
        late_fraction=0.1,
        open_fraction=0,
        kore_version="mixed",
        now=(START.timestamp() + 12.6 * 86_400),
    )
    with Simulator(world) as simulator:
        simulator.options.avaamo_order = "shuffled"
        for now in (world.now, START.timestamp() + 20 * 86_400):
            world.now = now
            config = config_for(simulator, lookback_hours=24)
            sync(tmp_path, config, target_config(server))
            with connect(server) as connection:
                assert differences(connection, world) == []
        state = json.loads((tmp_path / "state.json").read_text())
        [session_state] = [
            partition
            for partition in state["bookmarks"]["kore_sessions"]["partitions"]
            if partition["context"]["bot_id"] == world.bots[0]
        ]
        assert session_state["replication_key_value"] == "2026-03-21T00:00:00Z"


def test_nested_values_and_extra_fields_arrive_as_json(
    server: Server, tmp_path: Path
) -> None:
    with Simulator(World(sessions_per_day=5, days=3)) as simulator:
        simulator.options.extra_fields = {"newField": {"a": [1, None, "é"]}}
        config = config_for(simulator)
        target = target_config(server) | {"default_target_schema": "extra"}
        sync(tmp_path, config, target)
        with connect(server) as connection:
            for stream in LISTS:
                query = f"SELECT DISTINCT additional_fields FROM extra.{stream}"  # noqa: S608 -- names of ours
                rows = connection.execute(query).fetchall()
                assert rows == [({"newField": {"a": [1, None, "é"]}},)]


@pytest.mark.parametrize(
    ("table", "types"),
    [
        (
            "avaamo_messages",
            {"timetoken": "numeric", "created_at": "timestamp without time zone"}
            | {"score": "numeric", "user": "jsonb", "content": "text"},
        ),
        (
            "avaamo_usage",
            {"date": "date", "messages_count": "bigint", "success_rate": "numeric"}
            | {"stats": "jsonb", "previous_interval_stats": "jsonb"},
        ),
        (
            "kore_sessions",
            {"start_time": "timestamp without time zone", "session_lang": "ARRAY"}
            | {"is_developer": "boolean", "tags": "jsonb", "bot_id": "text"}
            | {"no_of_messages_exchanged": "bigint", "additional_fields": "jsonb"},
        ),
    ],
)
def test_columns_have_the_types_that_people_count_with(
    server: Server, table: str, types: dict[str, Any]
) -> None:
    with connect(server) as connection:
        found: dict[str, str] = dict(
            connection.execute(COLUMNS, (SCHEMA, table)).fetchall()
        )
    assert {name: found[name] for name in types} == types
