"""Outages are ridden out, a host that was never there is given up, none starves.

The scheduler is the real one; its time is made up, so minutes take none.
"""

from __future__ import annotations

import itertools
import logging
import math
from collections import Counter, defaultdict
from dataclasses import dataclass, field, replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest

from tap_botsessions.engine.errors import (
    BotError,
    HostError,
    RequestError,
    TransientError,
    UnavailableError,
)
from tap_botsessions.engine.health import Health
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.windows import Window
from tests.simulated.test_ahead import (
    DAY,
    START,
    Vendor,
    busy_vendor,
    numbers,
)
from tests.virtual import Clock, VirtualWorkers

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_botsessions.engine.errors import Trouble
    from tap_botsessions.engine.jobs import Job
    from tap_botsessions.engine.pages import WindowResult

URL = "https://c0.example"
TEN_MINUTES = 600.0
TIME_OUT = 60.0

LIMITS = Limits(tick=5.0)


@dataclass(frozen=True)
class Fault:
    """A way in which a host does not answer.

    Attributes:
        error: What comes of a request.
        seconds: When.
    """

    error: TransientError
    seconds: float = 0.05


def fault(
    text: str, trouble: Trouble | None, status: int | None = None, seconds: float = 0.05
) -> Fault:
    return Fault(TransientError(text, status=status, trouble=trouble), seconds)


REFUSED = fault("connection refused", "unreached")
UNREACHED = fault("no connection within 10 s", "unreached", None, 10.0)
BUSY = fault("answered 503", "down", 503)
BROKEN = fault("answered 500", "unclear", 500)
LATE = fault("answered 504", "unclear", 504, 30.0)
TOO_WIDE = fault("answered 504", "slow", 504, 30.0)
SILENT = fault("no whole answer within 60 s", "unclear", None, TIME_OUT)
NO_JSON = fault("the answer is not the JSON expected", None)
FAULTS = [REFUSED, BUSY, BROKEN, LATE, SILENT]


@dataclass
class World:
    """A vendor whose requests take time, and are answered or not.

    Attributes:
        vendor: The vendor.
        answer: The fault of a request of a bot at a position, at a time, if any.
        latency: Seconds of an answer.
        clock: The time.
        host: Whether the host is up.
        ends: When each bot was read to its end.
        found: What was read of each bot.
    """

    vendor: Vendor
    answer: Callable[[float, str, Window], Fault | None] = lambda *_: None
    latency: float = 0.1
    clock: Clock = field(default_factory=Clock)
    host: Health = field(
        default_factory=lambda: Health(URL, TEN_MINUTES, "kore_base_url")
    )
    ends: dict[str, float] = field(default_factory=dict)
    found: dict[str, list[WindowResult | BotError]] = field(
        default_factory=lambda: defaultdict(list)
    )
    faults: int = 0
    ticks: int = 0

    def at(self, bot: str, window: Window, _: int) -> None:
        self.clock.took = self.latency
        if found := self.answer(self.clock.now, bot, window):
            self.clock.took = found.seconds
            raise found.error

    def jobs(self, bots: Sequence[str] = ()) -> list[Job]:
        self.vendor.at = self.at
        spans = [Window(START, START + 5 * DAY)]
        jobs = [self.vendor.job(bot, spans) for bot in bots or self.vendor.rows]
        for job in jobs:
            job.host = self.host
        return jobs

    def read(
        self,
        workers: int = 8,
        retries: int = 8,
        bots: Sequence[str] = (),
        **limits: Any,
    ) -> None:
        """Read all bots."""
        with Scheduler(
            self.jobs(bots),
            VirtualWorkers(workers, self.clock),
            retries,
            replace(LIMITS, **limits),
            self.tick,
        ) as scheduler:
            for _, bot, result in scheduler:
                self.found[bot].append(result)
                self.ends[bot] = self.clock.now

    def tick(self) -> None:
        self.ticks += 1

    @property
    def seconds(self) -> float:
        """How long it has taken."""
        return self.clock.now - Clock().now

    @property
    def errors(self) -> dict[str, BotError]:
        """Why bots failed."""
        return {
            bot: each
            for bot, results in self.found.items()
            for each in results
            if isinstance(each, BotError)
        }

    def requests(self, bot: str) -> int:
        return sum(each == bot for each, *_ in self.vendor.sent)

    def assert_whole(self, *bots: str) -> None:
        """All of some bots was read, or of all of them."""
        for bot in bots or self.vendor.rows:
            rows = len(self.vendor.rows[bot])
            assert numbers(self.found[bot]) == list(range(0, 60 * rows, 60)), bot


