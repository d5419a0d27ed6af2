"""Real runs of Meltano, by the repository's own meltano.yml, into a real PostgreSQL.

The server's time zone is not UTC, and neither is that of the environment.
"""

from __future__ import annotations

import json
import os
import re
import select
import shutil
import signal
import socket
import subprocess
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
from psycopg.sql import SQL, Identifier

from demo.postgres import find_binaries, run_postgres
from simulator import Rule, Simulator, World
from simulator.faults import hang
from tests.conftest import Synced, config_for, end_of
from tests.docs import ROOT
from tests.pins import FOLDER, REQUIREMENTS
from tests.pipelines import (
    PATIENCE,
    PIPELINE,
    STATE_ID,
    Project,
    prepare,
    uninstalled,
)
from tests.readme import blocks
from tests.schemas import columns
from tests.tables import (
    columns_of,
    key_columns,
    read_table,
    table_names,
    types_of,
)
from tests.truth import KEYS, STREAMS, assert_same, expected, key_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator
    from subprocess import Popen

    from demo.postgres import Server

START = datetime(2026, 3, 1, tzinfo=UTC)
FIRST_RUN = START + timedelta(days=12.6)
SECOND_RUN = START + timedelta(days=20)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres("Asia/Kolkata") as running:
        yield running


@pytest.fixture(scope="module")
def outside() -> Iterator[str]:
    """A proxy that nobody may ask for anything."""
    with socket.create_server(("127.0.0.1", 0)) as proxy:
        host, port = proxy.getsockname()
        yield f"http://{host}:{port}"
        asked, _, _ = select.select([proxy], [], [], 0)
        assert not asked


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("meltano") / "project"
    prepare(folder)
    return folder


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(World(**WORLD)) as running:
        yield running


WORLD: dict[str, Any] = {
    "sessions_per_day": 5,
    "messages_per_session": 2,
    "late_fraction": 0.1,
    "open_fraction": 0.1,
    "hostile_text": True,
}


@pytest.fixture
def project(
    prepared: Path, tmp_path: Path, simulator: Simulator, server: Server, outside: str
) -> Project:
    folder = tmp_path / "project"
    shutil.copytree(prepared, folder)
    return Project(folder, simulator, new_database(server, tmp_path.name), outside)


@pytest.fixture(scope="module")
def after_a_run(
    prepared: Path,
    server: Server,
    outside: str,
    tmp_path_factory: pytest.TempPathFactory,
) -> Project:
    """A project whose pipeline has run once, to be copied."""
    folder = tmp_path_factory.mktemp("after-a-run") / "project"
    shutil.copytree(prepared, folder)
    with Simulator(World(**WORLD)) as simulator:
        database = new_database(server, "after_a_run")
        project = Project(folder, simulator, database, outside)
        project.meltano("run", *PIPELINE)
    return project


@pytest.fixture
def project_after_a_run(
    after_a_run: Project, tmp_path: Path, simulator: Simulator, server: Server
) -> Project:
    """A project, its state and its tables after a first run of the pipeline."""
    folder = tmp_path / "project"
    shutil.copytree(after_a_run.folder, folder)
    database = new_database(server, tmp_path.name, after_a_run.server.database)
    return replace(after_a_run, folder=folder, simulator=simulator, server=database)


def new_database(server: Server, name: str, template: str = "template1") -> Server:
    create = SQL("CREATE DATABASE {} TEMPLATE {}")
    with psycopg.connect(server.dsn, autocommit=True) as connection:
        connection.execute(create.format(Identifier(name), Identifier(template)))
    return replace(server, database=name)


def test_runs_first_and_incrementally(project: Project) -> None:
    """Records that came late, and sessions that were open, included."""
    world = project.simulator.world
    world.now = FIRST_RUN.timestamp()
    _, log = project.meltano("run", *PIPELINE)
    assert "reading 2026-03-01T00:00:00Z" in log
    project.assert_whole()
    with project.connect() as connection:
        assert table_names(connection) >= set(STREAMS)
        for table in STREAMS:
            assert columns_of(connection, table) == types_of(table)
            assert key_columns(connection, table) == KEYS[table]
    world.now = SECOND_RUN.timestamp()
    _, log = project.meltano("run", *PIPELINE, TAP_BOTSESSIONS_LOOKBACK_HOURS="24.5")
    assert "reading 2026-03-12T13:54:00Z" in log
    assert "reading 2026-03-01T00:00:00Z" not in log
    project.assert_whole()


