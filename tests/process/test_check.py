"""`--check` on the command line: what it prints, and its exit code."""

from __future__ import annotations

import json
import re
import time
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest

from simulator import App, Limits, Simulator, World
from tests import screens
from tests.conftest import config_for
from tests.process.reports import report

if TYPE_CHECKING:
    from pathlib import Path

    from simulator import Call

run = partial(report, "--check")


def told(folder: Path, config: dict[str, Any]) -> dict[str, Any]:
    """What it tells machines."""
    found: dict[str, Any] = json.loads(run(folder, config, "--format=json").stdout)
    return found


def test_all_is_well(simulator: Simulator, tmp_path: Path) -> None:
    done = run(tmp_path, config_for(simulator))
    assert done.returncode == 0
    assert done.stdout.endswith("All well: 4 of 4 can be read.\n")
    assert max(map(len, done.stdout.splitlines())) <= 80
    for bot in (*simulator.world.agents, *simulator.world.bots):
        assert re.search(rf"^✓ {bot} +\d+ Mar 20 2\d:\d\d$", done.stdout, re.MULTILINE)
    assert "sessions in 6 days newest, UTC" in done.stdout
    assert "unknown" not in done.stdout


def test_the_screen_in_the_documents_is_that_of_today(tmp_path: Path) -> None:
    screens.assert_documented("check", screens.check(tmp_path))


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


def test_the_time_that_is_asked_for_is_told(
    simulator: Simulator, tmp_path: Path
) -> None:
    done = run(tmp_path, config_for(simulator, window_days=0.5))
    assert "sessions in 12 hours newest, UTC" in done.stdout


def test_what_bots_fail_of_alike_is_told_once(
    simulator: Simulator, tmp_path: Path
) -> None:
    done = run(tmp_path, config_for(simulator, avaamo_agent_ids=["201", "7", "8"]))
    assert "✗ 7, 8\n    answered 404" in done.stdout
    assert done.stdout.count("answered 404") == 1
    assert done.stdout.endswith("2 of 5 can't be read.\n")


def test_bots_that_had_nothing_of_late_are_counted(
    simulator: Simulator, tmp_path: Path
) -> None:
    """They can be read, but may be the wrong ones."""
    early = {"start_date": "2026-02-01", "end_date": "2026-02-10"}
    config = config_for(simulator, **early)
    done = run(tmp_path, config)
    assert done.returncode == 0
    words = "All well: 4 of 4 can be read; of 4 there was nothing new.\n"
    assert done.stdout.endswith(words)


def test_nothing_is_synced(simulator: Simulator, tmp_path: Path) -> None:
    done = run(tmp_path, config_for(simulator))
    assert '"type"' not in done.stdout
    paths: list[Call] = simulator.requests
    assert {call.endpoint for call in paths} == {"sessions", "getSessions"}
