"""Whole syncs against the simulator: every record comes, once, in order."""

from __future__ import annotations

import copy
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Literal

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hook, status
from simulator.streams import DAILY
from simulator.streams import STREAMS as TABLE
from tap_botsessions.config.documents import without_fractions
from tests.conftest import Synced, Tap, end_of, sync
from tests.truth import STREAMS, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.exchange import Reply
    from simulator.faults import Answer, Effect

START = datetime(2026, 3, 1, tzinfo=UTC)


def assert_complete(synced: Synced, world: World, end: datetime | None = None) -> None:
    """All that the world shows of all streams up to an instant came, and only once."""
    records = synced.records
    for stream in STREAMS:
        assert_same(
            records[stream], expected(world, stream, world.start, end or end_of(world))
        )
        keys = synced.keys(stream)
        assert len(keys) == len(set(keys)) > 0
    assert synced.failures == []


def assert_at(synced: Synced, end: datetime) -> None:
    """All bookmarks stand at an instant."""
    for (stream, _), bookmark in synced.bookmarks.items():
        match TABLE[stream].bookmark:
            case "date":
                assert bookmark == end.date().isoformat()
            case "date-time":
                assert datetime.fromisoformat(bookmark) == end
            case "seconds":
                assert bookmark == end.timestamp()
    assert len(synced.bookmarks) == 2 * len(STREAMS)


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled", "reshuffled"])
@pytest.mark.parametrize("bounds", ["closed", "half_open", "open_start"])
def test_every_record_comes_once_whatever_the_order_and_the_bounds(
    simulator: Simulator, order: Any, bounds: Any
) -> None:
    simulator.options.avaamo_order = order
    simulator.options.bounds = bounds
    synced = sync(simulator)
    assert_complete(synced, simulator.world)
    assert_at(synced, end_of(simulator.world))


@pytest.mark.parametrize("version", ["v7", "v8", "v9", "v10", "2025", "mixed"])
def test_sessions_of_all_versions_of_kore_come(
    simulator: Simulator, version: Any
) -> None:
    simulator.world.kore_version = version
    assert_complete(sync(simulator), simulator.world)


@pytest.mark.parametrize(
    "option",
    [
        {"kore_page_clamp": 7},
        {"kore_short_pages": True},
        {"avaamo_page_clamp": 7},
    ],
)
def test_paging_goes_on_from_the_rows_that_came(
    simulator: Simulator, option: dict[str, Any]
) -> None:
    vars(simulator.options).update(option)
    synced = sync(simulator)
    assert_complete(synced, simulator.world)
    assert_at(synced, end_of(simulator.world))


def test_the_records_of_a_bot_leave_in_order_of_time(simulator: Simulator) -> None:
    for (stream, one), (following, other) in pairwise(sync(simulator).all_records):
        if (stream, key_of(stream, one)[0]) == (following, key_of(following, other)[0]):
            time = TABLE[stream].replication_key or ""
            assert one[time] <= other[time]


def test_no_state_leaves_before_the_records_that_it_vouches_for(
    simulator: Simulator,
) -> None:
    """Whatever a target keeps before a state, with that state, is complete."""
    messages = sync(simulator, streams=("kore_sessions",)).messages
    for place, message in enumerate(messages):
        if message["type"] != "STATE":
            continue
        kept = Synced(messages[: place + 1])
        for (_, bot), bookmark in kept.bookmarks.items():
            upto = datetime.fromisoformat(bookmark) if bookmark else START
            truth = expected(simulator.world, "kore_sessions", START, upto)
            due = {key for key in truth if key[0] == bot}
            assert due <= kept.records["kore_sessions"].keys()


