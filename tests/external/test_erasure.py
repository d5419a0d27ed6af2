"""What the vendors have erased is gone from the warehouse, and nothing else is."""

from __future__ import annotations

import json
import os
import subprocess
from abc import ABC, abstractmethod
from contextlib import contextmanager
from datetime import UTC, datetime, timedelta
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from typing_extensions import override

from demo.postgres import find_binaries, run_postgres
from demo.run import SCHEMA, target_config
from simulator import Rule, Simulator, World
from simulator.faults import status, wrong_total
from simulator.streams import LISTS
from tests.conftest import Synced, end_of
from tests.external.test_audit import load
from tests.pins import environment
from tests.readme import blocks
from tests.simulated.test_audit import audited
from tests.truth import KEYS, OPTIONAL, STREAMS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from demo.postgres import Server

ROOT = Path(__file__).parents[2]
SCRIPT = ROOT / "examples" / "erasure.sh"
EVERY = (*STREAMS, *OPTIONAL)
ERASED = tuple(LISTS)
DAY = timedelta(days=1)
DAYS = 10


class Warehouse(ABC):
    """A warehouse that has rows upserted, with the metadata of the SDK's targets."""

    sql: str
    environment: Mapping[str, str] = MappingProxyType({})
    hour = "INTERVAL '0' HOUR"
    """How long before a reading a row was extracted at the least; see the script."""

    @abstractmethod
    def load(self, synced: Synced) -> None:
        """Load what a run has written."""

    @abstractmethod
    def keys(self, stream: str) -> set[tuple[str, ...]]:
        """The keys of the rows of a table."""

    @abstractmethod
    def marked_at(self) -> datetime:
        """When the latest of the messages was marked."""

    def erase(self, action: str = "delete") -> str:
        """Run the script."""
        command = [str(SCRIPT), action]
        if action == "delete" and self.environment:
            [documented] = blocks("Erasures", "bash")
            command = ["/usr/bin/env", "bash", "-c", documented]
        done = subprocess.run(  # noqa: S603 -- the script
            command,
            cwd=ROOT,
            env={
                **os.environ,
                "SQL": self.sql,
                "SCHEMA": SCHEMA,
                "HOUR": self.hour,
                **self.environment,
            },
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        return done.stdout


class Postgres(Warehouse):
    """PostgreSQL, by target-postgres."""

    def __init__(self, folder: Path, server: Server) -> None:
        """Prepare to load."""
        url = (
            f"postgresql://{server.user}@{server.host}:{server.port}/{server.database}"
        )
        self.sql = f"psql -XqAt -v ON_ERROR_STOP=1 {url}"
        self.environment = {
            "PATH": f"{find_binaries()}:{os.environ['PATH']}",
            "DATABASE_URL": url,
        }
        self._server = server
        self._config = folder / "config.json"
        config = {**target_config(server), "add_record_metadata": True}
        self._config.write_text(json.dumps(config))

    @override
    def load(self, synced: Synced) -> None:
        load(synced, self._config)

    @override
    def keys(self, stream: str) -> set[tuple[str, ...]]:
        columns = ", ".join(f"{name}::text" for name in KEYS[stream])
        query = f"SELECT {columns} FROM {SCHEMA}.{stream}"  # noqa: S608 -- names
        with psycopg.connect(self._server.dsn) as connection:
            return set(connection.execute(query).fetchall())

    @override
    def marked_at(self) -> datetime:
        query = f"SELECT max(deleted_at) FROM {SCHEMA}.avaamo_messages"  # noqa: S608
        with psycopg.connect(self._server.dsn) as connection:
            [(instant,)] = connection.execute(query).fetchall()
        return datetime.fromisoformat(str(instant)).replace(tzinfo=UTC)


class DuckDb(Warehouse):
    """DuckDB, into which rows are put as targets of the SDK do."""

    def __init__(self, folder: Path) -> None:
        """Prepare to load."""
        self._folder = folder
        duckdb = environment("duckdb-cli") / "duckdb"
        self.sql = f"{duckdb} -bail -list -noheader {folder}/w.db"
        self._rows: dict[str, dict[tuple[Any, ...], dict[str, Any]]] = {}
        self._times: dict[str, list[str]] = {}

    def _run(self, sql: str) -> str:
        done = subprocess.run(  # noqa: S603 -- DuckDB
            [*self.sql.split(" ")],
            input=f"CREATE SCHEMA IF NOT EXISTS {SCHEMA}; USE {SCHEMA}; {sql};",
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout

    @override
    def load(self, synced: Synced) -> None:
        for message in synced.messages:
            if message["type"] == "SCHEMA":
                self._times[message["stream"]] = [
                    name
                    for name, column in message["schema"]["properties"].items()
                    if column.get("format") == "date-time"
                ]
            elif message["type"] == "RECORD":
                stream, record = message["stream"], message["record"]
                row = {**record, "_sdc_extracted_at": message["time_extracted"]}
                key = tuple(record[name] for name in KEYS[stream])
                self._rows.setdefault(stream, {})[key] = row
        for stream, rows in self._rows.items():
            file = self._folder / f"{stream}.jsonl"
            file.write_text("".join(f"{json.dumps(row)}\n" for row in rows.values()))
            typed = ", ".join(
                f"{name}::TIMESTAMP AS {name}"
                for name in ("_sdc_extracted_at", *self._times[stream])
            )
            rows_of = f"read_json('{file}', sample_size=-1)"
            self._run(
                f"CREATE OR REPLACE TABLE {stream} AS "
                f"FROM {rows_of} SELECT * REPLACE ({typed})"
            )

    @override
    def keys(self, stream: str) -> set[tuple[str, ...]]:
        columns = ", ".join(KEYS[stream])
        shown = self._run(f"SELECT {columns} FROM {stream}")  # noqa: S608 -- names
        return {tuple(line.split("|")) for line in shown.splitlines()}

    @override
    def marked_at(self) -> datetime:
        shown = self._run("SELECT max(deleted_at) FROM avaamo_messages")
        return datetime.fromisoformat(shown.strip()).replace(tzinfo=UTC)


@pytest.fixture(params=["postgres", "duckdb"])
def warehouse(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Warehouse]:
    """Each warehouse in turn."""
    if request.param == "duckdb":
        yield DuckDb(tmp_path)
        return
    with run_postgres("Asia/Tokyo") as server:
        yield Postgres(tmp_path, server)


@contextmanager
def vendors() -> Iterator[Simulator]:
    """A world of some days up to now."""
    start = datetime.now(UTC).replace(microsecond=0) - (DAYS + 1) * DAY
    world = World(start=start, days=DAYS + 1, sessions_per_day=6)
    world.now = (start + DAYS * DAY).timestamp()
    with Simulator(world) as simulator:
        yield simulator


def erase_some(world: World, stream: str, bot: str) -> None:
    """Have the vendor erase two records of a bot, of one day."""
    first, last = (int((world.start + n * DAY).timestamp() * 1000) for n in (3, 4))
    for row in [*world.rows(stream, bot, first, last)][:2]:
        world.remove(stream, bot, datetime.fromtimestamp(row.at / 1000, UTC))


def run(
    simulator: Simulator,
    state: Any = None,
    streams: Sequence[str] = STREAMS,
    **settings: Any,
) -> Synced:
    """Run the tap, which looks again at what it read before."""
    end = end_of(simulator.world).isoformat()
    settings = {"end_date": end, "sweep_hours": 0, "sweep_full_every": 1, **settings}
    return audited(simulator, state, streams, **settings)


def test_what_is_erased_is_listed_marked_and_deleted(warehouse: Warehouse) -> None:
    with vendors() as simulator:
        world = simulator.world
        first = run(simulator, None, EVERY)
        warehouse.load(first)
        whole = {stream: warehouse.keys(stream) for stream in STREAMS}
        assert "kore_sessions: 0 gone" in warehouse.erase("list")
        hour, warehouse.hour = warehouse.hour, ""  # which is the script's own
        for stream in ERASED:
            erase_some(world, stream, world.bots_of(stream)[0])
        world.now += 3_600
        warehouse.load(run(simulator, first.state, EVERY))
        assert "avaamo_messages: 0 gone" in warehouse.erase("list")
        warehouse.hour = hour
        for stream in ERASED:
            assert f"{stream}: 2 gone" in warehouse.erase("list")
        assert "avaamo_messages: 2 marked" in warehouse.erase("mark")
        assert abs(warehouse.marked_at() - datetime.now(UTC)) < timedelta(minutes=5)
        assert "avaamo_messages: 0 marked" in warehouse.erase("mark")
        assert whole["kore_sessions"] <= warehouse.keys("kore_sessions")
        said = warehouse.erase("delete")
        for stream in ERASED:
            assert f"{stream}: 2 deleted" in said
            start = world.start
            truth = world.expected(stream, start, end_of(world))
            assert len(warehouse.keys(stream)) == len(truth)
        assert "avaamo_messages: 0 deleted" in warehouse.erase("delete")


def hide(simulator: Simulator) -> dict[str, Any]:
    """Have the list of a day not add up: it is a gap."""
    world = simulator.world
    [*rows] = world.rows(
        "avaamo_messages",
        "201",
        *(int((world.start + n * DAY).timestamp() * 1000) for n in (3, 4)),
    )
    for row in rows:
        at = datetime.fromtimestamp(row.at / 1000, UTC)
        world.hide("avaamo_messages", "201", at)
    return {}


def miscount(simulator: Simulator) -> dict[str, Any]:
    """Have a record be missing of an attempt that does not add up."""
    rule = Rule(wrong_total(1), endpoint="messages", every=2, times=6)
    simulator.faults.rules.append(rule)
    return {}


def refuse(simulator: Simulator) -> dict[str, Any]:
    """Have a bot fail."""
    simulator.faults.rules.append(Rule(status(403, b"{}"), bot="201"))
    return {}


def ask_for_less(_: Simulator) -> dict[str, Any]:
    """Ask for some sessions only."""
    return {"kore_containment_types": ["agent"]}


@pytest.mark.parametrize("trouble", [hide, miscount, refuse, ask_for_less])
def test_what_is_not_proved_to_be_gone_stays(
    warehouse: Warehouse, trouble: Callable[[Simulator], dict[str, Any]]
) -> None:
    with vendors() as simulator:
        world = simulator.world
        first = run(simulator)
        warehouse.load(first)
        before = {stream: warehouse.keys(stream) for stream in STREAMS}
        world.now += 3_600
        settings = trouble(simulator)
        warehouse.load(run(simulator, first.state, **settings))
        warehouse.erase()
        for stream in STREAMS:
            assert before[stream] <= warehouse.keys(stream)


def test_what_is_not_loaded_yet_is_not_taken_for_gone(warehouse: Warehouse) -> None:
    """As where it waits in the files of a BATCH."""
    with vendors() as simulator:
        world = simulator.world
        first = run(simulator)
        warehouse.load(first)
        before = {stream: warehouse.keys(stream) for stream in STREAMS}
        world.now += 3_600
        again = run(simulator, first.state)
        audit = [
            message
            for message in again.messages
            if message.get("stream") == "sync_windows" or message["type"] == "SCHEMA"
        ]
        warehouse.load(Synced(messages=audit))
        warehouse.erase()
        for stream in STREAMS:
            assert before[stream] == warehouse.keys(stream)
