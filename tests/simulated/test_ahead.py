"""Reading ahead: all bots at once, in order for each, within bounds, to any end."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, defaultdict
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import Phase, given, settings
from hypothesis import strategies as st
from typing_extensions import override

from simulator import Rule, Simulator, World
from simulator.faults import (
    bad_json,
    cut,
    hang,
    hook,
    html,
    latency,
    reset,
    status,
    wrong_total,
)
from tap_botsessions.engine.capacity import Capacity
from tap_botsessions.engine.errors import (
    BotError,
    IncompleteError,
    RequestError,
    TransientError,
)
from tap_botsessions.engine.jobs import Job, TimeRanges
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.pages import Fetch, Page, Reading, Seen, WindowResult
from tap_botsessions.engine.reader import read_window
from tap_botsessions.engine.records import Row
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.windows import Window
from tap_botsessions.engine.workers import Workers
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, Tap, config_for, end_of, hand_in, sync
from tests.truth import LISTS, STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from singer_sdk.singerlib.encoding.simple import Message

    from simulator.exchange import Reply
    from simulator.faults import Answer, Effect

START = datetime(2026, 5, 1, tzinfo=UTC)
DAY = timedelta(days=1)
PATIENCE = 10.0
"""Seconds after which reading ahead counts as stuck."""

UNCAPPED = 997
"""A page size of which no count is a multiple: none looks like a limit."""

REFUSED = "answered something else"

Outcomes = dict[str, list[WindowResult | BotError]]


def row(number: int, bot: str = "bot 0") -> Row:
    """A row so many minutes after the start."""
    return Row(
        (str(number),), START + timedelta(minutes=number), {"number": number}, bot
    )


def reader_threads() -> list[threading.Thread]:
    """The threads that read ahead and are still alive."""
    return [
        thread
        for thread in threading.enumerate()
        if thread.name.startswith("tap-botsessions")
    ]


@dataclass
class Vendor:
    """Lists of bots, served page by page; a test may say what happens at a page.

    Attributes:
        rows: The rows of each bot.
        size: Rows in a page.
        most: More rows than this are not taken at once.
        most_bytes: More bytes than this are not taken at once.
        weigh: The bytes of a row.
        at: Called with bot, window and position, in the thread that makes the request.
        sent: The requests so far, as they began.
        served: Bot and key of each row that was sent.
        busy: Requests in flight.
        peak: The most requests that ever were.
    """

    rows: dict[str, list[Row]]
    size: int = 5
    most: int = 12
    most_bytes: int = Limits.max_window_bytes
    weigh: Callable[[Row], int] = lambda _: 0
    at: Callable[[str, Window, int], object] = lambda *_: None
    sent: list[tuple[str, Window, int]] = field(default_factory=list)
    served: set[tuple[str, tuple[str, ...]]] = field(default_factory=set)
    busy: int = 0
    peak: int = 0
    lock: threading.Lock = field(default_factory=threading.Lock)

    def job(
        self,
        bot: str,
        spans: Sequence[Window],
        budget: Budget | None = None,
        widest: timedelta = 2 * DAY,
    ) -> Job:
        """The job of a bot."""
        budget = budget or Budget("tests", 100_000)
        limits = Limits(max_window_rows=self.most, max_window_bytes=self.most_bytes)
        capacity = Capacity(limits)

        def begin(window: Window, seen: Seen) -> Reading:
            return read_window(
                lambda part: [Listing(self, bot, part, budget)],
                window,
                seen,
                capacity,
            )

        return Job([bot], TimeRanges(spans, begin, widest))

    def send(self, bot: str, window: Window, position: int) -> Page:
        """Serve a page."""
        with self.lock:
            self.sent.append((bot, window, position))
            self.busy += 1
            self.peak = max(self.peak, self.busy)
        try:
            self.at(bot, window, position)
            inside = [
                row._replace(bot=bot) for row in self.rows[bot] if row.time in window
            ]
            page = inside[position : position + self.size]
            with self.lock:
                self.served.update((bot, row.key) for row in page)
            following = position + len(page)
            return Page(
                page,
                len(page),
                len(inside),
                following < len(inside),
                following,
                size=sum(map(self.weigh, page)),
            )
        finally:
            with self.lock:
                self.busy -= 1


@dataclass
class Listing:
    """One bot's list in one window; a position is how many rows are skipped."""

    vendor: Vendor
    bot: str
    window: Window
    budget: Budget
    first: int = 0
    page_size: int = UNCAPPED

    def fetch(self, position: int) -> Fetch:
        send = partial(self.vendor.send, self.bot, self.window, position)
        return Fetch(send, self.budget, self.bot)

    def fetch_count(self) -> Fetch:
        return self.fetch(self.first)

    def remaining(self, first: Page) -> range:
        return range(first.received, first.total, max(first.received, 1))


