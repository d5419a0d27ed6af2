"""`--plan`: the forecast of a sync, compared with the sync itself."""

from __future__ import annotations

import json
from datetime import timedelta
from itertools import count
from math import sqrt
from statistics import pstdev
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.exchange import Reply
from simulator.faults import status, wrong_total
from simulator.streams import served_by
from tap_botsessions.reports.plan import SAMPLES, Plan
from tests.conftest import Tap, config_for, hand_in, sync
from tests.simulated.test_audit import audited
from tests.truth import AVAAMO_LISTS, LISTS, STREAMS
from tests.unit.test_budget import schedule

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.faults import Answer, Effect

BOT, OTHER = World().bots
DAY = timedelta(days=1)

Figures = dict[tuple[str, str], tuple[int, int, int]]
"""Windows, rows and requests by stream and bot."""


def planned(
    simulator: Simulator,
    state: dict[str, Any] | None = None,
    streams: Sequence[str] = STREAMS,
    **settings: Any,
) -> Plan:
    """The plan of a sync."""
    tap = Tap(config=config_for(simulator, **settings), state=state)
    for name, stream in tap.streams.items():
        stream.selected = name in streams
    return tap.plan()


def problems(found: Plan) -> list[str]:
    return [f"{failure.label}: {failure.error}" for failure in found.failures]


def figures(found: Plan) -> Figures:
    """The figures of a plan."""
    return {
        (bot.stream.name, bot.bot): (
            bot.forecast.windows,
            bot.forecast.rows,
            bot.requests,
        )
        for bot in found.bots
        if bot.forecast
    }


def done(
    simulator: Simulator,
    state: dict[str, Any] | None = None,
    streams: Sequence[str] = STREAMS,
    **settings: Any,
) -> Figures:
    """The figures of a sync, by its audit trail."""
    found: Figures = {}
    for name, record in audited(simulator, state, streams, **settings).all_records:
        if name != "sync_windows":
            continue
        bot = record["stream"], record["bot"]
        windows, rows, requests = found.get(bot, (0, 0, 0))
        if record["window_start"]:
            windows, rows = windows + 1, rows + record["rows_expected"]
        found[bot] = windows, rows, requests + record["requests"]
    return found


def with_requests(found: Figures) -> Figures:
    """Those that take a request; an account's sessions are read with its first bot."""
    return {name: each for name, each in found.items() if each[2]}


def busiest(world: World) -> None:
    """All of a sudden, on one day."""
    for minute in range(700):
        at = world.start + 4 * DAY + timedelta(minutes=minute)
        world.add_late("avaamo_sessions", "201", at)
        world.add_late("kore_sessions", BOT, at)


# Where all windows are counted.


@pytest.mark.parametrize(
    ("world", "settings"),
    [
        (World(days=20, sessions_per_day=0.4), {}),
        (World(days=8, sessions_per_day=25), {}),
        (World(days=8, sessions_per_day={"201": 40, "202": 2, OTHER: 60}), {}),
        (World(days=36, sessions_per_day=4.5), {"window_days": 6}),
        (World(days=5, sessions_per_day=12), {"window_days": 0.9}),
        (World(days=8, sessions_per_day=12), {"start_date": "2026-02-24T07:30:00Z"}),
        (
            World(days=8, sessions_per_day=12),
            {"start_date": "2026-03-08T07:30:00.250Z"},
        ),
        (
            World(days=8, sessions_per_day=12),
            {"start_date": "2030-01-01", "end_date": None},
        ),
        (
            World(days=8, sessions_per_day=20),
            {"kore_page_size": 7, "avaamo_page_size": 50},
        ),
        (World(days=8, sessions_per_day=12), {"avaamo_utc_offset": 19_800}),
        (
            World(days=8, sessions_per_day=20),
            {"kore_containment_types": ["agent", "dropOff"]},
        ),
        (World(days=8, sessions_per_day=20), {"kore_session_type": "interactive"}),
        (World(days=8, sessions_per_day=12), {"kore_api": "account"}),
        (World(days=8, sessions_per_day=12), {"kore_api": "stream"}),
        (World(days=8), {"kore_session_ids": [f"s-{number}" for number in range(120)]}),
    ],
)
def test_a_sync_does_what_was_planned(world: World, settings: dict[str, Any]) -> None:
    with Simulator(world) as simulator:
        found = planned(simulator, **settings)
        assert found.is_whole
        assert found.is_counted
        planned_figures = with_requests(figures(found))
        assert planned_figures == with_requests(done(simulator, **settings))


