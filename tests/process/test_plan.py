"""`--plan` on the command line: what it prints, and its exit code."""

from __future__ import annotations

import json
import re
from collections import Counter
from functools import partial
from typing import TYPE_CHECKING

from simulator import Simulator, World
from simulator.streams import STREAMS as TABLE
from tap_botsessions.tap import TapBotsessions
from tests import screens
from tests.conftest import config_for, end_of, sync
from tests.process.reports import report
from tests.truth import LISTS, STREAMS, expected

if TYPE_CHECKING:
    from pathlib import Path

BOT, OTHER = World().bots
run = partial(report, "--plan")


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
    assert f"It took {made} of the same budgets to find out." in text


def test_the_screen_that_is_shown_in_the_documentation_is_that_of_today(
    tmp_path: Path,
) -> None:
    """And both vendors' budgets are told, where both have one to wait for."""
    shown = screens.plan(tmp_path)
    screens.assert_documented("plan", shown)
    told = " ".join(shown.plain.split())
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
        "gaps": [],
        "sweep_requests": 0,
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
    assert "No totals: nothing could be counted of Kore.ai." in text
    told = run(tmp_path, config, "--format=json")
    assert told.returncode == 1
    found = json.loads(told.stdout)
    assert not found["is_whole"]
    assert found["bots"][-1]["rows"] is None
    assert found["bots"][-1]["failure_type"] == "config_error"
