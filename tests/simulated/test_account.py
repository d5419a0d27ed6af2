"""The API of Kore.ai's accounts: bots of one app are read together."""

from __future__ import annotations

import asyncio
import logging
import re
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Final

import pytest

from simulator import App, Rule, Simulator, World
from simulator.faults import hook
from tap_botsessions.engine.windows import to_rfc3339
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, config_for, end_of, sync
from tests.truth import assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator

    from simulator.exchange import Reply
    from simulator.faults import Answer, Effect

pytestmark = pytest.mark.usefixtures("recent")

STREAM: Final = "kore_sessions"
BOTS = [f"st-{number:03}" for number in range(5)]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """An account with five bots."""
    with Simulator(World(days=8, bots=tuple(BOTS), sessions_per_day=12)) as running:
        yield running


def read(
    simulator: Simulator, state: dict[str, Any] | None = None, **settings: Any
) -> Synced:
    """Read the account in windows of two days."""
    simulator.requests.clear()
    settings = {"kore_api": "account", "window_days": 2, **settings}
    return sync(simulator, state, (STREAM,), **settings)


def truth_of(world: World, bots: Collection[str]) -> dict[Any, Any]:
    truth = expected(world, STREAM, world.start, end_of(world))
    return {key: truth[key] for key in truth if key[0] in bots}


def test_all_bots_take_as_many_requests_as_one(simulator: Simulator) -> None:
    """And no session of a bot that is not listed is emitted."""
    for listed in (BOTS[:1], BOTS[:3], BOTS):
        synced = read(simulator, kore_bot_ids=listed)
        assert len(simulator.requests) == 4
        assert_same(synced.records[STREAM], truth_of(simulator.world, listed))
        assert len(synced.keys(STREAM)) == len(synced.records[STREAM])
        ends = set(synced.bookmarks.values())
        assert ends == {end_of(simulator.world).isoformat().replace("+00:00", "Z")}
        assert {bot for _, bot in synced.bookmarks} == set(listed)


def test_a_bot_that_is_listed_later_is_read_from_the_start(
    simulator: Simulator,
) -> None:
    world = simulator.world
    middle = (world.start + timedelta(days=4)).isoformat()
    first = read(simulator, kore_bot_ids=BOTS[:4], end_date=middle)
    second = read(simulator, first.state)
    assert len(simulator.requests) == 3 + 4
    both = first.records[STREAM] | second.records[STREAM]
    assert_same(both, truth_of(world, BOTS))
    read(simulator, second.state)
    by_id = [call for call in simulator.requests if "sessionId" in call.body]
    assert len(simulator.requests) - len(by_id) == len(by_id) == 1


def test_the_audit_trail_counts_each_request_once(simulator: Simulator) -> None:
    streams = (STREAM, "sync_windows")
    synced = sync(simulator, None, streams, kore_api="account", window_days=2)
    trail = [row for name, row in synced.all_records if name == "sync_windows"]
    assert {row["bot"] for row in trail} == set(BOTS)
    assert sum(row["requests"] for row in trail) == len(simulator.requests) == 4
    emitted = sum(row["rows_emitted"] for row in trail)
    assert emitted == len(truth_of(simulator.world, BOTS))


def test_a_list_that_moves_among_the_records_of_other_bots_is_read_again(
    simulator: Simulator,
) -> None:
    """One enters and one leaves, so the count is the same; another comes twice."""
    world, mine = simulator.world, BOTS[0]
    end = world.start + timedelta(days=4)
    latest_first = sorted(
        (
            (datetime.fromisoformat(raw["start_time"]), bot)
            for bot in BOTS
            for raw in world.truth(STREAM, bot, world.start, end)
        ),
        reverse=True,
    )
    size = next(
        place
        for place, (at, bot) in enumerate(latest_first)
        if place > 40 and bot != mine and at < latest_first[place - 1][0]
    )
    gone, whose = next(each for each in latest_first[::-1] if each[1] != mine)
    since = latest_first[3][0]

    def move() -> None:
        world.add_late(STREAM, mine, since - timedelta(milliseconds=1))
        world.remove(STREAM, whose, gone)

    simulator.faults.rules.append(Rule(hook(move), nth=2))
    synced = read(
        simulator,
        kore_bot_ids=[mine],
        kore_page_size=size + 1,
        window_days=6,
        end_date=end.isoformat(),
    )
    truth = expected(world, STREAM, world.start, end)
    assert_same(
        synced.records[STREAM], {key: truth[key] for key in truth if key[0] == mine}
    )
    assert synced.failures == []


