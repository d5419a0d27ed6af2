"""The forms in which Avaamo may take and tell time: names of parameters, and units.

Source: Avaamo Platform API documentation; its pages differ in both, and so do states of
one page.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, NamedTuple

from typing_extensions import override

from tap_botsessions.engine.records import number
from tap_botsessions.engine.windows import parse_instant

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Json

UNITS = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds"}
"""Names of units by how many of each are a second."""


class TimeForm(NamedTuple):
    """A way to ask for a range of time.

    Attributes:
        start: The parameter for its start.
        end: The parameter for its end.
        unit: How many of what they count are a second.
    """

    start: str
    end: str
    unit: int

    def params(self, start: int, end: int) -> dict[str, str | int]:
        """The parameters for a range, from seconds of the epoch."""
        return {self.start: start * self.unit, self.end: end * self.unit}

    @override
    def __str__(self) -> str:
        """The parameters and their unit, for people."""
        return f"{self.start} and {self.end} in {UNITS[self.unit]}"


def units_of(start: str, end: str, *units: int) -> tuple[TimeForm, ...]:
    """The forms with these parameters, in these units or in all."""
    return tuple(TimeForm(start, end, unit) for unit in units or UNITS)


def in_seconds(value: float | None) -> float | None:
    """An instant in another unit, too late to be one in seconds; none if it is none."""
    for unit in UNITS:
        try:
            parse_instant((value or 0) / unit)
        except (OverflowError, ValueError):
            continue
        return None if value is None else value / unit
    return None


def time_token(value: Json) -> float | None:
    """The server's time when it answered, in seconds, if it says that.

    The samples of the pages User sessions and Messages have it in seconds.
    """
    try:
        return in_seconds(number(value))
    except (TypeError, ValueError):
        return None
