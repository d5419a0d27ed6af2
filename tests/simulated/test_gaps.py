"""What can't be read, or does not add up: all else comes, and that is named.

A gap is in the state, in the audit trail and in the plan. Each run reads it again until
it adds up.
"""

from __future__ import annotations

import copy
import logging
from collections import Counter
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal

import pytest

from simulator import Simulator, World
from tests.conftest import Synced, end_of, hand_in, sync
from tests.simulated.test_audit import audited, windows
from tests.simulated.test_plan import planned
from tests.truth import LISTS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

pytestmark = pytest.mark.usefixtures("impatient")

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 8
AGAIN = {"lookback_hours": 0}
each_list = pytest.mark.parametrize("stream", LISTS)


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Both vendors' APIs; lists take a page or two a window."""
    with Simulator(World(days=DAYS, sessions_per_day=24)) as running:
        yield running


@pytest.fixture
def busy() -> Iterator[Simulator]:
    """Both vendors' APIs with one bot each, of which a stream has 2,400 records."""
    rate = {"201": 300, World.bots[0]: 300}
    world = World(
        days=DAYS,
        agents=("201",),
        bots=World.bots[:1],
        sessions_per_day=rate,
        messages_per_session=1,
    )
    with Simulator(world) as running:
        yield running


def instants(world: World, stream: str, bot: str) -> list[datetime]:
    """The instants of a bot's records, without those that several share."""
    first, last = (int(each.timestamp() * 1000) for each in (START, end_of(world)))
    times = Counter(row.at for row in world.rows(stream, bot, first, last))
    return [
        datetime.fromtimestamp(at / 1000, UTC)
        for at, count in times.items()
        if count == 1
    ]


def haunt(world: World, stream: str, *places: int) -> list[datetime]:
    """Have records of the first bot counted and not served, by their places."""
    bot, *_ = world.bots_of(stream)
    times = [instants(world, stream, bot)[place] for place in places]
    for at in times:
        world.hide(stream, bot, at)
    return times


def whole(world: World, stream: str) -> dict[tuple[str, ...], dict[str, Any]]:
    """All records of a stream."""
    return expected(world, stream, START, end_of(world))


def gaps(synced: Synced, stream: str) -> list[list[dict[str, str]]]:
    """The gaps of each bot in the last state."""
    partitions = synced.state["bookmarks"][stream]["partitions"]
    return [partition.get("gaps", []) for partition in partitions]


def covers(gap: dict[str, str], at: datetime) -> bool:
    start, end = (datetime.fromisoformat(gap[name]) for name in ("start", "end"))
    return start <= at < end


def seconds(gap: dict[str, str]) -> float:
    start, end = (datetime.fromisoformat(gap[name]) for name in ("start", "end"))
    return (end - start).total_seconds()


def is_complete(synced: Synced, world: World, stream: str) -> None:
    """All records came, each once, and nothing is named."""
    assert_same(synced.records[stream], whole(world, stream))
    assert len(synced.keys(stream)) == len(synced.records[stream])
    assert synced.failures == []
    assert not any(gaps(synced, stream))


@each_list
def test_a_gap_beyond_the_vendors_time_is_in_the_audit_trail(
    simulator: Simulator, stream: str
) -> None:
    """Up to which the bookmark moves, and no further."""
    simulator.options.date = "cached"
    haunt(simulator.world, stream, -1)
    synced = audited(simulator, None, [stream])
    [found, _] = gaps(synced, stream)
    bot, *_ = simulator.world.bots_of(stream)
    named = [row for row in windows(synced)[stream, bot] if row["gap"]]
    assert min(row["window_start"] for row in named) == found[0]["start"]
    assert max(row["window_end"] for row in named) == found[-1]["end"]


