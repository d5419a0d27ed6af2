"""A server that counts time in another unit is read all the same, with a warning."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest
from typing_extensions import override

from simulator import Rule, Simulator, World
from simulator.faults import status
from tap_botsessions.vendors.avaamo.time_forms import in_seconds
from tests.conftest import end_of, sync
from tests.truth import AVAAMO_LISTS as LISTS
from tests.truth import assert_same, expected

if TYPE_CHECKING:
    from simulator.exchange import Call

Unit = Literal["seconds", "milliseconds", "microseconds"]


@pytest.fixture
def busy(simulator: Simulator) -> Simulator:
    """One agent has records, the other has none."""
    simulator.world = World(days=8, sessions_per_day={"201": 12, "202": 0})
    return simulator


@pytest.fixture
def in_milliseconds(busy: Simulator) -> Simulator:
    """It takes tokens of any size for milliseconds."""
    busy.options.avaamo_unit = "milliseconds"
    return busy


def assert_whole(simulator: Simulator, **settings: Any) -> None:
    world = simulator.world
    synced = sync(simulator, None, LISTS, **settings)
    assert not synced.failures
    for stream in LISTS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert truth


@pytest.mark.parametrize("others", ["take", "reject", "ignore"])
@pytest.mark.parametrize("unit", ["milliseconds", "microseconds"])
@pytest.mark.parametrize("workers", [1, 8])
def test_another_unit_is_detected_and_logged(
    busy: Simulator,
    caplog: pytest.LogCaptureFixture,
    unit: Unit,
    others: Literal["take", "reject", "ignore"],
    workers: int,
) -> None:
    caplog.set_level(logging.WARNING)
    busy.options.avaamo_unit = unit
    busy.options.avaamo_other_units = others
    if others == "ignore":
        # It answers with its last days; records outside of the range give it away.
        busy.world.now += 20 * 86_400
    assert_whole(busy, max_concurrent_requests=workers, end_date="2026-03-09T00:00:00Z")
    form = f"from_timetoken and to_timetoken in {unit}"
    assert f"Avaamo takes {form}; so does this run" in caplog.text


@pytest.mark.parametrize("others", ["take", "reject", "ignore"])
def test_an_agent_without_records_does_not_change_the_unit(
    busy: Simulator,
    caplog: pytest.LogCaptureFixture,
    others: Literal["take", "reject", "ignore"],
) -> None:
    caplog.set_level(logging.WARNING)
    busy.options.avaamo_other_units = others
    assert_whole(busy, avaamo_agent_ids=["202", "201"], max_concurrent_requests=1)
    assert caplog.messages == []


def test_records_that_begin_late_are_found_in_seconds(busy: Simulator) -> None:
    """The first windows are empty, and the default of an odd server is not."""
    busy.options.avaamo_other_units = "ignore"
    assert_whole(busy, start_date="2025-12-01T00:00:00Z")


@pytest.mark.parametrize("others", ["take", "reject", "ignore"])
@pytest.mark.parametrize("workers", [1, 8])
def test_units_are_tried_as_rarely_as_possible(
    busy: Simulator, others: Literal["take", "reject", "ignore"], workers: int
) -> None:
    """What can't be learned of a list, as it has no records, is tried once in a run."""
    busy.options.avaamo_other_units = others
    agents = {"avaamo_agent_ids": ["202"]}
    settings = {**agents, "window_days": 1, "max_concurrent_requests": workers}
    start = end_of(busy.world) - timedelta(days=365)
    sync(busy, None, LISTS, start_date=start.isoformat(), **settings)
    windows = 365 * len(LISTS)
    # Each that is read at the same time as the first two may be tried as well.
    most = len(LISTS) * (9 + 2 * workers)
    assert windows < len(busy.requests) <= windows + most
    busy.requests.clear()
    sync(busy, None, LISTS, avaamo_agent_ids=["201"], window_days=1)
    ends = [int(call.params["to_timetoken"]) for call in busy.requests]
    assert max(ends) < 10**11


@pytest.mark.parametrize("others", ["take", "reject", "ignore"])
@pytest.mark.parametrize("unit", ["milliseconds", "microseconds"])
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("is_wide_refused", [False, True])
def test_a_list_with_records_in_one_window_of_many_is_not_taken_for_empty(
    unit: Unit,
    others: Literal["take", "reject", "ignore"],
    workers: int,
    *,
    is_wide_refused: bool,
) -> None:
    """However often the other units have been tried, also where long ranges fail."""
    world = World(agents=("201",), days=1, sessions_per_day=5)
    world.now += 50 * 86_400
    with Simulator(world) as simulator:
        simulator.options.avaamo_unit = unit
        simulator.options.avaamo_other_units = others
        if is_wide_refused:
            simulator.faults.rules = [Wide(status(504))]
        assert_whole(
            simulator,
            start_date="2026-01-01T00:00:00Z",
            window_days=2,
            max_concurrent_requests=workers,
        )


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("place", range(1, 7))
def test_a_unit_is_found_though_a_request_fails_at_first(
    in_milliseconds: Simulator, place: int
) -> None:
    rule = Rule(status(503), endpoint="messages", nth=place)
    in_milliseconds.faults.rules = [rule]
    assert_whole(in_milliseconds, avaamo_agent_ids=["201"])
    assert rule.fired == 1