def busy_vendor(bots: int, rows: int = 100, **more: Any) -> Vendor:
    """Bots with so many rows each, a row an hour."""
    names = [f"bot {number}" for number in range(bots)]
    return Vendor(
        {name: [row(60 * number) for number in range(rows)] for name in names}, **more
    )


def jobs_of(vendor: Vendor, days: int = 5) -> list[Job]:
    """A job for each bot, over one range of so many days."""
    span = Window(START, START + days * DAY)
    return [vendor.job(bot, [span]) for bot in vendor.rows]


@contextmanager
def reading(
    jobs: Sequence[Job], workers: int = 4, retries: int = 2, **limits: Any
) -> Iterator[Any]:
    """Read ahead, and fail if that gets stuck; no thread may be left behind."""
    deadline = time.monotonic() + PATIENCE

    def on_tick() -> None:
        assert time.monotonic() < deadline, "stuck"

    own = replace(Tap.limits, **limits)
    with Scheduler(jobs, Workers(workers), retries, own, on_tick) as ahead:
        yield ahead
    assert reader_threads() == []


def read(jobs: Sequence[Job], **more: Any) -> Outcomes:
    """Read all of it; the outcomes of each bot, in the order in which they came."""
    outcomes: Outcomes = defaultdict(list)
    with reading(jobs, **more) as ahead:
        for _, bot, outcome in ahead:
            outcomes[bot].append(outcome)
    return outcomes


def windows(outcomes: Sequence[WindowResult | BotError]) -> list[Window]:
    """The windows that were taken."""
    return [
        outcome.window
        for outcome in outcomes
        if isinstance(outcome, WindowResult) and outcome.window
    ]


def numbers(outcomes: Sequence[WindowResult | BotError]) -> list[int]:
    """The numbers of the rows that were taken, as they came."""
    return [
        row.record["number"]
        for outcome in outcomes
        if isinstance(outcome, WindowResult)
        for row in outcome.rows
    ]


def assert_joined(found: Sequence[Window], spans: Sequence[Window]) -> None:
    """Windows make up spans in order, without a gap and without an overlap."""
    left = list(spans)
    for window in found:
        assert window.start == left[0].start
        assert window.end <= left[0].end
        left[0] = Window(window.end, left[0].end)
        if left[0].start == left[0].end:
            left.pop(0)
    assert left == []


def test_windows_come_in_order_though_they_arrive_in_reverse() -> None:
    """Each first page is held back until the one of the next window has come."""
    vendor = busy_vendor(1, rows=0)
    spans = [Window(START + n * DAY, START + (n + 1) * DAY) for n in range(4)]
    came = {span: threading.Event() for span in spans}

    def arrive(_: str, window: Window, __: int) -> None:
        following = came.get(Window(window.end, window.end + DAY))
        if following:
            assert following.wait(PATIENCE)
        came[window].set()

    vendor.at = arrive
    outcomes = read([vendor.job("bot 0", spans)])
    assert windows(outcomes["bot 0"]) == spans


