"""The simulator's corrected figures, and its backlog after an outage."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest
import requests

from simulator import Outage, Simulator, World
from simulator.avaamo.corrections import FIGURES
from simulator.streams import DAILY, LISTS, WHOLE

Record = dict[str, Any]

START = World.start
DAY = timedelta(days=1)
END = START + 4 * DAY
SECOND = date(2026, 3, 2)
OUTAGE = Outage(
    start=START + timedelta(days=1, hours=9),
    end=START + timedelta(days=2, hours=15),
    until=END + timedelta(hours=1),
    over=timedelta(hours=5),
)


def world() -> World:
    return World(days=4, sessions_per_day=9)


# Corrected usage


def usage(sim: Simulator, first: date, last: date, utc_offset: int = 0) -> Record:
    answer = requests.get(
        f"{sim.url}/bots/analytics/201/usage.json",
        params={
            "from_date": f"{first:%d/%m/%Y}",
            "to_date": f"{last:%d/%m/%Y}",
            "utc_offset": str(utc_offset),
        },
        headers={"Access-Token": sim.world.avaamo_token},
        timeout=5,
    )
    assert answer.status_code == 200, answer.text
    body: Record = answer.json()
    return body


def figures(of: Record) -> list[int]:
    return [of[name] for name in FIGURES]


@pytest.mark.parametrize("utc_offset", [0, -19_800])
@pytest.mark.parametrize("wanted", [(90, 300, 40, 5), (2, 3, 0, 1), (9, 0, 0, 0)])
def test_a_day_has_the_figures_it_was_corrected_to(
    wanted: tuple[int, ...], utc_offset: int
) -> None:
    with Simulator(world()) as sim:
        days = [SECOND + timedelta(days=each) for each in range(-1, 3)]
        before = [usage(sim, day, day, utc_offset) for day in days]
        all_before = figures(
            usage(sim, days[0], days[-1], utc_offset)["aggregate_stats"]
        )
        shown = sim.world.correct_usage(
            "201",
            SECOND,
            utc_offset=utc_offset,
            **dict(zip(FIGURES, wanted, strict=True)),
        )
        after = [usage(sim, day, day, utc_offset) for day in days]
        assert after[1] == shown
        assert figures(shown["aggregate_stats"]) == list(wanted)
        parts = [figures(each) for each in shown["stats"]]
        assert [sum(column) for column in zip(*parts, strict=True)] == list(wanted)
        assert min(map(min, parts)) >= 0
        [_, messages, unhandled, ambiguous] = wanted
        assert shown["aggregate_stats"]["successful_responses_count"] == (
            messages - unhandled - ambiguous
        )
        # The day after has it as the previous interval, and a range has its sum.
        assert after[0] == before[0]
        assert after[3] == before[3]
        previous = figures(after[2].pop("previous_interval_stats"))
        lacking = [one - other for one, other in zip(wanted, previous, strict=True)]
        assert all(0 <= each <= 4 for each in lacking), "all but the first second"
        del before[2]["previous_interval_stats"]
        assert after[2] == before[2]
        more = [
            one - other
            for one, other in zip(
                wanted, figures(before[1]["aggregate_stats"]), strict=True
            )
        ]
        assert figures(
            usage(sim, days[0], days[-1], utc_offset)["aggregate_stats"]
        ) == [one + other for one, other in zip(all_before, more, strict=True)]
        start = START - timedelta(seconds=utc_offset)
        truth = sim.world.truth(
            "avaamo_usage", "201", start, start + 3 * DAY, utc_offset=utc_offset
        )
        assert truth[1] == shown
        expected = sim.world.expected(
            "avaamo_usage", start, start + 3 * DAY, utc_offset=utc_offset
        )
        assert figures(expected["201", "2026-03-02"]) == list(wanted)


def test_figures_can_be_corrected_one_by_one_and_again() -> None:
    one = world()
    lists = [one.truth(name, "201", START, END) for name in LISTS if "avaamo" in name]
    before = one.truth("avaamo_usage", "201", START, END)
    for number in (50, 3, 12):
        found = one.correct_usage("201", SECOND, session_count=number)
        figure = {"session_count": number}
        assert found["aggregate_stats"] == before[1]["aggregate_stats"] | figure
    at = START + DAY + timedelta(seconds=7)
    one.add_late("avaamo_sessions", "201", at)
    [late] = one.truth("avaamo_usage", "201", START + DAY, START + 2 * DAY)
    assert late["aggregate_stats"]["session_count"] == 13
    one.remove("avaamo_sessions", "201", at)
    assert lists == [
        one.truth(name, "201", START, END) for name in LISTS if "avaamo" in name
    ]


def test_a_correction_is_not_known_before_it_is_made() -> None:
    one = world()
    before = one.expected("avaamo_usage", START, END)
    one.now += 3600
    one.correct_usage("201", SECOND, messages_count=500)
    assert one.expected("avaamo_usage", START, END) != before
    one.now -= 3600
    assert one.expected("avaamo_usage", START, END) == before


def test_figures_that_can_not_be_are_refused() -> None:
    one = world()
    before = one.truth("avaamo_usage", "201", START, END)
    with pytest.raises(ValueError, match="no figures to correct: success_rate"):
        one.correct_usage("201", SECOND, success_rate=1)
    with pytest.raises(ValueError, match="can't have"):
        one.correct_usage("201", SECOND, messages_count=1, unhandled_messages_count=2)
    with pytest.raises(ValueError, match="can't have"):
        one.correct_usage("201", SECOND, session_count=-1)
    assert before == one.truth("avaamo_usage", "201", START, END)


# An outage's backlog


def keys(of: World, stream: str) -> set[tuple[str, ...]]:
    found = of.expected(stream, START, END)
    bots = of.bots_of(stream)
    assert len(found) == sum(of.count(stream, bot, START, END) for bot in bots)
    return set(found)


@pytest.mark.parametrize("stream", LISTS)
def test_a_backlog_comes_late_and_in_another_order(stream: str) -> None:
    one = world()
    bot = one.bots_of(stream)[0]
    table = LISTS[stream]
    owed = [
        table.key_of(table.expected(bot, raw))
        for raw in one.truth(stream, bot, OUTAGE.start, OUTAGE.end)
    ]
    before = keys(one, stream)
    assert one.delay(stream, bot, OUTAGE) == len(owed) > 2
    one.now = OUTAGE.until.timestamp() - 0.001
    assert keys(one, stream) == before - set(owed)
    came: list[tuple[str, ...]] = []
    for minute in range(5 * 60 + 1):
        one.now = OUTAGE.until.timestamp() + 60 * minute
        around = one.truth(stream, bot, OUTAGE.start, OUTAGE.end)
        there = [table.key_of(table.expected(bot, raw)) for raw in around]
        assert there == [key for key in owed if key in set(there)]
        came += [key for key in there if key not in came]
        assert len(there) == len(came)
    assert came != owed
    assert sorted(came) == sorted(owed)
    assert keys(one, stream) == before


def test_two_records_come_in_the_wrong_order_as_well() -> None:
    for seed in range(8):
        one = World(days=4, sessions_per_day=0)
        for hour in (10, 11):
            one.add_late(
                "avaamo_sessions", "201", START + timedelta(days=1, hours=hour)
            )
        later = one.truth("avaamo_sessions", "201", START, END)[1]
        assert one.delay("avaamo_sessions", "201", OUTAGE, seed=seed) == 2
        one.now = OUTAGE.until.timestamp()
        assert one.truth("avaamo_sessions", "201", START, END) == [later]


def test_the_order_of_a_backlog_is_drawn() -> None:
    def midway(seed: int) -> set[tuple[str, ...]]:
        one = world()
        one.delay("kore_messages", one.bots[0], OUTAGE, seed=seed)
        one.now = (OUTAGE.until + OUTAGE.over / 2).timestamp()
        return keys(one, "kore_messages")

    assert midway(1) == midway(1)
    assert midway(1) != midway(2)


def test_usage_counts_what_has_come_of_a_backlog() -> None:
    with Simulator(world()) as sim:
        before = usage(sim, SECOND, SECOND)
        for stream in ("avaamo_sessions", "avaamo_messages"):
            sim.world.delay(stream, "201", OUTAGE)
        counts = []
        for hours in (-1, 1, 3, 5):
            sim.world.now = (OUTAGE.until + timedelta(hours=hours)).timestamp()
            shown = usage(sim, SECOND, SECOND)
            [truth] = sim.world.truth(
                "avaamo_usage", "201", START + DAY, START + 2 * DAY
            )
            assert shown == truth
            counts.append(figures(shown["aggregate_stats"])[:2])
        assert sorted(counts) == counts
        assert counts[0] != counts[1] != counts[2]
        assert shown == before


@pytest.mark.parametrize("stream", [*DAILY, *WHOLE])
def test_what_is_made_of_other_data_has_no_backlog(stream: str) -> None:
    one = world()
    with pytest.raises(ValueError, match=rf"^{stream} .*: change "):
        one.delay(stream, one.bots_of(stream)[0], OUTAGE)