def without_start(bot: str, since: datetime) -> Effect:
    """A bot's sessions lack their start from an instant on."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        body: Any = reply.body
        sessions = [
            {**session, "start_time": None}
            if session["botId"] == bot
            and datetime.fromisoformat(session["start_time"]) >= since
            else session
            for session in body["sessions"]
        ]
        return replace(reply, body={**body, "sessions": sessions})

    return effect


@pytest.mark.parametrize("place", [0, 2, 4])
def test_a_record_without_its_time_fails_its_own_bot_alone(
    simulator: Simulator, place: int
) -> None:
    world, bad = simulator.world, BOTS[place]
    since = world.start + timedelta(days=5)
    simulator.faults.rules.append(Rule(without_start(bad, since)))
    first = read(simulator)
    [failure] = first.failures
    assert failure.label == f"kore_sessions, bot {bad}"
    assert "'start_time'" in str(failure.error)
    healthy = truth_of(world, set(BOTS) - {bad})
    others = {key: row for key, row in first.records[STREAM].items() if key[0] != bad}
    assert_same(others, healthy)
    bookmark = first.bookmarks[STREAM, bad]
    assert bookmark is None or datetime.fromisoformat(bookmark) <= since

    simulator.faults.rules.clear()
    second = read(simulator, first.state)
    both = first.records[STREAM] | second.records[STREAM]
    assert_same(both, truth_of(world, BOTS))


@pytest.mark.parametrize("place", [0, 4])
def test_a_record_of_another_time_fails_its_own_bot_alone(
    simulator: Simulator, place: int
) -> None:
    """It may be that a filter of one bot's is ignored, and others' hold."""
    bad = BOTS[place]

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        body: Any = reply.body
        sessions = [
            {**session, "start_time": "2020-01-01T00:00:00.000Z"}
            if session["botId"] == bad
            else session
            for session in body["sessions"]
        ]
        return replace(reply, body={**body, "sessions": sessions})

    simulator.faults.rules.append(Rule(effect))
    first = read(simulator)
    [failure] = first.failures
    assert failure.label == f"kore_sessions, bot {bad}"
    assert "a record of another time" in str(failure.error)
    assert_same(first.records[STREAM], truth_of(simulator.world, set(BOTS) - {bad}))
    simulator.faults.rules.clear()
    second = read(simulator, first.state)
    both = first.records[STREAM] | second.records[STREAM]
    assert_same(both, truth_of(simulator.world, BOTS))


def test_a_bot_is_found_whatever_the_case_of_its_id(simulator: Simulator) -> None:
    """As the settings write it or as the vendor does."""
    listed = [BOTS[0], *(bot.upper() for bot in BOTS[1:])]
    synced = read(simulator, kore_bot_ids=listed)
    assert synced.failures == []
    truth = truth_of(simulator.world, BOTS)
    spelt = {bot.casefold(): bot for bot in listed}
    found = synced.records[STREAM]
    assert found.keys() == {(spelt[bot], session) for bot, session in truth}


def test_bots_of_another_app_are_read_separately(simulator: Simulator) -> None:
    app = App("cs-of-another", "another-secret-" + "0" * 40)
    own = [
        {
            "bot_id": bot,
            "client_id": app.client_id,
            "client_secret": app.client_secret,
        }
        for bot in BOTS[3:]
    ]
    synced = read(simulator, kore_bot_credentials=own)
    labels = [failure.label for failure in synced.failures]
    assert labels == [f"kore_sessions, bot {bot}" for bot in BOTS[3:]]
    assert_same(synced.records[STREAM], truth_of(simulator.world, BOTS[:3]))


def test_sessions_by_their_ids_are_requested_once(simulator: Simulator) -> None:
    truth = truth_of(simulator.world, BOTS)
    some = [session for _, session in truth][::12]
    synced = read(simulator, kore_session_ids=some)
    assert len(simulator.requests) == -(-len(some) // 50)
    found = {session for _, session in synced.records[STREAM]}
    assert found == set(some)


def test_a_refused_account_is_reported_once_for_all_of_its_bots(
    simulator: Simulator,
) -> None:
    config = config_for(
        simulator, kore_api="account", kore_client_secret="wrong-" + "0" * 40
    )
    tap = TapBotsessions(config=config, message_writer=Synced())
    for name, stream in tap.streams.items():
        stream.selected = name == STREAM
    tap.sync_all()
    [line] = tap.summary()
    assert line.startswith("Kore.ai, all of it: answered 401")


@pytest.mark.parametrize("slow", [0.0, 0.02])
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("listed", [1, 2])
def test_an_invalid_record_fails_its_bot_where_the_bots_own_api_would(
    listed: int, workers: int, slow: float
) -> None:
    """Whatever the timing of answers: the same records and the same bookmark."""
    world = World(days=8, bots=tuple(BOTS[:2]), sessions_per_day=12)
    bad, since = BOTS[0], world.start + timedelta(days=5, hours=1)
    settings = {
        "kore_bot_ids": BOTS[:listed],
        "window_days": 1,
        "max_concurrent_requests": workers,
    }
    found = {}
    for api in ("bot", "account"):
        with Simulator(world) as simulator:
            simulator.faults.rules.append(Rule(slow_before(bad, since, slow)))
            synced = sync(simulator, None, (STREAM,), kore_api=api, **settings)
            [failure] = synced.failures
            found[api] = (
                failure.label,
                str(failure.error),
                synced.records[STREAM],
                synced.bookmarks,
            )
    assert_same(found["account"][2], found["bot"][2])
    assert found["account"] == found["bot"]
    bookmark = found["bot"][3][STREAM, bad]
    assert datetime.fromisoformat(bookmark) == world.start + timedelta(days=5)


def slow_before(bot: str, since: datetime, seconds: float) -> Effect:
    """A bot's sessions lack their start from an instant on; other answers are slow."""
    broken = without_start(bot, since)

    async def effect(answer: Answer) -> Reply:
        reply = await broken(answer)
        body: Any = reply.body
        if all(session["start_time"] for session in body["sessions"]):
            await asyncio.sleep(seconds)
        return reply

    return effect


