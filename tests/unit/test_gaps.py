"""The gaps of a bot: how they are joined, and for how long each is known."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from tap_botsessions.engine.gaps import Gaps
from tap_botsessions.engine.windows import Window

START = datetime(2026, 3, 1, tzinfo=UTC)
MONDAY, FRIDAY = START + timedelta(days=1), START + timedelta(days=5)


def hours(first: int, last: int) -> Window:
    return Window(START + timedelta(hours=first), START + timedelta(hours=last))


def found(gaps: Gaps) -> list[tuple[Window, datetime]]:
    return [(gap.window, gap.since) for gap in gaps.all]


def test_gaps_of_one_run_that_touch_are_one() -> None:
    gaps = Gaps({}, 10)
    gaps.note(hours(2, 4), "why", MONDAY)
    gaps.note(hours(4, 6), "why", MONDAY)
    assert found(gaps) == [(hours(2, 6), MONDAY)]


def test_a_gap_is_as_old_as_what_it_was_found_to_be_part_of() -> None:
    gaps = Gaps({}, 10)
    gaps.note(hours(2, 8), "why", MONDAY)
    gaps.note(hours(3, 5), "why", FRIDAY)
    assert found(gaps) == [(hours(2, 8), MONDAY)]


def test_a_new_gap_beside_an_old_one_is_new() -> None:
    """Or it were accepted for the age of the other."""
    gaps = Gaps({}, 10)
    gaps.note(hours(2, 4), "why", MONDAY)
    gaps.note(hours(4, 6), "why", FRIDAY)
    kept = Gaps({"gaps": gaps.to_state()}, 10)
    assert found(kept) == [(hours(2, 4), MONDAY), (hours(4, 6), FRIDAY)]


def test_gaps_that_are_joined_for_their_number_are_as_new_as_the_newer() -> None:
    gaps = Gaps({}, 2)
    gaps.note(hours(2, 4), "why", MONDAY)
    gaps.note(hours(5, 6), "why", FRIDAY)
    gaps.note(hours(20, 21), "why", FRIDAY)
    assert found(gaps) == [(hours(2, 6), FRIDAY), (hours(20, 21), FRIDAY)]
