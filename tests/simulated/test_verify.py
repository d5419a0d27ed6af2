"""`--verify`: each loss that vendors' lists can hide is named by another account."""

from __future__ import annotations

import json
import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import status
from tap_botsessions.engine.windows import Window
from tests.conftest import Tap, config_for
from tests.truth import OPTIONAL, STREAMS, expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_botsessions.reports.verify import Verified
    from tap_botsessions.reports.verify_report import VerifyReport

DAYS = Window(datetime(2026, 3, 2, tzinfo=UTC), datetime(2026, 3, 6, tzinfo=UTC))
EVERY = (*STREAMS, *OPTIONAL)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """All sessions are short, and the clock stands days after them."""
    world = World(days=10, sessions_per_day=12, open_fraction=0.0)
    with Simulator(world) as running:
        yield running


def verified(
    simulator: Simulator, streams: Sequence[str] = EVERY, **settings: Any
) -> VerifyReport:
    tap = Tap(config=config_for(simulator, **settings))
    for name, stream in tap.streams.items():
        stream.selected = name in streams
    return tap.verify(DAYS)


def wrong(report: VerifyReport) -> list[Verified]:
    return [each for each in report.found if not each.is_well]


@pytest.mark.parametrize("offset", [0, 19_800])
@pytest.mark.parametrize("kore_api", ["bot", "account"])
def test_where_nothing_is_lost_all_accounts_agree(
    simulator: Simulator, offset: int, kore_api: str
) -> None:
    report = verified(simulator, avaamo_utc_offset=offset, kore_api=kore_api)
    assert wrong(report) == []
    assert report.skipped == {}
    assert report.is_well
    numbers = {
        each.name: each.compared and each.compared.number for each in report.found
    }
    assert len(numbers) == 6
    assert all(numbers.values())


def instant_of(simulator: Simulator, stream: str) -> tuple[str, datetime]:
    """A bot, and the instant of one of its records in the middle of the days."""
    world = simulator.world
    bot = world.bots_of(stream)[0]
    middle = DAYS.start + timedelta(days=1, hours=12)
    first, last = (
        round(each.timestamp() * 1000) for each in (middle, middle + timedelta(days=1))
    )
    row = world.rows(stream, bot, first, last)[0]
    return bot, datetime.fromtimestamp(row.at / 1000, UTC)


LOSSES = {
    "avaamo_messages": {"messages by day", "queries by message"},
    "avaamo_queries": {"queries by message"},
    "avaamo_feedback": {"feedback"},
    "kore_messages": {"messages by session"},
    "kore_sessions": {"messages by session", "users by day"},
}
"""The comparisons that show the loss of a record, by its stream."""


@pytest.mark.parametrize("stream", LOSSES)
def test_a_record_that_a_list_loses_in_silence_is_named(
    simulator: Simulator, stream: str
) -> None:
    bot, at = instant_of(simulator, stream)
    simulator.world.lose(stream, bot, at)
    report = verified(simulator, kore_messages_api="v1")
    assert {each.bot for each in wrong(report)} == {bot}
    assert {each.name for each in wrong(report)} == LOSSES[stream]


@pytest.mark.parametrize("stream", LOSSES)
def test_a_record_that_is_counted_and_not_served_is_named(
    simulator: Simulator, stream: str
) -> None:
    bot, at = instant_of(simulator, stream)
    simulator.world.hide(stream, bot, at)
    report = verified(simulator)
    errors = [each.error for each in wrong(report)]
    assert errors
    assert all(error and stream in error for error in errors)


def test_a_message_of_a_task_is_known_to_be_left_out(simulator: Simulator) -> None:
    simulator.world.task_messages = 0.3
    report = verified(simulator)
    [lacking, _] = [each for each in report.found if each.name == "messages by session"]
    assert lacking.compared
    assert lacking.compared.differences
    assert lacking.is_well
    assert all(each.known for each in lacking.compared.differences)
    assert wrong(verified(simulator, kore_messages_api="v1")) == []


def test_what_is_not_selected_is_not_asked_for(simulator: Simulator) -> None:
    report = verified(simulator, STREAMS)
    assert set(report.skipped) == {
        "Avaamo, queries by message",
        "Avaamo, feedback",
        "Kore.ai, messages by session",
    }
    assert {call.endpoint for call in simulator.requests} == {
        "messages",
        "sessions",
        "usage",
        "getSessions",
        "userEngagementTrend",
    }


def test_a_bot_that_cant_be_read_is_told_and_the_others_are_compared(
    simulator: Simulator,
) -> None:
    simulator.faults.rules = [Rule(status(403), endpoint="messages", bot="201")]
    report = verified(simulator)
    assert {each.bot for each in wrong(report)} == {"201"}
    assert all(each.error and "answered 403" in each.error for each in wrong(report))


def test_nothing_personal_is_in_a_report(simulator: Simulator) -> None:
    bot, at = instant_of(simulator, "kore_sessions")
    simulator.world.lose("kore_sessions", bot, at)
    report = verified(simulator)
    written = json.dumps(report.data())
    sessions = expected(simulator.world, "kore_sessions", DAYS.start, DAYS.end)
    assert any(session in written for _, session in sessions)
    assert not any(each["user_id"] in written for each in sessions.values())


def test_filters_of_sessions_are_no_loss_of_sessions(simulator: Simulator) -> None:
    """Messages are not filtered, and so neither are the sessions that they are of."""
    report = verified(simulator, kore_containment_types=["agent"])
    assert wrong(report) == []


def test_where_nothing_is_compared_all_is_not_well(simulator: Simulator) -> None:
    report = verified(simulator, ())
    assert report.found == []
    assert not report.is_well


def test_it_counts_the_bots_that_have_answered(
    simulator: Simulator, caplog: pytest.LogCaptureFixture, monkeypatch: Any
) -> None:
    monkeypatch.setattr("tap_botsessions.reports.waiting._FIRST", 0.0)
    monkeypatch.setattr("tap_botsessions.reports.waiting._BETWEEN", 0.0)
    caplog.set_level("INFO")
    verified(simulator, window_days=0.25)
    told = re.findall(r"(\d+) of (\d+) are answered", caplog.text)
    assert told
    assert all(int(answered) <= int(asked) <= 2 for answered, asked in told)