@pytest.mark.parametrize("ghosts", ["omitted", "missing"])
@each_list
def test_a_record_that_is_counted_and_not_served_is_a_gap_until_it_is(
    simulator: Simulator, stream: str, ghosts: Literal["omitted", "missing"]
) -> None:
    """All else comes, at once; it comes when it is served."""
    world = simulator.world
    simulator.options.ghosts = ghosts
    bot, other = world.bots_of(stream)
    [at] = haunt(world, stream, 80)

    first = audited(simulator, None, [stream])
    found, truth = first.records[stream], whole(world, stream)
    [lost] = truth.keys() - found.keys()
    assert lost[0] == bot
    assert_same(found, {key: truth[key] for key in truth if key != lost})
    [[gap], none] = gaps(first, stream)
    assert none == []
    assert covers(gap, at)
    assert seconds(gap) <= 3
    [failure] = first.failures
    assert failure.label.endswith(bot)
    assert f"a gap, {gap['start']} to {gap['end']}: " in str(failure.error)
    assert "each run reads it again until it adds up" in str(failure.error)
    marks = {name: first.bookmarks[stream, name] for name in (bot, other)}
    assert marks[bot] == marks[other]

    trail = windows(first)
    named = [row for row in trail[stream, bot] if row["gap"]]
    assert named[0]["window_start"] == gap["start"]
    assert named[-1]["window_end"] == gap["end"]
    assert not any(row["gap"] for row in trail[stream, other])
    for read in trail.values():
        ends = [row["window_end"] for row in read]
        assert [row["window_start"] for row in read][1:] == ends[:-1]
    [plan, _] = planned(simulator, first.state, [stream], **AGAIN).bots
    assert [str(each) for each in plan.gaps] == [f"{gap['start']} to {gap['end']}"]

    second = sync(simulator, first.state, (stream,), **AGAIN)
    assert len(second.failures) == 1
    assert second.bookmarks == first.bookmarks
    assert gaps(second, stream) == gaps(first, stream)

    world.heal()
    third = sync(simulator, second.state, (stream,), **AGAIN)
    assert third.failures == []
    assert lost in third.records[stream]
    assert not any(gaps(third, stream))
    assert third.bookmarks == first.bookmarks


