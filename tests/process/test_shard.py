"""`examples/airflow/shard.py`: the state is the target's, the exit code the tap's."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import sys
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator
from simulator.faults import hook, latency, status
from tests.conftest import config_for
from tests.docs import ROOT
from tests.programs import PATIENCE, TAP
from tests.waiting import wait_until

if TYPE_CHECKING:
    from pathlib import Path

TARGET = """
import json, sys
print("This target says more than states.", flush=True)
for line in sys.stdin:
    message = json.loads(line)
    if message["type"] == "STATE":
        print(json.dumps(message["value"]), flush=True)
"""


@dataclass
class Shard:
    """A shard whose state is in a folder."""

    folder: Path
    simulator: Simulator

    @property
    def stored(self) -> Path:
        """Where its state is."""
        return self.folder / "states" / "of" / "shard.json"

    def start(self, **variables: str) -> subprocess.Popen[str]:
        config = config_for(self.simulator, end_date="2026-03-03T00:00:00Z")
        (self.folder / "config.json").write_text(json.dumps(config))
        (self.folder / "target.py").write_text(TARGET)
        return subprocess.Popen(  # noqa: S603 -- the script that is tested
            [
                sys.executable,
                ROOT / "examples" / "airflow" / "shard.py",
                self.stored.as_uri(),
                self.folder / "config.json",
            ],
            env={
                **os.environ,
                **variables,
                "PATH": f"{TAP.parent}:{os.environ['PATH']}",
                "TARGET": f"{sys.executable} {self.folder / 'target.py'}",
            },
            stderr=subprocess.PIPE,
            text=True,
        )

    def run(self, **variables: str) -> tuple[int, str]:
        """Run it to its end; give its exit code and its log."""
        with self.start(**variables) as process:
            _, log = process.communicate(timeout=PATIENCE)
            return process.returncode, log

    def bookmarks(self) -> dict[str, Any]:
        found: dict[str, Any] = json.loads(self.stored.read_text())["bookmarks"]
        return found


@pytest.fixture
def shard(tmp_path: Path, simulator: Simulator) -> Shard:
    return Shard(tmp_path, simulator)


def test_it_goes_on_from_what_was_stored(shard: Shard) -> None:
    assert shard.run()[0] == 0
    first = shard.simulator.requests.copy()
    shard.simulator.requests.clear()
    assert shard.run(TAP_BOTSESSIONS_LOOKBACK_HOURS="0")[0] == 0
    assert first
    assert shard.simulator.requests == []


def test_the_exit_code_is_the_taps(shard: Shard) -> None:
    bot = shard.simulator.world.bots[0]
    shard.simulator.faults.rules = [Rule(status(404), bot=bot)]
    code, log = shard.run()
    assert code == 1
    assert f"incomplete: kore_sessions, bot {bot}" in log
    assert "avaamo_messages" in shard.bookmarks()


def test_a_state_that_another_run_has_changed_stays(shard: Shard) -> None:
    def change() -> None:
        shard.stored.parent.mkdir(parents=True, exist_ok=True)
        shard.stored.write_text('{"bookmarks": {}}')

    slow = Rule(latency(10 * PATIENCE), vendor="kore")  # the tap is not waited for
    shard.simulator.faults.rules = [Rule(hook(change), times=1), slow]
    code, log = shard.run()
    assert code == 1
    assert f"another run has changed {shard.stored.as_uri()}" in log
    assert shard.stored.read_text() == '{"bookmarks": {}}'


def test_what_had_come_is_stored_at_a_signal(shard: Shard) -> None:
    shard.simulator.faults.rules = [Rule(latency(30), vendor="kore")]
    with shard.start() as process:
        calls = shard.simulator.requests
        wait_until(lambda: any(call.vendor == "kore" for call in calls))
        process.send_signal(signal.SIGTERM)
        process.communicate(timeout=PATIENCE)
    assert process.returncode == 128 + signal.SIGTERM
    assert "avaamo_usage" in shard.bookmarks()
