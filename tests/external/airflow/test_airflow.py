"""A backfill and a nightly run on two workers, which are lost in the middle."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from datetime import timedelta
from functools import partial
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from demo.postgres import run_postgres
from demo.run import connect, target_config
from simulator import Rule, Simulator, World
from simulator.faults import Faults, hook
from simulator.limits import Limits
from tests.conftest import config_for, end_of
from tests.docs import ROOT
from tests.external.airflow.engine import (
    WORKERS,
    Engine,
    make_worker,
    object_store,
    wait_for,
)
from tests.pins import BUILD, environment, uv
from tests.pipelines import SCRIPTS, Project, prepare
from tests.readme import blocks
from tests.tables import read_table, table_names
from tests.truth import STREAMS, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime
    from pathlib import Path

    from demo.postgres import Server
    from simulator.exchange import Vendor

pytestmark = pytest.mark.airflow

EXAMPLE = ROOT / "examples" / "airflow"
BORDERS = [World().start + timedelta(days=days) for days in (0, 7, 14)]
SOURCES: tuple[Vendor, ...] = ("avaamo", "kore")

BOTS = "avaamo_agent_ids", "kore_bot_ids"
KORE = {"TAP_BOTSESSIONS__SELECT": '["kore_*.*"]'}

TARGET = """#!/usr/bin/env bash
# Keeps what leaves the tap.
mkdir -p "{folder}/left/$SHARD"
tee "{folder}/left/$SHARD/$$" | {target} --config {folder}/target.json
"""


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    world = World(sessions_per_day=6, messages_per_session=3, open_fraction=0)
    with Simulator(world, faults=Faults(limits=Limits(60, 1_800, 50))) as running:
        yield running


@pytest.fixture
def warehouse() -> Iterator[Server]:
    with run_postgres("Asia/Kolkata") as running:
        yield running


@pytest.fixture
def with_object_store(
    tmp_path: Path, simulator: Simulator, warehouse: Server
) -> Iterator[Engine]:
    """An engine that has the example's DAGs, and all that these take for granted."""
    config = config_for(simulator)
    write_dags(tmp_path, config, {})
    (tmp_path / "target.json").write_text(json.dumps(target_config(warehouse)))
    program = environment("target-postgres") / "target-postgres"
    (tmp_path / "target").write_text(TARGET.format(folder=tmp_path, target=program))
    (tmp_path / "target").chmod(0o755)
    wheel = build(tmp_path / "dist")
    for worker in WORKERS:
        folder = tmp_path / worker
        make_worker(folder, wheel)
        shutil.copy(EXAMPLE / "shard.py", folder)
        write_config(folder / "avaamo.json", config, without="kore_")
        write_config(folder / "kore.json", config, without="avaamo_")
    with run_postgres() as database, object_store() as store:
        settings = {
            "TARGET": str(tmp_path / "target"),
            "STATES": "s3://states",
            "AWS_ENDPOINT_URL": store,
            "AWS_ACCESS_KEY_ID": "made up",
            "AWS_SECRET_ACCESS_KEY": "made up",
            "AWS_DEFAULT_REGION": "us-east-1",
            "TAP_BOTSESSIONS_KORE_REQUESTS_PER_MINUTE": "29",
        }
        with Engine(tmp_path, database, settings) as engine:
            for name in WORKERS:
                engine.start_worker(name)
            yield engine


@pytest.fixture
def with_meltano(
    tmp_path: Path, simulator: Simulator, warehouse: Server
) -> Iterator[Engine]:
    """An engine whose workers run Meltano, each of them in a project of its own."""
    commands, avaamo = map(json.loads, blocks("To set it up", "json"))
    write_dags(tmp_path, config_for(simulator), commands, avaamo=avaamo, kore=KORE)
    for worker in WORKERS:
        prepare(tmp_path / worker)
    project = Project(tmp_path, simulator, warehouse, outside="http://127.0.0.1:9")
    with run_postgres() as database:
        settings = {
            **project.environment,
            "MELTANO_STATE_BACKEND_URI": f"file://{tmp_path}/states",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "1",
        }
        with Engine(tmp_path, database, settings, SCRIPTS) as engine:
            for name in WORKERS:
                engine.start_worker(name)
            yield engine


