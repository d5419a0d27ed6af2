"""Errors of a run: which are retried, which are final, and what they show."""

from __future__ import annotations

import gc
import random
import re
from typing import TYPE_CHECKING, Any, Literal

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import (
    bad_json,
    cut,
    hang,
    html,
    redirect,
    reset,
    status,
    trickle,
    wrong_total,
)
from tap_botsessions.tap import TapBotsessions
from tests.conftest import config_for, end_of, sync
from tests.truth import LISTS, STREAMS, assert_same, expected

if TYPE_CHECKING:
    from simulator.faults import Effect


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "effect",
    [
        bad_json(),
        cut(),
        html(),
        reset(),
        reset(after=40),
        status(500),
        status(503, headers={"Retry-After": "0"}),
        status(504),
        status(429, headers={"Retry-After": "0"}),
        hang(),
        trickle(0.05),
        wrong_total(2),
    ],
)
def test_a_fault_in_every_third_answer_loses_nothing(
    simulator: Simulator, effect: Effect
) -> None:
    simulator.faults.rules.append(Rule(effect, every=3, times=12))
    synced = sync(simulator, request_timeout_seconds=0.2)
    world = simulator.world
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert len(synced.keys(stream)) == len(truth)
    assert synced.failures == []


@pytest.mark.parametrize(("retry_after", "refusals"), [("0", 1), ("1", 2)])
def test_a_request_is_repeated_when_the_vendor_says_but_not_at_once(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    retry_after: str,
    refusals: int,
) -> None:
    """Pauses that the vendor does not name are drawn: of this seed, 0.6 and 1.8 s."""
    random.seed(1)
    refused = status(429, headers={"Retry-After": retry_after})
    simulator.faults.rules.append(Rule(refused, times=refusals))
    synced = sync(simulator, streams=("avaamo_sessions",), max_concurrent_requests=1)
    assert synced.failures == []
    pauses = re.findall(r"attempt . of 9, the next one in ([\d.]+) s", caplog.text)
    assert pauses == (["0.6"] if retry_after == "0" else ["1.0", "1.0"])


@pytest.mark.usefixtures("impatient")
def test_an_object_in_place_of_a_list_is_no_empty_list(simulator: Simulator) -> None:
    body = {"entries": {}, "total_entries": 0, "sessions": {}, "total": 0}
    simulator.faults.rules.append(Rule(status(200, body)))
    lists = ("avaamo_sessions", "kore_sessions")
    synced = sync(simulator, streams=lists, max_retries=0)
    assert len(synced.failures) == 4
    for failure in synced.failures:
        assert "not the JSON expected" in str(failure.error)


ERRORS = {
    "errors": [{"msg": "No database", "code": 500}],
    "total": 0,
    "sessions": [],
    "error": "No database",
    "total_entries": 0,
    "entries": [],
}


@pytest.mark.usefixtures("impatient")
def test_an_error_in_an_answer_is_no_empty_list(simulator: Simulator) -> None:
    """It is retried, then the bot fails, and its bookmark stays; so a check says."""
    simulator.faults.rules.append(Rule(status(200, ERRORS)))
    synced = sync(simulator, streams=LISTS, max_retries=1)
    assert len(synced.failures) == 2 * len(LISTS)
    for failure in synced.failures:
        assert "answered 200, with an error" in str(failure.error)
        assert "in 2 attempts" in str(failure.error)
    assert set(synced.bookmarks.values()) == {None}
    for vendor in TapBotsessions(config=config_for(simulator)).check().vendors():
        assert all("with an error" in str(bot.error) for bot in vendor.bots)


@pytest.mark.usefixtures("impatient")
def test_an_error_in_some_answers_loses_nothing(simulator: Simulator) -> None:
    simulator.faults.rules.append(Rule(status(200, ERRORS), every=3))
    synced = sync(simulator, streams=LISTS)
    world = simulator.world
    assert synced.failures == []
    for stream in LISTS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("nothing", ["null", "204"])
@pytest.mark.parametrize("kore_api", ["bot", "account"])
def test_nothing_is_an_empty_list_however_it_is_served(
    nothing: Literal["null", "204"], kore_api: str
) -> None:
    """A quiet bot, in windows of which many are empty."""
    with Simulator(World(sessions_per_day=0.3)) as simulator:
        simulator.options.nothing = nothing
        world = simulator.world
        synced = sync(simulator, streams=LISTS, window_days=1, kore_api=kore_api)
        assert synced.failures == []
        for stream in LISTS:
            truth = expected(world, stream, world.start, end_of(world))
            assert truth
            assert_same(synced.records[stream], truth)