def test_nothing_is_read_on_where_all_bots_have_failed() -> None:
    """In either API, as many requests as are made before the first answer is known."""
    world = World(bots=tuple(BOTS[:2]), sessions_per_day=12, days=200)
    requests = {}
    for api in ("bot", "account"):
        with Simulator(world) as simulator:
            simulator.faults.rules += [
                Rule(without_start(bot, world.start)) for bot in world.bots
            ]
            settings = {"kore_api": api, "window_days": 1, "max_concurrent_requests": 4}
            synced = sync(simulator, None, (STREAM,), **settings)
            assert len(synced.failures) == len(world.bots)
            assert synced.records[STREAM] == {}
            requests[api] = len(simulator.requests)
    # Four at once, and at most as many again until the first answer is worked off.
    assert max(requests.values()) <= 8


def test_the_same_session_id_in_two_bots_is_two_sessions(simulator: Simulator) -> None:
    world = simulator.world
    place = {
        raw["sessionId"]: str(number)
        for bot in BOTS
        for number, raw in enumerate(
            world.truth(STREAM, bot, world.start, end_of(world))
        )
    }

    async def renumber(answer: Answer) -> Reply:
        reply = await answer()
        body: Any = reply.body
        sessions = [
            {**session, "sessionId": place[session["sessionId"]]}
            for session in body["sessions"]
        ]
        return replace(reply, body={**body, "sessions": sessions})

    simulator.faults.rules.append(Rule(renumber))
    synced = read(simulator, kore_open_session_days=0)
    assert synced.failures == []
    assert len(synced.keys(STREAM)) == len(place)
    assert set(synced.keys(STREAM)) == {
        (bot, place[session]) for bot, session in truth_of(world, BOTS)
    }


