"""Sessions that were read open are corrected once they are closed."""

from __future__ import annotations

import copy
import math
from collections import Counter
from dataclasses import replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hook
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, config_for, end_of, hand_in, sync
from tests.truth import Keyed, assert_same, expected
from tests.unit.test_open_sessions import START, START_TEXT, day

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.exchange import Reply
    from simulator.faults import Answer

KORE = ("kore_sessions",)


@pytest.fixture
def few(monkeypatch: pytest.MonkeyPatch) -> int:
    """No more than so many sessions of a bot are followed by their ids."""
    hand_in(monkeypatch, max_followed=3)
    return 3


@pytest.fixture
def world() -> World:
    """Of the sessions of twenty days, one in four stays open for days."""
    return World(sessions_per_day=8, open_fraction=0.25)


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    with Simulator(world) as running:
        yield running


def read(
    simulator: Simulator, at: datetime, state: dict[str, Any] | None = None, **more: Any
) -> Synced:
    """Run the tap at an instant, without a lookback unless a setting says so."""
    simulator.world.now = at.timestamp()
    simulator.requests.clear()
    settings = {"kore_open_session_days": 40, "lookback_hours": 0} | more
    synced = sync(simulator, copy.deepcopy(state), KORE, **settings)
    assert synced.failures == []
    return synced


def truth(world: World) -> Keyed:
    """All sessions that a world shows, as they are now."""
    return expected(world, "kore_sessions", START, end_of(world))


def followed(synced: Synced) -> dict[str, list[str]]:
    """The ids that are followed after a run, by bot."""
    return {
        partition["context"]["bot_id"]: list(partition.get("open_sessions", ()))
        for partition in synced.state["bookmarks"]["kore_sessions"]["partitions"]
    }


def active(records: Keyed) -> dict[str, set[str]]:
    """The ids of the sessions that are open, by bot."""
    bots = {bot for bot, _ in records}
    return {
        bot: {
            name
            for (owner, name), record in records.items()
            if owner == bot and record["session_status"] == "active"
        }
        for bot in bots
    }


def requested_ids(simulator: Simulator) -> list[list[str]]:
    """The ids of each request by ids."""
    bodies = [call.body for call in simulator.requests]
    return [body["sessionId"] for body in bodies if "sessionId" in body]


@pytest.mark.usefixtures("recent")
@pytest.mark.parametrize("api", ["bot", "account", "stream"])
def test_a_session_read_open_is_as_it_is_after_each_run(
    simulator: Simulator, world: World, api: str
) -> None:
    """In as few requests as can be: fifty ids each, and those for the windows.

    In the account's API, one request serves all bots.
    """
    found: Keyed = {}
    state = None
    windows = {10: 2, 15: 1, 40: 5}
    open_before: dict[str, list[str]] = {}
    for at in (10, 15, 40):
        synced = read(simulator, day(at), state, kore_api=api)
        ids_of_bots = [len(names) for names in open_before.values()] or [0] * len(
            world.bots
        )
        readings = [sum(ids_of_bots)] if api == "account" else ids_of_bots
        assert len(simulator.requests) == sum(
            math.ceil(ids / 50) + windows[at] for ids in readings
        )
        keys = synced.keys("kore_sessions")
        assert len(keys) == len(set(keys))
        found |= synced.records["kore_sessions"]
        assert_same(found, truth(world))
        state, open_before = synced.state, followed(synced)
        assert {bot: set(names) for bot, names in open_before.items()} == active(found)
    types = Counter(record["containment_type"] for record in found.values())
    assert set(types) == {"agent", "dropOff", "selfService"}
    assert not any(open_before.values())


@pytest.mark.usefixtures("recent")
def test_a_session_that_did_not_change_is_not_emitted_again(
    simulator: Simulator,
) -> None:
    first = read(simulator, day(10))
    second = read(simulator, day(10), first.state)
    assert len(requested_ids(simulator)) == 2
    assert second.all_records == []
    assert second.state == first.state


def test_a_session_within_the_lookback_is_not_requested_twice(
    simulator: Simulator,
) -> None:
    first = read(simulator, day(10))
    second = read(simulator, day(11), first.state, lookback_hours=10 * 24)
    assert requested_ids(simulator) == []
    keys = second.keys("kore_sessions")
    assert len(keys) == len(set(keys))
    assert_same(second.records["kore_sessions"], truth(simulator.world))


