"""From both vendors into PostgreSQL, twice."""

from __future__ import annotations

import shutil
from contextlib import ExitStack
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from demo import report
from demo.pipe import PipeError, sync
from demo.postgres import Server, run_postgres
from demo.stopping import undisturbed
from demo.truth import differences, snapshot
from simulator import Simulator, World

if TYPE_CHECKING:
    from demo.truth import Snapshot

FOLDER = Path("output/demo")
SCHEMA = "botsessions"
# Not UTC, to show that the time zone of a server doesn't shift what arrives.
TIMEZONE = "Europe/Paris"
START = datetime(2026, 5, 4, tzinfo=UTC)
FIRST_SYNC = datetime(2026, 5, 10, 16, tzinfo=UTC)
SECOND_SYNC = datetime(2026, 5, 11, 12, tzinfo=UTC)
FAST = {"use_copy": True, "validate_records": False, "batch_size_rows": 20_000}
"""The target's settings that have it load fast; tests/external/test_loading.py."""


def main() -> int:
    """Run the demo.

    Returns:
        The exit code, 0 if the tables hold the truth.
    """
    try:
        return 0 if demonstrate() else 1
    except (PipeError, FileNotFoundError, RuntimeError) as error:
        report.fail(str(error))
        return 1
    except SystemExit:
        report.stop()
        raise


def demonstrate() -> bool:
    """Sync, move the clock on, sync again, and compare the tables with the truth."""
    report.introduce()
    shutil.rmtree(FOLDER, ignore_errors=True)
    FOLDER.mkdir(parents=True)
    with ExitStack() as blocks:
        with report.step("A simulator of both vendors' APIs"), undisturbed():
            simulator = blocks.enter_context(Simulator(make_world()))
        with report.step(f"PostgreSQL, in the time zone {TIMEZONE}"):
            server = blocks.enter_context(run_postgres(TIMEZONE))
        with report.step(f"First sync, of all up to {report.moment(FIRST_SYNC)}"):
            first = sync_at(FIRST_SYNC, simulator, server)
        then = report.moment(SECOND_SYNC)
        with report.step(f"Second sync, of what is new up to {then}"):
            second = sync_at(SECOND_SYNC, simulator, server)
        with connect(server) as connection:
            lines = differences(connection, simulator.world)
    report.show_tables(first, second)
    report.show_days(first, second)
    report.show_corrections(first, second, FIRST_SYNC)
    report.judge(second, lines, FOLDER)
    return not lines


def make_world() -> World:
    """Make up what the vendors know, with the awkward things that they are known for.

    Some records appear hours after their time, and some texts hold characters that
    PostgreSQL refuses.
    """
    return World(
        start=START,
        days=8,
        agents=("201", "202"),
        bots=("st-orders", "st-returns"),
        sessions_per_day={"201": 60, "202": 40, "st-orders": 150, "st-returns": 90},
        messages_per_session=2,
        late_fraction=0.05,
        open_fraction=0.01,
        hostile_text=True,
    )


def sync_at(now: datetime, simulator: Simulator, server: Server) -> Snapshot:
    """Run the pipe at an instant of the simulator's clock, and read the tables."""
    simulator.world.now = now.timestamp()
    sync(FOLDER, tap_config(now, simulator), target_config(server))
    with connect(server) as connection:
        return snapshot(connection)


def tap_config(now: datetime, simulator: Simulator) -> dict[str, Any]:
    """Configure the tap to read all that the simulator has up to now."""
    world = simulator.world
    return {
        "start_date": START.isoformat(),
        "end_date": now.isoformat(),
        # Records that came late are read again.
        "lookback_hours": 24,
        "avaamo_base_url": simulator.url,
        "avaamo_access_token": world.avaamo_token,
        "avaamo_agent_ids": world.agents,
        "kore_base_url": simulator.url,
        "kore_client_id": world.app.client_id,
        "kore_client_secret": world.app.client_secret,
        "kore_bot_ids": world.bots,
    }


def target_config(server: Server) -> dict[str, Any]:
    """Configure the target as README.md does."""
    return {
        "sqlalchemy_url": address_of(server),
        "default_target_schema": SCHEMA,
        "load_method": "upsert",
        **FAST,
    }


def address_of(server: Server) -> str:
    """The server's address, as the target takes it.

    The target's columns have no time zone, so its session is in UTC.
    """
    address = f"{server.user}@{server.host}:{server.port}/{server.database}"
    return f"postgresql+psycopg://{address}?options=-c%20timezone%3DUTC"


def connect(server: Server) -> psycopg.Connection:
    """Connect to the server, where the tables are."""
    return psycopg.connect(server.dsn, options=f"-c search_path={SCHEMA}")
