"""A run keeps the budgets of both vendors, and goes on after their refusals."""

from __future__ import annotations

import logging
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Limits, Simulator, World
from tests.conftest import Synced, end_of, hand_in, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator


def assert_whole(synced: Synced, world: World) -> None:
    """All of the world came, each record once."""
    assert synced.failures == []
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert len(synced.keys(stream)) == len(truth)


MINUTE = 0.25
"""Seconds that the vendors' minute lasts."""


@pytest.fixture
def limited() -> Iterator[Simulator]:
    """Both vendors with limits of few calls in a short minute."""
    with Simulator(World(days=6, sessions_per_day=20)) as running:
        running.faults.limits = Limits(
            kore_per_minute=20, avaamo_per_minute=40, minute=MINUTE
        )
        yield running


PAGES: dict[str, Any] = {"avaamo_page_size": 20, "kore_page_size": 5}
"""So small that every budget is used up."""


@pytest.mark.parametrize(("api", "budgets"), [("bot", 3), ("account", 2)])
def test_a_run_within_its_budgets_is_never_refused(
    limited: Simulator,
    api: str,
    budgets: int,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    """Avaamo's is one for the account, over all of its streams and agents."""
    caplog.set_level(logging.INFO, "tap-botsessions")
    hand_in(monkeypatch, minute=2 * MINUTE)  # an answer may take that long on its way
    synced = sync(
        limited,
        avaamo_requests_per_minute=39,
        kore_requests_per_minute=19,
        kore_api=api,
        **PAGES,
    )
    assert_whole(synced, limited.world)
    assert limited.faults.limits.refused.total() == 0
    assert sum(call.vendor == "avaamo" for call in limited.requests) > 60
    assert sum(call.vendor == "kore" for call in limited.requests) > 40
    waits = [line for line in caplog.messages if "for the budget of requests" in line]
    assert len(waits) == budgets


@pytest.mark.parametrize("retry_after", [True, False])
def test_a_run_whose_budgets_are_set_too_high_loses_nothing(
    limited: Simulator,
    retry_after: bool,  # noqa: FBT001 -- a switch of the simulator's
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    limited.faults.limits.retry_after = retry_after
    hand_in(monkeypatch, minute=MINUTE, max_backoff=MINUTE)
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
    hour = 1.4
    limited.faults.limits = Limits(kore_per_hour=20, minute=hour / 60)
    hand_in(monkeypatch, minute=(hour + 0.2) / 60)
    synced = sync(limited, streams=("kore_sessions",), **PAGES)
    world = limited.world
    assert_same(
        synced.records["kore_sessions"],
        expected(world, "kore_sessions", world.start, end_of(world)),
    )
    assert "hourly rate limit" in caplog.text
    for bot in world.bots:
        calls = [call for call in limited.requests if call.bot == bot]
        pause = max(pairwise(calls), key=lambda pair: pair[1].at - pair[0].at)
        assert pause[1].at - calls[0].at > hour
