"""A vendor's budget is kept ahead of time; a refusal pauses all that it concerns."""

from __future__ import annotations

import logging
from typing import TYPE_CHECKING, Literal

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from tap_botsessions.engine.pacing import Budget
from tests.unit.conftest import Clock

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

MINUTE, HOUR = 60, 3600


def request_times(budget: Budget, clock: Clock, pauses: Iterable[float]) -> list[float]:
    """When a client makes its requests: after pauses, and waits if it has to."""
    made = []
    for pause in pauses:
        clock.now += pause
        while wait := budget.try_acquire():
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
    budget = Budget("tests", per_minute, clock=clock)
    made = request_times(budget, clock, [0, *pauses])
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
    budget = Budget("tests", per_minute, per_hour, clock=clock)
    made = request_times(budget, clock, [0] * (2 * per_hour + 2) + pauses)
    assert most_within(made, MINUTE) <= per_minute
    assert most_within(made, HOUR) <= per_hour


@pytest.mark.parametrize(("per_minute", "per_hour"), [(2, 119), (60, 3550)])
def test_an_hour_that_allows_nearly_sixty_minutes_is_kept(
    clock: Clock, per_minute: int, per_hour: int
) -> None:
    budget = Budget("tests", per_minute, per_hour, clock=clock)
    made = request_times(budget, clock, [0] * (per_hour + 10))
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
    budget = Budget("tests", per_minute, clock=clock)
    made = request_times(budget, clock, [0] * len(delays))
    arrived = sorted(time + delay for time, delay in zip(made, delays, strict=True))
    assert most_within(arrived, MINUTE) <= per_minute


@pytest.mark.parametrize(
    ("per_minute", "per_hour", "seconds"),
    [(60, None, 61), (60, 1800, 61), (10, 10, 3601), (10, 5, 3601), (1, 1, 3601)],
)
def test_a_budget_that_is_used_up_is_free_again_when_its_time_is_over(
    clock: Clock, per_minute: int, per_hour: int | None, seconds: float
) -> None:
    """All of it may be used at once; then the first place is free when it is over."""
    budget = Budget("tests", per_minute, per_hour, clock=clock)
    places = min(per_minute, per_hour or per_minute)
    assert [budget.try_acquire() for _ in range(places)] == [0] * places
    assert budget.try_acquire() == pytest.approx(seconds, abs=0.1)
    clock.now += seconds - 0.5
    assert budget.try_acquire() > 0
    clock.now += 0.6
    assert [budget.try_acquire() for _ in range(places)] == [0] * places


def test_the_hour_counts_beside_the_minute(clock: Clock) -> None:
    budget = Budget("tests", 60, 1800, clock=clock)
    start = clock.now
    made = request_times(budget, clock, [0] * 1801)
    assert made[-2] - start < 31 * MINUTE
    assert made[-1] - start == pytest.approx(HOUR + 1, abs=0.2)


def test_a_wait_is_logged_once(clock: Clock, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG, "tap-botsessions")
    budget = Budget("Kore.ai, bot st-000", 2, clock=clock)
    request_times(budget, clock, [0] * 20)
    logged = [record for record in caplog.records if record.levelno >= logging.INFO]
    assert [record.getMessage() for record in logged] == [
        "Kore.ai, bot st-000: waiting 61 s for the budget of requests"
    ]


@pytest.mark.parametrize(
    ("limit", "wait", "seconds"),
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
    wait: float | None,
    seconds: float,
) -> None:
    """As long as the vendor says; else the minute, or until the hour frees a place."""
    budget = Budget("tests", 100, 1000, clock=clock)
    clock.now += 20 - clock.now % MINUTE
    request_times(budget, clock, [0, 600])
    assert budget.block(limit, wait) == pytest.approx(seconds)
    assert budget.try_acquire() == pytest.approx(seconds)
    clock.now += seconds
    assert budget.try_acquire() == 0


def test_a_pause_is_not_shortened_by_a_later_one(clock: Clock) -> None:
    budget = Budget("tests", 100, clock=clock)
    budget.block("minute", 50)
    clock.now += 10
    budget.block("minute", 5)
    assert budget.try_acquire() == pytest.approx(40)


def test_an_hour_without_own_requests_is_tried_again_after_a_minute(
    clock: Clock,
) -> None:
    budget = Budget("tests", 100, 1000, clock=clock)
    assert budget.block("hour", None) == pytest.approx(60 - clock.now % 60)


def schedule(requests: int, limits: dict[int, int]) -> float:
    """When the last of so many requests can be made, one after another.

    Args:
        requests: How many.
        limits: So many in any so many seconds, by the seconds.
    """
    times: list[float] = []
    for number in range(requests):
        free = [
            times[number - limit] + seconds
            for seconds, limit in limits.items()
            if number >= limit
        ]
        times.append(max([*times[-1:], *free], default=0.0))
    return times[-1] if times else 0.0


@settings(deadline=None)
@example(requests=5000, per_minute=60, per_hour=1800)
@given(
    requests=st.integers(0, 3000),
    per_minute=st.integers(1, 100),
    per_hour=st.integers(1, 4000),
)
def test_a_budget_says_how_long_requests_take(
    requests: int, per_minute: int, per_hour: int
) -> None:
    """A budget's minute and hour are a second longer than the vendor's."""
    minutes = Budget("tests", per_minute)
    assert minutes.seconds(requests) == schedule(requests, {61: per_minute})
    both = Budget("tests", per_minute, per_hour)
    found = schedule(requests, {61: per_minute, 3601: per_hour})
    assert both.seconds(requests) == pytest.approx(found, abs=61, rel=0.02)