def test_a_burst_is_counted(simulator: Simulator) -> None:
    busiest(simulator.world)
    found = planned(simulator)
    assert figures(found) == done(simulator)
    assert figures(found)["avaamo_sessions", "201"][1] > 700


@pytest.mark.parametrize("types", [[], ["agent"]])
def test_a_sync_goes_on_from_its_state_as_planned(types: list[str]) -> None:
    """Open sessions are read by their ids, 50 at a time."""
    with Simulator(World(days=13, sessions_per_day=20, open_fraction=0.9)) as simulator:
        end = simulator.world.start + 8 * DAY
        settings: dict[str, Any] = {
            "lookback_hours": 3,
            "kore_containment_types": types,
        }
        simulator.world.now = end.timestamp()
        state = sync(simulator, end_date=end.isoformat(), **settings).state
        simulator.world.now += 5 * 86_400
        before = json.dumps(state)
        found = planned(simulator, state, **settings)
        assert json.dumps(state) == before
        assert figures(found) == done(simulator, state, **settings)
        [bot, _] = [bot for bot in found.bots if bot.stream.name == "kore_sessions"]
        assert bot.ranges[0].start == end - timedelta(hours=3)
        assert bot.ids > 50


# Where they are too many for that.


def noise(world: World, stream: str, bot: str) -> float:
    """How far off an extrapolation may be in rows, as days have more or fewer.

    It is nothing for streams that have the same number each day.
    """
    if stream not in LISTS:
        return 0
    days = [world.start + n * DAY for n in range(world.days)]
    counts = [world.count(stream, bot, day, day + DAY) for day in days]
    return 2 * pstdev(counts) * sqrt(len(days))


@pytest.mark.parametrize("volume", [2, 40])
def test_a_long_range_is_extrapolated(volume: float) -> None:
    world = World(sessions_per_day=volume, days=64, agents=("201",), bots=(BOT,))
    with Simulator(world) as simulator:
        found = planned(simulator, kore_page_size=20)
        assert not found.is_counted
        truth = done(simulator, kore_page_size=20)
    assert figures(found).keys() == truth.keys()
    for bot, (windows, rows, requests) in figures(found).items():
        assert windows == truth[bot][0]
        off = noise(world, *bot)
        assert abs(rows - truth[bot][1]) <= 0.05 * truth[bot][1] + off
        # With more rows or fewer, a window may take a page more or less.
        pages = windows if off else 0
        assert abs(requests - truth[bot][2]) <= 0.05 * truth[bot][2] + pages


