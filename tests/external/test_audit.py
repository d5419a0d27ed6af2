"""The audit trail in a warehouse."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import psycopg

from demo.postgres import run_postgres
from demo.run import SCHEMA, target_config
from simulator import Simulator, World
from tests.conftest import Synced, end_of
from tests.readme import blocks
from tests.simulated.test_audit import audited
from tests.simulated.test_gaps import haunt

TARGET = Path(sys.executable).with_name("target-postgres")


def load(synced: Synced, config: Path) -> None:
    lines = "".join(f"{json.dumps(each)}\n" for each in synced.messages)
    subprocess.run(  # noqa: S603 -- the loader
        [TARGET, "--config", config],
        input=lines.encode(),
        check=True,
        capture_output=True,
    )


def test_a_query_proves_completeness_in_the_warehouse(tmp_path: Path) -> None:
    """The one in the README, on what target-postgres loads of three runs.

    A gap is missing until it is read again and adds up.
    """
    world = World(sessions_per_day=12, days=8)
    [query] = blocks("Audit trail", "sql")
    with Simulator(world) as simulator, run_postgres("Asia/Tokyo") as server:
        world.now -= 3 * 86_400
        haunt(world, "kore_sessions", 20)
        first = audited(simulator, end_date=end_of(world).isoformat())
        world.now += 3 * 86_400
        config = tmp_path / "config.json"
        config.write_text(json.dumps(target_config(server)))
        load(first, config)
        second = audited(simulator, first.state)
        load(second, config)
        with psycopg.connect(
            server.dsn, options=f"-c search_path={SCHEMA}", autocommit=True
        ) as connection:
            [(stream, *_, gap)] = connection.execute(query).fetchall()
            assert stream == "kore_sessions"
            assert "0 records came where 1 were counted" in gap
            world.heal()
            load(audited(simulator, second.state), config)
            assert connection.execute(query).fetchall() == []
            connection.execute(
                "DELETE FROM avaamo_messages WHERE ctid IN"
                " (SELECT ctid FROM avaamo_messages LIMIT 1)"
            )
            [(stream, _, *_)] = connection.execute(query).fetchall()
            assert stream == "avaamo_messages"
