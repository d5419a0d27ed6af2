"""A window is read whole, though its lists move while they are read."""

from __future__ import annotations

import math
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from typing_extensions import override

from tap_botsessions.engine.capacity import Capacity, next_width
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.pages import Fetch, Lists, Page, Reading, Seen, WindowResult
from tap_botsessions.engine.reader import read_window
from tap_botsessions.engine.records import Row
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable

START = datetime(2026, 5, 1, tzinfo=UTC)
NOTHING: Seen = {}
BUDGET = Budget("tests", 1000)
DAY = Window(START, START + timedelta(days=1))
HOUR = timedelta(hours=1)
LIMITS = Limits()


def drive(reading: Reading) -> WindowResult:
    """Make the requests of a reading one after another."""
    try:
        batch = next(reading)
        while True:
            batch = reading.send([fetch.send() for fetch in batch])
    except StopIteration as stop:
        taken: WindowResult = stop.value
        assert taken.window is not None
        return taken


def end_of(taken: WindowResult) -> datetime:
    assert taken.window is not None
    return taken.window.end


def row(number: float) -> Row:
    """A row `number` minutes after the start of the day, named by its number."""
    time = START + timedelta(minutes=number)
    return Row((str(number),), time, {"number": number}, "bot")


@dataclass
class Vendor:
    """A list that is served like Kore.ai's by offset, or like Avaamo's by page number.

    Attributes:
        rows: Its rows.
        size: Rows in a page at most.
        capped_at: The page size by which it is told whether a count looks like a limit;
            none does by default.
        numbered: Whether positions are page numbers.
        meanwhile: Called before each page is served, with the count of pages so far.
        order: Orders the rows of a list.
        fetched: Every position that was requested.
    """

    rows: list[Row]
    size: int = 3
    numbered: bool = False
    meanwhile: Callable[[int], None] = lambda _: None
    order: Callable[[list[Row]], list[Row]] = lambda rows: sorted(
        rows, key=lambda row: row.time, reverse=True
    )
    fetched: list[int] = field(default_factory=list)
    capped_at: int = 997

    def listings(self, window: Window) -> list[Listing]:
        return [Listing(self, window)]

    def take(
        self, max_rows: int = LIMITS.max_window_rows, seen: Seen | None = None
    ) -> WindowResult:
        limits = Limits(max_window_rows=max_rows)
        return drive(read_window(self.listings, DAY, seen or {}, Capacity(limits)))


@dataclass(frozen=True)
class Listing:
    """The vendor's rows in a window; like many a server, it takes the end in."""

    vendor: Vendor
    window: Window

    @property
    def first(self) -> int:
        return 1 if self.vendor.numbered else 0

    @property
    def page_size(self) -> int:
        return self.vendor.capped_at

    def fetch(self, position: int) -> Fetch:
        return Fetch(lambda: self.page(position), BUDGET, "tests")

    def page(self, position: int) -> Page:
        vendor = self.vendor
        vendor.meanwhile(len(vendor.fetched))
        vendor.fetched.append(position)
        inside = [
            row
            for row in vendor.rows
            if self.window.start <= row.time <= self.window.end
        ]
        skipped = (position - 1) * vendor.size if vendor.numbered else position
        page = vendor.order(inside)[skipped : skipped + vendor.size]
        following = position + (1 if vendor.numbered else len(page))
        more = skipped + len(page) < len(inside)
        return Page(page, len(page), len(inside), more, following)

    def fetch_count(self) -> Fetch:
        return self.fetch(self.first)

    def remaining(self, first: Page) -> range:
        if self.vendor.numbered:
            return range(2, math.ceil(first.total / max(first.received, 1)) + 1)
        return range(first.received, first.total, max(first.received, 1))


def numbers(taken: WindowResult) -> list[float]:
    """The numbers of the rows that were taken, in the order in which they came."""
    return [row.record["number"] for row in taken.rows]


@pytest.mark.parametrize("numbered", [False, True])
@pytest.mark.parametrize("count", [0, 1, 2, 3, 4, 6, 7, 30])
def test_a_quiet_list_is_read_page_by_page_and_once(
    *, count: int, numbered: bool
) -> None:
    vendor = Vendor([row(number) for number in range(count)], numbered=numbered)
    taken = vendor.take()
    assert numbers(taken) == list(range(count))
    assert taken.window == DAY
    assert len(vendor.fetched) == max(math.ceil(count / vendor.size), 1)


def test_rows_at_the_end_of_a_window_belong_to_the_next_one() -> None:
    vendor = Vendor([row(0), row(24 * 60)])
    taken = vendor.take()
    assert numbers(taken) == [0]
    assert list(taken.carried_over) == [("1440",)]