def test_a_run_goes_on_from_the_state_of_the_last_one(simulator: Simulator) -> None:
    world = simulator.world
    half = START + timedelta(days=4)
    first = sync(simulator, end_date=half.isoformat())
    assert_complete(first, world, half)
    assert_at(first, half)
    before = len(simulator.requests)
    second = sync(simulator, first.state)
    assert_at(second, end_of(world))
    for stream in STREAMS:
        both = first.records[stream] | second.records[stream]
        assert_same(both, expected(world, stream, START, end_of(world)))
        early = expected(world, stream, START, half - timedelta(hours=1))
        again = early.keys() & second.records[stream].keys()
        assert len(again) == (2 if stream in DAILY else 0)
    third = sync(simulator, second.state)
    assert len(simulator.requests) - before > 0
    assert third.state == second.state


@pytest.mark.usefixtures("eager")
def test_a_killed_run_can_be_resumed_from_any_of_its_states(
    simulator: Simulator,
) -> None:
    messages = sync(simulator).messages
    places = [n for n, message in enumerate(messages) if message["type"] == "STATE"]
    for place in places[:: len(places) // 6]:
        kept = Synced(messages[: place + 1])
        rest = sync(simulator, copy.deepcopy(kept.state))
        for stream in STREAMS:
            both = kept.records[stream] | rest.records[stream]
            assert_same(
                both, expected(simulator.world, stream, START, end_of(simulator.world))
            )


@pytest.mark.usefixtures("eager")
def test_a_lookback_never_moves_a_bookmark_back(simulator: Simulator) -> None:
    world = simulator.world
    middle = START + timedelta(days=4)
    first = sync(simulator, end_date=middle.isoformat())
    settings: dict[str, Any] = {"lookback_hours": 96, "window_days": 1}
    again = sync(simulator, first.state, end_date=middle.isoformat(), **settings)
    assert_at(again, middle)
    for state in again.states:
        assert Synced([{"type": "STATE", "value": state}]).bookmarks == first.bookmarks
    for stream in STREAMS:
        assert_same(
            again.records[stream],
            expected(world, stream, START, middle),
        )


def test_late_records_come_with_the_lookback() -> None:
    half = START + timedelta(days=4)
    world = World(days=8, sessions_per_day=24, late_fraction=0.3, now=half.timestamp())
    with Simulator(world) as simulator:
        first = sync(simulator)
        world.now = (START + timedelta(days=8)).timestamp()
        second = sync(simulator, first.state, lookback_hours=48)
        for stream in STREAMS:
            both = first.records[stream] | second.records[stream]
            if stream != "kore_sessions":
                assert_same(both, expected(world, stream, START, end_of(world)))
            else:
                truth = expected(world, stream, START, end_of(world))
                assert both.keys() == truth.keys()


SOON = datetime.now(UTC) + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("stream", "bookmark", "said"),
    [
        ("avaamo_sessions", "yesterday", "is no timetoken"),
        ("avaamo_messages", 10**15, "is no timetoken"),
        ("avaamo_sessions", 32_503_680_000, "3000-01-01T00:00:00Z, is in the future"),
        ("avaamo_usage", "0001-01-01", "is no date"),
        ("avaamo_usage", "2999-01-01", "is in the future"),
        ("kore_sessions", ["2026-03-01"], "is no start_time"),
        ("kore_sessions", "2999-01-01T00:00:00Z", "is in the future"),
        pytest.param("avaamo_sessions", SOON.timestamp(), None, id="soon, a number"),
        pytest.param("kore_sessions", SOON.isoformat(), None, id="soon, a time"),
    ],
)
def test_a_bookmark_that_cannot_be_right_fails_its_bot_and_stays(
    simulator: Simulator, stream: Any, bookmark: Any, said: str | None
) -> None:
    """Clocks may differ by the lookback: that much is read again."""
    world = simulator.world
    bots = world.bots_of(stream)
    partition = {
        "context": {TABLE[stream].bot_key: bots[0]},
        "replication_key": TABLE[stream].replication_key,
        "replication_key_value": bookmark,
    }
    state = {"bookmarks": {stream: {"partitions": [partition]}}}
    synced = sync(simulator, state, (stream,), avaamo_utc_offset=19_800)
    assert {key[0] for key in synced.keys(stream)} == {bots[1]}
    [kept, _] = synced.state["bookmarks"][stream]["partitions"]
    assert kept == without_fractions(partition)
    errors = [str(failure.error) for failure in synced.failures]
    assert errors == [] if said is None else said in errors[0]


