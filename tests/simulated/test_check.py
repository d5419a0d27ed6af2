"""`--check`: each bot is tried in seconds, and surprises are reported."""

from __future__ import annotations

import time
from dataclasses import replace
from email.utils import formatdate
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import status
from tests.conftest import Tap, config_for
from tests.simulated.test_plan import refused_for_longer_each_time
from tests.truth import expected

if TYPE_CHECKING:
    from simulator.exchange import Reply
    from simulator.faults import Answer
    from tap_botsessions.reports.check import VendorCheck


MANY = tuple(str(number) for number in range(200, 230))


def checked(simulator: Simulator, **settings: Any) -> dict[str, VendorCheck]:
    """The findings of a check, by stream."""
    tap = Tap(config=config_for(simulator, **settings))
    return {each.stream.name: each for each in tap.check().vendors()}


def remarks(simulator: Simulator, **settings: Any) -> list[str]:
    found = checked(simulator, **settings).values()
    return [remark for each in found for remark in each.remarks]


def test_few_requests_are_made(simulator: Simulator) -> None:
    checked(simulator)
    world = simulator.world
    most = len(world.agents) + len(world.bots) + 2 * 2
    assert len(simulator.requests) <= most


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"avaamo_page_clamp": 25}, "It serves 25 records a page where 100 were asked"),
        ({"kore_page_clamp": 50}, "It serves 50 records a page where 1000 were asked"),
        ({"avaamo_order": "ascending"}, "do not begin with the newest record"),
        ({"bounds": "open_start"}, "A list lacks what is at its very start"),
        ({"bounds": "half_open"}, "A list lacks what is at its very end"),
        (
            {"avaamo_unit": "microseconds"},
            "to_timetoken in microseconds, not from",
        ),
        (
            {"avaamo_unit": "milliseconds"},
            "to_timetoken in milliseconds, not from",
        ),
    ],
)
def test_a_vendor_that_differs_from_the_assumptions_is_noticed(
    simulator: Simulator, options: dict[str, Any], said: str
) -> None:
    assert [each for each in remarks(simulator) if said in each] == []
    for name, value in options.items():
        setattr(simulator.options, name, value)
    [remark] = {each for each in remarks(simulator) if said in each}
    assert remark.endswith(".")


def test_there_is_no_remark_where_all_is_as_assumed(simulator: Simulator) -> None:
    assert remarks(simulator) == []


@pytest.mark.parametrize("ahead", [-400, 90])
def test_a_difference_between_the_clocks_is_reported(
    simulator: Simulator, ahead: int
) -> None:
    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        date = formatdate(time.time() + ahead, usegmt=True)
        return replace(reply, headers={**reply.headers, "Date": date})

    simulator.faults.rules = [Rule(effect)]
    for vendor in checked(simulator).values():
        assert vendor.skew is not None
        assert abs(vendor.skew - ahead) <= 2
        [remark] = vendor.remarks
        assert "ahead of" in remark if ahead > 0 else "behind" in remark


def test_an_invalid_date_says_nothing_of_the_clock(simulator: Simulator) -> None:
    date = {"Date": "once upon a time", "X-RateLimit-Remaining": "17"}
    body = {"entries": [], "total_entries": 0}
    simulator.faults.rules = [Rule(status(200, body, date), vendor="avaamo")]
    found = checked(simulator)["avaamo_sessions"]
    assert found.skew is None
    assert found.budget_left == "17"


def test_of_a_shared_account_a_bots_own_records_are_shown(simulator: Simulator) -> None:
    """And a bot of which there is none may well be a mistake."""
    world = simulator.world
    bots = [world.bots[0], "st-mistyped"]
    kore = checked(simulator, kore_api="account", kore_bot_ids=bots)["kore_sessions"]
    window = kore.window
    truth = expected(world, "kore_sessions", window.start, window.end)
    own = [record for (bot, _), record in truth.items() if bot == bots[0]]
    found, absent = (bot.records for bot in kore.bots)
    assert found - len(own) in {0, 1}  # the list holds its end as well
    assert absent == 0
    assert [bot.newest is None for bot in kore.bots] == [False, True]
    assert [remark for remark in kore.remarks if "is its id right?" in remark] == [
        "None of the account's newest sessions is of st-mistyped; is its id right?"
    ]


def test_a_bot_without_records_is_well(simulator: Simulator) -> None:
    simulator.world = World(sessions_per_day=0)
    for vendor in checked(simulator).values():
        for bot in vendor.bots:
            assert (bot.error, bot.records, bot.newest) == (None, 0, None)


def test_many_bots_alike_share_a_line(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    """Of those that can't be read the first are named."""
    world = simulator.world = World(sessions_per_day=0, agents=MANY)
    world.forbidden_agents = {*MANY[:12]}
    with pytest.raises(SystemExit):
        Tap(config=config_for(simulator)).print_check(None)
    lines = [line.rstrip() for line in capsys.readouterr().out.splitlines()]
    assert "✓ 18 agents, each                  0" in lines
    assert "✗ 200, 201, 202, 203, 204, 205, 206, 207, 208, 209 and 2 more" in lines


def test_bots_that_are_to_wait_are_told_together(
    simulator: Simulator, capsys: pytest.CaptureFixture[str]
) -> None:
    refused = refused_for_longer_each_time(600)
    simulator.faults.rules = [Rule(refused, vendor="avaamo")]
    with pytest.raises(SystemExit):
        Tap(config=config_for(simulator)).print_check(None)
    words = " ".join(capsys.readouterr().out.split())
    assert words.count("✗") == 1
    agents = ", ".join(simulator.world.agents)
    assert f"✗ {agents} answered 429, and asks to wait for 601 s" in words


@pytest.mark.usefixtures("impatient")
def test_a_window_that_takes_too_long_is_said_to_be_narrowed_by_a_sync(
    simulator: Simulator,
) -> None:
    simulator.options.widest_seconds = 86_400
    for vendor in checked(simulator).values():
        for bot in vendor.bots:
            said = str(bot.error)
            assert "answered 504" in said
            assert (
                "6 days may be too much for one answer: a sync asks for less and goes "
                "on, as would a smaller window_days" in said
            )
    narrow = checked(simulator, window_days=0.9).values()
    assert not any(bot.error for vendor in narrow for bot in vendor.bots)
