"""One bot's trouble stays its own, and is told."""

from __future__ import annotations

import json
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulator import App, Rule, Simulator, World
from simulator.faults import bad_json, hook, redirect, status
from simulator.streams import STREAMS as TABLE
from tests.conftest import Synced, config_for, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from simulator.faults import Effect

TAP = Path(sys.executable).with_name("tap-botsessions")
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
    ended = subprocess.run(  # noqa: S603 -- our own program
        [TAP, "--config", config, "--state", state_file],
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    messages = [json.loads(line) for line in ended.stdout.splitlines()]
    return Ran(ended.returncode, Synced(messages), ended.stderr)


def assert_complete_but(synced: Synced, world: World, failed: Collection[str]) -> None:
    """All of all bots came, other than of some, and only that moved bookmarks."""
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        healthy = {key: truth[key] for key in truth if key[0] not in failed}
        assert_same(synced.records[stream], healthy)
        assert len(synced.keys(stream)) == len(healthy)
    assert all(
        (bookmark is None) == (bot in failed)
        for (_, bot), bookmark in synced.bookmarks.items()
    )


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
    agent, bot = "agent 200", "bot st-000"
    assert sorted(named) == [
        f"{stream}, {bot if TABLE[stream].vendor == 'kore' else agent}"
        for stream in STREAMS
    ]
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
    assert len(healthy) - len(by_id) == 2 * len(STREAMS)
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
    "effect", [status(404), redirect("https://other.example/"), bad_json()]
)
@pytest.mark.usefixtures("impatient")
def test_one_failing_bot_among_ten_stops_none_of_the_others(effect: Effect) -> None:
    """Nor do those that come after it, though it fails at its first request."""
    bots = tuple(f"st-{number:03}" for number in range(10))
    agents = tuple(f"{number}" for number in range(300, 310))
    world = World(agents=agents, bots=bots, days=7, sessions_per_day=8)
    failing = {bots[3], agents[0]}
    with Simulator(world) as simulator:
        simulator.faults.rules += [Rule(effect, bot=bot) for bot in failing]
        synced = sync(simulator, max_retries=2)
    assert len(synced.failures) == len(STREAMS)
    assert_complete_but(synced, world, failing)


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


def test_a_bot_of_its_own_app_fails_alone(simulator: Simulator) -> None:
    world = simulator.world
    app = App("cs-of-another", "another-secret-" + "0" * 40)
    world.apps[world.bots[1]] = app
    assert_complete_but(sync(simulator), world, {world.bots[1]})
    own = {
        "bot_id": world.bots[1],
        "client_id": app.client_id,
        "client_secret": app.client_secret,
    }
    assert_complete_but(sync(simulator, kore_bot_credentials=[own]), world, ())


@pytest.mark.parametrize("stream", STREAMS)
def test_a_bot_that_fails_in_the_middle_keeps_what_it_has(
    simulator: Simulator, stream: Any
) -> None:
    """What it emitted is whole up to its bookmark, where the next run goes on."""
    world = simulator.world
    bots = world.bots_of(stream)
    fault = Rule(hook(lambda: None), bot=bots[0])
    simulator.faults.rules.append(fault)
    refuse = status(403)

    async def refuse_after_four(answer: Any) -> Any:
        return await (refuse(answer) if fault.seen > 4 else answer())

    fault.effect = refuse_after_four
    settings = {"window_days": 1, "lookback_hours": 0, "max_concurrent_requests": 2}
    first = sync(simulator, None, (stream,), **settings)
    [failure] = first.failures
    assert "answered 403" in str(failure.error)
    truth = expected(world, stream, world.start, end_of(world))
    kept = first.records[stream]
    assert {key for key in kept if key[0] == bots[1]} == {
        key for key in truth if key[0] == bots[1]
    }
    part = {key for key in kept if key[0] == bots[0]}
    assert 0 < len(part) < len(truth) - len(kept) + len(part)

    simulator.faults.rules.clear()
    second = sync(simulator, first.state, (stream,), **settings)
    assert second.failures == []
    assert second.records[stream].keys() == truth.keys() - kept.keys()
    assert_same(kept | second.records[stream], truth)
