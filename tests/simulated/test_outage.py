"""A host that is down for a while, and one that was never there."""

from __future__ import annotations

import socket
import time
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import status
from tests.conftest import end_of, hand_in, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from simulator.exchange import Reply
    from simulator.faults import Answer


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    world = World(days=8, sessions_per_day=6)
    with Simulator(world) as running:
        yield running


def down(simulator: Simulator, after: int, seconds: float) -> list[float]:
    """Have both vendors answer 503 for a while, from a request on.

    Returns:
        When requests were refused.
    """
    refused: list[float] = []

    async def effect(answer: Answer) -> Reply:
        if refused and time.monotonic() > refused[0] + seconds:
            return await answer()
        refused.append(time.monotonic())
        return await status(503)(answer)

    simulator.faults.rules.append(Rule(effect, after=after))
    return refused


def test_an_outage_costs_no_bot_at_one_retry(
    simulator: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One request at a time asks whether the host is back."""
    hand_in(monkeypatch, max_backoff=0.4)
    refused = down(simulator, after=10, seconds=2)
    synced = sync(simulator, max_retries=1, outage_minutes=1)
    assert synced.failures == []
    world = simulator.world
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
    # At first those in flight, and then one each 0.1 to 0.2 s.
    assert len(refused) < 8 + 2 / 0.1


def nowhere() -> str:
    """A base URL at which nothing listens."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        return f"http://127.0.0.1:{taken.getsockname()[1]}"


def test_a_host_that_never_answered_is_given_up_for_all_bots_in_one_line(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    hand_in(monkeypatch, max_unreached=1.0)
    url = nowhere()
    agents = [str(number) for number in range(300, 340)]
    settings: dict[str, Any] = {"avaamo_base_url": url, "avaamo_agent_ids": agents}
    begin = time.monotonic()
    synced = sync(simulator, outage_minutes=10, **settings)
    assert time.monotonic() - begin < 20
    [reason] = {str(failure.error) for failure in synced.failures}
    assert reason.startswith(f"{url} could not be reached at all")
    assert "max_retries" not in reason
    assert len(synced.failures) == 3 * len(agents)
    warnings = [each for each in caplog.messages if url in each]
    assert len(warnings) == 2  # when it was first missed, and when it was given up
    assert len(synced.records["kore_sessions"]) > 0
