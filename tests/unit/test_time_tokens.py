"""Units of Avaamo's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tap_botsessions.vendors.avaamo.time_tokens import TimeTokens, in_seconds


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_a_records_time_in_another_unit_is_read_as_seconds(unit: int) -> None:
    instant = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert in_seconds(instant * unit) == instant
    assert in_seconds(None) is None
    assert in_seconds(1e30) is None


def test_time_is_counted_in_seconds_until_another_unit_is_proved() -> None:
    assert TimeTokens() == TimeTokens(unit=1, is_proven=False)
