"""The README's pipeline into PostgreSQL, command by command as it stands there."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
import time
from contextlib import suppress
from typing import TYPE_CHECKING, Any

import pytest

from demo.postgres import run_postgres
from demo.run import SCHEMA, connect
from demo.truth import differences
from simulator import Rule, Simulator, World
from simulator.faults import latency
from tests.conftest import config_for
from tests.docs import ROOT
from tests.pins import FOLDER
from tests.readme import blocks

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from demo.postgres import Server

SECTION = "A pipeline into PostgreSQL"
INSTALL, RUN = blocks(SECTION, "bash")
CONFIG, TARGET = map(json.loads, blocks(SECTION, "json"))
PATIENCE = 60.0


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres("Asia/Kolkata") as running:
        yield running


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with what the README's commands install, at the versions pinned."""
    folder = tmp_path_factory.mktemp("tools")
    pins = [ROOT / "requirements.txt", FOLDER / "target-postgres.txt"]
    for command, pinned in zip(INSTALL.strip().splitlines(), pins, strict=True):
        own = {
            "UV_TOOL_DIR": str(folder / "tools"),
            "UV_TOOL_BIN_DIR": str(folder / "bin"),
            "UV_CONSTRAINT": str(pinned),
            "UV_PYTHON": sys.executable,
        }
        subprocess.run(  # noqa: S603 -- the README's
            ["/bin/bash", "-euc", command], cwd=ROOT, env=os.environ | own, check=True
        )
    return folder / "bin"


class Pipeline:
    """The files that the README tells to write, and its commands."""

    def __init__(self, folder: Path, programs: Path, server: Server) -> None:
        """Write what does not depend on the vendors."""
        self.folder = folder
        self._path = f"{programs}:{os.environ['PATH']}"
        (folder / "examples").symlink_to(ROOT / "examples")
        _, _, database = TARGET["sqlalchemy_url"].partition("/warehouse")
        address = f"{server.user}@{server.host}:{server.port}/{server.database}"
        url = f"postgresql+psycopg://{address}{database}"
        target = TARGET | {"sqlalchemy_url": url}
        (folder / "target.json").write_text(json.dumps(target))

    def configure(self, simulator: Simulator, **settings: Any) -> None:
        """Write the README's config.json, with a simulator's addresses and ids."""
        given = config_for(simulator, **settings)
        config = {name: given[name] for name in CONFIG}
        local = ("kore_base_url", "kore_jwt_algorithm", "end_date", *settings)
        config |= {name: given[name] for name in local}
        (self.folder / "config.json").write_text(json.dumps(config))

    def start(self, commands: str = RUN) -> subprocess.Popen[str]:
        return subprocess.Popen(  # noqa: S603 -- the README's
            ["/bin/bash", "-euo", "pipefail", "-c", commands],
            cwd=self.folder,
            env={**os.environ, "PATH": self._path, "no_proxy": "127.0.0.1"},
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            start_new_session=True,
        )

    def run(self, commands: str = RUN) -> tuple[int, str]:
        """Run commands to their end, and return the exit code and what was printed."""
        with self.start(commands) as process:
            printed, _ = process.communicate()
        return process.returncode, printed


@pytest.fixture
def pipeline(tmp_path: Path, programs: Path, server: Server) -> Pipeline:
    with connect(server) as connection:
        connection.execute(f"DROP SCHEMA IF EXISTS {SCHEMA} CASCADE")
    return Pipeline(tmp_path, programs, server)


def assert_loaded(server: Server, world: World) -> None:
    with connect(server) as connection:
        assert differences(connection, world) == []


NIGHT = RUN.strip().splitlines()[-1]


def test_the_commands_lead_to_rows_and_an_exit_code_that_can_be_trusted(
    pipeline: Pipeline, server: Server
) -> None:
    world = World(sessions_per_day=6, days=8, open_fraction=0)
    with Simulator(world) as simulator:
        pipeline.configure(simulator, lookback_hours=24)
        code, printed = pipeline.run()
        assert "All well: 4 of 4 can be read" in printed
        assert code == 0
        assert_loaded(server, world)
        pipeline.configure(simulator, avaamo_agent_ids=["201", "202", "999"])
        code, printed = pipeline.run(NIGHT)
        assert code == 1
        assert "incomplete: avaamo_messages, agent 999" in printed
        pipeline.configure(simulator, avaamo_access_token="another")  # noqa: S106 -- made up
        code, printed = pipeline.run(NIGHT)
        assert code == 1
        assert "incomplete: Avaamo, all of it: answered 401" in printed


def test_a_kill_costs_nothing_but_the_time(pipeline: Pipeline, server: Server) -> None:
    """Of all programs at once, after a run that left a state; it is cut short, too."""
    world = World(sessions_per_day=6, days=20, open_fraction=0)
    with Simulator(world) as simulator:
        pipeline.configure(simulator, end_date="2026-03-08")
        assert pipeline.run(NIGHT)[0] == 0
        simulator.requests.clear()
        simulator.faults.rules.append(Rule(latency(0.1)))
        pipeline.configure(simulator, window_days=1)
        with pipeline.start(NIGHT) as process:
            deadline = time.monotonic() + PATIENCE
            while len(simulator.requests) < 20:
                assert time.monotonic() < deadline
                time.sleep(0.05)
            code, printed = pipeline.run(NIGHT)
            assert (code, printed) == (1, "config.json: another run goes on\n")
            with suppress(ProcessLookupError):
                os.killpg(process.pid, signal.SIGKILL)
        states = pipeline.folder / "config-state" / "states"
        states.write_text(f'{states.read_text()}{{"bookmarks": {{"avaa')
        simulator.faults.rules.clear()
        simulator.requests.clear()
        assert pipeline.run(NIGHT)[0] == 0
        assert_loaded(server, world)
    usage = [call for call in simulator.requests if call.endpoint == "usage"]
    assert 0 < len(usage) < 2 * 15  # not from start_date on


def test_a_target_that_dies_is_named(pipeline: Pipeline) -> None:
    with Simulator(World(sessions_per_day=60, days=20)) as simulator:
        pipeline.configure(simulator)
        dead = NIGHT.replace('"target-postgres --config target.json"', '"head -c 500"')
        code, printed = pipeline.run(dead)
    assert code != 0
    assert "standard output was closed (the target ended);" in printed
