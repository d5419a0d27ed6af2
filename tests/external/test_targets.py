"""Targets other than target-postgres take all that the tap emits, and hold the truth.

Those that don't go with the tap's dependencies run in environments of their own.
"""

from __future__ import annotations

import json
import os
import re
import shutil
import subprocess
import sys
from collections import defaultdict
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import psycopg
import pytest
from jsonschema import FormatChecker
from psycopg import sql
from singer_sdk import Target
from singer_sdk import typing as th
from singer_sdk.exceptions import InvalidRecord
from singer_sdk.sinks import RecordSink
from singer_sdk.sinks.core import JSONSchemaValidator
from typing_extensions import override

from demo.postgres import run_postgres
from simulator import Simulator, World
from simulator.emitted import instant
from tests.conftest import config_for, end_of
from tests.docs import ROOT
from tests.pins import FOLDER, environment
from tests.readme import blocks
from tests.truth import LISTS, STREAMS, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.postgres import Server
    from tests.conftest import Records
    from tests.truth import Keyed

SCRIPTS = Path(sys.executable).parent

PIPELINEWISE = "target-pipelinewise", "target-postgres"
JSONL = "target-jsonl", "target-jsonl"
DUCKDB = "target-duckdb", "target-duckdb"
"""Targets, each by the environment that it runs in and by its program there."""

PINNED = FOLDER / "target-jsonl.txt", FOLDER / "duckdb-cli.txt"
"""What the commands of the README install."""

Rows = dict[str, list[dict[str, Any]]]
"""Rows as a target has them, by stream."""

NEW_FIELD: dict[str, Any] = {"newField": {"a": [1, None, "é"], "b": {"c": 1.5}}}
JSON_COLUMNS = {
    "additional_fields",
    "previous_interval_stats",
    "session_lang",
    "stats",
    "tags",
}
"""Those that flattening turns into JSON."""
TIMES = {"created_at", "start_time", "end_time"}

TIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z")
formats = FormatChecker()


@formats.checks("date-time", raises=ValueError)
def is_time(value: object) -> bool:
    """Whether a value is a time in UTC; jsonschema alone lets anything pass."""
    text = str(value)
    return TIME.fullmatch(text) is not None and bool(datetime.fromisoformat(text))


class StrictSink(RecordSink):
    """Keeps the records that keep their schema to the letter, formats included."""

    @override
    def __init__(self, target: StrictTarget, *args: Any, **kwargs: Any) -> None:
        super().__init__(target, *args, **kwargs)
        self.rows = target.rows[self.stream_name]

    @override
    def get_validator(self) -> JSONSchemaValidator:
        return JSONSchemaValidator(
            self.schema, validate_formats=True, format_checker=formats
        )

    @override
    def process_record(self, record: dict[str, Any], context: dict[str, Any]) -> None:
        self.rows.append(plain(record))


class StrictTarget(Target):
    """A target on the SDK's base."""

    name = "target-strict"
    config_jsonschema: ClassVar[dict[str, Any]] = th.PropertiesList().to_dict()
    default_sink_class = StrictSink

    @override
    def __init__(self, **kwargs: Any) -> None:
        self.rows: Rows = defaultdict(list)
        super().__init__(**kwargs)


def plain(value: Any) -> Any:
    """A value as JSON has it: the SDK reads times and exact numbers."""
    match value:
        case dict():
            return {name: plain(item) for name, item in value.items()}
        case list():
            return [plain(item) for item in value]
        case Decimal():
            return float(value)
        case datetime():
            return instant(value.timestamp())
        case date():
            return value.isoformat()
    return value


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    """Hostile texts, every shape of Kore's records, and a field that no page knows."""
    world = World(sessions_per_day=6, days=5, hostile_text=True, kore_version="mixed")
    with Simulator(world) as running:
        running.options.extra_fields = NEW_FIELD
        yield running


