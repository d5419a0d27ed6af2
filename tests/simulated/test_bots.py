"""One bot's failure stops no other bot, and is reported."""

from __future__ import annotations

import json
from dataclasses import replace
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from simulator import App, Rule, Simulator, World
from simulator.faults import bad_json, hook, redirect, status
from tap_botsessions.singer.writer import PieceWriter
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, config_for, end_of, sync
from tests.truth import AVAAMO_LISTS, STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Collection

    from simulator.exchange import Reply
    from simulator.faults import Answer, Effect


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


def test_a_failure_is_reported_when_it_happens_and_once_for_each_reason(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """With its reason, while the others are still being read."""
    caplog.set_level("INFO")
    simulator.faults.rules += [Rule(status(404), bot="201")]
    sync(simulator, streams=("avaamo_sessions", "avaamo_messages"))
    lines = [
        (each.levelname, each.getMessage())
        for each in caplog.records
        if "201 failed" in each.getMessage()
    ]
    assert lines == [
        (
            "WARNING",
            (
                "avaamo_messages, agent 201 failed: answered 404; check the id in "
                "avaamo_agent_ids (it is in the agent's URL), and avaamo_base_url; the "
                "others go on"
            ),
        ),
        (
            "INFO",
            (
                "avaamo_sessions, agent 201 failed for the same reason as "
                "avaamo_messages, agent 201"
            ),
        ),
    ]


def spoilt(**fields: object) -> Effect:
    """The effect of other values in the first record of each list."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        assert isinstance(reply.body, dict)
        name = "entries" if "entries" in reply.body else "sessions"
        records = [
            record if place else record | fields
            for place, record in enumerate(reply.body[name])
        ]
        return replace(reply, body=reply.body | {name: records})

    return effect


@pytest.mark.parametrize(
    "written", [10**400, -(10**400), "9" * 401, 1e300, 2**70, [], {"a": 1}, True, ""]
)
def test_a_time_that_is_none_fails_its_own_agent_alone(
    simulator: Simulator, written: object
) -> None:
    """Whatever it is: never with a traceback, which would stop all agents."""
    simulator.faults.rules = [
        Rule(spoilt(created_at=written), bot="201", endpoint=endpoint)
        for endpoint in ("messages", "sessions")
    ]
    synced = sync(simulator, streams=AVAAMO_LISTS)
    assert sorted(failure.label for failure in synced.failures) == [
        f"{stream}, agent 201" for stream in sorted(AVAAMO_LISTS)
    ]
    for stream in AVAAMO_LISTS:
        truth = expected(
            simulator.world, stream, simulator.world.start, end_of(simulator.world)
        )
        healthy = {key: truth[key] for key in truth if key[0] != "201"}
        assert_same(synced.records[stream], healthy)


def test_a_field_that_is_nested_too_deeply_to_be_written_stops_nobody(
    simulator: Simulator,
) -> None:
    """It comes as JSON; all else of all bots is as it would be."""
    deep: object = 1
    for _ in range(470):
        deep = {"a": [deep]}
    bot = simulator.world.bots[0]
    simulator.faults.rules = [Rule(spoilt(tags=deep, odd=[deep]), bot=bot)]
    output = BytesIO()
    tap = TapBotsessions(
        config=config_for(simulator), message_writer=PieceWriter(1 << 16, output)
    )
    tap.sync_all()
    assert tap.run.failures == []
    records = [
        message["record"]
        for message in map(json.loads, output.getvalue().splitlines())
        if message["type"] == "RECORD" and message["stream"] == "kore_sessions"
    ]
    truth = expected(
        simulator.world,
        "kore_sessions",
        simulator.world.start,
        end_of(simulator.world),
    )
    assert len(records) == len(truth)
    spoilt_ones = [record for record in records if record["additional_fields"]]
    assert spoilt_ones
    for record in spoilt_ones:
        assert record["tags"] is None
        fields = record["additional_fields"]
        assert fields.keys() == {"tags", "odd"}
        assert fields["odd"] == f"[{fields['tags']}]"
        assert fields["tags"].count('"a"') == 470


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
