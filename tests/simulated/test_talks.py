"""What was said and understood: the streams that are read where a catalog asks."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, World
from simulator.faults import status
from simulator.streams import LISTS, WHOLE, served_by
from tests.conftest import Tap, config_for, end_of, sync
from tests.truth import OPTIONAL, STREAMS, assert_same, expected

if TYPE_CHECKING:
    from simulator import Simulator


@pytest.mark.parametrize("stream", OPTIONAL)
def test_a_stream_is_complete(simulator: Simulator, stream: str) -> None:
    world = simulator.world
    found = sync(simulator, streams=(stream,))
    assert found.failures == []
    truth = expected(world, stream, world.start, end_of(world))
    assert len(truth) > 50 or stream in WHOLE
    assert_same(found.records[stream], truth)


DAY = timedelta(days=1)
BY_CHANNEL = ("kore_messages", "kore_analytics")


@pytest.mark.parametrize("kore_api", ["bot", "account"])
@pytest.mark.parametrize("stream", BY_CHANNEL)
def test_a_list_that_holds_one_channel_unless_told_is_read_by_channel(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    stream: str,
    kore_api: str,
) -> None:
    world = simulator.world
    simulator.options.kore_default_channel = "rtm"
    found = sync(simulator, streams=(stream,), kore_api=kore_api)
    assert found.failures == []
    truth = expected(world, stream, world.start, end_of(world))
    assert {record["channel"] for record in truth.values()} == {"rtm", "sms"}
    assert_same(found.records[stream], truth)
    [warning] = [each for each in caplog.messages if "unless it is told" in each]
    assert warning.startswith(f"{stream}, ")


@pytest.mark.parametrize("clamp", [None, 10])
def test_a_channel_that_few_old_sessions_show_is_read(
    simulator: Simulator, clamp: int | None
) -> None:
    """The newest page of the sessions would not show it."""
    rates = {World.bots[0]: 60.0, "201": 1.0}
    world = simulator.world = World(sessions_per_day=rates, days=6, seed=5)
    simulator.options.kore_default_channel = "rtm"
    simulator.options.kore_page_clamp = clamp
    kept = set()
    sessions = expected(world, "kore_sessions", world.start, end_of(world))
    for (bot, session), each in sessions.items():
        at = datetime.fromisoformat(each["start_time"])
        if at < world.start + DAY or each["channel"] == "rtm":
            kept.add(session)
        else:
            world.remove("kore_sessions", bot, at)
    found = sync(simulator, streams=("kore_messages",), window_days=6)
    assert found.failures == []
    messages = expected(world, "kore_messages", world.start, end_of(world))
    owed = {key for key, each in messages.items() if each["session_id"] in kept}
    assert "sms" in {messages[key]["channel"] for key in owed}
    assert owed <= found.records["kore_messages"].keys()


@pytest.mark.parametrize("stream", BY_CHANNEL)
def test_where_a_list_shows_other_channels_no_session_is_asked_for(
    simulator: Simulator, stream: str
) -> None:
    sync(simulator, streams=(stream,))
    assert {call.endpoint for call in simulator.requests} == {LISTS[stream].endpoint}


def test_sessions_are_read_first_and_then_what_is_furthest_behind(
    simulator: Simulator,
) -> None:
    streams = ("kore_sessions", "kore_messages", "kore_feedback", "kore_analytics")

    def order(state: dict[str, Any] | None, **settings: Any) -> list[str]:
        found = sync(simulator, state, streams, **settings)
        return list(dict.fromkeys(stream for stream, _ in found.all_records))

    assert order(None) == ["kore_sessions", *sorted(streams[1:])][:4]
    early = sync(simulator, None, ("kore_analytics",), end_date="2026-03-02")
    late = sync(simulator, early.state, ("kore_feedback",), end_date="2026-03-03")
    assert order(late.state) == [
        "kore_sessions",
        "kore_messages",
        "kore_analytics",
        "kore_feedback",
    ]


@pytest.mark.parametrize("kore_api", ["bot", "account"])
@pytest.mark.parametrize("is_separate", [False, True])
def test_a_bots_streams_share_a_budget_unless_a_setting_separates_them(
    simulator: Simulator, kore_api: str, *, is_separate: bool
) -> None:
    config = config_for(simulator, kore_budget_per_api=is_separate, kore_api=kore_api)
    sources = [each.source for each in Tap(config=config).bot_streams]
    kore = [each for each in sources if each.name in LISTS and each.vendor == "Kore.ai"]
    one, other = simulator.world.bots
    budgets = {each.budget(one) for each in kore}
    assert len(budgets) == (len(kore) if is_separate else 1)
    is_shared = budgets == {each.budget(other) for each in kore}
    assert is_shared == (kore_api == "account")


def test_what_changes_after_it_was_read_is_caught_by_the_lookback(
    simulator: Simulator,
) -> None:
    world = simulator.world
    world.pending_minutes = 60
    world.now -= 3 * 86_400 - 1800
    first = sync(simulator, streams=("kore_messages",))
    assert "pending" in {
        each["status"] for each in first.records["kore_messages"].values()
    }
    world.now += 86_400
    second = sync(simulator, first.state, ("kore_messages",), lookback_hours=2)
    merged = first.records["kore_messages"] | second.records["kore_messages"]
    assert_same(merged, expected(world, "kore_messages", world.start, end_of(world)))


def test_an_agent_without_a_token_of_its_own_fails_alone(simulator: Simulator) -> None:
    world = simulator.world
    tokens = [{"agent_id": "202", "token": world.agent_token("202")}]
    found = sync(simulator, streams=("avaamo_transcripts",), avaamo_agent_tokens=tokens)
    [failure] = found.failures
    assert "no token of the agent 201 is in avaamo_agent_tokens" in str(failure.error)
    assert {agent for agent, _ in found.records["avaamo_transcripts"]} == {"202"}
    assert {call.bot for call in simulator.requests} == {"202"}


FORMS = {
    "avaamo_queries": [
        ("start_time", "end_time", "seconds"),
        ("start_time", "end_time", "milliseconds"),
    ],
    "avaamo_transcripts": [
        ("since_timetoken", "timetoken", "microseconds"),
        ("from_timetoken", "to_timetoken", "microseconds"),
    ],
    "avaamo_feedback": [("since_timetoken", "timetoken", "microseconds")],
}


@pytest.mark.parametrize("others", ["take", "reject", "ignore"])
@pytest.mark.parametrize(
    ("stream", "form"),
    [(stream, form) for stream, forms in FORMS.items() for form in forms],
)
def test_a_server_that_takes_ranges_in_another_form_is_read_all_the_same(
    simulator: Simulator, stream: str, form: tuple[str, str, str], others: Any
) -> None:
    world = simulator.world
    simulator.options.avaamo_forms = {stream: form}
    simulator.options.avaamo_other_units = others
    found = sync(simulator, streams=(stream,))
    assert found.failures == []
    truth = expected(world, stream, world.start, end_of(world))
    assert_same(found.records[stream], truth)


def test_read_acks_of_transcripts_are_left_out(simulator: Simulator) -> None:
    found = sync(simulator, streams=("avaamo_transcripts",))
    assert "read_acks" not in str(found.messages)


def test_no_key_material_of_an_analysis_is_read(simulator: Simulator) -> None:
    found = sync(simulator, streams=("kore_analytics",))
    written = str(found.messages)
    assert "wrapped-key-material" not in written
    assert "nlProcess" not in written


def test_what_users_put_into_forms_is_never_asked_for(simulator: Simulator) -> None:
    sync(simulator, streams=("kore_messages",))
    sync(simulator, streams=("kore_messages",), kore_messages_api="v1")
    asked = [call.body.get("includeSecureForm") for call in simulator.requests]
    assert set(asked) == {False, None}


@pytest.mark.parametrize(("api", "most"), [("v1", 100), ("v2", 10_000)])
def test_messages_are_asked_for_by_as_many_as_the_api_takes(
    simulator: Simulator, api: str, most: int
) -> None:
    simulator.world.task_messages = 0.4
    found = sync(
        simulator, streams=("kore_messages",), kore_messages_api=api, window_days=1
    )
    kinds = {each["message_kind"] for each in found.records["kore_messages"].values()}
    assert kinds == ({0, 1, 2} if api == "v1" else {1})
    calls = [each for each in simulator.requests if each.endpoint == "getMessages"]
    assert max(call.body["limit"] for call in calls) == most


def test_a_run_of_the_default_streams_asks_for_nothing_else(
    simulator: Simulator,
) -> None:
    sync(simulator)
    asked = {served_by(call.vendor, call.endpoint).name for call in simulator.requests}
    assert asked == set(STREAMS)


def test_a_check_asks_the_streams_that_are_selected_and_tells_of_channels(
    simulator: Simulator,
) -> None:
    simulator.options.kore_default_channel = "rtm"
    simulator.faults.rules = [Rule(status(401), endpoint="getFeedbackSurveyResponses")]
    tap = Tap(config=config_for(simulator, avaamo_agent_tokens=[]))
    wanted = {"kore_messages", "kore_feedback", "avaamo_transcripts"}
    for name, stream in tap.streams.items():
        stream.selected = name in wanted
    found = {each.stream.name: each for each in tap.check().vendors()}
    assert set(found) == {"avaamo_sessions", "kore_sessions", *wanted}
    assert not any(bot.error for bot in found["kore_messages"].bots)
    remarks = found["kore_messages"].remarks
    assert any("Unless it is told a channel" in each for each in remarks)
    [error, _] = [bot.error for bot in found["kore_feedback"].bots]
    assert "the scope Feedback Survey" in str(error)
    [error, _] = [bot.error for bot in found["avaamo_transcripts"].bots]
    assert "avaamo_agent_tokens" in str(error)


def test_a_null_in_one_field_of_the_channel_does_not_hide_the_other(
    simulator: Simulator,
) -> None:
    simulator.options.extra_fields = {"chnl": None, "channel": "whatsapp"}
    found = sync(simulator, streams=("kore_messages",))
    channels = {each["channel"] for each in found.records["kore_messages"].values()}
    assert channels == {"whatsapp"}


def test_records_that_dont_say_their_channel_are_all_read(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """What comes of a channel is in the list that was not told one: it is whole."""
    simulator.options.extra_fields = {"chnl": None}
    found = sync(simulator, streams=("kore_messages",))
    world = simulator.world
    truth = expected(world, "kore_messages", world.start, end_of(world))
    assert found.records["kore_messages"].keys() == truth.keys()
    assert not [each for each in caplog.messages if "unless it is told" in each]


def test_nothing_and_more_of_it_is_no_empty_list(
    simulator: Simulator, impatient: None
) -> None:
    del impatient
    body = {"result": None, "moreAvailable": True}
    simulator.faults.rules = [Rule(status(200, body), endpoint="getAnalytics")]
    found = sync(simulator, streams=("kore_analytics",), max_retries=1)
    assert len(found.failures) == 2
    assert found.states == [] or set(found.bookmarks.values()) <= {None}


def test_sessions_that_may_not_be_read_are_asked_for_once(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    """Where the app lacks their scope, channels can't be known; each bot says so."""
    simulator.options.kore_default_channel = "rtm"
    rule = Rule(status(403, b"{}"), endpoint="getSessions")
    simulator.faults.rules.append(rule)
    synced = sync(simulator, None, ("kore_messages",), window_days=1)
    assert not synced.failures
    bots = len(simulator.world.bots)
    assert rule.fired == bots
    assert caplog.text.count("whether it lacks channels can't be told") == bots