@pytest.fixture(scope="module")
def emitted(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What the tap writes to its standard output."""
    return emit(simulator, tmp_path_factory.mktemp("plain"))


@pytest.fixture(scope="module")
def flattened(simulator: Simulator, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The same, flattened."""
    return emit(
        simulator,
        tmp_path_factory.mktemp("flat"),
        flattening_enabled=True,
        flattening_max_depth=1,
    )


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres("Asia/Kolkata") as running:
        yield running


def emit(simulator: Simulator, folder: Path, **settings: Any) -> Path:
    """Run the tap's command line."""
    config, output = folder / "config.json", folder / "output.jsonl"
    config.write_text(json.dumps(config_for(simulator, **settings)))
    with output.open("w") as file:
        subprocess.run(  # noqa: S603 -- ours
            [SCRIPTS / "tap-botsessions", "--config", config], stdout=file, check=True
        )
    return output


def load(
    emitted: Path, folder: Path, target: tuple[str, str], **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Give a target what the tap emitted."""
    config = folder / "target.json"
    config.write_text(json.dumps(settings))
    name, program = target
    with emitted.open() as file:
        return subprocess.run(  # noqa: S603 -- one of the targets above
            [environment(name) / program, "--config", config],
            stdin=file,
            capture_output=True,
            text=True,
            check=False,
        )


def assert_loaded(done: subprocess.CompletedProcess[str], emitted: Path) -> None:
    """A target ended well, and its last state is the tap's."""
    assert done.returncode == 0, done.stderr
    *_, last = emitted.read_text().splitlines()
    assert json.loads(done.stdout.splitlines()[-1]) == json.loads(last)["value"]


def truth(simulator: Simulator) -> Records:
    """Every record, by stream and key."""
    found = truth_of(simulator.world)
    for stream in LISTS:
        for record in found[stream].values():
            record["additional_fields"] = NEW_FIELD
    return found


def truth_of(world: World) -> Records:
    """Every record of a world, with no field that a page does not know."""
    end = end_of(world)
    return {stream: expected(world, stream, world.start, end) for stream in STREAMS}


def flat(record: dict[str, Any]) -> dict[str, Any]:
    """A record as flattening leaves it, but for the JSON in strings."""
    record = dict(record)
    user = record.pop("user", {})
    return record | {f"user__{name}": value for name, value in user.items()}


def by_key(stream: str, rows: list[dict[str, Any]]) -> Keyed:
    """Rows by their keys, of which none may be there twice."""
    found = {key_of(stream, row): row for row in rows}
    assert len(found) == len(rows)
    return found


def rows_of(folder: Path, stream: str) -> list[dict[str, Any]]:
    """The rows that target-jsonl wrote."""
    return [
        json.loads(line)
        for file in folder.glob(f"{stream}*.jsonl")
        for line in file.read_text().splitlines()
    ]


def broken(emitted: Path, folder: Path, field: str, value: object) -> Path:
    """What the tap emitted, with one value that its schema does not allow."""
    messages = [json.loads(line) for line in emitted.read_text().splitlines()]
    records = (message.get("record", {}) for message in messages)
    next(record for record in records if field in record)[field] = value
    file = folder / "broken.jsonl"
    file.write_text("".join(f"{json.dumps(message)}\n" for message in messages))
    return file


def strictly(emitted: Path) -> Rows:
    """Load into a target on the SDK's base."""
    target = StrictTarget()
    with emitted.open() as file:
        target.listen(file)
    return target.rows


def test_the_sdks_base_takes_every_record_at_its_strictest(
    simulator: Simulator, emitted: Path
) -> None:
    rows = strictly(emitted)
    for stream, records in truth(simulator).items():
        assert_same(by_key(stream, rows[stream]), records)


def test_the_sdks_base_takes_every_record_that_is_flattened(
    simulator: Simulator, flattened: Path
) -> None:
    rows = strictly(flattened)
    for stream, records in truth(simulator).items():
        for row in rows[stream]:
            row |= {
                name: json.loads(row[name])
                for name in JSON_COLUMNS & row.keys()
                if row[name] is not None
            }
        found = by_key(stream, rows[stream])
        assert_same(found, {key: flat(record) for key, record in records.items()})


@pytest.mark.parametrize(
    ("field", "value"),
    [("is_developer", "?"), ("start_time", "2026-03-01 00:00:00"), ("bot_id", None)],
)
def test_the_sdks_base_refuses_what_breaks_the_schema(
    emitted: Path, tmp_path: Path, field: str, value: object
) -> None:
    with pytest.raises(InvalidRecord):
        strictly(broken(emitted, tmp_path, field, value))


def test_target_jsonl_takes_every_record(
    simulator: Simulator, emitted: Path, tmp_path: Path
) -> None:
    done = load(emitted, tmp_path, JSONL, destination_path=f"{tmp_path}/loaded")
    assert_loaded(done, emitted)
    for stream, records in truth(simulator).items():
        assert_same(by_key(stream, rows_of(tmp_path / "loaded", stream)), records)


def test_pipelinewise_target_postgres_takes_every_record(
    simulator: Simulator, server: Server, emitted: Path, tmp_path: Path
) -> None:
    """Its times are in UTC, whatever the server's zone; some texts are not the same."""
    done = load(emitted, tmp_path, PIPELINEWISE, **pipelinewise(server, "plain"))
    assert_loaded(done, emitted)
    with psycopg.connect(server.dsn) as connection:
        for stream, records in truth(simulator).items():
            rows = [in_utc(row) for row in table(connection, "plain", stream)]
            for record in records.values():
                if "content" in record:
                    record["content"] = as_pipelinewise_has_it(record["content"])
            assert_same(by_key(stream, rows), records)


def in_utc(row: dict[str, Any]) -> dict[str, Any]:
    """A row of a database, with its times, which are in UTC, as the tap writes them."""
    times = {
        name: instant(datetime.fromisoformat(row[name]).replace(tzinfo=UTC).timestamp())
        for name in TIMES & row.keys()
    }
    return row | times


def as_pipelinewise_has_it(text: str) -> str | None:
    """A text with line breaks and tabs as two characters each; null if it is empty."""
    return text.replace("\n", r"\n").replace("\t", r"\t") or None


def pipelinewise(server: Server, schema: str) -> dict[str, Any]:
    """The settings of pipelinewise-target-postgres."""
    return {
        "host": server.host,
        "port": server.port,
        "user": server.user,
        "password": "any",
        "dbname": server.database,
        "default_target_schema": schema,
        "validate_records": True,
    }


def table(
    connection: psycopg.Connection[Any], schema: str, name: str
) -> list[dict[str, Any]]:
    """The rows of a table, as PostgreSQL writes them in JSON."""
    query = sql.SQL("SELECT to_jsonb(row) FROM {} AS row")
    rows = connection.execute(query.format(sql.Identifier(schema, name))).fetchall()
    return [row for (row,) in rows]


def test_both_refuse_what_breaks_the_schema(
    server: Server, emitted: Path, tmp_path: Path
) -> None:
    """So what they take is known to keep it."""
    wrong = broken(emitted, tmp_path, "is_developer", "?")
    for target, settings in (
        (JSONL, {"destination_path": f"{tmp_path}/broken"}),
        (PIPELINEWISE, pipelinewise(server, "broken")),
    ):
        done = load(wrong, tmp_path, target, **settings)
        assert done.returncode != 0
        assert re.search("valid", done.stderr, re.IGNORECASE)


def test_duckdb_gets_the_truth_by_the_commands_of_the_readme(tmp_path: Path) -> None:
    """In two runs, of which the second brings rows again, some of them corrected."""
    [settings], [commands] = blocks("Targets", "json"), blocks("Targets", "bash")
    shutil.copytree(ROOT / "examples", tmp_path / "examples")
    (tmp_path / "jsonl.json").write_text(settings)
    (tmp_path / "state.json").write_text("{}")
    world = World(sessions_per_day=6, days=10, late_fraction=0.1, open_fraction=0.1)
    with Simulator(world) as simulator:
        for days in (7.6, 10):
            world.now = world.start.timestamp() + days * 86_400
            config = config_for(simulator, lookback_hours=24)
            (tmp_path / "config.json").write_text(json.dumps(config))
            run_in(tmp_path, "bash", "-eo", "pipefail", "-c", commands)
        for stream, records in truth_of(world).items():
            assert len(rows_of(tmp_path / "loaded", stream)) > len(records)
            assert_same(by_key(stream, duckdb_rows(tmp_path, stream)), records)


def run_in(folder: Path, *command: str) -> str:
    """Run a command in a folder, with the programs of this environment at hand."""
    done = subprocess.run(  # noqa: S603 -- the README's, and DuckDB's
        command,
        cwd=folder,
        env={
            **os.environ,
            "PATH": f"{SCRIPTS}:{os.environ['PATH']}",
            "TZ": "UTC",
            "UV_CONSTRAINT": " ".join(map(str, PINNED)),  # of what uvx installs
        },
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stdout


def duckdb_rows(folder: Path, stream: str) -> list[dict[str, Any]]:
    """The rows of a table in DuckDB."""
    duckdb = str(environment("duckdb-cli") / "duckdb")
    output = run_in(folder, duckdb, "-json", "botsessions.duckdb", f"FROM {stream}")
    return [in_utc(row) for row in json.loads(output)]


def test_target_duckdb_loses_the_first_row_of_a_table_of_strings(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Such a table is what a stream map may leave; the target takes it for a header."""
    columns = {name: name for name in ("bot_id", "session_id", "user_id")}
    maps = {"kore_sessions": columns | {"__else__": None}, "__else__": None}
    emitted = emit(simulator, tmp_path, stream_maps=maps)
    done = load(emitted, tmp_path, DUCKDB, **target_duckdb(tmp_path))
    assert_loaded(done, emitted)
    whole = truth(simulator)["kore_sessions"]
    assert len(duckdb_rows(tmp_path, "kore_sessions")) == len(whole) - 1


def test_target_duckdb_turns_empty_texts_into_null(
    simulator: Simulator, emitted: Path, tmp_path: Path
) -> None:
    done = load(emitted, tmp_path, DUCKDB, **target_duckdb(tmp_path))
    assert_loaded(done, emitted)
    texts = {row["content"] for row in duckdb_rows(tmp_path, "avaamo_messages")}
    whole = truth(simulator)["avaamo_messages"].values()
    assert texts == {record["content"] or None for record in whole}
    assert None in texts


def target_duckdb(folder: Path) -> dict[str, Any]:
    """The settings of target-duckdb."""
    return {
        "filepath": str(folder / "botsessions.duckdb"),
        "default_target_schema": "main",
    }
