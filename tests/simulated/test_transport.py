"""What is retried, what is final, and what an error may tell."""

from __future__ import annotations

import gc
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator
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
from tests.conftest import end_of, sync
from tests.truth import STREAMS, assert_same, expected

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
    synced = sync(simulator, request_timeout_seconds=0.3)
    world = simulator.world
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert len(synced.keys(stream)) == len(truth)
    assert synced.failures == []


@pytest.mark.parametrize(("asked", "growing"), [("0", 0.3), ("1", 50.0)])
def test_a_vendor_is_asked_again_when_it_says_but_not_at_once(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    growing: float,
) -> None:
    monkeypatch.setattr("tap_botsessions.engine.retries.backoff", lambda *_: growing)
    refused = status(429, headers={"Retry-After": asked})
    simulator.faults.rules.append(Rule(refused, times=1))
    synced = sync(simulator, streams=("avaamo_sessions",), max_concurrent_requests=1)
    assert synced.failures == []
    wait = min(growing, 1.0)
    assert f"attempt 1 of 9, the next one in {wait:.1f} s" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_an_object_in_place_of_a_list_is_no_empty_list(simulator: Simulator) -> None:
    body = {"entries": {}, "total_entries": 0, "sessions": {}, "total": 0}
    simulator.faults.rules.append(Rule(status(200, body)))
    lists = ("avaamo_sessions", "kore_sessions")
    synced = sync(simulator, streams=lists, max_retries=0)
    assert len(synced.failures) == 4
    for failure in synced.failures:
        assert "not the JSON expected" in str(failure.error)


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
    simulator.faults.rules.append(Rule(status(400), every=3, times=9))
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
    ("effect", "told"),
    [
        (status(401, {"error": "Access token missing or invalid"}), "check"),
        (status(403), "check"),
        (status(404), "check"),
        (redirect("https://other.example/"), "redirect, which is not followed"),
    ],
)
def test_a_refused_bot_keeps_its_bookmark_and_the_others_go_on(
    simulator: Simulator, effect: Effect, told: str
) -> None:
    world = simulator.world
    simulator.faults.rules += [
        Rule(effect, bot="201"),
        Rule(effect, bot=world.bots[0]),
    ]
    synced = sync(simulator)
    assert len(synced.failures) == 4
    assert all(told in str(failure.error) for failure in synced.failures)
    healthy = {"202", world.bots[1]}
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(
            synced.records[stream],
            {key: record for key, record in truth.items() if key[0] in healthy},
        )
    for (_, bot), bookmark in synced.bookmarks.items():
        assert (bookmark is not None) == (bot in healthy)


def test_a_server_that_ignores_the_range_is_found_out(simulator: Simulator) -> None:
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