def test_empty_windows_move_the_bookmarks_too() -> None:
    with Simulator(World(days=8, sessions_per_day=0)) as simulator:
        synced = sync(simulator)
        assert_at(synced, end_of(simulator.world))
        assert [name for name, _ in synced.all_records] == ["avaamo_usage"] * 16


def test_a_day_of_usage_is_read_again_until_it_is_over() -> None:
    noon = START + timedelta(days=3, hours=12)
    with Simulator(World(days=8, now=noon.timestamp())) as simulator:
        first = sync(simulator, streams=("avaamo_usage",))
        assert first.bookmarks["avaamo_usage", "201"] == "2026-03-04"
        early = first.records["avaamo_usage"]["201", "2026-03-04"]
        simulator.world.now += 86_400
        second = sync(simulator, first.state, streams=("avaamo_usage",))
        late = second.records["avaamo_usage"]["201", "2026-03-04"]
        assert late["session_count"] > early["session_count"]
        truth = expected(
            simulator.world, "avaamo_usage", START, end_of(simulator.world)
        )
        assert_same(
            first.records["avaamo_usage"] | second.records["avaamo_usage"], truth
        )
        assert second.bookmarks["avaamo_usage", "201"] == "2026-03-05"


def one_day(simulator: Simulator, at: datetime, **settings: Any) -> Synced:
    """The usage of the fifth day, read at an instant."""
    simulator.world.now = at.timestamp()
    day = START + timedelta(days=4)
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Tap, "initialized_at", int(at.timestamp() * 1000))
        return sync(
            simulator,
            None,
            ("avaamo_usage",),
            start_date=day.isoformat(),
            end_date=(day + timedelta(days=1)).isoformat(),
            **settings,
        )


@pytest.mark.parametrize("hours", [10, 40])
@pytest.mark.parametrize("to_date", ["after", "ignored"])
def test_a_day_of_usage_of_another_length_is_none(
    simulator: Simulator, to_date: Literal["after", "ignored"], hours: int
) -> None:
    """Its figures are not those of the day, nor is a day without any."""
    simulator.options.date = "world"
    simulator.options.avaamo_to_date = to_date
    synced = one_day(simulator, START + timedelta(days=4, hours=hours))
    assert len(synced.failures) == 2
    assert synced.all_records == []
    for failure in synced.failures:
        assert "asked for the day 2026-03-05, 2026-03-05T00:00:00Z to" in str(
            failure.error
        )
        assert "the server sent figures of 2026-03-05T00:00:00Z to" in str(
            failure.error
        )