@dataclass
class InSeconds(Rule):
    """Befalls requests whose tokens are in seconds."""

    @override
    def fires(self, call: Call) -> bool:
        is_in_seconds = float(call.params["to_timetoken"]) < 10**11
        return is_in_seconds and super().fires(call)


@pytest.mark.parametrize("workers", [1, 8])
def test_a_refusal_of_one_agent_proves_nothing_for_the_others(
    busy: Simulator, workers: int
) -> None:
    busy.faults.rules = [InSeconds(status(422, {"error": "No such range"}), bot="202")]
    agents = ["202", "201"]
    settings = {"avaamo_agent_ids": agents, "max_concurrent_requests": workers}
    synced = sync(busy, None, LISTS, **settings)
    world = busy.world
    for stream in LISTS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
    assert {failure.label.partition(", ")[2] for failure in synced.failures} == {
        "agent 202"
    }


def test_a_server_that_answers_another_unit_by_its_last_days_is_read(
    busy: Simulator,
) -> None:
    """Its records lie outside of the first windows, which gives it away."""
    busy.options.avaamo_unit = "milliseconds"
    busy.options.avaamo_other_units = "ignore"
    assert_whole(busy)


@dataclass
class Wide(Rule):
    """Befalls ranges of more than a week."""

    @override
    def fires(self, call: Call) -> bool:
        start, end = (
            in_seconds(float(call.params[name])) or 0
            for name in ("from_timetoken", "to_timetoken")
        )
        return end - start > 7 * 86_400 + 10 and super().fires(call)


def test_no_more_than_a_week_is_requested_at_once(in_milliseconds: Simulator) -> None:
    """Avaamo recommends no wider ranges, and answers 504 to slow requests."""
    in_milliseconds.faults.rules = [Wide(status(504))]
    assert_whole(in_milliseconds, start_date="2025-12-01T00:00:00Z")


@pytest.mark.usefixtures("impatient")
def test_an_answer_to_a_wrong_unit_proves_nothing_while_another_fails(
    in_milliseconds: Simulator,
) -> None:
    rule = Rule(status(503), endpoint="messages", nth=4)
    in_milliseconds.faults.rules = [
        InSeconds(status(422, {"error": "No such range"})),
        rule,
    ]
    assert_whole(in_milliseconds, avaamo_agent_ids=["201"])
    assert rule.fired == 1


@pytest.mark.usefixtures("impatient")
def test_an_agent_whose_unit_cannot_be_tried_fails(
    in_milliseconds: Simulator,
) -> None:
    in_milliseconds.faults.rules = [Rule(status(503), endpoint="messages", after=2)]
    synced = sync(in_milliseconds, None, LISTS, avaamo_agent_ids=["201"])
    assert [each.label for each in synced.failures] == ["avaamo_messages, agent 201"]
    assert synced.bookmarks["avaamo_messages", "201"] is None


def test_the_default_of_the_last_days_is_not_mistaken_for_the_whole_list(
    simulator: Simulator,
) -> None:
    """It lies within the first window, if that is of the last days as well."""
    start = datetime.now(UTC).replace(microsecond=0) - timedelta(days=5)
    simulator.world = World(start=start, days=5, sessions_per_day=12)
    simulator.options.avaamo_unit = "milliseconds"
    simulator.options.avaamo_other_units = "ignore"
    assert_whole(simulator)


def test_a_quiet_hour_takes_few_requests_more(simulator: Simulator) -> None:
    """A list that is empty for an hour is none for a week, and proves the unit."""
    agents = [str(number) for number in range(300, 320)]
    simulator.world = World(days=4, agents=tuple(agents), sessions_per_day=3)
    simulator.world.now += 3600
    first = sync(simulator, None, LISTS)
    simulator.requests.clear()
    simulator.world.now += 3600
    second = sync(simulator, first.state, LISTS, lookback_hours=0)
    assert len(simulator.requests) < len(LISTS) * len(agents) + 25
    assert not second.failures


@pytest.mark.parametrize(("code", "place"), [(500, 2), (504, 2), (500, 3)])
def test_a_server_that_fails_at_another_unit_is_still_read(
    busy: Simulator, code: int, place: int
) -> None:
    """It may answer a token in another unit by 500: the agent does not fail for that.

    Nor is it one if there is no answer for the last days, which are a short cut.
    """
    busy.faults.rules = [
        Rule(status(code), bot="202", endpoint=endpoint, nth=place)
        for endpoint in ("messages", "sessions")
    ]
    synced = sync(
        busy, None, LISTS, avaamo_agent_ids=["202"], max_retries=0, window_days=6
    )
    assert [rule.fired for rule in busy.faults.rules] == [1, 1]
    assert not synced.failures