def test_nothing_is_followed_if_it_is_not_wanted(
    simulator: Simulator, world: World
) -> None:
    first = read(simulator, day(10), kore_open_session_days=0)
    assert not any(followed(first).values())
    second = read(simulator, day(15), first.state, kore_open_session_days=0)
    assert requested_ids(simulator) == []
    assert_same(
        second.records["kore_sessions"],
        expected(world, "kore_sessions", day(10), day(15)),
    )


def test_sessions_that_have_become_too_old_are_requested_once_more(
    simulator: Simulator, world: World
) -> None:
    first = read(simulator, day(10))
    starts = {name: at["start_time"] for (_, name), at in truth(world).items()}
    old = {
        name
        for names in followed(first).values()
        for name in names
        if datetime.fromisoformat(starts[name]) < day(7)
    }
    assert old
    second = read(simulator, day(15), first.state, kore_open_session_days=8)
    requested = {name for names in requested_ids(simulator) for name in names}
    assert old < requested
    union = first.records["kore_sessions"] | second.records["kore_sessions"]
    assert_same(union, truth(world))
    assert not old & {name for names in followed(second).values() for name in names}


def read_and_lose(simulator: Simulator) -> tuple[Synced, tuple[str, str]]:
    """Read, and have one of the sessions that are followed then be gone."""
    world = simulator.world
    first = read(simulator, day(10))
    bot = world.bots[0]
    gone = followed(first)[bot][0]
    started = first.records["kore_sessions"][bot, gone]["start_time"]
    world.remove("kore_sessions", bot, datetime.fromisoformat(started))
    return first, (bot, gone)


