"""Kore.ai's bots: listed without a secret, and found by themselves."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hook, status
from simulator.kore.bots import SECRET
from tests.conftest import Tap, config_for, end_of, sync
from tests.truth import assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from simulator.exchange import Reply
    from simulator.faults import Answer, Effect

MANY = tuple(f"st-0a1b2c3d-{number:04}-5000-8000-000000000001" for number in range(120))


@pytest.fixture
def account() -> Iterator[Simulator]:
    """An account of many bots, few of which have sessions."""
    rates = dict.fromkeys((MANY[3], MANY[70], MANY[110], "201", "202"), 5.0)
    names = {MANY[3]: "Support, English", MANY[70]: "Support, German"}
    world = World(bots=MANY, days=2, sessions_per_day=rates, bot_names=names)
    with Simulator(world) as simulator:
        yield simulator


@pytest.mark.parametrize("counted", ["bots", "pages"])
@pytest.mark.parametrize("number", [0, 1, 50, 51, 99, 100, 120])
def test_all_bots_are_listed_whatever_an_offset_counts(
    counted: Any, number: int
) -> None:
    world = World(bots=MANY[:number], days=1)
    with Simulator(world) as simulator:
        simulator.options.kore_bots_offset = counted
        found = sync(simulator, streams=("kore_bots",), kore_bot_ids=["st-any"])
        truth = expected(world, "kore_bots", world.start, end_of(world))
        assert found.failures == []
        assert_same(found.records["kore_bots"], truth)


def test_bots_that_move_between_pages_are_read_again(account: Simulator) -> None:
    world = account.world

    def grow() -> None:
        world.bots = ("st-new", *world.bots)

    account.faults.rules = [Rule(hook(grow), endpoint="bots", nth=3)]
    found = sync(account, streams=("kore_bots",))
    assert {bot for (bot,) in found.records["kore_bots"]} == {*MANY, "st-new"}
    assert len(found.all_records) == len(MANY) + 1


def test_no_secret_of_an_app_leaves_the_parser(
    account: Simulator,
    capfd: pytest.CaptureFixture[str],
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level(logging.DEBUG)
    found = sync(account, streams=("kore_bots", "kore_sessions"), kore_bot_ids=["*"])
    assert found.failures == []
    assert found.records["kore_sessions"]
    out, err = capfd.readouterr()
    for shown in (str(found.messages), out, err, caplog.text):
        assert SECRET not in shown
        assert "clientSecret" not in shown


@pytest.mark.parametrize(
    ("entries", "bots"),
    [
        (["*"], [3, 70, 110]),
        (["Support*"], [3, 70]),
        (["*", f"!{MANY[3]}"], [70, 110]),
        (["*", "!Support, *"], [110]),
        (["st-*-0070-*"], [70]),
        ([MANY[3], "Support, G*"], [3, 70]),
        ([MANY[3], MANY[70], f"!{MANY[70]}"], [3]),
    ],
)
@pytest.mark.parametrize("kore_api", ["bot", "account"])
def test_bots_are_found_by_patterns(
    account: Simulator,
    caplog: pytest.LogCaptureFixture,
    entries: list[str],
    bots: list[int],
    kore_api: str,
) -> None:
    caplog.set_level(logging.INFO)
    world = account.world
    found = sync(
        account, streams=("kore_sessions",), kore_bot_ids=entries, kore_api=kore_api
    )
    assert found.failures == []
    truth = expected(world, "kore_sessions", world.start, end_of(world))
    wanted = {MANY[place] for place in bots}
    assert_same(
        found.records["kore_sessions"],
        {key: truth[key] for key in truth if key[0] in wanted},
    )
    [line] = [each for each in caplog.messages if "120 bots are read" in each]
    assert line.startswith("Kore.ai: ")


def test_a_new_bot_begins_at_the_start_and_one_that_is_gone_keeps_its_state(
    account: Simulator,
) -> None:
    world = account.world
    every, world.bots = world.bots, MANY[:71]
    first = sync(account, streams=("kore_sessions",), kore_bot_ids=["*"])
    world.bots = every[50:]
    second = sync(account, first.state, ("kore_sessions",), kore_bot_ids=["*"])
    seen = {bot for bot, _ in second.records["kore_sessions"]}
    assert MANY[110] in seen
    assert MANY[3] not in seen
    gone = ("kore_sessions", MANY[3])
    assert second.bookmarks[gone] == first.bookmarks[gone]


@pytest.mark.parametrize("code", [401, 503])
def test_where_bots_cant_be_found_the_other_vendor_is_read(
    account: Simulator, code: int
) -> None:
    account.faults.rules = [Rule(status(code), endpoint="bots")]
    found = sync(account, kore_bot_ids=["*"], max_retries=1)
    assert found.records["avaamo_messages"]
    [failure] = found.failures
    assert failure.stream == "kore_sessions"
    assert f"answered {code}" in str(failure.error)


def test_a_check_and_a_plan_name_the_bots_or_why_there_are_none(
    account: Simulator,
) -> None:
    settings = {"kore_bot_ids": ["Support*"], "avaamo_agent_ids": None}
    config = config_for(account, **settings, avaamo_access_token=None)
    del config["avaamo_agent_tokens"]
    [kore] = Tap(config=config).check().vendors()
    assert [bot.bot for bot in kore.bots] == [MANY[3], MANY[70]]
    assert {bot.bot for bot in Tap(config=config).plan().bots} == {MANY[3], MANY[70]}
    account.faults.rules = [Rule(status(401), endpoint="bots")]
    [kore] = Tap(config=config).check().vendors()
    [bot] = kore.bots
    assert "Role Management" in str(bot.error)
    [failure] = Tap(config=config).plan().failures
    assert "answered 401" in str(failure.error)


def spoilt(change: Callable[[dict[str, Any]], None]) -> Effect:
    """Have the list of bots be other than it is."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        body: Any = reply.body
        change(body)
        return reply

    return effect