def test_the_audit_trail_comes_once_it_is_selected(
    project_after_a_run: Project,
) -> None:
    project = project_after_a_run
    count = "SELECT count(*) FROM information_schema.tables WHERE table_name = %s"
    with project.connect() as connection:
        assert connection.execute(count, ["sync_windows"]).fetchone() == (0,)
    setting = "_metadata.sync_windows.selected"
    project.meltano("config", "set", "tap-botsessions", setting, "true")
    project.meltano("run", *PIPELINE)
    with project.connect() as connection:
        assert connection.execute(count, ["sync_windows"]).fetchone() == (1,)


def test_a_full_refresh_reads_all_again(project_after_a_run: Project) -> None:
    project = project_after_a_run
    with project.connect() as connection:
        connection.execute("DELETE FROM avaamo_usage WHERE date < '2026-03-05'")
        connection.execute("UPDATE kore_sessions SET channel = 'changed'")
    project.meltano("run", "--full-refresh", *PIPELINE)
    project.assert_whole()
    assert ends(project) == {"2026-03-21", "2026-03-21T00:00:00Z", 1774051200.0}


def test_a_stream_is_read_in_full_where_its_metadata_say_so(
    project_after_a_run: Project,
) -> None:
    """Meltano writes `replication-method` at the catalog's top, too, but not this."""
    project = project_after_a_run
    before = bookmarks(project, STATE_ID)
    method = "_metadata.kore_sessions.forced-replication-method"
    project.meltano("config", "set", "tap-botsessions", method, "FULL_TABLE")
    _, log = project.meltano("run", *PIPELINE)
    assert re.search("kore_sessions, .*: reading 2026-03-01T00:00:00Z", log)
    assert not re.search("avaamo_.*: reading 2026-03-01T00:00:00Z", log)
    project.assert_whole()
    assert bookmarks(project, STATE_ID) == before


def ends(project: Project) -> set[Any]:
    """The bookmarks of all bots."""
    streams = bookmarks(project, STATE_ID)
    return {
        partition["replication_key_value"]
        for stream in STREAMS
        for partition in streams[stream]["partitions"]
    }


def bookmarks(project: Project, state_id: str) -> dict[str, Any]:
    output, _ = project.meltano("state", "get", state_id)
    streams: dict[str, Any] = json.loads(output)["singer_state"]["bookmarks"]
    return streams


def test_streams_and_fields_that_are_selected_are_all_that_comes(
    project: Project,
) -> None:
    """The key and the time come in any case."""
    choose = "select", "tap-botsessions"
    project.meltano(*choose, "avaamo_messages", "score")
    project.meltano(*choose, "kore_sessions", "*")
    project.meltano(*choose, "--exclude", "kore_sessions", "user_id")
    project.meltano("run", *PIPELINE)
    with project.connect() as connection:
        assert table_names(connection) == {"avaamo_messages", "kore_sessions"}
    score = {"agent_id", "message_uuid", "timetoken", "score"}
    assert_columns(project, "avaamo_messages", score)
    assert_columns(
        project, "kore_sessions", columns("kore_sessions").keys() - {"user_id"}
    )


def assert_columns(project: Project, stream: str, columns: set[str]) -> None:
    """A table holds the truth in these columns, and has no others."""
    world = project.simulator.world
    truth = expected(world, stream, world.start, end_of(world))
    selected = {
        key: {name: value for name, value in record.items() if name in columns}
        for key, record in truth.items()
    }
    with project.connect() as connection:
        assert columns_of(connection, stream).keys() == columns
        assert_same(read_table(connection, stream), selected)


def test_goes_on_where_a_killed_tap_had_come_to(project: Project) -> None:
    """Meltano keeps the state that the target has stored, and refuses a second run."""
    rule = Rule(hang(), endpoint="getSessions")
    project.simulator.faults.rules.append(rule)
    with project.start("run", *PIPELINE) as running:
        wait_until(lambda: rule.fired > 0)
        with project.start("run", *PIPELINE) as second:
            _, refusal = second.communicate(timeout=PATIENCE)
        assert second.returncode == 1
        assert "is already running" in refusal
        os.kill(child(running, "tap-botsessions"), signal.SIGKILL)
        running.communicate(timeout=PATIENCE)
    assert running.returncode == 1
    project.simulator.faults.rules.clear()
    _, log = project.meltano("run", *PIPELINE)
    assert not re.search("avaamo_.*: reading 2026-03-01T00:00:00Z", log)
    assert re.search("kore_sessions, .*: reading 2026-03-01T00:00:00Z", log)
    project.assert_whole()


