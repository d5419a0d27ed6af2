"""A start_date that is moved between two runs with the same state."""

from __future__ import annotations

import logging
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from simulator import Simulator, World
from tests.conftest import sync
from tests.truth import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Synced

START = datetime(2026, 3, 1, tzinfo=UTC)
BOOKMARK = "2026-03-05T00:00:00Z"
SKIPPED = "what lies between is not read"


@pytest.fixture(scope="module")
def served() -> Iterator[Simulator]:
    with Simulator(World(sessions_per_day=2, agents=("201", "202"))) as running:
        yield running


@pytest.fixture(scope="module")
def first(served: Simulator) -> Synced:
    return sync(served, end_date=BOOKMARK)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was warned of."""
    return [
        each.getMessage() for each in caplog.records if each.levelno >= logging.WARNING
    ]


def test_what_lies_between_a_bookmark_and_a_later_start_is_named(
    served: Simulator, first: Synced, caplog: pytest.LogCaptureFixture
) -> None:
    second = sync(served, first.state, start_date="2026-03-10T06:00:00Z")
    told = warnings(caplog)
    assert len(told) == len(STREAMS)
    assert {line.split(",")[0] for line in told} == set(STREAMS)
    for line in told:
        assert SKIPPED in line
        assert "start_date, 2026-03-10T06:00:00Z" in line
        assert BOOKMARK in line
        bots = served.world.agents if "avaamo" in line else served.world.bots
        assert all(bot in line for bot in bots)
    caplog.clear()
    sync(served, second.state, start_date="2026-03-10T06:00:00Z")
    assert warnings(caplog) == []  # once is enough, as the bookmarks are past it


@pytest.mark.parametrize(
    "start", [START - timedelta(days=9), START, datetime(2026, 3, 5, tzinfo=UTC)]
)
def test_nothing_lies_between_where_the_start_is_no_later(
    served: Simulator,
    first: Synced,
    caplog: pytest.LogCaptureFixture,
    start: datetime,
) -> None:
    sync(served, first.state, start_date=start.isoformat())
    assert warnings(caplog) == []


def test_a_day_of_usage_that_is_read_from_its_midnight_leaves_nothing_between(
    served: Simulator, first: Synced, caplog: pytest.LogCaptureFixture
) -> None:
    sync(served, first.state, ("avaamo_usage",), start_date="2026-03-05T11:00:00Z")
    assert warnings(caplog) == []


def test_only_the_bots_that_are_behind_are_named(
    served: Simulator, first: Synced, caplog: pytest.LogCaptureFixture
) -> None:
    """A new bot has no bookmark, so it is read from start_date as it should be."""
    old, _ = served.world.agents
    partitions = first.state["bookmarks"]["avaamo_messages"]["partitions"]
    kept = [each for each in partitions if each["context"] == {"agent_id": old}]
    state = {"bookmarks": {"avaamo_messages": {"partitions": kept}}}
    sync(served, state, ("avaamo_messages",), start_date="2026-03-10T00:00:00Z")
    [line] = warnings(caplog)
    assert line.startswith(f"avaamo_messages, agent {old}: ")


def test_the_list_of_bots_is_bounded(caplog: pytest.LogCaptureFixture) -> None:
    agents = tuple(str(number) for number in range(300, 312))
    with Simulator(World(sessions_per_day=1, agents=agents, days=9)) as many:
        streams = ("avaamo_sessions",)
        first = sync(many, None, streams, end_date="2026-03-03T00:00:00Z")
        sync(many, first.state, streams, start_date="2026-03-06T00:00:00Z")
    [line] = warnings(caplog)
    assert "avaamo_sessions, 12 agents: " in line