def test_paging_goes_on_from_the_rows_that_came_where_pages_are_short() -> None:
    vendor = Vendor([row(number) for number in range(10)])

    def shorten(fetched: int) -> None:
        vendor.size = 2 if fetched == 1 else 3

    vendor.meanwhile = shorten
    assert numbers(vendor.take()) == list(range(10))


@pytest.mark.parametrize("numbered", [False, True])
def test_rows_that_leave_the_head_of_the_list_hide_no_other_row(
    *, numbered: bool
) -> None:
    vendor = Vendor([row(number) for number in range(30)], numbered=numbered)

    def leave(fetched: int) -> None:
        if fetched in {2, 4, 5}:
            vendor.rows.remove(max(vendor.rows, key=lambda row: row.time))

    vendor.meanwhile = leave
    assert numbers(vendor.take()) == list(range(30))


def test_a_late_row_before_every_page_loses_nothing() -> None:
    """However fast a list moves, a window of one page stands still."""
    vendor = Vendor([row(number) for number in range(30)])

    def arrive(fetched: int) -> None:
        if fetched < 100:
            vendor.rows.append(row(20 + fetched / 1000))

    vendor.meanwhile = arrive
    first = vendor.take()
    assert end_of(first) < DAY.end
    assert set(numbers(first)) >= {
        row.record["number"] for row in vendor.rows if row.time < end_of(first)
    } - {20 + (len(vendor.fetched) - 1) / 1000}


def test_an_order_that_changes_with_every_request_loses_nothing() -> None:
    random = Random(1)
    vendor = Vendor(
        [row(number) for number in range(12)],
        order=lambda rows: random.sample(rows, len(rows)),
    )
    windows = []
    found: list[float] = []
    start, seen = DAY.start, NOTHING
    capacity = Capacity(LIMITS)
    while start < DAY.end:
        taken = drive(
            read_window(vendor.listings, Window(start, DAY.end), seen, capacity)
        )
        windows.append(taken.window)
        found += numbers(taken)
        start, seen = end_of(taken), taken.carried_over
    assert found == list(range(12))
    assert len(windows) > 1


def read_all(
    lists: Lists, window: Window = DAY, capacity: Capacity | None = None
) -> list[WindowResult]:
    """Read a window part by part, as wide as each reading makes them."""
    capacity = capacity or Capacity(LIMITS)
    results = []
    start, seen = window.start, NOTHING
    while start < window.end:
        part = Window(start, window.end)
        results.append(drive(read_window(lists, part, seen, capacity)))
        start, seen = end_of(results[-1]), results[-1].carried_over
    return results


def test_a_count_that_never_holds_is_a_gap_of_the_whole_window_in_the_end() -> None:
    """To narrow it down to each second of the day would take a request for each."""

    class Liar(Listing):
        @override
        def page(self, position: int) -> Page:
            page = super().page(position)
            return page._replace(total=page.total + 3, more=False)

    vendor = Vendor([row(1), row(700)])
    results = read_all(lambda window: [Liar(vendor, window)])
    assert [number for result in results for number in numbers(result)] == [1, 700]
    assert all(result.gap for result in results)
    assert "2 records came where 5 were counted" in str(results[-1].gap)
    assert end_of(results[-1]) == DAY.end
    assert len(vendor.fetched) < 300


def test_a_wider_window_is_tried_again_after_one_that_had_to_be_narrowed() -> None:
    capacity = Capacity(replace(LIMITS, max_window_rows=10))
    capacity.note_whole(HOUR, 0, 2 * HOUR)
    # The ninth window is the first that tries more than an hour, and is too dense.
    vendor = Vendor([row(8 * 60 + number / 10) for number in range(30)])
    results = read_all(vendor.listings, capacity=capacity)
    widths = [result.window.width for result in results if result.window]
    assert sum(len(result.rows) for result in results) == 30
    assert widths[:8] == [HOUR] * 8
    assert widths[8] < HOUR
    assert max(widths) == 2 * HOUR


def test_a_window_holds_no_more_rows_than_it_may_whatever_was_disputed() -> None:
    capacity = Capacity(replace(LIMITS, max_window_rows=10))
    for _ in range(3):
        capacity.note_gap()
    vendor = Vendor([row(number * 20) for number in range(60)])
    results = read_all(vendor.listings, capacity=capacity)
    assert [number for result in results for number in numbers(result)] == [
        number * 20 for number in range(60)
    ]
    assert max(len(result.rows) for result in results) <= 10