def phases(random: Random, start: float, end: float) -> Iterator[tuple[float, float]]:
    """When a host that flaps is down."""
    while start < end:
        until = min(start + random.uniform(3, 120), end)
        yield start, until
        start = until + random.uniform(0.2, 15)


def outage(random: Random) -> World:
    """A world whose host is down for up to nine minutes, somehow."""
    world = World(busy_vendor(random.choice([1, 2, 3, 8, 20])))
    world.latency = random.choice([0.05, 0.3, 1.0])
    kinds = random.choice([*[[each] for each in FAULTS], FAULTS])
    # Before the first answer, only what is plainly the host's is one.
    start = world.clock.now + random.uniform(1.5, 3.5) * world.latency
    if kinds == [BUSY] and random.random() < 0.5:
        start = world.clock.now
    downs = [(start, start + random.uniform(5, 540))]
    if random.random() < 0.4:
        downs = list(phases(random, *downs[0]))

    def answer(now: float, *_: object) -> Fault | None:
        if any(start <= now < end for start, end in downs):
            world.faults += 1
            return random.choice(kinds)
        return None

    world.answer = answer
    return world


@pytest.mark.parametrize("seed", range(200))
def test_an_outage_of_minutes_is_ridden_out(seed: int) -> None:
    random = Random(seed)
    world = outage(random)
    world.read(workers=random.choice([1, 2, 4, 8, 16]))
    assert world.faults > 0
    assert world.errors == {}
    world.assert_whole()
    assert world.ticks < 4 * (len(world.vendor.sent) + world.seconds / LIMITS.tick)


def warnings(caplog: pytest.LogCaptureFixture) -> list[str]:
    """The warnings so far."""
    return [
        record.getMessage()
        for record in caplog.records
        if record.levelno >= logging.WARNING
    ]


