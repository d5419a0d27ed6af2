"""A run keeps the budgets of both vendors, and goes on after their refusals."""

from __future__ import annotations

import logging
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Limits, Simulator, World
from tap_botsessions.engine.pacing import Budget
from tests.conftest import Synced, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator


from typing import TYPE_CHECKING


def assert_whole(synced: Synced, world: World) -> None:
    """All of the world came, each record once."""
    assert synced.failures == []
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert len(synced.keys(stream)) == len(truth)


@pytest.fixture
def limited() -> Iterator[Simulator]:
    """Both vendors with limits of 20 calls in a minute that lasts a second."""
    with Simulator(World(days=6, sessions_per_day=20)) as running:
        running.faults.limits = Limits(
            kore_per_minute=20, avaamo_per_minute=20, minute=1.0
        )
        yield running


PAGES: dict[str, Any] = {"avaamo_page_size": 20, "kore_page_size": 5}
"""So small that every budget is used up more than once."""


@pytest.fixture
def short_minute(monkeypatch: pytest.MonkeyPatch) -> None:
    """The tap's minute lasts a second as well."""
    short = SimpleNamespace(MINUTE=1000, HOUR=60_000)
    monkeypatch.setattr("tap_botsessions.engine.pacing.Duration", short)


@pytest.mark.usefixtures("short_minute")
@pytest.mark.parametrize(("api", "size"), [("bot", 5), ("account", 5)])
def test_a_run_within_its_budgets_is_never_refused(
    limited: Simulator, api: str, size: int, caplog: pytest.LogCaptureFixture
) -> None:
    """Avaamo's is one for the account, over all of its streams and agents."""
    caplog.set_level(logging.INFO, "tap-botsessions")
    synced = sync(
        limited,
        avaamo_requests_per_minute=19,
        kore_requests_per_minute=19,
        kore_api=api,
        kore_page_size=size,
        avaamo_page_size=20,
    )
    assert_whole(synced, limited.world)
    assert limited.faults.limits.refused.total() == 0
    assert sum(call.vendor == "avaamo" for call in limited.requests) > 60
    assert sum(call.vendor == "kore" for call in limited.requests) > 40
    waits = [line for line in caplog.messages if "for the budget of requests" in line]
    assert len(waits) == (2 if api == "account" else 3)


@pytest.mark.parametrize("retry_after", [True, False])
def test_a_run_whose_budgets_are_set_too_high_loses_nothing(
    limited: Simulator,
    retry_after: bool,  # noqa: FBT001 -- a switch of the simulator's
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited.faults.limits.retry_after = retry_after
    monkeypatch.setattr("tap_botsessions.engine.pacing._to_next_minute", lambda: 1.0)
    assert_whole(sync(limited, **PAGES), limited.world)
    refused = limited.faults.limits.refused
    assert refused.keys() == {"avaamo", *(f"kore/{b}" for b in limited.world.bots)}
    # After a pause all go on at once, so a refusal befalls those in flight at most.
    assert refused.total() < len(limited.requests) / 2


def test_kores_hourly_refusal_pauses_the_bot_until_a_place_is_free(
    limited: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """The bot that is refused makes no request meanwhile."""
    limited.faults.limits = Limits(kore_per_hour=20, minute=0.05)
    monkeypatch.setattr(Budget, "_to_free_hour", lambda _: 3.0)
    synced = sync(limited, streams=("kore_sessions",), **PAGES)
    world = limited.world
    assert_same(
        synced.records["kore_sessions"],
        expected(world, "kore_sessions", world.start, end_of(world)),
    )
    assert "hourly rate limit" in caplog.text
    for bot in world.bots:
        calls = [call for call in limited.requests if call.bot == bot]
        gaps = [later.at - earlier.at for earlier, later in pairwise(calls)]
        assert max(gaps) > 2.5
