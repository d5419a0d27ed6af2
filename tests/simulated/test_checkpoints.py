"""States cost little beside the records, and none is late."""

from __future__ import annotations

import json
import time
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Simulator, World
from tap_botsessions.singer.writer import PieceWriter
from tests.conftest import Tap, config_for, end_of, hand_in, sync
from tests.truth import expected

if TYPE_CHECKING:
    from collections.abc import Mapping

SESSIONS = "kore_sessions"


def written(simulator: Simulator, **settings: Any) -> tuple[Mapping[str, int], Any]:
    """The bytes of a run's messages by their type, and its last state."""
    output = BytesIO()
    config = config_for(simulator, **settings)
    tap = Tap(config=config, message_writer=PieceWriter(1 << 16, output))
    for name, stream in tap.streams.items():
        stream.selected = name == SESSIONS
    tap.sync()
    sizes = dict.fromkeys(("SCHEMA", "RECORD", "STATE"), 0)
    state = None
    for line in output.getvalue().splitlines():
        message = json.loads(line)
        sizes[message["type"]] += len(line)
        state = message.get("value", state)
    return sizes, state


@pytest.mark.parametrize("api", ["bot", "account"])
def test_many_bots_have_less_state_than_data(api: str) -> None:
    """With open sessions to follow, which are in the state as well."""
    bots = tuple(f"st-{number:03}" for number in range(60))
    world = World(bots=bots, days=10, sessions_per_day=3, open_fraction=0.2)
    begin = time.monotonic()
    with Simulator(world) as simulator:
        settings = {"window_days": 1, "kore_api": api}
        sizes, state = written(simulator, **settings)
    limit = 1 + (time.monotonic() - begin) / 2  # what the machine is slow with
    assert sizes["STATE"] < limit * 1.1 * len(json.dumps(state))
    assert sizes["RECORD"] > 100_000
    assert {each["replication_key_value"] for each in parts(state)} == {
        "2026-03-11T00:00:00Z"
    }


def parts(state: Any) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = state["bookmarks"][SESSIONS]["partitions"]
    assert len(found) == 60
    return found


def test_what_was_read_is_vouched_for_before_a_wait_for_a_budget(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """A run that is killed while it waits need not read anything again."""
    hand_in(monkeypatch, minute=0.5, tick=0.02, max_seconds_unvouched=600.0)
    world = World(bots=("st-1",), days=9, sessions_per_day=10)
    with Simulator(world) as simulator:
        settings: dict[str, Any] = {"window_days": 1, "kore_requests_per_minute": 3}
        synced = sync(simulator, streams=(SESSIONS,), **settings)
    truth = expected(world, SESSIONS, world.start, end_of(world))
    assert synced.records[SESSIONS].keys() == truth.keys()
    assert len(synced.states) == 3