def test_secrets_in_odd_places_stay_in_the_parser(
    account: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)

    def hide(body: dict[str, Any]) -> None:
        for bot in body["bots"]:
            secret = {"clientSecret": SECRET}
            bot["isLinkedTo"] = [secret, {"jwtApps": [secret]}, "st-linked"]
            bot["description"] = bot["purpose"] = secret
            bot["isDeflect"] = [SECRET]

    account.faults.rules = [Rule(spoilt(hide), endpoint="bots")]
    found = sync(account, streams=("kore_bots",))
    assert len(found.records["kore_bots"]) == len(MANY)
    assert SECRET not in str(found.messages) + caplog.text
    assert found.records["kore_bots"][MANY[0],]["is_linked_to"] == ["st-linked"]


def test_a_total_that_counts_a_page_does_not_cut_the_list(account: Simulator) -> None:
    def count(body: dict[str, Any]) -> None:
        body["total"] = len(body["bots"])

    account.faults.rules = [Rule(spoilt(count), endpoint="bots")]
    found = sync(account, streams=("kore_bots",))
    assert found.failures == []
    assert len(found.records["kore_bots"]) == len(MANY)


def test_a_bot_that_is_listed_twice_blocks_nothing(account: Simulator) -> None:
    account.world.bots = (*MANY[:60], MANY[0])
    found = sync(account, streams=("kore_bots",))
    assert found.failures == []
    assert len(found.records["kore_bots"]) == 60


def test_patterns_that_match_nothing_are_named(
    account: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    found = sync(account, streams=("kore_sessions",), kore_bot_ids=["suport-*"])
    [failure] = found.failures
    assert "kore_bot_ids matches none of the account's 120 bots" in str(failure.error)
    found = sync(
        account, streams=("kore_sessions",), kore_bot_ids=["Support*", "!no-*"]
    )
    assert found.failures == []
    assert "!no-* matches no bot of the account" in caplog.text