def test_a_range_that_is_refused_does_not_change_the_unit(
    busy: Simulator,
) -> None:
    """It may refuse days that it no longer has, and answer another unit by nothing."""
    busy.faults.rules = [
        Rule(status(422, {"error": "Too old"}), bot="202", endpoint="messages", nth=1)
    ]
    agents = ["202", "201"]
    synced = sync(busy, None, LISTS, max_concurrent_requests=1, avaamo_agent_ids=agents)
    assert [failure.label for failure in synced.failures] == [
        "avaamo_messages, agent 202"
    ]
    world = busy.world
    truth = expected(world, "avaamo_messages", world.start, end_of(world))
    assert_same(synced.records["avaamo_messages"], truth)


def test_a_refusal_is_reported_if_no_unit_helps(busy: Simulator) -> None:
    busy.faults.rules = [Rule(status(422, {"error": "No such thing"}), bot="201")]
    synced = sync(busy, None, LISTS)
    assert {failure.label for failure in synced.failures} == {
        f"{stream}, agent 201" for stream in LISTS
    }
    assert all("No such thing" in str(each.error) for each in synced.failures)


@pytest.mark.usefixtures("impatient")
def test_an_agent_without_records_is_read_where_long_windows_take_too_long(
    busy: Simulator,
) -> None:
    """In another unit an hour is as long as weeks, and there is no answer to that."""
    busy.options.widest_seconds = 86_401
    synced = sync(
        busy, None, LISTS, avaamo_agent_ids=["202"], max_retries=1, window_days=6
    )
    assert not synced.failures


@pytest.mark.usefixtures("impatient")
def test_another_unit_is_detected_where_long_windows_take_too_long(
    busy: Simulator,
) -> None:
    busy.options.avaamo_unit = "milliseconds"
    busy.options.widest_seconds = 86_401
    assert_whole(busy, max_retries=1, window_days=1)


def test_the_last_days_of_one_agent_prove_nothing_for_another(
    simulator: Simulator,
) -> None:
    """All that the first one has of the default range lies in its window, too."""
    now = datetime.now(UTC).replace(microsecond=0)
    start = now - timedelta(days=8)
    world = World(start=start, days=9, sessions_per_day={}, now=now.timestamp())
    simulator.world = world
    simulator.options.avaamo_unit = "microseconds"
    simulator.options.avaamo_other_units = "ignore"
    world.add_late("avaamo_sessions", "201", now - timedelta(hours=3))
    world.add_late("avaamo_sessions", "202", now - timedelta(days=5))
    bookmarks = {"201": now - timedelta(hours=24), "202": now - timedelta(days=7)}
    state = {
        "bookmarks": {
            "avaamo_sessions": {
                "partitions": [
                    {
                        "context": {"agent_id": agent},
                        "replication_key": "timetoken",
                        "replication_key_value": int(instant.timestamp()),
                    }
                    for agent, instant in bookmarks.items()
                ]
            }
        }
    }
    synced = sync(simulator, state, ("avaamo_sessions",), max_concurrent_requests=1)
    assert not synced.failures
    assert len(synced.records["avaamo_sessions"]) == 2


@pytest.mark.usefixtures("impatient")
def test_guesses_that_are_refused_are_not_made_again(simulator: Simulator) -> None:
    """A server whose clock is behind answers counts, and neither pages nor the hour."""

    @dataclass(kw_only=True)
    class Pages(Rule):
        """Befalls requests for pages, and for what has just been."""

        @override
        def fires(self, call: Call) -> bool:
            is_page = call.params.get("per_page") != "1"
            end = in_seconds(int(call.params["to_timetoken"])) or 0
            is_hour = end >= simulator.world.now
            return super().fires(call) and (is_page or is_hour)

    simulator.world = World(sessions_per_day={})
    simulator.faults.rules.append(Pages(effect=status(422, b"{}"), vendor="avaamo"))
    synced = sync(simulator, None, ("avaamo_sessions",))
    assert len(synced.failures) == 2
    assert len(simulator.requests) < 60


def test_what_is_yet_to_come_is_not_asked_for(simulator: Simulator) -> None:
    """Not even to see whether a record comes for another time as well."""
    now = datetime.now(UTC).replace(microsecond=0)
    start = now - timedelta(days=8)
    world = World(start=start, days=9, sessions_per_day={}, now=now.timestamp())
    simulator.world = world
    world.add_late("avaamo_sessions", "201", now - timedelta(seconds=4))

    @dataclass(kw_only=True)
    class Future(Rule):
        """Befalls requests for what is yet to come."""

        @override
        def fires(self, call: Call) -> bool:
            is_future = int(call.params["to_timetoken"]) > now.timestamp() + 1
            return super().fires(call) and is_future

    simulator.faults.rules.append(Future(effect=status(422, b"{}")))
    synced = sync(simulator, None, ("avaamo_sessions",))
    assert not synced.failures
    assert len(synced.records["avaamo_sessions"]) == 1