def write_dags(
    folder: Path,
    config: Mapping[str, Any],
    commands: Mapping[str, str],
    **environments: Mapping[str, str],
) -> None:
    """Put the DAGs where they are looked for, with a plan for the simulator."""
    plan = json.loads((EXAMPLE / "botsessions.json").read_text()) | commands
    plan["borders"] = [border.isoformat() for border in BORDERS]
    for name, bots in zip(SOURCES, BOTS, strict=True):
        plan["sources"][name]["bots"] = config[bots]
        plan["sources"][name]["environment"] |= environments.get(name, {})
    for command in "tables", "command":
        assert "/opt/botsessions" in plan[command]
        plan[command] = plan[command].replace("/opt/botsessions", "$WORKER")
    (folder / "dags").mkdir()
    shutil.copy(EXAMPLE / "botsessions.py", folder / "dags")
    (folder / "dags" / "botsessions.json").write_text(json.dumps(plan))


def write_config(file: Path, config: Mapping[str, Any], without: str) -> None:
    """Write the settings of one vendor, with the budgets that it documents."""
    left_out = without, "avaamo_requests", "kore_requests"
    kept = {key: config[key] for key in config if not key.startswith(left_out)}
    file.write_text(json.dumps(kept))


def build(folder: Path) -> Path:
    """Build the wheel."""
    pinned = ("--build-constraints", BUILD, "--require-hashes")
    uv("build", "--wheel", *pinned, "--out-dir", folder)
    [wheel] = folder.glob("*.whl")
    return wheel


def assert_history(warehouse: Server, world: World, end: datetime) -> None:
    """The tables hold all from the first border up to an instant."""
    with connect(warehouse) as connection:
        assert table_names(connection) >= set(STREAMS)
        for stream in STREAMS:
            truth = expected(world, stream, BORDERS[0], end)
            assert_same(read_table(connection, stream), truth)


def left(folder: Path) -> Counter[tuple[str, ...]]:
    """How often each record has left a tap, by stream and key."""
    found: Counter[tuple[str, ...]] = Counter()
    for file in folder.rglob("*"):
        if file.is_file():
            for line in file.read_text().split("\n")[:-1]:
                message = json.loads(line)
                if message["type"] == "RECORD":
                    stream = message["stream"]
                    found[stream, *key_of(stream, message["record"])] += 1
    return found


def test_workers_that_are_lost_cost_nothing_but_the_time(
    with_object_store: Engine, simulator: Simulator, warehouse: Server, tmp_path: Path
) -> None:
    engine = with_object_store
    lost: list[str] = []

    def lose(source: str) -> None:
        lost.append(engine.lose_worker_of(source))

    simulator.faults.rules = [
        Rule(hook(partial(lose, source)), vendor=source, nth=nth)
        for source, nth in zip(SOURCES, (25, 4), strict=True)
    ]
    run = engine.trigger("botsessions_backfill")

    def is_over() -> bool:
        while lost:
            engine.start_worker(lost.pop())
        return engine.is_over(run)

    wait_for(is_over, patience=1_200)
    tries = engine.tries(run)
    assert engine.state_of(run) == "success", tries
    assert len(tries) == 1 + 2 + 2 * 2 * 2  # a check, tables, and shards
    repeated = {task.partition(".")[0] for task, tried in tries.items() if tried > 1}
    assert repeated == {*SOURCES}
    assert_history(warehouse, simulator.world, BORDERS[-1])
    assert simulator.faults.limits.refused.total() == 0
    once = Counter(left(tmp_path / "left").values())
    assert once[1] > 10 * (once.total() - once[1]), "much was read twice"

    # Each night goes on from the one before.
    for _ in range(2):
        shutil.rmtree(tmp_path / "left")
        night = engine.trigger("botsessions_nightly")
        wait_for(partial(engine.is_over, night))
        assert engine.state_of(night) == "success"
        assert_history(warehouse, simulator.world, end_of(simulator.world))
    assert left(tmp_path / "left").total() < 50


def test_with_meltano_each_shard_has_its_own_state(
    with_meltano: Engine, simulator: Simulator, warehouse: Server, tmp_path: Path
) -> None:
    engine = with_meltano
    run = engine.trigger("botsessions_backfill")
    wait_for(partial(engine.is_over, run), patience=900)
    assert engine.state_of(run) == "success", engine.tries(run)
    with connect(warehouse) as connection:
        for stream in STREAMS:
            truth = expected(simulator.world, stream, BORDERS[0], BORDERS[-1])
            assert_same(read_table(connection, stream), truth)
    config = config_for(simulator)
    shards = {
        f"{name}-{bot}-{start:%Y%m%dT%H%MZ}--{end:%Y%m%dT%H%MZ}"
        for name, bots in zip(SOURCES, BOTS, strict=True)
        for bot in config[bots]
        for start, end in pairwise(BORDERS)
    }
    states = {path.name.rpartition(":")[2] for path in (tmp_path / "states").iterdir()}
    assert states == shards