def test_a_slow_bot_does_not_keep_the_others_waiting() -> None:
    """All of the fast one is handed out before the slow one's first page comes."""
    vendor = busy_vendor(2)
    fast_is_done = threading.Event()

    def wait(bot: str, _: Window, __: int) -> None:
        if bot == "bot 0":
            assert fast_is_done.wait(PATIENCE)

    vendor.at = wait
    found = 0
    with reading(jobs_of(vendor), workers=8) as ahead:
        for _, bot, taken in ahead:
            found += bot == "bot 1" and len(taken.rows)
            if found == 100:
                fast_is_done.set()


@pytest.mark.parametrize("workers", [1, 3, 16])
def test_no_more_requests_are_in_flight_than_workers(workers: int) -> None:
    vendor = busy_vendor(4)
    all_are_busy = threading.Event()

    def hold(*_: object) -> None:
        if vendor.busy == workers:
            all_are_busy.set()
        all_are_busy.wait(0.5)

    vendor.at = hold
    outcomes = read(jobs_of(vendor), workers=workers)
    assert vendor.peak == workers
    assert all(
        numbers(found) == list(range(0, 6000, 60)) for found in outcomes.values()
    )


@dataclass
class Shape:
    """A bot of a random run.

    Attributes:
        minutes: When its rows are.
        days: How wide each of its ranges is.
        fails_at: The minute at which every request fails for good, if any.
    """

    minutes: list[int]
    days: list[int]
    fails_at: int | None

    @property
    def spans(self) -> list[Window]:
        """Its ranges, one after another."""
        starts = [START + DAY * sum(self.days[:n]) for n in range(len(self.days))]
        return [
            Window(start, start + DAY * days)
            for start, days in zip(starts, self.days, strict=True)
        ]


SHAPES = st.builds(
    Shape,
    minutes=st.lists(st.integers(0, 6 * 1440 - 1), max_size=60, unique=True),
    days=st.lists(st.integers(1, 3), max_size=4),
    fails_at=st.none() | st.integers(0, 6 * 1440),
)


# To shrink a run that is stuck would take as many times as long.
@settings(max_examples=120, deadline=None, phases=set(Phase) - {Phase.shrink})
@given(
    shapes=st.lists(SHAPES, max_size=5),
    workers=st.integers(1, 9),
    ahead=st.tuples(
        st.sampled_from([1, 20, 10_000]), st.sampled_from([1, 1_000, 10**9])
    ),
    most_bytes=st.sampled_from([1, 300, 10**9]),
    seed=st.integers(0, 1000),
)
def test_every_window_of_a_healthy_bot_comes_once_and_in_order(
    shapes: list[Shape],
    workers: int,
    ahead: tuple[int, int],
    most_bytes: int,
    seed: int,
) -> None:
    """Whatever the ranges, narrowing, sizes, latencies, refusals and retries."""
    random = Random(seed)
    bots = {f"bot {number}": shape for number, shape in enumerate(shapes)}
    vendor = Vendor(
        {bot: [row(n) for n in sorted(shape.minutes)] for bot, shape in bots.items()},
        most_bytes=most_bytes,
        weigh=lambda row: 10 ** (row.record["number"] % 4),
    )
    refused: set[tuple[str, datetime]] = set()
    repeated: Counter[tuple[str, Window, int]] = Counter()

    def answer(bot: str, window: Window, position: int) -> None:
        time.sleep(random.choice((0, 0, 0.001, 0.002)))
        minute = bots[bot].fails_at
        if minute is not None and START + timedelta(minutes=minute) in window:
            refused.add((bot, window.start))
            raise RequestError(REFUSED)
        repeated[bot, window, position] += 1
        if random.random() < 0.2 and repeated[bot, window, position] < 3:
            raise TransientError(REFUSED)

    vendor.at = answer
    jobs = [vendor.job(bot, shape.spans) for bot, shape in bots.items()]
    limits = {"max_backoff": 0.0}
    limits |= zip(("max_rows_ahead", "max_bytes_ahead"), ahead, strict=True)
    outcomes = read(jobs, workers=workers, **limits)
    assert vendor.peak <= workers
    for bot, shape in bots.items():
        found, spans = outcomes[bot], shape.spans
        if any(name == bot for name, _ in refused):
            assert [isinstance(outcome, BotError) for outcome in found] == (
                [False] * (len(found) - 1) + [True]
            )
            end = max((window.end for window in windows(found)), default=START)
            assert (bot, end) in refused
            spans = [
                Window(span.start, min(span.end, end))
                for span in spans
                if span.start < end
            ]
        assert_joined(windows(found), spans)
        inside = [
            n for n in sorted(shape.minutes) if any(row(n).time in s for s in spans)
        ]
        assert numbers(found) == inside