@pytest.mark.usefixtures("impatient")
def test_nothing_of_what_is_counted_is_no_empty_list(simulator: Simulator) -> None:
    body = {"entries": None, "total_entries": 3, "sessions": None, "total": 3}
    simulator.faults.rules.append(Rule(status(200, body)))
    synced = sync(simulator, streams=LISTS)
    assert len(synced.failures) == 2 * len(LISTS)
    for failure in synced.failures:
        assert "0 records came where 3 were counted" in str(failure.error)


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("reply", [status(204), status(200, {"aggregate_stats": None})])
def test_a_day_of_usage_that_is_nothing_is_no_day_without_any(
    simulator: Simulator, reply: Effect
) -> None:
    simulator.faults.rules.append(Rule(reply, endpoint="usage"))
    synced = sync(simulator, streams=("avaamo_usage",), max_retries=0)
    assert len(synced.failures) == 2
    assert synced.all_records == []


def test_a_body_that_cannot_be_unpacked_leaves_no_socket_open(
    simulator: Simulator,
) -> None:
    """Pytest fails on the warning that the collector gives of one."""
    packed = status(200, b"not packed" * 10_000, {"Content-Encoding": "gzip"})
    simulator.faults.rules.append(Rule(packed))
    synced = sync(simulator, streams=("avaamo_sessions",), max_retries=0)
    assert "the connection failed" in str(synced.failures[0].error)
    gc.collect()


@pytest.mark.usefixtures("impatient")
def test_a_400_of_kores_is_retried_and_one_of_avaamos_final(
    simulator: Simulator,
) -> None:
    simulator.faults.rules = [
        Rule(status(400), vendor="kore", every=2, times=9),
        *(
            Rule(status(400), endpoint=endpoint, times=1)
            for endpoint in ("messages", "sessions", "usage")
        ),
    ]
    synced = sync(simulator)
    assert_same(
        synced.records["kore_sessions"],
        expected(
            simulator.world,
            "kore_sessions",
            simulator.world.start,
            end_of(simulator.world),
        ),
    )
    assert {failure.stream for failure in synced.failures} == {
        "avaamo_messages",
        "avaamo_sessions",
        "avaamo_usage",
    }


@pytest.mark.parametrize(
    ("effect", "said"),
    [
        (status(401, {"error": "Access token missing or invalid"}), "check"),
        (status(403), "check"),
        (status(404), "check"),
        (redirect("https://other.example/"), "redirect, which is not followed"),
    ],
)
def test_a_refused_bot_keeps_its_bookmark_and_the_others_go_on(
    simulator: Simulator, effect: Effect, said: str
) -> None:
    world = simulator.world
    simulator.faults.rules += [
        Rule(effect, bot="201"),
        Rule(effect, bot=world.bots[0]),
    ]
    synced = sync(simulator)
    assert len(synced.failures) == 4
    assert all(said in str(failure.error) for failure in synced.failures)
    healthy = {"202", world.bots[1]}
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(
            synced.records[stream],
            {key: record for key, record in truth.items() if key[0] in healthy},
        )
    for (_, bot), bookmark in synced.bookmarks.items():
        assert (bookmark is not None) == (bot in healthy)


def test_a_server_that_ignores_the_range_is_an_error(simulator: Simulator) -> None:
    """Records of another time are not taken for an answer."""
    stray = {"layer_id": "u1", "first_name": "You", "created_at": 1_600_000_000}
    page = {
        "current_page": 1,
        "per_page": 100,
        "total_entries": 1,
        "total_pages": 1,
        "time_token": 1_700_000_000.5,
        "entries": [stray],
    }
    simulator.faults.rules.append(Rule(status(200, page), endpoint="sessions"))
    synced = sync(simulator, streams=("avaamo_sessions",))
    assert synced.all_records == []
    assert len(synced.failures) == 2
    assert "a record of another time" in str(synced.failures[0].error)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"layer_id": None}, "layer_id"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": None}, "created_at"),
        ({"created_at": 10**21}, "created_at"),
    ],
)
def test_a_record_without_its_key_or_time_is_not_dropped_in_silence(
    simulator: Simulator, broken: dict[str, Any], field: str
) -> None:
    entry = {"layer_id": "u1", "first_name": "You", "created_at": 1_772_400_000}
    page = {"total_entries": 1, "total_pages": 1, "entries": [entry | broken]}
    simulator.faults.rules.append(Rule(status(200, page), endpoint="sessions"))
    synced = sync(simulator, streams=("avaamo_sessions",))
    assert synced.all_records == []
    assert f"'{field}'" in str(synced.failures[0].error)
    assert "avaamo_sessions" in str(synced.failures[0].error)
    assert synced.bookmarks["avaamo_sessions", "201"] is None