class Cut(Listing):
    """A list that a limit cuts: it holds six rows and counts no more."""

    @override
    def page(self, position: int) -> Page:
        page = super().page(position)
        left = page.rows[: max(6 - position, 0)]
        more = position + len(left) < min(page.total, 6)
        return page._replace(
            rows=left,
            received=len(left),
            total=min(page.total, 6),
            more=more,
            next_position=position + len(left),
        )


def test_a_limit_lies_where_a_list_was_counted_that_is_just_as_long() -> None:
    hours = [*range(1, 7), *range(13, 22)]
    vendor = Vendor([row(60 * hour) for hour in hours], capped_at=3)
    capacity = Capacity(LIMITS)
    noon = DAY.start + 12 * HOUR
    results = [
        result
        for half in (Window(DAY.start, noon), Window(noon, DAY.end))
        for result in read_all(lambda window: [Cut(vendor, window)], half, capacity)
    ]
    found = [number for result in results for number in numbers(result)]
    assert found == [60 * hour for hour in hours]


@pytest.mark.parametrize("times", [1, 2, 3])
def test_a_count_that_is_wrong_does_not_hide_a_limit(times: int) -> None:
    """That a list is longer than the limit is known by what came of it alone."""

    class Miscounted(Cut):
        @override
        def page(self, position: int) -> Page:
            page = super().page(position)
            wrong = len(self.vendor.fetched) <= times
            return page._replace(total=page.total + wrong)

    hours = [*range(1, 12)]
    vendor = Vendor([row(60 * hour) for hour in hours], capped_at=3)
    results = read_all(lambda window: [Miscounted(vendor, window)])
    found = [number for result in results for number in numbers(result)]
    assert found == [60 * hour for hour in hours]


@pytest.mark.parametrize("wrong", [1, 2])
def test_a_count_of_a_part_that_is_too_low_does_not_hide_a_limit(wrong: int) -> None:
    class Miscounted(Cut):
        @override
        def fetch_count(self) -> Fetch:
            return Fetch(self.count, BUDGET, "tests")

        def count(self) -> Page:
            counted.append(self.window)
            lower = 1_000 if len(counted) <= 3 * wrong else 0
            page = self.page(self.first)
            return page._replace(total=page.total - lower)

    counted: list[Window] = []
    hours = [*range(1, 12)]
    vendor = Vendor([row(60 * hour) for hour in hours], capped_at=3)
    results = read_all(lambda window: [Miscounted(vendor, window)])
    found = [number for result in results for number in numbers(result)]
    assert found == [60 * hour for hour in hours]


def test_a_server_that_repeats_its_first_page_for_ever_is_not_believed() -> None:
    class Stuck(Listing):
        @override
        def page(self, position: int) -> Page:
            page = super().page(self.first)
            return page._replace(more=True, next_position=position + 1)

    vendor = Vendor([row(number) for number in range(6)], numbered=True)
    results = read_all(lambda window: [Stuck(vendor, window)])
    assert len(vendor.fetched) < 1000
    assert [number for result in results for number in numbers(result)] == [*range(6)]
    assert all(result.gap for result in results if result.rows)


def test_a_record_that_comes_twice_on_a_page_stands_for_no_other() -> None:
    """As many records came as were counted, though one of them is missing."""

    class Doubling(Listing):
        @override
        def page(self, position: int) -> Page:
            page = super().page(position)
            if len(self.vendor.fetched) > 1 or len(page.rows) < self.vendor.size:
                return page
            return page._replace(rows=[*page.rows[:-1], page.rows[0]])

    vendor = Vendor([row(number) for number in range(7)])
    results = read_all(lambda window: [Doubling(vendor, window)])
    assert [number for result in results for number in numbers(result)] == [*range(7)]
    assert not any(result.gap for result in results)


def test_a_window_that_holds_too_much_is_narrowed() -> None:
    vendor = Vendor([row(number) for number in range(1000)], size=50)
    taken = vendor.take(max_rows=200)
    assert 0 < len(taken.rows) <= 200
    assert numbers(taken) == list(range(len(taken.rows)))
    assert end_of(taken) < DAY.end


def test_a_second_that_holds_too_much_is_taken_all_the_same() -> None:
    crowd = [
        Row((str(number),), START, {"number": number}, "bot") for number in range(500)
    ]
    taken = Vendor(crowd, size=50).take(max_rows=200)
    assert len(taken.rows) == 500