def dense_jobs(vendor: Vendor) -> list[Job]:
    """Windows of 120 rows, twelve for each bot, that are not narrowed."""
    spans = [Window(START + n * 5 * DAY, START + (n + 1) * 5 * DAY) for n in range(12)]
    return [vendor.job(bot, spans, widest=5 * DAY) for bot in vendor.rows]


@pytest.mark.parametrize("bots", [1, 3])
def test_rows_are_held_up_to_a_bound_while_the_first_window_is_awaited(
    bots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests in flight when the bound was reached come on top."""
    hand_in(monkeypatch, max_rows_ahead=50)
    vendor = busy_vendor(bots, rows=1440, most=1000)
    held = []

    def hold_up(bot: str, window: Window, position: int) -> None:
        if (bot, window.start, position) == ("bot 0", START, 0):
            time.sleep(0.2)
            held.append(sum(name == bot for name, _ in vendor.served))

    vendor.at = hold_up
    outcomes = read(dense_jobs(vendor))
    assert held[0] <= 50 + 4 * 5
    assert all(len(numbers(found)) == 1440 for found in outcomes.values())


@pytest.mark.parametrize(
    "bots",
    [
        1,
        16,
    ],
)
def test_rows_are_held_up_to_a_bound_while_the_target_is_slow(
    bots: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Requests in flight come on top, and at most a window for each worker."""
    hand_in(monkeypatch, max_rows_ahead=50)
    vendor = busy_vendor(bots, rows=1440, most=1000)
    with reading(dense_jobs(vendor)) as ahead:
        next(iter(ahead))
        for _ in range(300):
            ahead.poll()
            time.sleep(0.001)
    assert len(vendor.served) <= 50 + 4 * 5 + 4 * 120


def heavy_vendor(bots: int) -> Vendor:
    """Rows of a hundred bytes, of which no more than four pages are taken at once."""
    return busy_vendor(
        bots, rows=1440, most=1000, most_bytes=2_000, weigh=lambda _: 100
    )


@pytest.mark.parametrize("bots", [1, 16])
def test_bytes_are_held_up_to_a_bound_while_the_target_is_slow(bots: int) -> None:
    """And a page counts thrice while it comes; those of the start come on top."""
    vendor = heavy_vendor(bots)
    with reading(dense_jobs(vendor), max_bytes_ahead=20_000) as ahead:
        next(iter(ahead))
        for _ in range(300):
            ahead.poll()
            time.sleep(0.001)
    assert 100 <= len(vendor.served) <= 200 + 4 * 5


@pytest.mark.parametrize("bots", [1, 16])
def test_bytes_are_held_up_to_a_bound_whoever_is_waited_for(bots: int) -> None:
    """Of many bots none has all it needs: one of them is read on then."""
    vendor = heavy_vendor(bots)
    held, handed_out = [], 0

    def count(*_: object) -> None:
        held.append(len(vendor.served) - handed_out)

    vendor.at = count
    with reading(dense_jobs(vendor), workers=16, max_bytes_ahead=5_000) as ahead:
        for _, _, outcome in ahead:
            handed_out += len(outcome.rows)
    assert handed_out == bots * 1440
    # A window comes on top, and a page of each bot before the first one has come.
    assert max(held) <= 50 + 20 + bots * 5


def test_what_is_larger_than_it_looked_is_narrowed_as_it_comes() -> None:
    """The first page is small, and the others are not."""

    def weigh(row: Row) -> int:
        return 1 if row.time.hour < 12 else 200

    vendor = busy_vendor(1, most=1000, most_bytes=2_000, weigh=weigh)
    [found] = read(jobs_of(vendor), workers=1).values()
    assert numbers(found) == [60 * number for number in range(100)]
    assert all(
        isinstance(each, WindowResult) and sum(map(weigh, each.rows)) <= 2_400
        for each in found
    )


def test_a_bot_that_waits_does_not_stop_the_others_though_much_is_held(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """The first window of one bot has to wait, and the windows after it are held."""
    hand_in(monkeypatch, max_rows_ahead=20)
    vendor = busy_vendor(2, rows=1440, most=1000)
    done = threading.Event()

    def answer(bot: str, window: Window, _: int) -> None:
        if bot == "bot 0" and window.start == START and not done.is_set():
            raise TransientError(REFUSED, wait=0.2)

    vendor.at = answer
    order = []
    with reading(dense_jobs(vendor), workers=2, retries=10) as ahead:
        for _, bot, _ in ahead:
            order.append(bot)
            if order.count("bot 1") == 12:
                done.set()
    assert order == ["bot 1"] * 12 + ["bot 0"] * 12


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("retries", [0, 1, 3])
def test_a_request_is_repeated_so_often_and_then_fails(retries: int) -> None:
    vendor = busy_vendor(2)

    def fail(bot: str, _: Window, __: int) -> None:
        if bot == "bot 0":
            raise TransientError(REFUSED)

    vendor.at = fail
    outcomes = read(jobs_of(vendor), workers=1, retries=retries)
    [error] = outcomes["bot 0"]
    assert isinstance(error, RequestError)
    assert f"{REFUSED}, in {retries + 1} attempts" in str(error)
    assert sum(bot == "bot 0" for bot, _, _ in vendor.sent) == retries + 1
    assert len(numbers(outcomes["bot 1"])) == 100


def test_a_pause_that_takes_too_long_is_waited_for_by_no_bot() -> None:
    vendor = busy_vendor(3)
    shared = Budget("tests", 100_000)

    def fail(*_: object) -> None:
        raise TransientError(REFUSED, wait=Limits().max_pause + 1, limit="hour")

    vendor.at = fail
    span = [Window(START, START + 5 * DAY)]
    outcomes = read([vendor.job(bot, span, shared) for bot in vendor.rows])
    for bot in vendor.rows:
        [error] = outcomes[bot]
        assert isinstance(error, RequestError)
        assert "asks to wait for 1.0 hours" in str(error)
    assert len(set(vendor.sent)) == len(vendor.sent)


def test_a_refusal_for_a_rate_pauses_all_that_the_budget_is_for() -> None:
    """Bots of the same budget make no request meanwhile; the others go on."""
    vendor = busy_vendor(3)
    shared = Budget("tests", 100_000)
    sent: list[tuple[str, float]] = []

    def answer(bot: str, *_: object) -> None:
        sent.append((bot, time.monotonic()))
        if len(sent) == 1:
            raise TransientError(REFUSED, wait=0.5, limit="minute")

    vendor.at = answer
    span = [Window(START, START + 5 * DAY)]
    jobs = [
        vendor.job("bot 0", span, shared),
        vendor.job("bot 1", span, shared),
        vendor.job("bot 2", span),
    ]
    outcomes = read(jobs, workers=1)
    assert all(len(numbers(found)) == 100 for found in outcomes.values())
    refused_at = sent[0][1]
    meanwhile = [bot for bot, at in sent[1:] if at < refused_at + 0.5]
    assert set(meanwhile) == {"bot 2"}


def test_a_mistake_in_the_code_is_raised_where_it_is_seen() -> None:
    def fail(*_: object) -> None:
        raise ZeroDivisionError

    vendor = busy_vendor(3, at=fail)
    with pytest.raises(ZeroDivisionError), reading(jobs_of(vendor)) as ahead:
        list(ahead)
    assert reader_threads() == []


@pytest.mark.parametrize("error", [None, KeyboardInterrupt(), ValueError("any")])
def test_to_leave_early_makes_no_further_request_and_leaves_no_thread(
    error: BaseException | None,
) -> None:
    vendor = busy_vendor(3, rows=1000, at=lambda *_: time.sleep(0.002))
    try:
        with reading(jobs_of(vendor, days=60)) as ahead:
            for _ in ahead:
                if error is None:
                    break
                raise error
    except (KeyboardInterrupt, ValueError) as raised:
        assert raised is error  # noqa: PT017 -- also what pytest.raises would not catch
    assert reader_threads() == []
    sent = len(vendor.sent)
    assert 0 < sent < 300
    time.sleep(0.05)
    assert len(vendor.sent) == sent


def test_the_first_reading_of_a_job_comes_first() -> None:
    vendor = busy_vendor(1)
    [job] = jobs_of(vendor)

    def first() -> Reading:
        pages = yield [
            Fetch(
                lambda: Page([row(7)], 1, 1, more=False, next_position=1),
                Budget("tests", 9),
                "x",
            )
        ]
        return WindowResult(None, pages[0].rows)

    job.first = first()
    outcomes = read([job])["bot 0"]
    assert isinstance(outcomes[0], WindowResult)
    assert outcomes[0].window is None
    assert numbers(outcomes) == [7, *range(0, 6000, 60)]


def test_an_error_of_the_first_reading_of_a_job_ends_it() -> None:
    vendor = busy_vendor(1)
    [job] = jobs_of(vendor)

    def first() -> Reading:
        yield from ()
        raise IncompleteError(REFUSED)

    job.first = first()
    [error] = read([job])["bot 0"]
    assert isinstance(error, IncompleteError)


# Against the simulator.


@dataclass
class Gauge:
    """An effect that slows requests down and counts those that are in flight."""

    seconds: float
    now: int = 0
    peak: int = 0

    async def __call__(self, answer: Answer) -> Reply:
        self.now += 1
        self.peak = max(self.peak, self.now)
        try:
            await asyncio.sleep(self.seconds)
            return await answer()
        finally:
            self.now -= 1


def assert_whole(synced: Synced, world: World, *streams: Any) -> None:
    """All of some streams came, each record once."""
    assert synced.failures == []
    for stream in streams or STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert len(synced.keys(stream)) == len(truth) > 0


@pytest.mark.parametrize("most", [1, 3, 8])
def test_the_vendor_sees_no_more_requests_at_once_than_set(
    simulator: Simulator, most: int
) -> None:
    gauge = Gauge(0.003 * most)  # so long that as many more can arrive meanwhile
    simulator.faults.rules.append(Rule(gauge))
    synced = sync(
        simulator,
        avaamo_page_size=30,
        kore_page_size=30,
        max_concurrent_requests=most,
    )
    assert_whole(synced, simulator.world)
    assert gauge.peak == most


@pytest.mark.parametrize("stream", STREAMS)
def test_all_bots_are_read_at_the_same_time(simulator: Simulator, stream: Any) -> None:
    """The first record of the last bot leaves before the last record of the first."""
    simulator.faults.rules.append(Rule(latency(0.02)))
    synced = sync(simulator, streams=(stream,), window_days=1)
    assert_whole(synced, simulator.world, stream)
    bots = [bot for bot, *_ in synced.keys(stream)]
    first, last = sorted(set(bots))
    assert bots.index(last) < len(bots) - bots[::-1].index(first) - 1


@dataclass
class Shown:
    """An effect that records which records the pages show, by name or id."""

    names: set[str] = field(default_factory=set)

    async def __call__(self, answer: Answer) -> Reply:
        reply = await answer()
        assert isinstance(reply.body, dict)
        for record in reply.body.get("entries") or reply.body.get("sessions", ()):
            name = record.get("message_uuid") or record.get("sessionId")
            self.names.add(name or record["layer_id"])
        return reply


@pytest.mark.parametrize("stream", LISTS)
@pytest.mark.parametrize("leaving", [False, True])
@pytest.mark.parametrize("every", [2, 5])
def test_a_list_that_moves_while_many_pages_are_in_flight_loses_nothing(
    stream: Any,
    leaving: bool,  # noqa: FBT001 -- rows leave the list, or arrive late
    every: int,
) -> None:
    """Each record of a page comes once, and as it is unless it left the list."""
    world = World(days=8, sessions_per_day=20, messages_per_session=2)
    bots = world.bots_of(stream)
    before = expected(world, stream, world.start, end_of(world))
    moments = iter(
        [
            (bot, world.start + timedelta(hours=6 * number, seconds=7))
            for number in range(30)
            for bot in bots
        ]
    )

    def move() -> None:
        if (moment := next(moments, None)) is None:
            return
        bot, at = moment
        if leaving:
            rows = world.rows(stream, bot, round(at.timestamp() * 1000), world.clock)
            world.remove(stream, bot, datetime.fromtimestamp(rows[0].at / 1000, UTC))
        else:
            world.add_late(stream, bot, at)

    shown, page = Shown(), len(before) // 40
    with Simulator(world) as simulator:
        simulator.faults.rules += [Rule(hook(move), every=every), Rule(shown)]
        synced = sync(
            simulator,
            streams=(stream,),
            kore_page_size=page,
            avaamo_page_size=page,
            max_concurrent_requests=8,
        )
    after = expected(world, stream, world.start, end_of(world))
    staying = {key: record for key, record in before.items() if key in after}
    assert len(before.keys() ^ after.keys()) > 5
    assert synced.failures == []
    found = synced.records[stream]
    assert_same({key: found.get(key, {}) for key in staying}, staying)
    assert len(synced.keys(stream)) == len(found)
    assert shown.names == {name for _, name, *_ in found}


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize("stream", STREAMS)
@pytest.mark.parametrize(
    "effect",
    [
        bad_json(),
        cut(),
        hang(),
        html(),
        latency(0.05),
        reset(),
        reset(after=40),
        status(408),
        status(429, headers={"Retry-After": "0"}),
        status(500),
        status(503, headers={"Retry-After": "0"}),
        wrong_total(2),
        wrong_total(-1),
    ],
)
def test_no_passing_fault_loses_anything_of_any_stream(
    stream: Any, effect: Effect
) -> None:
    with Simulator(World(days=4, sessions_per_day=10)) as simulator:
        rule = Rule(effect, every=2, times=5)
        simulator.faults.rules.append(rule)
        synced = sync(
            simulator,
            streams=(stream,),
            window_days=1,
            request_timeout_seconds=0.2,
            kore_page_size=4,
            avaamo_page_size=9,
        )
        assert rule.fired >= 4
        assert_whole(synced, simulator.world, stream)


def test_a_dry_run_makes_few_requests_and_leaves_no_thread(
    simulator: Simulator,
) -> None:
    simulator.faults.rules.append(Rule(latency(0.01)))
    config = config_for(simulator, window_days=0.5)
    tap = TapBotsessions(config=config, message_writer=Synced())
    assert tap.run_connection_test()
    assert reader_threads() == []
    sent = len(simulator.requests)
    assert sent <= len(tap.streams) * 8 * 3
    time.sleep(0.05)
    assert len(simulator.requests) == sent


class Breaking(Synced):
    """A target that breaks at its hundredth message."""

    @override
    def write_message(self, message: Message) -> None:
        super().write_message(message)
        if len(self.messages) == 100:
            raise BrokenPipeError


def test_an_exception_leaves_no_thread_and_makes_no_further_request(
    simulator: Simulator,
) -> None:
    simulator.faults.rules.append(Rule(latency(0.01)))
    tap = TapBotsessions(
        config=config_for(simulator, window_days=0.5), message_writer=Breaking()
    )
    with pytest.raises(BrokenPipeError):
        tap.sync_all()
    assert reader_threads() == []
    sent = len(simulator.requests)
    time.sleep(0.05)
    assert len(simulator.requests) == sent