def test_loses_nothing_when_all_is_killed(project: Project) -> None:
    """As by a power cut, with a part of the rows stored."""
    rule = Rule(hang(), endpoint="getSessions")
    project.simulator.faults.rules.append(rule)
    few = {"TARGET_POSTGRES_BATCH_SIZE_ROWS": "10"}
    with project.start("run", *PIPELINE, **few) as running:
        wait_until(lambda: rule.fired > 0 and has_rows(project, "avaamo_usage"))
        os.killpg(running.pid, signal.SIGKILL)
        running.communicate(timeout=PATIENCE)
    with pytest.raises(AssertionError):
        project.assert_whole()
    project.simulator.faults.rules.clear()
    project.meltano("run", "--force", *PIPELINE)
    project.assert_whole()


def child(process: Popen[str], program: str) -> int:
    """The id of a process's child that runs a program."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    for pid in children.read_text().split():
        if f"/{program}\0" in Path(f"/proc/{pid}/cmdline").read_text():
            return int(pid)
    pytest.fail(f"{program} does not run")


def has_rows(project: Project, table: str) -> bool:
    with project.connect() as connection:
        return table in table_names(connection) and bool(read_table(connection, table))


def test_state_is_read_set_and_cleared(project_after_a_run: Project) -> None:
    project = project_after_a_run
    assert project.meltano("state", "list")[0].split() == [STATE_ID]
    streams = bookmarks(project, STATE_ID)
    assert streams.keys() >= set(STREAMS)

    # What is missing of the agent whose bookmark is set back comes again, and no other.
    forget = "DELETE FROM avaamo_sessions WHERE agent_id = %s"
    with project.connect() as connection:
        deleted = connection.execute(forget, ("202",)).rowcount
        assert connection.execute(forget, ("201",)).rowcount > 0
    for partition in streams["avaamo_sessions"]["partitions"]:
        if partition["context"] == {"agent_id": "201"}:
            partition["replication_key_value"] = START.timestamp()
    state = json.dumps({"singer_state": {"bookmarks": streams}})
    project.meltano("state", "set", "--force", STATE_ID, state)
    project.meltano("run", *PIPELINE, TAP_BOTSESSIONS_LOOKBACK_HOURS="0")
    assert missing(project, "avaamo_sessions") == deleted

    project.meltano("state", "clear", "--force", STATE_ID)
    assert project.meltano("state", "list")[0].split() == []
    project.meltano("run", *PIPELINE)
    project.assert_whole()


def missing(project: Project, stream: str) -> int:
    world = project.simulator.world
    with project.connect() as connection:
        found = read_table(connection, stream)
    truth = expected(world, stream, world.start, end_of(world))
    return len(truth.keys() - found.keys())


def test_two_states_are_read_at_once(project: Project) -> None:
    """Each has a folder to itself, for what Meltano keeps there of a run."""
    world = project.simulator.world
    first, second = zip(world.agents, world.bots, strict=True)
    project.meltano(*shard(*first), **only(*first))  # which makes the tables
    with (
        project.start(*shard(*first), "--full-refresh", **only(*first)) as one,
        project.start(*shard(*second), **only(*second)) as other,
    ):
        for run in one, other:
            _, log = run.communicate(timeout=PATIENCE)
            assert run.returncode == 0, log
    project.assert_whole()
    states = {f"{STATE_ID}:{agent}": {agent, bot} for agent, bot in (first, second)}
    assert set(project.meltano("state", "list")[0].split()) == states.keys()
    assert {state_id: bots(project, state_id) for state_id in states} == states


def shard(agent: str, _bot: str) -> tuple[str, ...]:
    return "run", f"--state-id-suffix={agent}", *PIPELINE


def only(agent: str, bot: str) -> dict[str, str]:
    return {
        "MELTANO_SYS_DIR_ROOT": f".meltano/shards/{agent}",
        "TAP_BOTSESSIONS_AVAAMO_AGENT_IDS": json.dumps([agent]),
        "TAP_BOTSESSIONS_KORE_BOT_IDS": json.dumps([bot]),
    }


def bots(project: Project, state_id: str) -> set[str]:
    """The bots that a state is of."""
    streams = bookmarks(project, state_id)
    return {
        bot
        for stream in streams.keys() & STREAMS
        for partition in streams[stream]["partitions"]
        for bot in partition["context"].values()
    }


def test_a_wrong_credential_is_told(project: Project) -> None:
    wrong = {"TAP_BOTSESSIONS_AVAAMO_ACCESS_TOKEN": "a-wrong-one"}
    with project.start("invoke", "tap-botsessions", "--test", **wrong) as process:
        output, log = process.communicate(timeout=PATIENCE)
    assert process.returncode == 1
    assert re.search(r"agent 20[12]: answered 401", log)  # whichever is answered first
    assert "a-wrong-one" not in output + log


def test_the_job_runs_by_its_schedule_from_environment_variables(
    project: Project,
) -> None:
    """The environment `prod` has nothing from the file."""
    schedule = "schedule", "run", "botsessions-hourly"
    project.meltano("--environment=prod", *schedule, **variables(project.simulator))
    project.assert_whole()
    output, _ = project.meltano("state", "list")
    assert output.split() == [STATE_ID.replace("demo", "prod")]


def variables(simulator: Simulator, **settings: Any) -> dict[str, str]:
    """The tap's settings as environment variables."""
    return {
        f"TAP_BOTSESSIONS_{name.upper()}": (
            value if isinstance(value, str) else json.dumps(value)
        )
        for name, value in config_for(simulator, **settings).items()
    }


