"""What the command line tells of a bot that fails, and its exit code."""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Simulator, World
from tests import programs
from tests.conftest import Synced, config_for, end_of
from tests.programs import TAP
from tests.simulated.test_bots import assert_complete_but
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

UNKNOWN, FORBIDDEN = "st-000", "200"


@dataclass
class Ran:
    """What came of a run of the command line."""

    code: int
    synced: Synced
    stderr: str

    @property
    def summary(self) -> list[str]:
        """What it says is incomplete, a line each."""
        return [
            line.partition("incomplete: ")[2]
            for line in self.stderr.splitlines()
            if "incomplete: " in line
        ]


def run(
    simulator: Simulator,
    folder: Path,
    state: dict[str, Any] | None = None,
    **settings: Any,
) -> Ran:
    """Run the command line to its end."""
    config, state_file = folder / "config.json", folder / "state.json"
    config.write_text(json.dumps(config_for(simulator, **settings)))
    state_file.write_text(json.dumps(state or {}))
    ended = programs.run(TAP, "--config", config, "--state", state_file)
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    return Ran(ended.returncode, Synced(messages), ended.stderr)


@pytest.fixture
def three() -> Iterator[Simulator]:
    """Three agents, of which one is forbidden, and three bots, of which one is not."""
    world = World(
        agents=(FORBIDDEN, "201", "202"),
        bots=("st-001", "st-002"),
        forbidden_agents={FORBIDDEN},
        days=10,
        sessions_per_day=12,
    )
    with Simulator(world) as running:
        yield running


def test_an_unknown_bot_and_a_forbidden_agent_are_named_and_the_others_complete(
    three: Simulator, tmp_path: Path
) -> None:
    bots = ["st-001", UNKNOWN, "st-002"]
    first = run(three, tmp_path, kore_bot_ids=bots)
    assert first.code == 1
    assert_complete_but(first.synced, three.world, {FORBIDDEN, UNKNOWN})
    named = [line.partition(":")[0] for line in first.summary]
    avaamo = [f"{name}, agent 200" for name in STREAMS if name.startswith("avaamo")]
    assert sorted(named) == ["; ".join(avaamo), "kore_sessions, bot st-000"]
    assert all("check" in line for line in first.summary)
    assert "Traceback" not in first.stderr

    three.requests.clear()
    second = run(three, tmp_path, first.synced.state, kore_bot_ids=bots)
    assert second.code == 1
    assert sorted(second.summary) == sorted(first.summary)
    assert second.synced.bookmarks == first.synced.bookmarks
    healthy = [c for c in three.requests if c.bot not in {FORBIDDEN, UNKNOWN}]
    by_id = [call for call in healthy if "sessionId" in call.body]
    assert len(by_id) <= 2 * 2  # each of two weeks, at the most
    assert len(healthy) - len(by_id) == 3 * 2 + 2
    assert len(second.synced.all_records) < len(first.synced.all_records) / 20


def test_a_bot_that_works_again_is_read_from_where_it_was(
    three: Simulator, tmp_path: Path
) -> None:
    world = three.world
    first = run(three, tmp_path)
    world.forbidden_agents.clear()
    second = run(three, tmp_path, first.synced.state)
    assert (first.code, second.code) == (1, 0)
    assert second.summary == []
    for stream in STREAMS:
        both = first.synced.records[stream] | second.synced.records[stream]
        assert_same(both, expected(world, stream, world.start, end_of(world)))


@pytest.mark.parametrize(
    ("settings", "failed", "told"),
    [
        (
            {"avaamo_access_token": "wrong-token"},
            "Avaamo",
            "check avaamo_access_token",
        ),
        (
            {"kore_client_secret": "wrong-secret-" + "0" * 40},
            "Kore.ai",
            "check kore_client_id, kore_client_secret",
        ),
    ],
)
def test_credentials_that_are_refused_are_told_once(
    simulator: Simulator,
    tmp_path: Path,
    settings: dict[str, Any],
    failed: str,
    told: str,
) -> None:
    world = simulator.world
    ran = run(simulator, tmp_path, **settings)
    assert ran.code == 1
    [line] = ran.summary
    assert line.startswith(f"{failed}, all of it: ")
    assert told in line
    assert not any(secret in ran.stderr for secret in settings.values())
    assert_complete_but(
        ran.synced, world, world.agents if failed == "Avaamo" else world.bots
    )


def test_a_gap_makes_the_exit_code_1_until_it_is_accepted_or_adds_up(
    simulator: Simulator, tmp_path: Path
) -> None:
    world = simulator.world
    bot, stream = world.bots[0], "kore_sessions"
    truth = expected(world, stream, world.start, end_of(world))
    lost = [key for key in truth if key[0] == bot][31]
    at = truth[lost]["start_time"]
    world.hide(stream, bot, datetime.fromisoformat(at))
    first = run(simulator, tmp_path)
    assert first.code == 1
    [line] = first.summary
    assert line.startswith(f"{stream}, bot {bot}: a gap, {at[:18]}")
    del truth[lost]
    assert_same(first.synced.records[stream], truth)
    for days, code in ((30, 1), (0, 0)):
        again = run(
            simulator, tmp_path, first.synced.state, accept_gaps_after_days=days
        )
        assert (again.code, len(again.summary)) == (code, code)
        assert ("accepted: " in again.stderr) == (code == 0)
    world.heal()
    healed = run(simulator, tmp_path, again.synced.state)
    assert (healed.code, healed.summary) == (0, [])
    assert lost in healed.synced.records[stream]
