"""`--verify` on the command line: what it prints, and its exit code."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from simulator import Simulator, World
from tests.conftest import config_for
from tests.process.reports import report
from tests.simulated.test_audit import audited

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

run = partial(report, "--verify=2026-03-02/2026-03-05")


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """A few days, which are over."""
    world = World(days=6, sessions_per_day=12, open_fraction=0.0)
    with Simulator(world) as running:
        yield running


def test_all_is_well(simulator: Simulator, tmp_path: Path) -> None:
    config = config_for(simulator)
    told = run(tmp_path, config)
    assert told.returncode == 0
    assert told.stdout.splitlines()[0] == "2026-03-02T00:00:00Z to 2026-03-05T00:00:00Z"
    assert "All agree, but for what is known to differ." in told.stdout
    assert "not compared: Avaamo, queries by message" in told.stdout
    assert max(map(len, told.stdout.splitlines())) <= 80


def test_what_differs_is_named(simulator: Simulator, tmp_path: Path) -> None:
    world, config = simulator.world, config_for(simulator)
    first, last = (
        round(datetime(2026, 3, day, tzinfo=UTC).timestamp() * 1000) for day in (3, 4)
    )
    at = world.rows("avaamo_messages", "201", first, last)[5].at
    world.lose("avaamo_messages", "201", datetime.fromtimestamp(at / 1000, UTC))
    told = run(tmp_path, config, "--format=json")
    assert told.returncode == 1
    found = json.loads(told.stdout)
    [wrong] = [each for each in found["comparisons"] if not each["is_well"]]
    assert (wrong["comparison"], wrong["bot"]) == ("messages by day", "201")
    assert {each["of"] for each in wrong["differences"]} >= {
        "day 2026-03-03, messages_count"
    }
    assert "day 2026-03-03, messages_count: " in run(tmp_path, config).stdout


@pytest.mark.parametrize("written", ["yesterday", "2026-03-05/2026-03-02"])
def test_what_is_no_range_is_refused(
    simulator: Simulator, tmp_path: Path, written: str
) -> None:
    told = report(f"--verify={written}", tmp_path, config_for(simulator))
    assert told.returncode == 2
    assert f"--verify: {written} is no range" in told.stderr
    assert simulator.requests == []


def test_an_audit_trail_is_compared_with_what_is_there_now(
    simulator: Simulator, tmp_path: Path
) -> None:
    config = config_for(simulator)
    synced = audited(simulator)
    trail = tmp_path / "sync_windows.jsonl"
    records = [each for name, each in synced.all_records if name == "sync_windows"]
    trail.write_text("".join(f"{json.dumps(each)}\n" for each in records))
    told = report("--verify", tmp_path, config, f"--audit={trail}")
    assert told.returncode == 0, told.stderr
    assert (
        "201: what was loaded is what the vendor has, up to 2026-03-07" in told.stdout
    )
    world = simulator.world
    world.add_late("avaamo_messages", "201", world.start + timedelta(days=2))
    told = report("--verify", tmp_path, config, f"--audit={trail}")
    assert told.returncode == 1
    assert "up to 2026-03-07T00:00:00Z, but for 1 window (" in " ".join(
        told.stdout.split()
    )


@pytest.mark.parametrize(
    ("option", "words", "line"),
    [
        ("--check", "--audit takes --verify as well", "{}"),
        ("--verify", "line 1 is no record of sync_windows", "[]"),
    ],
)
def test_an_audit_trail_that_cant_be_used_is_refused(
    simulator: Simulator, tmp_path: Path, option: str, words: str, line: str
) -> None:
    trail = tmp_path / "trail.jsonl"
    trail.write_text(line)
    told = report(option, tmp_path, config_for(simulator), f"--audit={trail}")
    assert told.returncode == 2
    assert words in told.stderr