def test_rows_of_pages_that_turn_out_to_be_none_of_the_list_are_kept() -> None:
    """The list was longer when they were requested."""

    class Shrinking(Listing):
        @override
        def page(self, position: int) -> Page:
            page = super().page(position)
            return page._replace(total=3, more=False) if position == 3 else page

    vendor = Vendor([row(number) for number in range(9)])

    def shrink(fetched: int) -> None:
        if fetched == 3:
            del vendor.rows[:6]

    vendor.meanwhile = shrink
    taken = drive(
        read_window(
            lambda window: [Shrinking(vendor, window)], DAY, {}, Capacity(LIMITS)
        )
    )
    assert vendor.fetched == [0, 3, 6, 0]
    assert numbers(taken) == list(range(9))


@dataclass(frozen=True)
class Boasting(Listing):
    """A list that counts more than it holds, the longer the more."""

    most: int

    @override
    def page(self, position: int) -> Page:
        page = super().page(position)
        return page._replace(total=self.most + len(self.vendor.fetched))


def test_a_second_that_is_counted_to_hold_ever_more_is_a_gap() -> None:
    vendor = Vendor([row(0), row(0.001), row(0.002)])
    second = Window(START, START + timedelta(seconds=1))
    most = LIMITS.max_rows_per_second
    [result] = read_all(lambda window: [Boasting(vendor, window, most)], second)
    assert "the count moved" in str(result.gap)
    assert numbers(result) == [0, 0.001, 0.002]
    assert len(vendor.fetched) <= LIMITS.max_attempts * (1 + LIMITS.max_pages_ahead)


def test_rows_seen_before_they_left_the_list_are_kept() -> None:
    gone = row(7)
    taken = Vendor([row(1)]).take(seen={gone.key: gone})
    assert numbers(taken) == [1, 7]


def test_the_latest_form_of_a_row_is_the_one_that_stays() -> None:
    vendor = Vendor([row(number) for number in range(6)])

    def change(fetched: int) -> None:
        if fetched == 1:
            vendor.rows.append(row(6))
            vendor.rows[0] = vendor.rows[0]._replace(record={"number": -1})

    vendor.meanwhile = change
    assert -1 in numbers(vendor.take())


@settings(max_examples=300, deadline=None)
@given(
    count=st.integers(0, 40),
    size=st.integers(1, 9),
    numbered=st.booleans(),
    arrivals=st.dictionaries(st.integers(0, 30), st.integers(0, 1439), max_size=8),
    leaving=st.booleans(),
    max_rows=st.sampled_from([5, 20, LIMITS.max_window_rows]),
)
def test_rows_that_are_in_the_list_throughout_are_always_read(  # noqa: PLR0913 -- drawn
    *,
    count: int,
    size: int,
    numbered: bool,
    arrivals: dict[int, int],
    leaving: bool,
    max_rows: int,
) -> None:
    """Rows arrive late anywhere, or leave; the others all come, in order and once."""
    staying = [row(number * 31) for number in range(count)]
    passing = (
        [row(minute + 0.5) for minute in set(arrivals.values())] if leaving else []
    )
    vendor = Vendor([*staying, *passing], size, numbered)

    def move(fetched: int) -> None:
        if fetched in arrivals and leaving and passing:
            vendor.rows.remove(passing.pop())
        elif fetched in arrivals and not leaving:
            vendor.rows.append(row(arrivals[fetched] + 0.001 * (fetched + 1)))

    vendor.meanwhile = move
    found: list[float] = []
    start, seen = DAY.start, NOTHING
    capacity = Capacity(Limits(max_window_rows=max_rows))
    while start < DAY.end:
        taken = drive(
            read_window(vendor.listings, Window(start, DAY.end), seen, capacity)
        )
        found += numbers(taken)
        start, seen = end_of(taken), taken.carried_over
    assert found == sorted(set(found))
    assert {row.record["number"] for row in staying} <= set(found)


def test_the_next_window_is_as_wide_as_the_last_one_was_dense() -> None:
    day, widest = timedelta(days=1), timedelta(days=6)
    whole = WindowResult(DAY, [])
    assert next_width(whole, 1, DAY, widest, LIMITS) == 2 * day
    assert next_width(whole, 1, DAY, 1.25 * day, LIMITS) == 1.25 * day
    many = 2 * LIMITS.max_window_rows
    assert next_width(whole, many, DAY, widest, LIMITS) == 0.475 * day
    large = replace(whole, size=2 * LIMITS.max_window_bytes)
    assert next_width(large, 1, DAY, widest, LIMITS) == 0.475 * day
    part = replace(whole, window=Window(START, START + day / 24))
    assert next_width(part, 0, DAY, widest, LIMITS) == day / 24