def test_nothing_more_of_a_window_is_read_where_all_bots_have_failed() -> None:
    """Both fail at the first page of forty: in either API the others aren't read."""
    world = World(bots=tuple(BOTS[:2]), sessions_per_day=100, days=1)
    settings = {"window_days": 1, "kore_page_size": 5, "max_concurrent_requests": 1}
    requests = {}
    for api in ("bot", "account"):
        with Simulator(world) as simulator:
            simulator.faults.rules += [
                Rule(without_start(bot, world.start)) for bot in world.bots
            ]
            synced = sync(simulator, None, (STREAM,), kore_api=api, **settings)
            assert len(synced.failures) == len(world.bots)
            requests[api] = len(simulator.requests)
    assert requests["account"] <= requests["bot"] == 2


def revisited(
    simulator: Simulator, sessions: list[dict[str, Any]], **settings: Any
) -> Synced:
    """A run of two bots that each follow a session, by an answer of these sessions."""
    world = simulator.world
    end = end_of(world).isoformat().replace("+00:00", "Z")
    partitions = [
        {
            "context": {"bot_id": bot},
            "replication_key": "start_time",
            "replication_key_value": end,
            "open_sessions": {name: [world.start.isoformat(), "00000000"]},
        }
        for bot, name in zip(BOTS[:2], ("s-1", "s-2"), strict=True)
    ]

    async def answer_by_id(answer: Answer) -> Reply:
        reply = await answer()
        return replace(reply, body={"sessions": sessions, "invalidSessions": []})

    # The first request reads both by their ids.
    simulator.faults.rules.append(Rule(answer_by_id, times=1))
    state = {"bookmarks": {STREAM: {"partitions": partitions}}}
    return read(simulator, state, kore_bot_ids=BOTS[:2], lookback_hours=0, **settings)


def raw(bot: str, name: str | None) -> dict[str, Any]:
    return {
        "sessionId": name,
        "botId": bot,
        "start_time": "2026-03-01T00:00:00.000Z",
        "end_time": "2026-03-01T01:00:00.000Z",
        "sessionStatus": "closed",
    }


