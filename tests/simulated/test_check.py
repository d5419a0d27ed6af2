"""`--check`: each bot asked for in seconds, and what is other than assumed told."""

from __future__ import annotations

import json
import subprocess
import sys
import time
from dataclasses import replace
from email.utils import formatdate
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulator import App, Limits, Rule, Simulator, World
from simulator.faults import status
from tap_botsessions.reports.check import VendorCheck, check
from tap_botsessions.tap import TapBotsessions
from tests.conftest import config_for
from tests.truth import expected

if TYPE_CHECKING:
    from simulator import Call
    from simulator.exchange import Reply
    from simulator.faults import Answer

TAP = Path(sys.executable).with_name("tap-botsessions")


def run(
    folder: Path, config: dict[str, Any], *arguments: str
) -> subprocess.CompletedProcess[str]:
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(  # noqa: S603 -- ours
        [TAP, "--config", file, "--check", *arguments],
        capture_output=True,
        check=False,
        env={"COLUMNS": "80", "LOGLEVEL": "WARNING"},
        text=True,
        timeout=60,
    )
    assert "Traceback" not in done.stderr
    return done


def told(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What it tells machines."""
    found: dict[str, Any] = json.loads(run(folder, config, "--format=json").stdout)
    return found


def checked(simulator: Simulator, **settings: Any) -> dict[str, VendorCheck]:
    """What is found out about each vendor."""
    tap = TapBotsessions(config=config_for(simulator, **settings))
    return {each.stream.name: each for each in check(tap)}


def remarks(simulator: Simulator, **settings: Any) -> list[str]:
    found = checked(simulator, **settings).values()
    return [remark for each in found for remark in each.remarks]


def test_all_is_well(simulator: Simulator, tmp_path: Path) -> None:
    done = run(tmp_path, config_for(simulator))
    assert done.returncode == 0
    assert done.stdout.endswith("All well: 4 of 4 can be read.\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for bot in (*simulator.world.agents, *simulator.world.bots):
        assert f"✓ {bot} " in done.stdout
    assert "newest Mar 20 23:59" in done.stdout


def test_few_requests_are_made(simulator: Simulator) -> None:
    checked(simulator)
    world = simulator.world
    most = len(world.agents) + len(world.bots) + 2 * 2
    assert len(simulator.requests) <= most


def test_machines_are_told_all_of_it(simulator: Simulator, tmp_path: Path) -> None:
    config = config_for(simulator, avaamo_agent_ids=["201", "9"])
    done = run(tmp_path, config, "--format=json")
    assert done.returncode == 1
    found = json.loads(done.stdout)
    assert not found["is_well"]
    avaamo, kore = found["vendors"]
    assert (avaamo["vendor"], kore["vendor"]) == ("Avaamo", "Kore.ai")
    assert avaamo["url"] == simulator.url
    assert abs(avaamo["clock_ahead_seconds"]) <= 2
    well, failed = avaamo["bots"]
    assert well["is_well"]
    assert well["newest"].startswith("2026-03-20T23:")
    assert failed["bot"] == "9"
    assert failed["failure_type"] == "config_error"
    assert "answered 404" in failed["problem"]
    assert [bot["is_well"] for bot in kore["bots"]] == [True, True]


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"avaamo_access_token": "another"}, "Settings > Users > the user > Access"),
        ({"avaamo_agent_ids": ["7"]}, "check the id in avaamo_agent_ids"),
        ({"kore_client_secret": "another" * 5}, "App Settings > Dev Tools > API Scope"),
        ({"kore_bot_ids": ["st-7"]}, "the bot's id"),
        ({"avaamo_base_url": "http://127.0.0.1:9"}, "the connection failed"),
    ],
)
def test_a_failure_says_what_to_do(
    simulator: Simulator, tmp_path: Path, settings: dict[str, Any], said: str
) -> None:
    done = run(tmp_path, config_for(simulator, **settings))
    assert done.returncode == 1
    assert said in " ".join(done.stdout.split())
    assert "can't be read." in done.stdout
    assert str(settings.get("kore_client_secret", "?")) not in done.stdout


def test_an_app_without_the_scope_is_told(tmp_path: Path) -> None:
    world = World(sessions_per_day=2)
    app = App(world.app.client_id, world.app.client_secret, scoped=False)
    with Simulator(World(sessions_per_day=2, app=app)) as simulator:
        done = run(tmp_path, config_for(simulator))
    assert done.returncode == 1
    assert "Permission denied. Scope is incorrect!" in done.stdout


def test_a_mistake_in_the_settings_is_told_before_any_request(
    simulator: Simulator, tmp_path: Path
) -> None:
    done = run(tmp_path, config_for(simulator, window_days=9))
    assert done.returncode == 1
    assert "window_days: is 9, but must be at most 6" in done.stderr
    assert simulator.requests == []


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"avaamo_page_clamp": 25}, "It serves 25 records a page where 100 were asked"),
        ({"kore_page_clamp": 50}, "It serves 50 records a page where 1000 were asked"),
        ({"avaamo_order": "ascending"}, "do not begin with the newest record"),
        ({"bounds": "open_start"}, "A list lacks what is at its very start"),
        ({"bounds": "half_open"}, "A list lacks what is at its very end"),
        ({"avaamo_unit": "microseconds"}, "It counts time in microseconds"),
        ({"avaamo_unit": "milliseconds"}, "It counts time in milliseconds"),
    ],
)
def test_what_a_vendor_does_otherwise_is_noticed(
    simulator: Simulator, options: dict[str, Any], said: str
) -> None:
    assert [each for each in remarks(simulator) if said in each] == []
    for name, value in options.items():
        setattr(simulator.options, name, value)
    [remark] = {each for each in remarks(simulator) if said in each}
    assert remark.endswith(".")


def test_nothing_is_remarked_where_all_is_as_assumed(simulator: Simulator) -> None:
    assert remarks(simulator) == []


@pytest.mark.parametrize("ahead", [-400, 90])
def test_clocks_that_are_apart_are_told(simulator: Simulator, ahead: int) -> None:
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


def test_a_date_that_is_none_tells_nothing(simulator: Simulator) -> None:
    date = {"Date": "once upon a time", "X-RateLimit-Remaining": "17"}
    body = {"entries": [], "total_entries": 0}
    simulator.faults.rules = [Rule(status(200, body, date), vendor="avaamo")]
    found = checked(simulator)["avaamo_sessions"]
    assert found.skew is None
    assert found.budget_left == "17"


def test_a_budget_that_is_used_up_is_not_waited_for(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.faults.limits = Limits(avaamo_per_minute=1, retry_after=True)
    begin = time.monotonic()
    found = told(tmp_path, config_for(simulator))
    assert time.monotonic() - begin < 30
    [failed] = [bot for bot in found["vendors"][0]["bots"] if not bot["is_well"]]
    assert failed["failure_type"] == "transient_error"
    assert "asks to wait for" in failed["problem"]


def test_of_a_shared_account_a_bots_own_records_are_told(simulator: Simulator) -> None:
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


def test_the_time_that_is_asked_for_is_told(
    simulator: Simulator, tmp_path: Path
) -> None:
    done = run(tmp_path, config_for(simulator, window_days=0.5))
    assert " in 12 hours, newest Mar 20 23:59 UTC\n" in done.stdout


def test_a_bot_without_records_is_well(simulator: Simulator) -> None:
    simulator.world = World(sessions_per_day=0)
    for vendor in checked(simulator).values():
        for bot in vendor.bots:
            assert (bot.error, bot.records, bot.newest) == (None, 0, None)


def test_nothing_is_synced(simulator: Simulator, tmp_path: Path) -> None:
    done = run(tmp_path, config_for(simulator))
    assert '"type"' not in done.stdout
    paths: list[Call] = simulator.requests
    assert {call.endpoint for call in paths} == {"sessions", "getSessions"}
