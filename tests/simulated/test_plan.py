"""`--plan`: what a sync would do, held against what it then does."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections import Counter
from datetime import timedelta
from itertools import pairwise
from math import sqrt
from pathlib import Path
from statistics import pstdev
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from simulator import Rule, Simulator, World
from simulator.faults import status, wrong_total
from simulator.streams import STREAMS as TABLE
from simulator.streams import served_by
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.windows import Window
from tap_botsessions.reports.forecast import (
    Density,
    Forecast,
    Stretch,
    forecast,
    stretches,
)
from tap_botsessions.reports.plan import SAMPLES, Plan, plan
from tap_botsessions.tap import TapBotsessions
from tests import screens
from tests.conftest import config_for, end_of, sync
from tests.docs import ROOT
from tests.simulated.test_audit import audited
from tests.truth import AVAAMO_LISTS, LISTS, STREAMS, expected

if TYPE_CHECKING:
    from collections.abc import Sequence

TAP = Path(sys.executable).with_name("tap-botsessions")
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
    tap = TapBotsessions(config=config_for(simulator, **settings), state=state)
    for name, stream in tap.streams.items():
        stream.selected = name in streams
    return plan(tap)


def figures(found: Plan) -> Figures:
    """What a plan says."""
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
    """What a sync does, by its audit trail."""
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


def asked(found: Figures) -> Figures:
    """Those that take a request; an account's sessions are read with its first bot."""
    return {name: each for name, each in found.items() if each[2]}


def busiest(world: World) -> None:
    """All of a sudden, on one day."""
    for minute in range(700):
        at = world.start + 7 * DAY + timedelta(minutes=minute)
        world.add_late("avaamo_sessions", "201", at)
        world.add_late("kore_sessions", BOT, at)


# Where all windows are counted.


@pytest.mark.parametrize(
    ("world", "settings"),
    [
        (World(sessions_per_day=0.4), {}),
        (World(sessions_per_day=25), {}),
        (World(sessions_per_day={"201": 40, "202": 2, OTHER: 60}), {}),
        (World(sessions_per_day=12, days=36), {"window_days": 6}),
        (World(sessions_per_day=12, days=5), {"window_days": 0.9}),
        (World(sessions_per_day=12), {"start_date": "2026-02-24T07:30:00Z"}),
        (World(sessions_per_day=12), {"start_date": "2026-03-20T07:30:00.250Z"}),
        (World(sessions_per_day=12), {"start_date": "2030-01-01", "end_date": None}),
        (World(sessions_per_day=20), {"kore_page_size": 7, "avaamo_page_size": 50}),
        (World(sessions_per_day=12), {"avaamo_utc_offset": 19_800}),
        (World(sessions_per_day=20), {"kore_containment_types": ["agent", "dropOff"]}),
        (World(sessions_per_day=20), {"kore_session_type": "interactive"}),
        (World(sessions_per_day=12), {"kore_api": "account"}),
        (World(sessions_per_day=12), {"kore_api": "stream"}),
        (World(), {"kore_session_ids": [f"s-{number}" for number in range(120)]}),
    ],
)
def test_a_sync_does_what_was_planned(world: World, settings: dict[str, Any]) -> None:
    with Simulator(world) as simulator:
        found = planned(simulator, **settings)
        assert found.is_whole
        assert found.is_counted
        assert asked(figures(found)) == asked(done(simulator, **settings))


def test_a_burst_is_counted(simulator: Simulator) -> None:
    busiest(simulator.world)
    found = planned(simulator)
    assert figures(found) == done(simulator)
    assert figures(found)["avaamo_sessions", "201"][1] > 700


@pytest.mark.parametrize("types", [[], ["agent"]])
def test_a_sync_goes_on_from_its_state_as_planned(types: list[str]) -> None:
    """Sessions that are open are asked for by their ids, 50 at a time."""
    with Simulator(World(sessions_per_day=30, open_fraction=0.9)) as simulator:
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
        assert bot.spans[0].start == end - timedelta(hours=3)
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
        tolerance = 0.05 * truth[bot][1] + noise(world, *bot)
        assert abs(rows - truth[bot][1]) <= tolerance
        assert requests == pytest.approx(truth[bot][2], rel=0.05)