def without_bot(owner: object) -> Effect:
    """The newest session of each list that has any does not say whose it is."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        assert isinstance(reply.body, dict)
        sessions = [dict(session) for session in reply.body["sessions"]]
        for session in sessions[:1]:
            if owner is Ellipsis:
                del session["botId"]
            else:
                session["botId"] = owner
        return replace(reply, body=reply.body | {"sessions": sessions})

    return effect


@pytest.mark.parametrize("owner", [Ellipsis, None, "", 7, ["st-1"], {}])
def test_a_session_of_nobody_stops_no_bot_and_is_named(
    simulator: Simulator, owner: object
) -> None:
    """All else of all bots comes, and exit code and last lines say what does not."""
    world = simulator.world
    simulator.faults.rules.append(Rule(without_bot(owner)))
    synced = read(simulator)
    truth = truth_of(world, BOTS)
    found = synced.records[STREAM]
    assert_same(found, {key: truth[key] for key in found})
    assert 0 < len(truth) - len(found) <= len(simulator.requests)
    assert {*synced.bookmarks.values()} == {to_rfc3339(end_of(world))}
    labels = [failure.label for failure in synced.failures]
    assert labels == [f"{STREAM}, bot {bot}" for bot in BOTS]
    for failure in synced.failures:
        assert re.search(
            "gaps, 2026-03-.*: .* without a usable 'botId'", str(failure.error)
        )


@pytest.mark.parametrize("without_time", [False, True])
def test_a_session_of_nobody_comes_once_the_vendor_says_whose_it_is(
    simulator: Simulator, *, without_time: bool
) -> None:
    """Until then the second is a gap of each bot, which may be accepted."""
    world = simulator.world
    truth = truth_of(world, BOTS)
    times = Counter(record["start_time"] for record in truth.values())
    lost, at = [
        (key, record["start_time"])
        for key, record in truth.items()
        if key[0] == BOTS[3] and times[record["start_time"]] == 1
    ][30]
    world.disown(BOTS[3], datetime.fromisoformat(at))
    if without_time:
        simulator.faults.rules.append(Rule(without_time_of_nobody))
    first = read(simulator)
    assert_same(
        first.records[STREAM], {key: truth[key] for key in truth if key != lost}
    )
    assert {*first.bookmarks.values()} == {to_rfc3339(end_of(world))}
    gaps = [
        partition["gaps"]
        for partition in first.state["bookmarks"][STREAM]["partitions"]
    ]
    assert [gaps[0]] * 5 == gaps
    [gap] = gaps[0]
    start, end = (datetime.fromisoformat(gap[name]) for name in ("start", "end"))
    assert start <= datetime.fromisoformat(at) < end
    assert end - start <= timedelta(seconds=3)
    assert len(simulator.requests) <= (80 if without_time else 16)

    accepting = read(simulator, first.state, lookback_hours=0, accept_gaps_after_days=0)
    assert accepting.failures == []
    assert accepting.state == first.state
    again = read(simulator, accepting.state, lookback_hours=0)
    assert len(again.failures) == 5

    world.heal()
    simulator.faults.rules.clear()
    healed = read(simulator, again.state, lookback_hours=0)
    assert healed.failures == []
    assert lost in healed.records[STREAM]
    assert "gaps" not in str(healed.state)


async def without_time_of_nobody(answer: Answer) -> Reply:
    """Sessions that don't say whose they are don't say when they began, either."""
    reply = await answer()
    assert isinstance(reply.body, dict)
    sessions = [
        session if "botId" in session else session | {"start_time": None}
        for session in reply.body["sessions"]
    ]
    return replace(reply, body=reply.body | {"sessions": sessions})


def test_a_session_by_id_of_nobody_stops_no_bot_and_is_named(
    simulator: Simulator,
) -> None:
    synced = revisited(simulator, [raw(BOTS[1], "s-2"), {"sessionId": "s-1"}])
    [failure] = synced.failures
    assert str(failure.error).startswith("sessions by their ids: ")
    assert synced.keys(STREAM) == [(BOTS[1], "s-2")]


@pytest.mark.parametrize(
    ("start", "is_told"),
    [(timedelta(days=1), True), (timedelta(hours=2), False), (None, True)],
)
def test_a_bot_of_which_nothing_comes_is_told_where_it_does_of_others(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    start: timedelta | None,
    *,
    is_told: bool,
) -> None:
    """Its id may be mistyped; of a few hours it may just be quiet."""
    world = simulator.world
    bots = [BOTS[0], "st-mistyped"]
    mark = to_rfc3339(end_of(world) - (start or timedelta()))
    partitions = [
        {
            "context": {"bot_id": bot},
            "replication_key": "start_time",
            "replication_key_value": mark,
        }
        for bot in bots
    ]
    state = {"bookmarks": {STREAM: {"partitions": partitions}}} if start else None
    world.add_late(STREAM, BOTS[0], end_of(world) - timedelta(minutes=1))
    caplog.set_level(logging.WARNING)
    synced = read(simulator, state, kore_bot_ids=bots, lookback_hours=0)
    assert synced.failures == []
    assert synced.all_records
    line = (
        "bot st-mistyped: no records, although other bots of the account have some; "
        "check the id in kore_bot_ids"
    )
    assert caplog.messages == ([f"{STREAM}, {line}"] if is_told else [])


def test_a_session_by_id_that_cannot_be_used_fails_its_own_bot_alone(
    simulator: Simulator,
) -> None:
    synced = revisited(simulator, [raw(BOTS[0], None), raw(BOTS[1], "s-2")])
    [failure] = synced.failures
    assert failure.label == f"{STREAM}, bot {BOTS[0]}"
    assert synced.keys(STREAM) == [(BOTS[1], "s-2")]


def test_a_session_by_id_is_left_out_if_it_was_requested_for_another_bot(
    simulator: Simulator,
) -> None:
    """Another bot of the account may have a session of the same id, sound or not."""
    other = {**raw(BOTS[1], "s-1"), "start_time": None}
    sessions = [raw(BOTS[0], "s-1"), raw(BOTS[1], "s-2"), raw(BOTS[1], "s-1"), other]
    synced = revisited(simulator, sessions)
    assert synced.failures == []
    assert synced.keys(STREAM) == [(BOTS[0], "s-1"), (BOTS[1], "s-2")]