@each_list
def test_a_gap_that_is_accepted_is_warned_of_and_read_again(
    simulator: Simulator, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    world = simulator.world
    haunt(world, stream, 80)
    first = sync(simulator, None, (stream,))
    for days, failures in ((1, 1), (0, 0)):
        caplog.clear()
        simulator.requests.clear()
        second = sync(
            simulator, first.state, (stream,), **AGAIN, accept_gaps_after_days=days
        )
        assert len(second.failures) == failures
        assert gaps(second, stream) == gaps(first, stream)
        assert simulator.requests
        accepted = [line for line in caplog.messages if ": accepted: " in line]
        assert len(accepted) == 1 - failures
    world.heal()
    third = sync(simulator, second.state, (stream,), **AGAIN, accept_gaps_after_days=0)
    both = first.records[stream] | third.records[stream]
    assert_same(both, whole(world, stream))
    assert not any(gaps(third, stream))


def test_a_run_that_reads_elsewhere_keeps_a_gap(simulator: Simulator) -> None:
    """Whether it begins after it or ends before it."""
    stream, world = "kore_sessions", simulator.world
    [at] = haunt(world, stream, 80)
    first = sync(simulator, None, (stream,))
    for settings in (
        {"start_date": (at + timedelta(hours=1)).isoformat()},
        {"end_date": (at - timedelta(hours=1)).isoformat()},
    ):
        elsewhere = sync(simulator, first.state, (stream,), **AGAIN, **settings)
        assert elsewhere.failures == []
        assert gaps(elsewhere, stream) == gaps(first, stream)


@pytest.mark.usefixtures("eager")
@each_list
def test_a_run_that_ends_midway_keeps_its_gaps(
    simulator: Simulator, stream: str
) -> None:
    """From whichever state it is resumed: all comes that can be had, and is named."""
    world = simulator.world
    times = haunt(world, stream, 40, 120)
    messages = sync(simulator, None, (stream,), window_days=1).messages
    truth = whole(world, stream)
    places = [n for n, message in enumerate(messages) if message["type"] == "STATE"]
    assert len(places) > 12
    for place in places[:: len(places) // 6]:
        kept = Synced(messages[: place + 1])
        rest = sync(simulator, copy.deepcopy(kept.state), (stream,), window_days=1)
        both = kept.records[stream] | rest.records[stream]
        assert len(truth.keys() - both.keys()) == len(times)
        [failure] = rest.failures
        assert "gaps" in str(failure.error)
        [found, _] = gaps(rest, stream)
        assert all(any(covers(gap, at) for gap in found) for at in times)


@each_list
def test_gaps_are_joined_where_there_are_more_than_a_state_holds(
    simulator: Simulator, stream: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(monkeypatch, max_gaps=3)
    world = simulator.world
    times = haunt(world, stream, *range(10, 150, 20))
    first = sync(simulator, None, (stream,))
    [found, none] = gaps(first, stream)
    assert none == []
    assert len(found) == 3
    assert all(any(covers(gap, at) for gap in found) for at in times)
    world.heal()
    second = sync(simulator, first.state, (stream,), **AGAIN)
    both = first.records[stream] | second.records[stream]
    assert_same(both, whole(world, stream))
    assert not any(gaps(second, stream))


def test_only_so_many_gaps_are_narrowed_to_a_second(simulator: Simulator) -> None:
    """As a vendor may count otherwise than it serves; others stay as wide as found."""
    stream, world = "kore_sessions", simulator.world
    haunt(world, stream, *range(len(instants(world, stream, world.bots[0]))))
    first = sync(simulator, None, (stream,))
    assert len(simulator.requests) < 50 * 45
    [failure] = first.failures
    assert "gaps" in str(failure.error)
    world.heal()
    second = sync(simulator, first.state, (stream,), **AGAIN)
    both = first.records[stream] | second.records[stream]
    assert_same(both, whole(world, stream))


@pytest.mark.parametrize("too_wide", ["504", "nothing"])
@each_list
def test_a_window_that_takes_too_long_is_narrowed_and_its_width_is_learnt(
    stream: str, too_wide: Literal["504", "nothing"]
) -> None:
    days = 120 if too_wide == "504" else 8
    with Simulator(World(days=days, sessions_per_day=12)) as simulator:
        simulator.options.widest_seconds = 1.5 * 86_400
        simulator.options.too_wide = too_wide
        synced = sync(simulator, None, (stream,), request_timeout_seconds=1)
        is_complete(synced, simulator.world, stream)
        refused = [call for call in simulator.requests if width_of(call) > 1.5]
        # Each twice: what is under way before a width is learnt, and a wider window
        # that is tried again now and then.
        assert 0 < len(refused) <= (60 if days > 12 else 32)
        assert len(simulator.requests) - len(refused) <= 2 * days / 0.75 + 20


def width_of(call: Any) -> float:
    """The days that a request asks for."""
    if call.vendor == "kore":
        first, last = (
            datetime.fromisoformat(call.body[name]) for name in ("dateFrom", "dateTo")
        )
        return (last - first) / timedelta(days=1)
    tokens = [int(call.params[f"{name}_timetoken"]) for name in ("from", "to")]
    return (tokens[1] - tokens[0]) / 86_400


@each_list
def test_an_error_names_window_days_where_no_window_is_narrow_enough(
    simulator: Simulator, stream: str
) -> None:
    simulator.options.widest_seconds = 0.5
    synced = sync(simulator, None, (stream,))
    assert len(synced.failures) == 2
    for failure in synced.failures:
        assert "window_days" in str(failure.error)
        assert "answered 504" in str(failure.error)
    assert len(simulator.requests) <= 100
    assert set(synced.bookmarks.values() if synced.states else [None]) == {None}


@pytest.mark.parametrize("beyond", ["400", "422", "500", "empty"])
@each_list
def test_pages_that_are_too_far_from_the_first_are_not_needed(
    busy: Simulator, stream: str, beyond: Literal["400", "422", "500", "empty"]
) -> None:
    busy.options.last_position = 500
    busy.options.beyond_last = beyond
    synced = sync(busy, None, (stream,), kore_page_size=100, max_retries=2)
    is_complete(synced, busy.world, stream)


@pytest.mark.parametrize("cap", [1000, 500])
@each_list
def test_a_limit_that_cuts_lists_costs_no_record(
    busy: Simulator, stream: str, cap: int
) -> None:
    """Though it cuts what is counted, too."""
    busy.options.list_cap = cap
    synced = sync(busy, None, (stream,), kore_page_size=100)
    is_complete(synced, busy.world, stream)
    assert len(busy.requests) <= 100


@each_list
def test_a_limit_of_a_few_pages_costs_no_record_where_pages_are_smaller(
    busy: Simulator, stream: str
) -> None:
    """A server that serves fewer records a page than it is asked for may cut there."""
    busy.options.avaamo_page_clamp = busy.options.kore_page_clamp = 30
    busy.options.list_cap = 240
    is_complete(sync(busy, None, (stream,)), busy.world, stream)


@each_list
def test_a_limit_is_found_where_one_half_of_a_window_has_all(stream: str) -> None:
    """Both the window and that half are cut, so neither has more than the other."""
    world = World(days=DAYS, sessions_per_day=0)
    with Simulator(world) as simulator:
        bot, *_ = world.bots_of(stream)
        for minute in range(120):
            at = START + timedelta(days=4, hours=3, minutes=minute)
            world.add_burst(stream, bot, at, 10)
        simulator.options.list_cap = 1000
        synced = sync(simulator, None, (stream,), kore_page_size=100)
        is_complete(synced, world, stream)


@pytest.mark.parametrize("counted", [False, True])
@pytest.mark.parametrize("share", [0.01, 1.0])
@each_list
def test_what_a_list_names_twice_comes_once(
    busy: Simulator, stream: str, share: float, *, counted: bool
) -> None:
    """A list that says the same twice is believed, and read no more than twice."""
    busy.options.listed_twice = share
    busy.options.repeats_are_counted = counted
    synced = sync(busy, None, (stream,), kore_page_size=100)
    is_complete(synced, busy.world, stream)
    # 26 pages in two windows; twice each, and one after the last of each window.
    # Where both are counted, it has to be found out on lists of a single page.
    assert len(busy.requests) <= (54 if share < 1 else 130) + 250 * counted


@pytest.mark.parametrize("beyond", ["400", "422", "500"])
@each_list
def test_a_page_after_a_short_one_that_is_refused_leaves_no_gap(
    stream: str, beyond: Literal["400", "422", "500"]
) -> None:
    """It is asked for only because records came twice."""
    with Simulator(World(days=2, sessions_per_day=6)) as simulator:
        simulator.options.listed_twice = 1.0
        simulator.options.repeats_are_counted = True
        simulator.options.last_position = 90
        simulator.options.beyond_last = beyond
        synced = sync(simulator, None, (stream,), kore_page_size=100)
        is_complete(synced, simulator.world, stream)


@each_list
def test_records_of_one_instant_come_in_whatever_order(stream: str) -> None:
    """Where it is another one on each page, some come twice, and others never."""
    world = World(days=DAYS, sessions_per_day=24)
    with Simulator(world) as simulator:
        bot, *_ = world.bots_of(stream)
        for hour in range(0, 24 * DAYS, 2):
            world.add_burst(stream, bot, START + timedelta(hours=hour), 40)
        simulator.options.ties = "by_page"
        synced = sync(simulator, None, (stream,), kore_page_size=100)
        is_complete(synced, world, stream)


@each_list
def test_a_second_with_far_more_records_than_a_window_is_read(stream: str) -> None:
    world = World(days=2, sessions_per_day=12)
    with Simulator(world) as simulator:
        bot, *_ = world.bots_of(stream)
        world.add_burst(stream, bot, START + timedelta(hours=9, seconds=7), 12_000)
        is_complete(sync(simulator, None, (stream,)), world, stream)


@each_list
def test_a_field_that_is_nested_deep_stops_nobody(
    simulator: Simulator, stream: str, caplog: pytest.LogCaptureFixture
) -> None:
    """In every record of a bot."""
    caplog.set_level(logging.CRITICAL)
    deep: object = 1
    for _ in range(480):
        deep = {"a": [deep]}
    world = simulator.world
    bot, other = world.bots_of(stream)
    simulator.options.extra_fields_of = {bot: {"odd": deep}}
    synced = sync(simulator, None, (stream,))
    found, truth = synced.records[stream], whole(world, stream)
    assert found.keys() == truth.keys()
    for key, record in found.items():
        assert (record["additional_fields"] is not None) == (key[0] == bot != other)
    assert synced.failures == []


def test_a_gap_is_closed_where_records_alone_show_the_vendors_time(
    simulator: Simulator,
) -> None:
    """It was vouched for when it was found: what is read of it now is all of it."""
    stream, world = "kore_sessions", simulator.world
    simulator.options.date = "nonsense"
    haunt(world, stream, 80)
    first = sync(simulator, None, (stream,))
    assert any(gaps(first, stream))
    world.heal()
    for again in ({}, AGAIN):
        second = sync(simulator, copy.deepcopy(first.state), (stream,), **again)
        assert not any(gaps(second, stream))
        assert second.failures == []


def test_a_gap_is_kept_that_was_found_before_the_vendors_time_was_known(
    simulator: Simulator,
) -> None:
    """The bookmark goes on as records show a later time, and must not pass the gap."""
    stream, world = "kore_sessions", simulator.world
    simulator.options.date = "nonsense"
    [at] = haunt(world, stream, 1)
    first = sync(
        simulator,
        None,
        (stream,),
        window_days=0.02,
        max_concurrent_requests=1,
        kore_bot_ids=[*world.bots[:1]],
        end_date="2026-03-02T00:00:00Z",
    )
    [[gap]] = gaps(first, stream)
    assert covers(gap, at)
    assert len(first.failures) == 1
