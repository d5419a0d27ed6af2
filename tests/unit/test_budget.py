"""A vendor's budget is kept ahead of time; a refusal pauses all that it concerns."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from itertools import pairwise
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any, Literal
from unittest.mock import patch

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator import Limits, Simulator, World
from tap_botsessions.engine.pacing import Budget
from tests.conftest import Synced, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

MINUTE, HOUR = 60, 3600


@dataclass
class Clock:
    """All the clocks that a budget looks at; they go on when told to."""

    now: float = 1_000_020.0

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    monkeypatch.setattr("tap_botsessions.engine.pacing.time", clock)
    return clock


def patient(budget: Budget, clock: Clock, pauses: Iterable[float]) -> list[float]:
    """When a client makes requests that waits as told, and pauses before each."""
    made = []
    for pause in pauses:
        clock.now += pause
        while wait := budget.take():
            clock.now += wait
        made.append(clock.now)
    return made


def most_within(times: Sequence[float], seconds: float) -> int:
    """The most instants that lie in any span of so many seconds."""
    return max(
        sum(1 for time in times[first:] if time < start + seconds)
        for first, start in enumerate(times)
    )


PAUSES = st.lists(st.sampled_from([0, 0, 0, 0.4, 7, 59.9, 61, 700]), max_size=120)


@settings(max_examples=150, deadline=None)
@given(per_minute=st.integers(1, 20), pauses=PAUSES)
def test_no_minute_has_more_requests_than_allowed(
    per_minute: int, pauses: list[float]
) -> None:
    clock = Clock()
    with patch("tap_botsessions.engine.pacing.time", clock):
        made = patient(Budget("tests", per_minute), clock, [0, *pauses])
    assert most_within(made, MINUTE) <= per_minute


@settings(max_examples=150, deadline=None)
@given(
    per_minute=st.integers(1, 4),
    share=st.floats(0.01, 1.2).filter(lambda share: not 0.98 < share < 1),
    pauses=PAUSES,
)
def test_no_hour_has_more_requests_than_allowed_either(
    per_minute: int, share: float, pauses: list[float]
) -> None:
    """Also where the hour allows less than a minute, or more than sixty of them."""
    per_hour = max(int(60 * per_minute * share), 1)
    clock = Clock()
    with patch("tap_botsessions.engine.pacing.time", clock):
        budget = Budget("tests", per_minute, per_hour)
        made = patient(budget, clock, [0] * (2 * per_hour + 2) + pauses)
    assert most_within(made, MINUTE) <= per_minute
    assert most_within(made, HOUR) <= per_hour


@pytest.mark.parametrize(("per_minute", "per_hour"), [(2, 119), (60, 3550)])
def test_an_hour_that_allows_nearly_sixty_minutes_is_kept(
    clock: Clock, per_minute: int, per_hour: int
) -> None:
    budget = Budget("tests", per_minute, per_hour)
    made = patient(budget, clock, [0] * (per_hour + 10))
    assert most_within(made, HOUR) <= per_hour


@settings(max_examples=50, deadline=None)
@given(
    per_minute=st.integers(1, 10),
    delays=st.lists(st.floats(0, 0.99), min_size=60, max_size=60),
)
def test_requests_that_arrive_up_to_a_second_late_keep_the_minute_too(
    per_minute: int, delays: list[float]
) -> None:
    clock = Clock()
    with patch("tap_botsessions.engine.pacing.time", clock):
        made = patient(Budget("tests", per_minute), clock, [0] * len(delays))
    arrived = sorted(time + delay for time, delay in zip(made, delays, strict=True))
    assert most_within(arrived, MINUTE) <= per_minute


@pytest.mark.parametrize(
    ("per_minute", "per_hour", "seconds"),
    [(60, None, 61), (60, 1800, 61), (10, 10, 3601), (10, 5, 3601), (1, 1, 3601)],
)
def test_a_budget_that_is_used_up_is_had_again_as_soon_as_it_may(
    clock: Clock, per_minute: int, per_hour: int | None, seconds: float
) -> None:
    """All of it may be used at once; then the first place is free when it is over."""
    budget = Budget("tests", per_minute, per_hour)
    places = min(per_minute, per_hour or per_minute)
    assert [budget.take() for _ in range(places)] == [0] * places
    assert budget.take() == pytest.approx(seconds, abs=0.1)
    clock.now += seconds - 0.5
    assert budget.take() > 0
    clock.now += 0.6
    assert [budget.take() for _ in range(places)] == [0] * places


def test_the_hour_counts_beside_the_minute(clock: Clock) -> None:
    budget = Budget("tests", 60, 1800)
    start = clock.now
    made = patient(budget, clock, [0] * 1801)
    assert made[-2] - start < 31 * MINUTE
    assert made[-1] - start == pytest.approx(HOUR + 1, abs=0.2)


def test_a_wait_is_told_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tap-botsessions")
    budget = Budget("Kore.ai, bot st-000", 2)
    patient(budget, clock, [0] * 20)
    told = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert [record.getMessage() for record in told] == [
        "Kore.ai, bot st-000: waiting 61 s for the budget of requests"
    ]


@pytest.mark.parametrize(
    ("limit", "asked", "seconds"),
    [
        ("minute", 7.5, 7.5),
        ("minute", 0.0, 0.0),
        ("minute", None, 40.0),
        ("hour", 100.0, 100.0),
        ("hour", None, 3000.0),
    ],
)
def test_a_refusal_pauses_the_whole_budget(
    clock: Clock,
    limit: Literal["minute", "hour"],
    asked: float | None,
    seconds: float,
) -> None:
    """As long as asked; else the minute, or until the hour frees a place."""
    budget = Budget("tests", 100, 1000)
    clock.now += 20 - clock.now % MINUTE
    patient(budget, clock, [0, 600])
    assert budget.pause(limit, asked) == pytest.approx(seconds)
    assert budget.take() == pytest.approx(seconds)
    clock.now += seconds
    assert budget.take() == 0


def test_a_pause_is_not_shortened_by_a_later_one(clock: Clock) -> None:
    budget = Budget("tests", 100)
    budget.pause("minute", 50)
    clock.now += 10
    budget.pause("minute", 5)
    assert budget.take() == pytest.approx(40)


def test_an_hour_without_own_requests_is_tried_again_after_a_minute(
    clock: Clock,
) -> None:
    budget = Budget("tests", 100, 1000)
    assert budget.pause("hour", None) == pytest.approx(60 - clock.now % 60)


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
