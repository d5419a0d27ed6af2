"""Ranges of time, as Kore.ai's lists take them."""

from __future__ import annotations

from datetime import timedelta
from typing import TYPE_CHECKING

from tap_botsessions.engine.windows import shifted

if TYPE_CHECKING:
    from datetime import datetime

    from tap_botsessions.engine.windows import Window

MARGIN = timedelta(milliseconds=1)

BY_TIME = {"by": "timestamp", "order": "asc"}
"""The order of a list that takes its filters in an object."""


def time_range(start: datetime, end: datetime) -> dict[str, str]:
    """The parameters for what starts between two instants, both included.

    A list may exclude its start or its end: no page says. So a little more is asked for
    at both; the reader leaves out the rows that lie outside of the window.
    """
    return {
        "dateFrom": _milliseconds(shifted(start, -MARGIN)),
        "dateTo": _milliseconds(shifted(end, timedelta(microseconds=999))),
    }


def _milliseconds(instant: datetime) -> str:
    return f"{instant.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"


def filter_range(window: Window) -> dict[str, object]:
    """The range of a list that takes its filters in an object."""
    start, end = time_range(window.start, window.end).values()
    return {"from": start, "to": end}