def test_the_commands_of_the_documentation_run_as_they_stand_there(
    project: Project,
) -> None:
    printed = ""
    for block in blocks("Meltano", "bash"):
        if block != ADD:
            printed += run_block(project, block)
    project.assert_whole()
    assert "Plugin configuration is valid" in printed
    catalog, _ = json.JSONDecoder().raw_decode(printed, printed.index(CATALOG))
    streams = {each["stream"]: each for each in catalog["streams"]}
    for stream, key in KEYS.items():
        assert streams[stream]["key_properties"] == list(key)
    for agent in project.simulator.world.agents:
        assert bots(project, f"{STATE_ID}:{agent}") == {agent}


CATALOG = '{\n  "streams":'
[ADD] = [block for block in blocks("Meltano", "bash") if "meltano add" in block]


def run_block(project: Project, block: str) -> str:
    """Run commands as they are, but for the address of the database.

    Returns:
        What they print.
    """
    database = f"postgresql://{project.database}"
    environment = {**project.environment, **variables(project.simulator)}
    done = subprocess.run(  # noqa: S603 -- the README's
        ["/bin/bash", "-euo", "pipefail", "-c", block.replace(SANDBOX, database)],
        cwd=project.folder,
        env=environment | {"PATH": f"{environment['PATH']}:{find_binaries()}"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


SANDBOX = "postgresql://postgres@127.0.0.1:15432/postgres"


OTHER_PROJECT = """\
environments:
- name: mine
send_anonymous_usage_stats: false
cli:
  disable_version_check: true
"""


@pytest.mark.parametrize("way", ["added", "copied"])
def test_another_project_takes_the_tap(project: Project, way: str) -> None:
    definition = project.folder / "meltano.yml"
    definition.write_text(OTHER_PROJECT)
    if way == "added":
        shutil.copy(ROOT / "meltano-hub.yml", project.folder)
        run_block(project, ADD)
        definition.write_text(uninstalled(definition.read_text()))
    else:
        [copied] = blocks("Meltano", "yaml")
        with definition.open("a") as file:
            file.write(uninstalled(copied))
    settings = variables(project.simulator, window_days=0.5)
    output, _ = project.meltano(
        "--environment=mine", "invoke", "tap-botsessions", **settings
    )
    messages = [json.loads(line) for line in output.splitlines()]
    of_bots = [each for each in messages if each.get("stream") in STREAMS]
    records = Synced(of_bots).records
    world = project.simulator.world
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(records[stream], truth)


PINNED = {
    "tap-botsessions": REQUIREMENTS,
    "target-postgres": FOLDER / "target-postgres.txt",
    "target-jsonl": FOLDER / "target-jsonl.txt",
}
"""What Meltano installs for each plugin."""


def test_a_clone_installs_and_runs(project: Project) -> None:
    """With every `pip_url` as it stands in the file."""
    clone = replace(project, folder=project.folder.with_name("clone"))
    clone.folder.mkdir()
    for name in "pyproject.toml", "README.md", "LICENSE", "meltano.yml":
        shutil.copy(ROOT / name, clone.folder)
    shutil.copytree(ROOT / "tap_botsessions", clone.folder / "tap_botsessions")
    indexes = {name: os.environ.get(name, "") for name in ("http_proxy", "https_proxy")}
    for plugin, pins in PINNED.items():
        clone.meltano("install", plugin, **indexes, UV_CONSTRAINT=str(pins))
    clone.meltano("run", *PIPELINE, **indexes)
    clone.assert_whole()
    clone.meltano("run", "tap-botsessions", "target-jsonl", **indexes)
    for stream in STREAMS:
        lines = (clone.folder / "output" / f"{stream}.jsonl").read_text().splitlines()
        records = [json.loads(line) for line in lines]
        found = {key_of(stream, record): record for record in records}
        world = project.simulator.world
        assert_same(found, expected(world, stream, world.start, end_of(world)))
    for plugin in "extractors/tap-botsessions", "loaders/target-jsonl":
        assert (clone.folder / ".meltano" / plugin / "venv").exists()