def test_a_plan_foresees_windows_that_are_narrowed(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A day has busy hours, for which a window is too wide that was not before."""
    streams = ("kore_sessions",)
    hand_in(monkeypatch, max_window_rows=300)
    world = World(sessions_per_day=800, days=2, bots=(BOT,))
    with Simulator(world) as simulator:
        found = planned(simulator, None, streams, kore_page_size=97)
        [(windows, rows, requests)] = figures(found).values()
        [truth] = done(simulator, None, streams, kore_page_size=97).values()
    assert windows > 5
    assert rows == pytest.approx(truth[1], rel=0.001)
    assert requests == pytest.approx(truth[2], rel=0.15)


def test_a_late_start_is_seen() -> None:
    """Where there was nothing yet, nothing is extrapolated into."""
    world = World(sessions_per_day=6, days=60)
    with Simulator(world) as simulator:
        start = world.start - 60 * DAY
        found = planned(simulator, start_date=start.isoformat())
        truth = done(simulator, start_date=start.isoformat())
    for bot, (_, rows, requests) in figures(found).items():
        assert abs(rows - truth[bot][1]) <= 0.1 * truth[bot][1] + noise(world, *bot)
        assert requests == pytest.approx(truth[bot][2], rel=0.1)


# The requests of the plan itself.


def test_the_requests_of_a_plan_are_few_and_for_one_record(
    simulator: Simulator,
) -> None:
    simulator.world = World(days=90, sessions_per_day=3)
    found = planned(simulator)
    assert found.requests_made == len(simulator.requests) == len(LISTS) * 2 * SAMPLES
    for call in simulator.requests:
        size = call.params.get("per_page") or str(call.body["limit"])
        assert size == "1"
        assert served_by(call.vendor, call.endpoint).name in LISTS


def test_each_containment_type_is_counted(simulator: Simulator) -> None:
    types = ["agent", "dropOff"]
    found = planned(simulator, None, ("kore_sessions",), kore_containment_types=types)
    assert found.requests_made == len(simulator.requests) == 2 * 2 * 3


def test_a_plan_does_not_wait_for_long(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bots share a budget, fewer windows are counted, but one of each."""
    hand_in(monkeypatch, max_plan_seconds=0.0)
    simulator.world = World(
        days=90, sessions_per_day=3, agents=tuple(map(str, range(100, 160)))
    )
    found = planned(simulator, None, LISTS, avaamo_requests_per_minute=120)
    vendors = [call.vendor for call in simulator.requests]
    assert vendors.count("kore") == 2 * SAMPLES
    assert vendors.count("avaamo") == len(AVAAMO_LISTS) * 60
    assert found.is_whole


def test_the_limit_of_a_plan_counts_every_list_of_a_window(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    hand_in(monkeypatch, max_plan_seconds=0.0)
    simulator.world = World(days=90, sessions_per_day=3)
    planned(
        simulator,
        None,
        ("kore_sessions",),
        kore_containment_types=["agent", "dropOff"],
        kore_requests_per_minute=10,
    )
    assert len(simulator.requests) == 2 * 3 * 3


def test_a_request_that_is_repeated_is_counted(
    simulator: Simulator, impatient: None
) -> None:
    del impatient
    simulator.faults.rules = [Rule(status(503), times=3)]
    found = planned(simulator)
    assert found.is_whole
    assert found.requests_made == len(simulator.requests) == len(LISTS) * 2 * 2 + 3


@pytest.mark.parametrize("unit", ["milliseconds", "microseconds"])
def test_a_plan_counts_time_in_the_servers_unit(
    simulator: Simulator, unit: Any
) -> None:
    truth = figures(planned(simulator, None, ("avaamo_sessions",)))
    simulator.options.avaamo_unit = unit
    found = planned(simulator, None, ("avaamo_sessions",))
    assert figures(found) == truth
    assert found.rows > 150


# How long it says that a sync takes.


def test_vendors_take_their_turns_and_bots_do_not(simulator: Simulator) -> None:
    found = planned(
        simulator,
        avaamo_requests_per_minute=10,
        kore_page_size=25,
        kore_requests_per_minute=2,
        kore_requests_per_hour=100,
    )
    requests = {bot: figure[2] for bot, figure in figures(found).items()}
    of_agents = sum(each for (stream, _), each in requests.items() if "av" in stream)
    of_bot = requests["kore_sessions", BOT]
    avaamo, kore = found.shares
    assert (avaamo.requests, kore.requests) == (of_agents, of_bot)
    assert avaamo.seconds == schedule(of_agents, {61: 10}) > 0
    assert kore.seconds == schedule(of_bot, {61: 2, 3601: 100}) > 0
    assert found.seconds == avaamo.seconds + kore.seconds
    agents, bots = (
        [bot for bot in found.bots if bot.stream.name.startswith(vendor)]
        for vendor in ("avaamo", "kore")
    )
    each = [found.seconds_of([agent]) for agent in agents]
    assert sum(each) == pytest.approx(avaamo.seconds)
    assert [found.seconds_of([bot]) for bot in bots] == [kore.seconds] * 2
    assert found.seconds_of(bots) == kore.seconds


def test_an_account_has_one_budget_for_all_bots(simulator: Simulator) -> None:
    streams = ("kore_sessions",)
    limits = {"kore_requests_per_minute": 9, "kore_requests_per_hour": 20}
    found = planned(
        simulator, None, streams, kore_api="account", kore_page_size=9, **limits
    )
    [share] = found.shares
    assert share.requests == sum(requests for *_, requests in figures(found).values())
    assert share.seconds == schedule(share.requests, {61: 9, 3601: 20}) > 3600


# Failures.


def test_a_bot_that_fails_does_not_stop_the_others(simulator: Simulator) -> None:
    alone = figures(planned(simulator))
    state = sync(simulator, None, ("avaamo_usage",)).state
    [_, partition] = state["bookmarks"]["avaamo_usage"]["partitions"]
    partition["replication_key_value"] = "yesterday"
    agents = ["9", *simulator.world.agents]
    found = planned(simulator, state, avaamo_agent_ids=agents)
    assert not found.is_whole
    failed = {(bot.stream.name, bot.bot): bot.error for bot in found.bots if bot.error}
    agent = partition["context"]["agent_id"]
    unknown = {(stream, "9") for stream in AVAAMO_LISTS}
    assert failed.keys() == unknown | {("avaamo_usage", agent)}
    for bot, figure in figures(found).items():
        assert bot[0] == "avaamo_usage" or figure == alone[bot]
    said = [f"{stream}, agent 9: answered 404" for stream, _ in unknown]
    said.append(f"avaamo_usage, agent {agent}: the bookmark in the state")
    for problem, start in zip(sorted(problems(found)), sorted(said), strict=True):
        assert problem.startswith(start)


def refused_for_longer_each_time(first: int) -> Effect:
    """A budget that is spent; each answer asks for a wait of another second more."""
    seconds = count(first)

    async def effect(_answer: Answer) -> Reply:
        return Reply(429, b"", {"Retry-After": str(next(seconds))})

    return effect


def test_a_budget_that_is_spent_is_reported_once_for_each_vendor(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """And the longest wait is named, after which all of its bots can be counted."""
    simulator.faults.rules = [
        Rule(refused_for_longer_each_time(600), vendor="avaamo"),
        Rule(refused_for_longer_each_time(900), vendor="kore"),
    ]
    with pytest.raises(SystemExit) as ended:
        Tap(config=config_for(simulator)).print_plan(None)
    assert ended.value.code == 1
    lines = capsys.readouterr().out.splitlines()
    assert [line.rstrip() for line in lines if line.startswith("✗")] == [
        "✗ Avaamo, all of it: answered 429, and asks to wait for 603 s",
        "✗ Kore.ai, all of it: answered 429, and asks to wait for 901 s",
    ]


def test_bots_that_are_refused_among_others_are_reported_together(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    agent, _ = simulator.world.agents
    refused = refused_for_longer_each_time(600)
    simulator.faults.rules = [Rule(refused, vendor="avaamo", bot=agent)]
    with pytest.raises(SystemExit):
        Tap(config=config_for(simulator)).print_plan(None)
    out = capsys.readouterr().out
    assert out.count("✗") == out.count("answered 429") == 1
    assert (
        f"✗ avaamo_messages, agent {agent}; avaamo_sessions, agent {agent}: answered "
        f"429, and asks to wait for 601 s"
    ) in " ".join(out.split())


def test_many_bots_alike_share_a_line(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    agents = tuple(str(number) for number in range(200, 230))
    simulator.world = World(sessions_per_day=0, agents=agents)
    with pytest.raises(SystemExit) as ended:
        Tap(config=config_for(simulator)).print_plan(None)
    assert ended.value.code == 0
    out = capsys.readouterr().out
    assert out.count("30 agents, each") == 3
    assert out.count(BOT) == out.count(OTHER) == 1


def test_a_count_that_cannot_be_true_fails_the_bot(simulator: Simulator) -> None:
    simulator.faults.rules = [Rule(wrong_total(10**12), vendor="kore", bot=BOT)]
    found = planned(simulator)
    [problem] = problems(found)
    assert problem.startswith(f"kore_sessions, bot {BOT}: ")
    assert "records are counted, which can't be true" in problem
