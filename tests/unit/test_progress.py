"""How far a run is and how long it still takes."""

from __future__ import annotations

import logging
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, cast

import pytest
from typing_extensions import override

from tap_botsessions.engine.jobs import Job, TimeRanges
from tap_botsessions.engine.listing import MAX_LISTED
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.windows import Window
from tap_botsessions.reports.progress import StreamProgress
from tap_botsessions.reports.summaries import Summaries

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.unit.conftest import Clock

START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MANY = tuple(f"st-0a1b2c3d-{n:04}-5000-8000-{n:012}" for n in range(1, 101))
"""Ids as long as Kore.ai's are."""


def job(bot: str, days: float) -> Job:
    """A bot of which so many days are to be read."""
    spans = [Window(START, START + days * DAY)]
    return Job([bot], TimeRanges(spans, cast("Any", None), DAY))


def read(progress: StreamProgress, bot: str, day: int, requests: int = 1) -> None:
    """Have a day of a bot be read, of ten rows."""
    for _ in range(requests):
        progress.requested(bot, 0)
    progress.read(bot, WindowResult(Window(START, START + day * DAY), []), 10)


@pytest.fixture
def two(clock: Clock) -> Iterator[StreamProgress]:
    """Two bots, of ten days and of two."""
    progress = StreamProgress("kore_sessions", "bot", ["long", "short"], clock)
    with progress.reading():
        progress.expect(
            "long", job("long", 10), Budget("The long one", 60, clock=clock)
        )
        progress.expect(
            "short", job("short", 2), Budget("The short one", 60, clock=clock)
        )
        clock.now += 60
        yield progress


def test_at_first_nobody_knows_how_long_it_takes(two: StreamProgress) -> None:
    assert two.seconds_left is None
    assert two.share == 0


def test_the_rest_takes_as_long_as_the_part_that_was_read(
    two: StreamProgress, clock: Clock
) -> None:
    read(two, "long", 3)
    read(two, "short", 1)
    assert two.share == pytest.approx(4 / 12)
    # Of two requests one brought three days, one a day: 7/3 and 1 more at 30 s each.
    assert two.seconds_left == pytest.approx(100)
    read(two, "short", 2)
    assert [bot.bot for bot in two.under_way] == ["long"]
    clock.now += 30
    assert two.seconds_left == pytest.approx(70)


def test_a_bot_of_which_nothing_was_read_is_like_the_others(
    two: StreamProgress,
) -> None:
    read(two, "long", 5, requests=10)
    # 10 requests in 60 s for 5 days, so 14 for the 7 days that are left.
    assert two.seconds_left == pytest.approx(84)


def test_the_wait_for_a_budget_counts_for_the_requests_that_used_it_up(
    two: StreamProgress,
) -> None:
    read(two, "long", 5)
    read(two, "short", 2)
    budget = two.bots[0].budget
    assert budget is not None
    assert two.waiting == ""
    budget.block("minute", 60)
    assert two.seconds_left == pytest.approx(60 + (60 + 60) / 2)
    assert two.waiting == "waiting 60 s for budget: The long one"


def test_which_bots_wait_for_a_budget_and_how_long(
    two: StreamProgress, clock: Clock
) -> None:
    long, short = (cast("Budget", bot.budget) for bot in two.bots)
    long.block("hour", 61)
    assert two.waiting == "waiting 61 s for budget: The long one"
    short.block("minute", 90)
    assert two.waiting == "waiting up to 90 s for the budgets of 2 bots"
    clock.now += 70
    assert two.waiting == "waiting 20 s for budget: The short one"
    two.fail(["short"])
    assert two.waiting == ""


@dataclass(eq=False)
class Log(logging.Handler):
    """Keeps the lines of a logger of its own, with when each came."""

    clock: Clock
    lines: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the logger."""
        super().__init__()
        self.begin = self.clock.now
        self.logger = logging.Logger("log")  # noqa: LOG001 -- nobody else's
        self.logger.addHandler(self)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((self.clock.now - self.begin, record.getMessage()))

    @property
    def times(self) -> list[int]:
        """When lines came, in seconds."""
        return sorted({round(when) for when, _ in self.lines})


def test_progress_is_logged_each_half_a_minute_and_in_the_end(
    two: StreamProgress, clock: Clock
) -> None:
    log = Log(clock)
    summaries = Summaries(two, log.logger)
    with summaries.logging():
        for _ in range(1000):
            clock.now += 0.1
            summaries.on_tick()
        read(two, "short", 2)
        clock.now += 5
    assert log.times == [30, 60, 90, 105]
    assert "\n".join(line for when, line in log.lines if when > 100) == (
        "kore_sessions: 16% read, 1 of 2 bots, 10 rows, 1 request in 0:02:45, "
        "about 0:13:45 left\n"
        "kore_sessions, bot long: 0% read, 0 rows, 0 requests\n"
        "kore_sessions, bot short: 100% read, 10 rows, 1 request, "
        "up to 2026-03-03T00:00:00Z"
    )


def test_bots_under_way_are_logged_and_all_of_them_in_the_end(
    two: StreamProgress, clock: Clock
) -> None:
    read(two, "short", 2)
    log = Log(clock)
    summaries = Summaries(two, log.logger)
    with summaries.logging():
        clock.now += 30
        summaries.on_tick()
        assert not any("bot short" in line for _, line in log.lines)
    assert any("bot short" in line for _, line in log.lines)


def test_after_a_long_silence_progress_is_logged_once(
    two: StreamProgress, clock: Clock
) -> None:
    """The target may not have taken anything in for a while."""
    log = Log(clock)
    summaries = Summaries(two, log.logger)
    with suppress(ZeroDivisionError), summaries.logging():
        clock.now += 300
        for _ in range(25):
            summaries.on_tick()
            clock.now += 1
        raise ZeroDivisionError
    assert log.times == [300]


def test_many_bots_do_not_flood_the_log(clock: Clock) -> None:
    """Those that need a look come first."""
    progress = StreamProgress("kore_sessions", "bot", MANY, clock)
    log = Log(clock)
    with progress.reading():
        for place, bot in enumerate(MANY):
            progress.expect(bot, job(bot, 200), Budget(bot, 60, clock=clock))
            read(progress, bot, 1 + place)
        progress.fail([MANY[70]])
        with Summaries(progress, log.logger).logging():
            pass
    first, worst, *_, others = [line for _, line in log.lines]
    assert len(log.lines) == 1 + MAX_LISTED + 1
    assert first.startswith("kore_sessions: 25% read, 0 of 100 bots, 1 failed, ")
    assert worst.startswith(f"kore_sessions, bot {MANY[70]}: failed, 35% read, ")
    assert others == "kore_sessions, 90 other bots: 900 rows, 90 requests"


def test_many_bots_alike_share_a_line_of_the_log(clock: Clock) -> None:
    progress = StreamProgress("kore_sessions", "bot", MANY, clock)
    log = Log(clock)
    with progress.reading():
        for bot in MANY:
            progress.expect(bot, job(bot, 10), Budget(bot, 60, clock=clock))
            read(progress, bot, 10)
        read(progress, MANY[3], 10)
        with Summaries(progress, log.logger).logging():
            pass
    assert [line for _, line in log.lines][1:] == [
        (
            f"kore_sessions, bot {MANY[3]}: 100% read, 20 rows, 2 requests, up to "
            f"2026-03-11T00:00:00Z"
        ),
        (
            "kore_sessions, 99 bots, each: 100% read, 10 rows, 1 request, up to "
            "2026-03-11T00:00:00Z"
        ),
    ]