def test_windows_that_are_narrowed_are_foreseen() -> None:
    """A day has busy hours, for which a window is too wide that was not before."""
    streams = ("kore_sessions",)
    world = World(sessions_per_day=8000, days=2, bots=(BOT,))
    with Simulator(world) as simulator:
        [(windows, rows, requests)] = figures(
            planned(simulator, None, streams)
        ).values()
        [truth] = done(simulator, None, streams).values()
    assert windows > 5
    assert rows == pytest.approx(truth[1], rel=0.001)
    assert requests == pytest.approx(truth[2], rel=0.15)


def test_what_a_narrowed_window_takes(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tap_botsessions.reports.forecast._SWING", 0.0)
    span = Window(World.start, World.start + 6 * DAY)
    density = Density(Stretch(span, span), [100, 6000])
    found = forecast([density], 1000, 6 * DAY)
    # The second list is found to hold too much once the first has been read. Then two
    # parts with 2850 of it, three pages each, and what remains, each with the first.
    assert found == Forecast(windows=3, rows=6100, requests=2 + 4 + 4 + 2)


@settings(deadline=None)
@given(
    width=st.timedeltas(timedelta(seconds=1), 6 * DAY),
    windows=st.floats(0.001, 500),
    most=st.integers(1, 9),
)
def test_stretches_are_whole_windows_with_the_sample_in_the_middle(
    width: timedelta, windows: float, most: int
) -> None:
    span = Window(World.start, World.start + width * windows)
    found = stretches(span, width, most)
    count = -(-span.width // width)
    assert len(found) == min(most, count)
    assert found[0].span.start == span.start
    assert found[-1].span.end == span.end
    for one, other in pairwise(found):
        assert one.span.end == other.span.start
    for stretch, sample in found:
        before, after = sample.start - stretch.start, stretch.end - sample.end
        assert before >= timedelta(0) <= after
        assert before % width == timedelta(0)
        assert abs(before - after) <= width
        assert sample.width == width or sample.end == span.end


def test_a_late_start_is_seen() -> None:
    """Where there was nothing yet, nothing is extrapolated into."""
    world = World(sessions_per_day=12, days=60)
    with Simulator(world) as simulator:
        start = world.start - 60 * DAY
        found = planned(simulator, start_date=start.isoformat())
        truth = done(simulator, start_date=start.isoformat())
    for bot, (_, rows, requests) in figures(found).items():
        assert abs(rows - truth[bot][1]) <= 0.1 * truth[bot][1] + noise(world, *bot)
        assert requests == pytest.approx(truth[bot][2], rel=0.1)


# What the plan itself takes.


def test_its_requests_are_few_and_for_one_record(simulator: Simulator) -> None:
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
    assert found.requests_made == len(simulator.requests) == 2 * 4 * 3


def test_it_does_not_wait_for_long(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Where bots share a budget, fewer windows are counted, but one of each."""
    monkeypatch.setattr("tap_botsessions.reports.plan.PATIENCE", 0.0)
    simulator.world = World(
        days=90, sessions_per_day=3, agents=tuple(map(str, range(100, 160)))
    )
    found = planned(simulator, None, LISTS, avaamo_requests_per_minute=120)
    asked = [call.vendor for call in simulator.requests]
    assert asked.count("kore") == 2 * SAMPLES
    assert asked.count("avaamo") == len(AVAAMO_LISTS) * 60
    assert found.is_whole


def test_the_lists_of_a_window_are_reckoned_with(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tap_botsessions.reports.plan.PATIENCE", 0.0)
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
    assert found.requests_made == len(simulator.requests) == len(LISTS) * 2 * 4 + 3


@pytest.mark.parametrize("unit", ["milliseconds", "microseconds"])
def test_it_counts_time_as_the_server_does(simulator: Simulator, unit: Any) -> None:
    truth = figures(planned(simulator, None, ("avaamo_sessions",)))
    simulator.options.avaamo_unit = unit
    found = planned(simulator, None, ("avaamo_sessions",))
    assert figures(found) == truth
    assert found.rows > 400


# How long it says that a sync takes.


def schedule(requests: int, limits: dict[int, int]) -> float:
    """When the last of so many requests can be made, one after another.

    Args:
        requests: How many.
        limits: So many in any so many seconds, by the seconds.
    """
    times: list[float] = []
    for number in range(requests):
        free = [
            times[number - limit] + seconds
            for seconds, limit in limits.items()
            if number >= limit
        ]
        times.append(max([*times[-1:], *free], default=0.0))
    return times[-1] if times else 0.0


@settings(deadline=None)
@example(requests=5000, per_minute=60, per_hour=1800)
@given(
    requests=st.integers(0, 3000),
    per_minute=st.integers(1, 100),
    per_hour=st.integers(1, 4000),
)
def test_a_budget_tells_how_long_requests_take(
    requests: int, per_minute: int, per_hour: int
) -> None:
    """The budgets keep a second more of each minute and hour than the vendor asks."""
    minutes = Budget("tests", per_minute)
    assert minutes.seconds(requests) == schedule(requests, {61: per_minute})
    both = Budget("tests", per_minute, per_hour)
    found = schedule(requests, {61: per_minute, 3601: per_hour})
    assert both.seconds(requests) == pytest.approx(found, abs=61, rel=0.02)


def test_vendors_take_their_turns_and_bots_do_not(simulator: Simulator) -> None:
    found = planned(
        simulator,
        avaamo_requests_per_minute=50,
        kore_page_size=25,
        kore_requests_per_minute=4,
        kore_requests_per_hour=100,
    )
    requests = {bot: figure[2] for bot, figure in figures(found).items()}
    of_agents = sum(each for (stream, _), each in requests.items() if "av" in stream)
    of_bot = requests["kore_sessions", BOT]
    avaamo, kore = found.shares
    assert (avaamo.requests, kore.requests) == (of_agents, of_bot)
    assert avaamo.seconds == schedule(of_agents, {61: 50}) > 0
    assert kore.seconds == schedule(of_bot, {61: 4, 3601: 100}) > 0
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


# What goes wrong.


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
    for problem, start in zip(sorted(found.problems), sorted(said), strict=True):
        assert problem.startswith(start)


def test_a_count_that_can_not_be_true_is_told(simulator: Simulator) -> None:
    simulator.faults.rules = [Rule(wrong_total(10**12), vendor="kore", bot=BOT)]
    found = planned(simulator)
    [problem] = found.problems
    assert problem.startswith(f"kore_sessions, bot {BOT}: ")
    assert "records are counted in a second" in problem


# The command.


def run(
    folder: Path, config: dict[str, Any], *arguments: str | Path
) -> subprocess.CompletedProcess[str]:
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(  # noqa: S603 -- ours
        [TAP, "--config", file, "--plan", *arguments],
        capture_output=True,
        check=False,
        env={"COLUMNS": "80", "LOGLEVEL": "INFO"},
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    assert config["kore_client_secret"] not in done.stdout + done.stderr
    assert config["avaamo_access_token"] not in done.stdout + done.stderr
    return done


def test_the_table_fits_and_says_all_of_it(
    simulator: Simulator, tmp_path: Path
) -> None:
    world = simulator.world
    settings = {"avaamo_requests_per_minute": 50, "kore_requests_per_minute": 60}
    config = config_for(simulator, **settings)
    told = run(tmp_path, config)
    assert told.returncode == 0
    found = json.loads(run(tmp_path, config, "--format=json").stdout)
    lines = [line.rstrip() for line in told.stdout.splitlines()]
    assert max(map(len, lines)) <= 80
    assert lines[0] == "A sync would read up to 2026-03-21 00:00 UTC:"
    assert lines.count("from 2026-03-01 00:00") == len(STREAMS)
    for bot in (*world.agents, *world.bots):
        assert any(line.startswith(f"  {bot} ") for line in lines)
    text = " ".join(told.stdout.split())
    rows, requests = f"{found['rows']:,} rows", f"{found['requests']} requests"
    assert re.search(
        rf"{rows} in {requests}: \d minutes?, decided by Avaamo's budget of 50 ",
        text,
    )
    made = f"{found['requests_made']} requests"
    assert f"It took {made} to find out. Nothing was synced." in text


def test_the_screen_that_is_shown_in_the_documentation_is_that_of_today(
    tmp_path: Path,
) -> None:
    """And both vendors' budgets are told, where both have one to wait for."""
    shown = screens.plan(tmp_path)
    assert (ROOT / "docs" / "plan.txt").read_text() == shown
    assert max(map(len, shown.splitlines())) <= 80
    told = " ".join(shown.split())
    assert "of which Avaamo's budget of 50 requests a minute takes" in told
    assert "and Kore.ai's budget of 60 requests a minute for bot st-" in told


def test_sessions_that_are_asked_for_by_id_are_told(
    simulator: Simulator, tmp_path: Path
) -> None:
    config = config_for(simulator, kore_session_ids=["s-1", "s-2", "s-1"])
    told = run(tmp_path, config).stdout
    assert "and 2 sessions by id" in told
    assert "no range" in told


def test_machines_are_told_all_of_it(simulator: Simulator, tmp_path: Path) -> None:
    told = run(tmp_path, config_for(simulator), "--format=json")
    assert told.returncode == 0
    found = json.loads(told.stdout)
    bots = found.pop("bots")
    world, requests = simulator.world, Counter[str]()
    for bot in bots:
        requests[TABLE[bot["stream"]].vendor] += bot["requests"]
    rows = sum(
        len(expected(world, stream, world.start, end_of(world))) for stream in STREAMS
    )
    # Those on the borders of windows are counted twice.
    assert rows < found["rows"] < 1.05 * rows
    assert found == {
        "is_whole": True,
        "is_counted": True,
        "rows": sum(bot["rows"] for bot in bots),
        "requests": requests.total(),
        "seconds": 0,
        "decided_by": [
            {
                "budget": "Avaamo",
                "requests_per_minute": 100_000,
                "requests_per_hour": None,
                "requests": requests["avaamo"],
                "seconds": 0,
            },
            {
                "budget": f"Kore.ai, bot {BOT}",
                "requests_per_minute": 100_000,
                "requests_per_hour": 1_000_000,
                "requests": 4,
                "seconds": 0,
            },
        ],
        "requests_made": 4 * 2 * len(LISTS),
    }
    assert [(bot["stream"], bot["bot"]) for bot in bots[-2:]] == [
        ("kore_sessions", BOT),
        ("kore_sessions", OTHER),
    ]
    assert bots[-1] == {
        "stream": "kore_sessions",
        "bot": OTHER,
        "from": "2026-03-01T00:00:00Z",
        "to": "2026-03-21T00:00:00Z",
        "windows": 4,
        "rows": 249,
        "is_counted": True,
        "by_id": 0,
        "requests": 4,
        "seconds": 0,
        "problem": None,
        "failure_type": None,
    }


def test_state_and_catalog_are_heeded_and_left_as_they_are(
    simulator: Simulator, tmp_path: Path
) -> None:
    state, catalog = tmp_path / "state.json", tmp_path / "catalog.json"
    state.write_text(json.dumps(sync(simulator, end_date="2026-03-11").state))
    tap = TapBotsessions(config=config_for(simulator))
    for entry in tap.catalog.streams:
        entry.metadata.root.selected = entry.tap_stream_id == "kore_sessions"
    catalog.write_text(json.dumps(tap.catalog.to_dict()))
    before = state.read_bytes(), catalog.read_bytes()
    given = "--state", state, "--catalog", catalog, "--format=json"
    told = run(tmp_path, config_for(simulator), *given)
    assert (state.read_bytes(), catalog.read_bytes()) == before
    bots = json.loads(told.stdout)["bots"]
    assert {bot["stream"] for bot in bots} == {"kore_sessions"}
    assert {bot["from"] for bot in bots} == {"2026-03-10T23:00:00Z"}


def test_a_failure_is_told_and_the_exit_code_says_so(
    simulator: Simulator, tmp_path: Path
) -> None:
    config = config_for(simulator, kore_client_secret="another" * 6)
    told = run(tmp_path, config)
    assert told.returncode == 1
    text = " ".join(told.stdout.split())
    assert "✗ Kore.ai, all of it: answered 401" in text
    assert f"without the 2 of {2 * len(STREAMS)} that can't be counted." in text
    told = run(tmp_path, config, "--format=json")
    assert told.returncode == 1
    found = json.loads(told.stdout)
    assert not found["is_whole"]
    assert found["bots"][-1]["rows"] is None
    assert found["bots"][-1]["failure_type"] == "config_error"
