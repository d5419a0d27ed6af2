"""Instants are read and written, and a range is cut into windows."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from functools import partial
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, assume, example, given, reject, settings
from hypothesis import strategies as st

from tap_botsessions.engine.windows import (
    Window,
    cut_days,
    midnight,
    narrowed,
    parse_instant,
    starting_point,
    to_rfc3339,
)

utc = partial(datetime, tzinfo=UTC)

MAY = utc(2026, 5, 1)
DAY = timedelta(days=1)
HOUR = timedelta(hours=1)
SECOND = timedelta(seconds=1)
MICROSECOND = timedelta(microseconds=1)

UNTIMED = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
"""Properties hold on a busy machine too."""

INSTANTS = st.datetimes(
    datetime(1970, 1, 1),  # noqa: DTZ001 -- bounds are naive, the zone is given apart
    datetime(2200, 1, 1),  # noqa: DTZ001 -- likewise
    timezones=st.just(UTC),
)
DATELIKE = st.text("0123456789-+:.,TWZ \0é\ud83d")
OFFSETS = st.integers(-86_399, 86_399).map(lambda seconds: timedelta(seconds=seconds))


def span(start: datetime, width: timedelta) -> Window:
    return Window(start, start + width)


def spans(at_most: timedelta) -> st.SearchStrategy[Window]:
    """Windows that are not empty."""
    return st.builds(span, INSTANTS, st.timedeltas(MICROSECOND, at_most))


# Windows


def test_a_window_holds_its_start_and_not_its_end() -> None:
    window = Window(MAY, MAY + HOUR)
    assert MAY in window
    assert MAY + HOUR - MICROSECOND in window
    assert MAY + HOUR not in window
    assert MAY - MICROSECOND not in window


def test_a_window_has_a_width_and_bounds() -> None:
    window = Window(MAY, MAY + HOUR)
    assert window.width == HOUR
    assert str(window) == "2026-05-01T00:00:00Z to 2026-05-01T01:00:00Z"


# Instants


@pytest.mark.parametrize(
    ("value", "instant"),
    [
        ("2026-05-01T12:30:15Z", utc(2026, 5, 1, 12, 30, 15)),
        ("2026-05-01T12:30:15.25Z", utc(2026, 5, 1, 12, 30, 15, 250_000)),
        ("2026-05-01T12:30:15.123456789Z", utc(2026, 5, 1, 12, 30, 15, 123_456)),
        ("2026-05-01T12:30:15+02:00", utc(2026, 5, 1, 10, 30, 15)),
        ("2026-05-01T01:30:15+05:30", utc(2026, 4, 30, 20, 0, 15)),
        ("2026-05-01T23:30:15-05:00", utc(2026, 5, 2, 4, 30, 15)),
        ("2026-05-01T12:30:15", utc(2026, 5, 1, 12, 30, 15)),
        ("2026-05-01 12:30:15", utc(2026, 5, 1, 12, 30, 15)),
        ("2026-05-01t12:30:15z", utc(2026, 5, 1, 12, 30, 15)),
        ("2026-05-01", MAY),
        (0, utc(1970, 1, 1)),
        (-1, utc(1969, 12, 31, 23, 59, 59)),
        (1_777_593_600, MAY),
        (1_777_593_600.25, utc(2026, 5, 1, 0, 0, 0, 250_000)),
    ],
)
def test_an_instant_is_read_in_utc(value: object, instant: datetime) -> None:
    read = parse_instant(value)
    assert read == instant
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    "value",
    [
        "",
        "yesterday",
        "2026-13-01",
        "2026-02-30T00:00:00Z",
        "2026-05-01T12:30:15+25:00",
        "0001-01-01T00:00:00+01:00",
        "9999-12-31T23:59:59-01:00",
        float("nan"),
        float("inf"),
        1e18,
        -1e12,
        10**400,
        True,
        None,
        [2026, 5, 1],
        {"instant": "2026-05-01"},
    ],
)
def test_anything_but_an_instant_is_a_value_error(value: object) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        parse_instant(value)


@UNTIMED
@given(DATELIKE | st.integers() | st.floats() | st.booleans() | st.none())
def test_anything_is_an_instant_in_utc_or_a_value_error(value: object) -> None:
    try:
        read = parse_instant(value)
    except ValueError:
        return
    assert read.tzinfo is UTC


@pytest.mark.parametrize(
    ("instant", "written"),
    [
        (MAY, "2026-05-01T00:00:00Z"),
        (utc(2026, 5, 1, 12, 30, 15, 250_000), "2026-05-01T12:30:15.250Z"),
        (utc(2026, 5, 1, 12, 30, 15, 1_000), "2026-05-01T12:30:15.001Z"),
        (utc(2026, 5, 1, 12, 30, 15, 123_456), "2026-05-01T12:30:15.123456Z"),
        (utc(2026, 5, 1, 12, 30, 15, 1), "2026-05-01T12:30:15.000001Z"),
        (utc(987, 6, 5), "0987-06-05T00:00:00Z"),
    ],
)
def test_an_instant_is_written_with_as_many_decimals_as_it_needs(
    instant: datetime, written: str
) -> None:
    assert to_rfc3339(instant) == written


@UNTIMED
@given(st.datetimes(timezones=st.just(UTC)))
def test_an_instant_survives_being_written_and_read(instant: datetime) -> None:
    assert parse_instant(to_rfc3339(instant)) == instant


@UNTIMED
@given(st.datetimes(timezones=st.just(UTC)))
def test_a_written_instant_ends_in_z(instant: datetime) -> None:
    assert to_rfc3339(instant).endswith("Z")


# Where a run begins


@pytest.mark.parametrize(
    ("bookmark", "lookback", "start"),
    [
        (None, HOUR, MAY),
        (MAY + DAY, HOUR, MAY + DAY - HOUR),
        (MAY + DAY, timedelta(0), MAY + DAY),
        (MAY + HOUR, HOUR, MAY),
        (MAY + HOUR, 2 * HOUR, MAY),
        (MAY - DAY, timedelta(0), MAY),
        (MAY + DAY, timedelta.max, MAY),
    ],
)
def test_a_run_begins_a_lookback_before_its_bookmark(
    bookmark: datetime | None, lookback: timedelta, start: datetime
) -> None:
    assert starting_point(MAY, bookmark, lookback) == start


@UNTIMED
@given(INSTANTS, st.none() | INSTANTS, st.timedeltas(timedelta(0)))
def test_a_run_begins_between_the_start_date_and_the_bookmark(
    start_date: datetime, bookmark: datetime | None, lookback: timedelta
) -> None:
    start = starting_point(start_date, bookmark, lookback)
    assert start_date <= start <= max(start_date, bookmark or start_date)


# Cutting by day


@pytest.mark.parametrize(
    ("day", "utc_offset", "instant"),
    [
        (date(2026, 5, 1), timedelta(0), MAY),
        (date(2026, 5, 1), timedelta(hours=5, minutes=30), utc(2026, 4, 30, 18, 30)),
        (date(2026, 5, 1), timedelta(hours=-8), utc(2026, 5, 1, 8)),
        (date(2026, 5, 1), timedelta(seconds=86_399), utc(2026, 4, 30, 0, 0, 1)),
        (date(2026, 5, 1), timedelta(seconds=-1), utc(2026, 5, 1, 0, 0, 1)),
    ],
)
def test_a_day_begins_at_its_own_midnight(
    day: date, utc_offset: timedelta, instant: datetime
) -> None:
    found = midnight(day, utc_offset)
    assert found == instant
    assert found.tzinfo is UTC


def test_a_day_is_cut_whole_at_its_begin_and_short_at_the_end_of_the_span() -> None:
    assert list(cut_days(Window(MAY + HOUR, MAY + DAY + HOUR), timedelta(0))) == [
        Window(MAY, MAY + DAY),
        Window(MAY + DAY, MAY + DAY + HOUR),
    ]


def test_a_span_that_ends_at_midnight_does_not_touch_the_next_day() -> None:
    assert list(cut_days(Window(MAY, MAY + DAY), timedelta(0))) == [
        Window(MAY, MAY + DAY)
    ]


@pytest.mark.parametrize(
    "start", [MAY, MAY + HOUR, utc(1, 1, 1), datetime.max.replace(tzinfo=UTC)]
)
@pytest.mark.parametrize("hours_east", [-8, 0, 5.5])
def test_an_empty_span_touches_no_day(start: datetime, hours_east: float) -> None:
    assert list(cut_days(Window(start, start), timedelta(hours=hours_east))) == []


@pytest.mark.parametrize(
    ("hours_east", "begin"),
    [(5.5, utc(2026, 4, 30, 18, 30)), (-8, utc(2026, 4, 30, 8))],
)
def test_days_follow_the_offset(hours_east: float, begin: datetime) -> None:
    # Midnight of UTC lies within a day on either side of it.
    windows = list(cut_days(span(MAY, SECOND), timedelta(hours=hours_east)))
    assert windows == [Window(begin, MAY + SECOND)]


@UNTIMED
@given(spans(at_most=60 * DAY), OFFSETS)
@example(span(MAY, DAY), timedelta(seconds=-86_399))
@example(span(MAY, DAY), timedelta(seconds=86_399))
@example(span(MAY, MICROSECOND), timedelta(0))
def test_days_cover_the_span_and_begin_at_midnight(
    whole: Window, utc_offset: timedelta
) -> None:
    days = list(cut_days(whole, utc_offset))
    assert whole.start in days[0]
    assert days[-1].end == whole.end
    assert all(left.end == right.start for left, right in pairwise(days))
    assert all((day.start + utc_offset).time() == time() for day in days)
    assert all(day.width == DAY for day in days[:-1])
    assert timedelta(0) < days[-1].width <= DAY


@UNTIMED
@given(st.dates(date(1970, 1, 1), date(2200, 1, 1)), OFFSETS)
def test_midnight_is_the_first_instant_of_its_day(
    day: date, utc_offset: timedelta
) -> None:
    begin = midnight(day, utc_offset)
    assert (begin + utc_offset).date() == day
    assert (begin - MICROSECOND + utc_offset).date() == day - DAY


# Narrowing


@pytest.mark.parametrize(
    ("width", "share", "kept"),
    [
        (DAY, 0.5, 12 * HOUR),
        (DAY, 0.25, 6 * HOUR),
        (DAY, 0.0, SECOND),
        (3 * SECOND, 0.5, SECOND),
        (2.5 * SECOND, 0.9, 2 * SECOND),
    ],
)
def test_the_leading_part_of_a_window_is_kept(
    width: timedelta, share: float, kept: timedelta
) -> None:
    assert narrowed(span(MAY, width), share) == span(MAY, kept)


def test_a_window_is_narrowed_at_a_whole_second() -> None:
    start = MAY + 0.75 * SECOND
    assert narrowed(span(start, 10 * SECOND), 0.5) == Window(start, MAY + 5 * SECOND)


@pytest.mark.parametrize("width", [MICROSECOND, 0.5 * SECOND, SECOND])
def test_a_second_is_not_narrowed(width: timedelta) -> None:
    assert narrowed(span(MAY, width), 0.5) is None


def test_the_whole_is_no_part_of_a_window() -> None:
    assert narrowed(span(MAY, DAY), 1.0) is None


@UNTIMED
@given(spans(at_most=7 * DAY), st.floats(0, 1))
def test_a_narrowed_window_is_inside_and_never_empty(
    window: Window, share: float
) -> None:
    part = narrowed(window, share)
    if part is None:
        reject()
    assert part.start == window.start
    assert part.start < part.end < window.end
    assert part.end.microsecond == 0
    assert part.width <= max(share * window.width, SECOND)


@UNTIMED
@given(spans(at_most=7 * DAY), st.floats(0, 0.5))
def test_more_than_two_seconds_can_always_be_halved(
    window: Window, share: float
) -> None:
    assume(window.width > 2 * SECOND)
    assert narrowed(window, share) is not None
