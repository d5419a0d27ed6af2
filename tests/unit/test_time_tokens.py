"""Units of Avaamo's time."""

from __future__ import annotations

from datetime import UTC, datetime

import pytest

from tap_botsessions.vendors.avaamo.time_forms import in_seconds, units_of
from tap_botsessions.vendors.avaamo.time_tokens import TimeTokens


@pytest.mark.parametrize("unit", [1, 1_000, 1_000_000])
def test_a_records_time_in_another_unit_is_read_as_seconds(unit: int) -> None:
    instant = datetime(2026, 3, 1, tzinfo=UTC).timestamp()
    assert in_seconds(instant * unit) == instant
    assert in_seconds(None) is None
    assert in_seconds(1e30) is None


def test_the_first_form_counts_until_another_one_is_proved() -> None:
    tokens = TimeTokens(units_of("from_timetoken", "to_timetoken"))
    assert str(tokens.form) == "from_timetoken and to_timetoken in seconds"
    assert tokens.form.params(1, 2) == {"from_timetoken": 1, "to_timetoken": 2}
    assert not tokens.is_proven