def stretched(**by: float) -> Effect:
    """The effect of another range of usage, by seconds."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        assert isinstance(reply.body, dict)
        stats = reply.body["aggregate_stats"]
        for name, seconds in by.items():
            stats[name] += seconds
        return replace(reply, body=reply.body | {"aggregate_stats": stats})

    return effect


@pytest.mark.parametrize(
    ("by", "is_right"),
    [
        ({"end_time": 1}, True),
        ({"end_time": 0.999}, True),
        ({"end_time": 1, "start_time": 1}, True),
        ({"end_time": 86_400}, False),
        ({"end_time": -3_600}, False),
        ({"end_time": -86_399}, False),
        ({"end_time": -86_400}, False),
        ({"start_time": -86_400}, False),
        ({"start_time": 3_600}, False),
        ({"start_time": -3_600, "end_time": -3_600}, False),
    ],
)
def test_both_ends_of_a_day_of_usage_are_compared(
    simulator: Simulator, by: dict[str, float], *, is_right: bool
) -> None:
    simulator.faults.rules = [Rule(stretched(**by))]
    synced = one_day(simulator, START + timedelta(days=7))
    assert len(synced.all_records) == (2 if is_right else 0)
    assert len(synced.failures) == (0 if is_right else 2)


@pytest.mark.parametrize("today", ["whole", "now"])
def test_a_day_of_usage_that_is_not_over_ends_now_or_with_the_day(
    simulator: Simulator, today: Literal["whole", "now"]
) -> None:
    simulator.options.date = "world"
    simulator.options.avaamo_today = today
    synced = one_day(simulator, START + timedelta(days=4, hours=10))
    assert synced.failures == []
    assert len(synced.all_records) == 2
    assert set(synced.bookmarks.values()) == {"2026-03-05"}


def test_a_day_of_usage_without_an_end_is_none(simulator: Simulator) -> None:
    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        assert isinstance(reply.body, dict)
        return replace(reply, body=reply.body | {"aggregate_stats": {"start_time": 1}})

    simulator.faults.rules = [Rule(effect)]
    synced = one_day(simulator, START + timedelta(days=7))
    assert len(synced.failures) == 2


def test_a_day_of_usage_is_read_whole_however_narrow_the_windows_are(
    simulator: Simulator,
) -> None:
    wide = sync(simulator, streams=("avaamo_usage",))
    narrow = sync(simulator, streams=("avaamo_usage",), window_days=0.5)
    assert narrow.failures == []
    assert_same(narrow.records["avaamo_usage"], wide.records["avaamo_usage"])


@pytest.mark.parametrize("offset", [19_800, -25_200, 3601])
def test_days_of_usage_begin_at_the_offset(simulator: Simulator, offset: int) -> None:
    synced = sync(simulator, streams=("avaamo_usage",), avaamo_utc_offset=offset)
    for (_, date), record in synced.records["avaamo_usage"].items():
        midnight = datetime.fromisoformat(f"{date}T00:00:00+00:00")
        begins = datetime.fromisoformat(record["start_time"])
        assert begins == midnight - timedelta(seconds=offset)
        assert record["utc_offset"] == offset
    assert synced.failures == []


def test_a_new_field_of_a_session_is_kept(simulator: Simulator) -> None:
    simulator.options.extra_fields = {"newField": {"a": [1, None]}}
    for stream, record in sync(simulator).all_records:
        if stream != "avaamo_usage":
            assert record["additional_fields"] == {"newField": {"a": [1, None]}}


def test_equal_sessions_come_once() -> None:
    with Simulator(World(days=4, equal_sessions=0.3)) as simulator:
        assert_complete(sync(simulator), simulator.world)


def test_hostile_texts_are_cleaned() -> None:
    with Simulator(World(days=4, hostile_text=True)) as simulator:
        synced = sync(simulator, streams=("avaamo_messages",))
        texts = [record["content"] for _, record in synced.all_records]
        assert any("\ufffd" in text for text in texts)
        assert not any("\0" in text for text in texts)
        truth = expected(
            simulator.world, "avaamo_messages", START, end_of(simulator.world)
        )
        assert_same(synced.records["avaamo_messages"], truth)


@pytest.mark.parametrize("api", ["account", "stream"])
def test_the_other_paths_of_kore_serve_the_same(simulator: Simulator, api: str) -> None:
    assert_complete(sync(simulator, kore_api=api), simulator.world)


def test_kores_own_filters_apply(simulator: Simulator) -> None:
    types = ["agent", "dropOff"]
    synced = sync(
        simulator,
        streams=("kore_sessions",),
        kore_containment_types=types,
        kore_session_type="interactive",
    )
    truth = expected(simulator.world, "kore_sessions", START, end_of(simulator.world))
    assert_same(
        synced.records["kore_sessions"],
        {
            key: record
            for key, record in truth.items()
            if record["containment_type"] in types
            and record["session_type"] == "interactive"
        },
    )
    keys = synced.keys("kore_sessions")
    assert len(keys) == len(set(keys))


@pytest.mark.parametrize("nothing", [{}, "{}", "", None])
def test_a_filter_with_nothing_in_it_is_none(
    simulator: Simulator, nothing: object
) -> None:
    synced = sync(simulator, streams=("kore_sessions",), kore_tags=nothing)
    assert synced.records["kore_sessions"]
    for request in simulator.requests:
        assert "tags" not in request.body


def test_sessions_are_read_by_their_ids(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    truth = expected(simulator.world, "kore_sessions", START, end_of(simulator.world))
    bot = simulator.world.bots[0]
    mine = [session for name, session in truth if name == bot][:70]
    synced = sync(
        simulator,
        streams=("kore_sessions",),
        kore_bot_ids=[bot],
        kore_session_ids=[*mine, mine[0], "ffffffffffffffffffffffff"],
    )
    assert synced.records["kore_sessions"].keys() == {(bot, name) for name in mine}
    assert "no such sessions: ffffffffffffffffffffffff" in caplog.text
    assert len(simulator.requests) == 2
    assert synced.bookmarks["kore_sessions", bot] is None


def test_sessions_that_were_not_requested_are_neither_emitted_nor_logged(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    truth = expected(simulator.world, "kore_sessions", START, end_of(simulator.world))
    bot = simulator.world.bots[0]
    mine, other, *_ = [session for name, session in truth if name == bot]
    served = [
        {"sessionId": name, "start_time": "2026-03-01T00:00:00Z"}
        for name in (mine, other, mine)
    ]
    gone = [mine, "ada@example.com\nada", "gone", "gone"]
    body = {"total": 3, "sessions": served, "invalidSessions": gone}
    simulator.faults.rules.append(Rule(status(200, body)))
    synced = sync(
        simulator,
        streams=("kore_sessions",),
        kore_bot_ids=[bot],
        kore_session_ids=[mine, "gone"],
    )
    assert synced.keys("kore_sessions") == [(bot, mine)]
    assert "no such sessions: gone\n" in caplog.text
    assert "ada" not in caplog.text


@pytest.fixture
def drifting() -> Iterator[Simulator]:
    """A simulator whose lists take more than one page."""
    with Simulator(World(days=8, sessions_per_day=40)) as running:
        yield running


@pytest.mark.parametrize("stream", ["avaamo_sessions", "kore_sessions"])
@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
@pytest.mark.parametrize("every", [2, 3, 7])
def test_late_records_that_shift_the_pages_lose_nothing(
    drifting: Simulator, stream: Any, order: Any, every: int
) -> None:
    world = drifting.world
    drifting.options.avaamo_order = order
    bot = world.bots_of(stream)[0]
    staying = expected(world, stream, START, end_of(world))
    late = iter(range(40))

    def arrive() -> None:
        if (number := next(late, None)) is not None:
            world.add_late(stream, bot, START + timedelta(hours=4 * number, seconds=7))

    drifting.faults.rules.append(Rule(hook(arrive), bot=bot, every=every))
    synced = sync(drifting, streams=(stream,), kore_page_size=50)
    assert synced.failures == []
    found = synced.records[stream]
    assert_same({key: found.get(key, {}) for key in staying}, staying)
    keys = synced.keys(stream)
    assert len(keys) == len(set(keys))


def test_sessions_that_leave_a_filter_meanwhile_hide_no_other_session(
    drifting: Simulator,
) -> None:
    world = drifting.world
    bot = world.bots[0]
    sessions = expected(world, "kore_sessions", START, end_of(world))
    times = sorted(
        record["start_time"] for (name, _), record in sessions.items() if name == bot
    )
    leaving = iter(times[-1::-9])

    def leave() -> None:
        if (time := next(leaving, None)) is not None:
            world.remove("kore_sessions", bot, datetime.fromisoformat(time))

    drifting.faults.rules.append(Rule(hook(leave), bot=bot, every=3))
    synced = sync(drifting, streams=("kore_sessions",), kore_page_size=50)
    staying = expected(world, "kore_sessions", START, end_of(world))
    found = synced.records["kore_sessions"]
    assert_same({key: found.get(key, {}) for key in staying}, staying)
