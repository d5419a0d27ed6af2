"""What people have from version 0.1.0 works as it did: state, catalog and settings.

The files in `released` are as that version wrote or took them, for the simulator's
worlds below. They are never to be written anew; versions to come add theirs.
"""

from __future__ import annotations

import json
import subprocess
import sys
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest

from simulator import App, Simulator, World
from tap_botsessions.config.settings import SCHEMA
from tests.conftest import Synced, config_for, end_of
from tests.docs import ROOT
from tests.truth import STREAMS, Keyed, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

TAP = Path(sys.executable).with_name("tap-botsessions")
RELEASED = ROOT / "tests" / "released"
STATE = RELEASED / "state-0.1.0.json"
CATALOG = RELEASED / "catalog-0.1.0.json"
CONFIG = RELEASED / "config-0.1.0.json"

FOLLOWED, CROWDED = World.bots
"""The bot whose open sessions the state names, and the one that had too many."""

THEN = datetime(2026, 3, 11, 9, 30, tzinfo=UTC)
"""When the state was written."""


@pytest.fixture
def world() -> World:
    """The world that the state and the settings are about, three days after."""
    rates = dict.fromkeys([*World.agents, FOLLOWED], 12.0)
    return World(
        sessions_per_day=rates | {CROWDED: 40.0},
        open_fraction=0.1,
        now=(THEN + timedelta(days=3, hours=7)).timestamp(),
    )


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    with Simulator(world) as running:
        yield running


def run(config: dict[str, Any], folder: Path, *arguments: str | Path) -> Synced:
    """Run the tap as people do; it ends well."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(  # noqa: S603 -- ours
        [TAP, "--config", file, *arguments],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )
    assert done.returncode == 0, done.stderr
    return Synced([json.loads(line) for line in done.stdout.splitlines()])


def truth(world: World, stream: Any) -> Keyed:
    """All records of a stream, as the clock stands."""
    return expected(world, stream, world.start, end_of(world))


def instant(written: str) -> datetime:
    return datetime.fromisoformat(written)


def since(records: Keyed, column: str, start: str | float) -> Keyed:
    """The records from an instant or a day on."""
    return {key: each for key, each in records.items() if each[column] >= start}


def test_a_run_goes_on_from_exactly_where_the_state_was_left(
    simulator: Simulator, world: World, tmp_path: Path
) -> None:
    config = config_for(simulator)
    synced = run(config, tmp_path, "--state", STATE, "--catalog", CATALOG)
    lookback = THEN - timedelta(hours=1)
    for stream in ("avaamo_messages", "avaamo_sessions"):
        new = since(truth(world, stream), "timetoken", lookback.timestamp())
        assert_same(synced.records[stream], new)
    # The bookmark is in the night of the 11th, so the hour before it is of the 10th.
    days = since(truth(world, "avaamo_usage"), "date", "2026-03-10")
    assert_same(synced.records["avaamo_usage"], days)

    now = truth(world, "kore_sessions")
    world.now = THEN.timestamp()
    then = truth(world, "kore_sessions")
    state = json.loads(STATE.read_text())["bookmarks"]["kore_sessions"]["partitions"]
    followed = [(FOLLOWED, name) for name in state[0]["open_sessions"]]
    changed: Keyed = {key: now[key] for key in followed if now[key] != then[key]}
    assert changed
    starts = {FOLLOWED: lookback, CROWDED: instant(state[1]["open_since"])}
    since_then: Keyed = {
        key: each
        for key, each in now.items()
        if instant(each["start_time"]) >= starts[key[0]]
    }
    assert_same(synced.records["kore_sessions"], since_then | changed)
    # Together with what version 0.1.0 had read, all is there as it is now.
    assert_same(then | synced.records["kore_sessions"], now)


def test_a_catalog_brings_all_that_it_selects(
    simulator: Simulator, world: World, tmp_path: Path
) -> None:
    catalog = json.loads(CATALOG.read_text())
    chosen = tmp_path / "catalog.json"
    for entry in catalog["streams"]:
        for each in entry["metadata"]:
            if each["breadcrumb"] == ["properties", "content"]:
                each["metadata"]["selected"] = False
            if not each["breadcrumb"] and entry["stream"] == "avaamo_usage":
                each["metadata"]["selected"] = False
    chosen.write_text(json.dumps(catalog))
    config = config_for(simulator)

    whole = run(config, tmp_path, "--catalog", CATALOG)
    listed = {entry["stream"] for entry in catalog["streams"]}
    assert whole.records.keys() == listed & set(STREAMS)
    for stream, records in whole.records.items():
        assert_same(records, truth(world, stream))

    part = run(config, tmp_path, "--catalog", chosen)
    messages = truth(world, "avaamo_messages")
    for record in messages.values():
        del record["content"]
    assert_same(part.records["avaamo_messages"], messages)
    assert "avaamo_usage" not in part.records


def test_the_settings_do_what_they_did(
    simulator: Simulator, world: World, tmp_path: Path
) -> None:
    settings = json.loads(CONFIG.read_text())
    assert settings.keys() <= SCHEMA["properties"].keys()
    world.now = instant(settings["end_date"]).timestamp()
    own = settings["kore_bot_credentials"][0]
    world.apps[CROWDED] = App(own["client_id"], own["client_secret"])
    here = settings | {
        "avaamo_base_url": simulator.url,
        "kore_base_url": simulator.url,
        "ca_bundle": certifi.where(),
    }
    sessions = truth(world, "kore_sessions")

    synced = run(here, tmp_path)
    agents = {call.headers["user-agent"] for call in simulator.requests}
    assert agents == {settings["user_agent"]}
    for stream in set(STREAMS) - {"kore_sessions"}:
        assert_same(synced.records[stream], truth(world, stream))
    named = {
        key: each
        for key, each in sessions.items()
        if key[1] in settings["kore_session_ids"]
    }
    assert len(named) == len(settings["kore_session_ids"])
    assert_same(synced.records["kore_sessions"], named)

    del here["kore_session_ids"]
    synced = run(here, tmp_path)
    filtered = {
        key: each
        for key, each in sessions.items()
        if each["user_id"] == settings["kore_user_id"]
        and each["session_type"] == settings["kore_session_type"]
        and each["containment_type"] in settings["kore_containment_types"]
        and each["tags"]["userTags"][0]["value"] == "gold"
    }
    assert filtered
    assert_same(synced.records["kore_sessions"], filtered)