@pytest.mark.parametrize("kind", FAULTS)
def test_an_outage_is_logged_when_it_begins_and_when_it_is_over(
    kind: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    """Not once for each request; what fails before it counts as one is, as ever."""
    world = World(busy_vendor(20))
    start, end = world.clock.now + 3, world.clock.now + 303
    world.answer = lambda now, *_: kind if start <= now < end else None
    world.read()
    world.assert_whole()
    *early, begun, over = warnings(caplog)
    assert len(early) <= 3
    assert all("attempt 1 of 9" in each for each in early)
    assert begun.startswith(f"{URL} is down ({kind.error}); ")
    assert "for up to 10 minutes" in begun
    assert over.startswith(f"{URL} answers again, after ")


def test_while_a_host_is_down_one_request_at_a_time_asks_for_it() -> None:
    """And with pauses, however many bots there are."""
    world = World(busy_vendor(20))
    start, end = world.clock.now + 3, world.clock.now + 483
    asked = []

    def answer(now: float, *_: object) -> Fault | None:
        if not start <= now < end:
            return None
        asked.append(now - start)
        return BUSY

    world.answer = answer
    world.read()
    world.assert_whole()
    late = [each for each in asked if each > 1]
    assert 10 < len(late) < 40
    gaps = [later - each for each, later in itertools.pairwise(late)]
    assert min(gaps) > 0.5
    assert max(gaps) < 35


@pytest.mark.parametrize("kind", [*FAULTS, UNREACHED])
@pytest.mark.parametrize("workers", [1, 8])
def test_a_host_that_stays_down_is_given_up_by_all_at_once(
    kind: Fault, workers: int
) -> None:
    world = World(busy_vendor(20))
    start = world.clock.now + 3
    world.answer = lambda now, *_: kind if now >= start else None
    world.read(workers)
    whole = {bot for bot in world.found if bot not in world.errors}
    assert whole == set()
    [error] = set(world.errors.values())
    assert isinstance(error, HostError)
    assert str(error).startswith(f"{URL} has been down for 1")
    assert "raise outage_minutes" in str(error)
    assert 600 < world.seconds < 600 + 3 * kind.seconds + 65
    # Another stream asks once, and fails at once or goes on.
    made, later = len(world.vendor.sent), world.seconds
    world.found.clear()
    world.read(workers)
    assert len(world.vendor.sent) == made + 1
    assert len(world.errors) == 20
    assert world.seconds - later < kind.seconds + 1
    world.found.clear()
    world.answer = lambda *_: None
    world.read(workers)
    world.assert_whole()


@pytest.mark.parametrize("kind", [REFUSED, UNREACHED])
@pytest.mark.parametrize("workers", [1, 8])
@pytest.mark.parametrize("retries", [0, 8])
def test_a_host_that_was_never_reached_is_given_up_in_a_minute(
    kind: Fault, workers: int, retries: int, caplog: pytest.LogCaptureFixture
) -> None:
    """By all bots, of this stream and of the streams to come."""
    world = World(busy_vendor(40), answer=lambda *_: kind)
    world.read(workers, retries)
    assert world.seconds < 60
    assert world.found.keys() == world.vendor.rows.keys() == world.errors.keys()
    [error] = set(world.errors.values())
    assert isinstance(error, HostError)
    assert str(error).startswith(f"{URL} could not be reached at all")
    assert "check kore_base_url" in str(error)
    assert "max_retries" not in str(error)
    [warning] = warnings(caplog)
    assert warning.startswith(f"{URL} can't be reached ({kind.error})")
    made = len(world.vendor.sent)
    assert made < workers + 12
    before = world.seconds
    world.found.clear()
    world.read(workers, retries)
    assert set(world.errors.values()) == {error}
    assert len(world.vendor.sent) == made
    assert world.seconds == before


def test_a_name_that_is_not_known_at_first_does_no_harm() -> None:
    world = World(busy_vendor(3))
    start = world.clock.now
    world.answer = lambda now, *_: REFUSED if now < start + 12 else None
    world.read()
    world.assert_whole()


@pytest.mark.parametrize("kind", [BUSY, BROKEN, LATE, SILENT, NO_JSON])
@pytest.mark.parametrize("workers", [1, 8])
def test_a_bot_that_always_fails_is_no_outage(
    kind: Fault, workers: int, caplog: pytest.LogCaptureFixture
) -> None:
    """It ends after its retries, at the end of a run, too, when all else is over."""
    world = World(busy_vendor(20))
    world.answer = lambda _, bot, __: kind if bot == "bot 7" else None
    world.read(workers)
    healthy = [bot for bot in world.vendor.rows if bot != "bot 7"]
    world.assert_whole(*healthy)
    error = world.errors["bot 7"]
    assert isinstance(error, UnavailableError)
    assert str(error).startswith(f"{kind.error}, in 9 attempts")
    assert not any("is down" in each for each in warnings(caplog))
    counts = Counter(world.vendor.sent)
    mine = [times for (bot, *_), times in counts.items() if bot == "bot 7"]
    assert max(mine) == 9
    again = [times for (bot, *_), times in counts.items() if bot != "bot 7"]
    assert sum(again) - len(again) <= 9, "what was known to be good was asked too often"


@pytest.mark.parametrize("kind", [BUSY, BROKEN, LATE, SILENT, NO_JSON])
def test_a_part_that_always_fails_of_the_only_bot_is_no_outage(
    kind: Fault, caplog: pytest.LogCaptureFixture
) -> None:
    world = World(busy_vendor(1))
    until = START + 2 * DAY
    world.answer = lambda _, __, window: kind if window.start >= until else None
    world.read()
    assert isinstance(world.errors["bot 0"], UnavailableError)
    assert not any("is down" in each for each in warnings(caplog))
    counts = Counter(world.vendor.sent)
    assert max(n for (_, window, _), n in counts.items() if window.start >= until) == 9


@pytest.mark.parametrize("kind", [BROKEN, LATE, SILENT, NO_JSON])
def test_what_fails_from_the_first_request_on_may_be_the_requests_own(
    kind: Fault,
) -> None:
    """A range that is too wide may get a 504 of every bot: it is not waited for."""
    world = World(busy_vendor(20), answer=lambda *_: kind)
    world.read()
    assert len(world.errors) == 20
    assert {type(error) for error in world.errors.values()} == {UnavailableError}
    assert max(Counter(world.vendor.sent).values()) == 9


def test_windows_that_are_too_wide_are_narrowed_after_an_outage() -> None:
    """Nothing was answered before it, and none of what is waiting can be."""
    world = World(busy_vendor(3))
    until = world.clock.now + 120

    def answer(now: float, _: object, window: Window) -> Fault | None:
        if now < until:
            return BUSY
        return TOO_WIDE if window.width > DAY / 2 else None

    world.answer = answer
    world.read()
    assert not world.errors
    world.assert_whole()
    assert world.seconds < 500


@pytest.mark.parametrize("every", [5, 12, 40])
def test_a_time_out_now_and_then_does_not_keep_an_outage_alive(every: int) -> None:
    """As long as nothing is answered, none of it says that the host is back."""
    asked = itertools.count(1)
    world = World(
        busy_vendor(3),
        answer=lambda *_: BUSY if next(asked) % every else TOO_WIDE,
    )
    world.read()
    assert world.errors.keys() == world.vendor.rows.keys()
    assert world.seconds < 3 * TEN_MINUTES
    assert len(world.vendor.sent) < 600


def test_an_outage_that_begins_after_a_wide_window_failed_is_waited_for() -> None:
    """The first answers tell nothing of the host, and those after them do."""
    world = World(busy_vendor(2))
    began = world.clock.now

    def answer(now: float, _: object, window: Window) -> Fault | None:
        if began + 1 < now < began + 300:
            return BUSY
        return replace(TOO_WIDE, seconds=1.0) if window.width > DAY / 2 else None

    world.answer = answer
    world.read()
    assert not world.errors
    world.assert_whole()


def test_a_refusal_for_good_shows_that_a_host_is_up() -> None:
    world = World(busy_vendor(1))
    start, end = world.clock.now + 0.25, world.clock.now + 60
    refused = RequestError(URL, 404)

    def answer(now: float, *_: object) -> Fault | None:
        if now >= end:
            raise refused
        return BUSY if now >= start else None

    world.answer = answer
    world.read()
    assert world.errors == {"bot 0": refused}
    assert world.seconds < 100


def test_an_outage_is_not_waited_for_where_the_settings_say_so() -> None:
    world = World(busy_vendor(3), host=Health(URL, 0, "kore_base_url"))
    start = world.clock.now + 0.5
    world.answer = lambda now, *_: BUSY if now >= start else None
    world.read(retries=2)
    assert {type(error) for error in world.errors.values()} == {UnavailableError}
    assert world.seconds < 10


def test_what_waits_for_a_host_looks_at_signals_all_the_time() -> None:
    class EndedError(Exception):
        """A signal came."""

    world = World(busy_vendor(3))
    start = world.clock.now + 1
    world.answer = lambda now, *_: BUSY if now >= start else None
    seen = []

    def tick() -> None:
        seen.append(world.clock.now)
        if world.clock.now > start + 100:
            raise EndedError  # as a signal would end it

    world.tick = tick  # type: ignore[method-assign]  # it is what a signal is seen by
    with pytest.raises(EndedError):
        world.read(tick=0.2)
    assert max(later - each for each, later in itertools.pairwise(seen)) < 0.5
    # The request that was in flight then keeps nobody from beginning anew.
    world.tick = lambda: None  # type: ignore[method-assign]
    world.answer = lambda *_: None
    world.found.clear()
    world.read()
    world.assert_whole()


@pytest.mark.parametrize("kind", [SILENT, LATE, BROKEN])
@pytest.mark.parametrize("workers", [1, 2, 3, 4, 8, 16])
def test_bots_that_answer_are_served_first(kind: Fault, workers: int) -> None:
    """Ten of twenty do not: that they don't must be found out, once of each of them."""
    bots = [f"bot {number}" for number in range(0, 20, 2)]
    alone = World(busy_vendor(20))
    alone.read(workers, bots=bots)
    world = World(busy_vendor(20))
    world.answer = lambda _, bot, __: None if bot in bots else kind
    world.read(workers, retries=3)
    world.assert_whole(*bots)
    assert len(world.errors) == 10
    rounds = math.ceil(10 / workers) if workers <= 10 else 0
    others = workers / (workers - 10) if workers > 10 else 4 / 3
    took = max(world.ends[bot] for bot in bots) - Clock().now
    assert took < 1.3 * others * alone.seconds + rounds * kind.seconds


def test_bots_that_fail_are_not_left_to_the_end() -> None:
    """One failure keeps a bot waiting until the others have begun, not longer."""
    world = World(busy_vendor(8, rows=120))
    failed: set[str] = set()

    def answer(_: float, bot: str, __: Window) -> Fault | None:
        if bot in failed or bot not in {"bot 0", "bot 1"}:
            return None
        failed.add(bot)
        return BROKEN

    world.answer = answer
    world.read(workers=2)
    world.assert_whole()
    assert len(failed) == 2
    sent = [bot for bot, *_ in world.vendor.sent]
    assert sum(bot in failed for bot in sent[: len(sent) * 3 // 4]) > 10
