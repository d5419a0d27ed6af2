"""One bot's failure stops no other bot, and is reported."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import pytest

from simulator import App, Rule, Simulator, World
from simulator.faults import bad_json, hook, redirect, status
from tests.conftest import Synced, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Collection

    from simulator.faults import Effect


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


@pytest.mark.parametrize(
    "effect", [status(404), redirect("https://other.example/"), bad_json()]
)
@pytest.mark.usefixtures("impatient")
def test_one_failing_bot_among_ten_stops_none_of_the_others(effect: Effect) -> None:
    """Nor do those that come after it, though it fails at its first request."""
    bots = tuple(f"st-{number:03}" for number in range(10))
    agents = tuple(f"{number}" for number in range(300, 310))
    world = World(agents=agents, bots=bots, days=7, sessions_per_day=4)
    failing = {bots[3], agents[0]}
    with Simulator(world) as simulator:
        simulator.faults.rules += [Rule(effect, bot=bot) for bot in failing]
        synced = sync(simulator, max_retries=2)
    assert len(synced.failures) == len(STREAMS)
    assert_complete_but(synced, world, failing)


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
    """Its records are whole up to its bookmark, where the next run goes on."""
    world = simulator.world
    bots = world.bots if stream == "kore_sessions" else world.agents
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