def test_a_session_that_is_gone_is_not_requested_again(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    first, (bot, gone) = read_and_lose(simulator)
    second = read(simulator, day(11), first.state)
    assert f"no such sessions: {gone}" in caplog.text
    assert gone not in followed(second)[bot]


def test_an_old_session_keeps_its_tags(simulator: Simulator, world: World) -> None:
    """They come by its id only where its time is requested as well."""
    simulator.options.kore_tags_for_days = 14
    first = read(simulator, day(10))
    second = read(simulator, day(60), first.state, end_date=day(10).isoformat())
    bodies = [call.body for call in simulator.requests if "sessionId" in call.body]
    assert len(bodies) > len(world.bots)
    for body in bodies:
        start, end = (
            datetime.fromisoformat(body[name]) for name in ("dateFrom", "dateTo")
        )
        assert end - start < timedelta(days=6, seconds=1)
    found = second.records["kore_sessions"]
    assert any(record["tags"]["sessionTags"] for record in found.values())
    now = truth(world)
    assert_same(found, {key: now[key] for key in found})


def test_a_session_that_a_server_is_silent_on_stops_nothing(
    simulator: Simulator, world: World, caplog: pytest.LogCaptureFixture
) -> None:
    """It is requested again, since it is not said to be gone, until it is too old."""
    simulator.options.kore_silent_ids = True
    first, (bot, gone) = read_and_lose(simulator)
    second = read(simulator, day(11), first.state)
    assert f"the server does not mention these sessions: {gone}" in caplog.text
    assert gone in followed(second)[bot]
    third = read(simulator, day(60), second.state)
    assert gone not in followed(third)[bot]
    runs = (first, second, third)
    union = {key: row for run in runs for key, row in run.records[KORE[0]].items()}
    del union[bot, gone]
    assert_same(union, truth(world))


def cuts(messages: list[dict[str, Any]]) -> Iterator[Synced]:
    """The output of a run that is killed, up to each of its states."""
    for place, message in enumerate(messages):
        if message["type"] == "STATE":
            yield Synced(messages[: place + 1])


@pytest.mark.parametrize(
    "start", ["0001-01-01T00:00:00Z", "9999-12-31T23:59:59.999999Z"]
)
def test_a_followed_session_may_have_started_at_any_time(
    simulator: Simulator, start: str
) -> None:
    followed = {
        "context": {"bot_id": simulator.world.bots[0]},
        "open_sessions": {"s-1": [start, ""], "s-2": ["0001-01-01T00:00:00Z", ""]},
    }
    state = {"bookmarks": {"kore_sessions": {"partitions": [followed]}}}
    read(simulator, day(10), state, kore_user_id="u-1")
    assert requested_ids(simulator)


@pytest.mark.usefixtures("few")
def test_more_open_sessions_than_are_followed_are_corrected_once_they_are_too_old(
    simulator: Simulator, world: World
) -> None:
    """As those are that are followed by their ids: once after the days, and no more."""
    first = read(simulator, day(10))
    assert active(first.records["kore_sessions"])
    second = read(simulator, day(40), first.state, kore_open_session_days=14)
    found = first.records["kore_sessions"] | second.records["kore_sessions"]
    assert_same(found, truth(world))
    third = read(simulator, day(41), second.state, kore_open_session_days=14)
    assert third.all_records == []
    starts = [call.body["dateFrom"] for call in simulator.requests]
    assert all(datetime.fromisoformat(start) >= day(39) for start in starts)


@pytest.mark.usefixtures("few", "eager")
def test_more_open_sessions_than_are_followed_are_corrected_after_any_kill(
    simulator: Simulator, world: World
) -> None:
    first = read(simulator, day(10), window_days=1)
    assert not any(followed(first).values())
    before = first.records["kore_sessions"]
    second = read(simulator, day(15), first.state, window_days=1)
    assert requested_ids(simulator) == []
    assert_same(before | second.records["kore_sessions"], truth(world))
    killed = list(cuts(second.messages))
    assert len(killed) > 15
    for kept in killed[::3]:
        rest = read(simulator, day(15), kept.state, window_days=1)
        found = before | kept.records["kore_sessions"] | rest.records["kore_sessions"]
        assert_same(found, truth(world))
    last = read(simulator, day(40), second.state, window_days=1)
    found = before | second.records["kore_sessions"] | last.records["kore_sessions"]
    assert_same(found, truth(world))


def test_followed_sessions_outlive_any_kill(simulator: Simulator, world: World) -> None:
    first = read(simulator, day(10))
    second = read(simulator, day(15), first.state, window_days=0.5)
    for kept in list(cuts(second.messages))[::3]:
        rest = read(simulator, day(15), kept.state)
        found = [run.records["kore_sessions"] for run in (first, kept, rest)]
        assert_same(found[0] | found[1] | found[2], truth(world))


def of_types(records: Keyed, types: list[str]) -> Keyed:
    """The sessions of some containment types."""
    return {
        key: record
        for key, record in records.items()
        if record["containment_type"] in types
    }


@pytest.mark.parametrize(
    "types",
    [
        ["agent"],
        ["dropOff", "agent"],
        ["selfService"],
        ["selfService", "agent"],
        ["agent", "dropOff", "selfService"],
    ],
)
def test_a_filter_by_containment_type_and_open_sessions_go_together(
    simulator: Simulator, world: World, types: list[str]
) -> None:
    """Who leaves the filter is corrected, who enters it comes, nobody else does."""
    found: Keyed = {}
    state = None
    for at in (10, 15, 40):
        synced = read(simulator, day(at), state, kore_containment_types=types)
        state = synced.state
        new = synced.records["kore_sessions"]
        left = {key for key in new if new[key]["containment_type"] not in types}
        assert left <= found.keys()
        found |= new
        now = truth(world)
        assert_same({key: now[key] for key in found}, found)
        assert of_types(now, types).keys() <= found.keys()
        assert bool(left) == (at > 10 and "selfService" in types and len(types) < 3)
    if "selfService" not in types:
        assert_same(found, of_types(truth(world), types))


WORDS = ("containment_type", "session_type", "session_status")


@pytest.mark.parametrize("spelling", ["lower", "upper"])
@pytest.mark.parametrize(
    "filters",
    [
        {},
        {"kore_containment_types": ["selfService"]},
        {"kore_containment_types": ["dropOff"]},
        {"kore_containment_types": ["agent", "dropOff"]},
        {"kore_session_type": "interactive"},
        {"kore_containment_types": ["agent"], "kore_session_type": "non-interactive"},
    ],
)
def test_the_case_of_a_vendors_words_is_no_matter(
    simulator: Simulator, spelling: Literal["lower", "upper"], filters: dict[str, Any]
) -> None:
    """What comes is what came where they are written as in the samples, but for that.

    What is open is followed, too, and the words are emitted as the vendor writes them.
    """
    write = str.lower if spelling == "lower" else str.upper

    def runs() -> Iterator[Keyed]:
        state = None
        for at in (10, 15, 40):
            synced = read(simulator, day(at), state, **filters)
            state = synced.state
            yield synced.records["kore_sessions"]

    owed = list(runs())
    simulator.options.kore_spelling = spelling
    for found, records in zip(runs(), owed, strict=True):
        truth = {
            key: record | {name: write(record[name]) for name in WORDS}
            for key, record in records.items()
        }
        assert truth
        assert_same(found, truth)


def test_what_the_vendor_has_filtered_is_not_filtered_again(
    simulator: Simulator,
) -> None:
    """A server may have other words for what it filters by."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        assert isinstance(reply.body, dict)
        sessions = [
            session | {"containmentType": "Transferred", "sessionType": "Two-sided"}
            for session in reply.body["sessions"]
        ]
        return replace(reply, body=reply.body | {"sessions": sessions})

    settings: dict[str, Any] = {
        "kore_containment_types": ["agent"],
        "kore_session_type": "interactive",
    }
    owed = read(simulator, day(40), **settings).records["kore_sessions"]
    simulator.faults.rules = [Rule(effect)]
    found = read(simulator, day(40), **settings).records["kore_sessions"]
    assert owed
    assert found.keys() >= owed.keys()


@pytest.mark.parametrize("days", [0, 40])
@pytest.mark.parametrize("types", [["agent"], ["agent", "selfService"]])
def test_sessions_without_a_type_have_the_type_of_their_list(
    simulator: Simulator, world: World, types: list[str], days: int
) -> None:
    """As those of version 8 of the API; whether open ones are followed or not."""
    world.kore_version = "v8"
    synced = read(
        simulator, day(40), kore_containment_types=types, kore_open_session_days=days
    )
    world.kore_version = "v10"
    listed = of_types(truth(world), types)
    assert synced.records["kore_sessions"].keys() == listed.keys()


@pytest.mark.parametrize("types", [["agent"], ["agent", "selfService"]])
def test_a_session_that_closes_between_the_lists_of_two_types_is_not_lost(
    simulator: Simulator, world: World, types: list[str]
) -> None:
    """It is in neither of them if the list of its final type is read first."""

    def close_all() -> None:
        world.now = day(40).timestamp()

    simulator.faults.rules.append(Rule(hook(close_all), nth=2))
    bot = world.bots[0]
    only: dict[str, Any] = {
        "kore_bot_ids": [bot],
        "kore_containment_types": types,
        "max_concurrent_requests": 1,
    }
    first = read(simulator, day(5), **only)
    second = read(simulator, day(40), first.state, **only)
    found = first.records["kore_sessions"] | second.records["kore_sessions"]
    listed = of_types(truth(world), types)
    assert {key for key in listed if key[0] == bot} <= found.keys()


@pytest.mark.parametrize(
    ("came_to", "is_emitted"),
    [
        (("agent", "non-interactive"), True),
        (("agent", "interactive"), False),
        (("dropOff", "non-interactive"), False),
    ],
)
def test_a_session_that_left_a_filter_before_it_was_emitted_is_not(
    simulator: Simulator, came_to: tuple[str, str], *, is_emitted: bool
) -> None:
    """It was open and of another type; by its id it comes whatever it has become."""
    followed = {
        "context": {"bot_id": "st-1"},
        "open_sessions": {"s-1": [START_TEXT, ""]},
    }
    tap = TapBotsessions(
        config=config_for(
            simulator,
            kore_bot_ids=["st-1"],
            kore_containment_types=["agent"],
            kore_session_type="non-interactive",
        ),
        state={"bookmarks": {"kore_sessions": {"partitions": [followed]}}},
    )
    stream: Any = tap.streams["kore_sessions"]
    stream.reading.ranges(["st-1"])
    containment_type, session_type = came_to
    raw = {
        "sessionId": "s-1",
        "start_time": START_TEXT,
        "sessionStatus": "closed",
        "containmentType": containment_type,
        "sessionType": session_type,
    }
    rows, _ = stream.source.rows(["st-1"], [raw])
    emitted = stream.source.revisits.to_emit("st-1", WindowResult(None, rows))
    assert bool(emitted) is is_emitted
