"""The arithmetic of Avaamo's usage.json (page "Usage")."""

from __future__ import annotations

import math
from datetime import datetime, timedelta, timezone
from itertools import pairwise
from typing import TYPE_CHECKING, Any, Protocol

from simulator.avaamo.corrections import counts
from simulator.emitted import instant
from simulator.timeline import DAY, SECOND

if TYPE_CHECKING:
    from collections.abc import Iterable

    from simulator.avaamo.corrections import Mark
    from simulator.timeline import Rows

SLICES = 9


class Lookup(Protocol):
    """Where sessions and messages are counted, by windows in epoch milliseconds."""

    def rows(self, stream: str, bot: str, first: int, last: int) -> Rows:
        """Return the rows of a stream and a bot."""

    def marks(self, agent: str, first: int, last: int) -> Iterable[Mark]:
        """Return what is counted beside them."""


def usage(lookup: Lookup, agent: str, start: int, end: int) -> dict[str, Any]:
    """Return the response for an interval.

    Args:
        lookup: Where sessions and messages are counted.
        agent: Agent id.
        start: First second of the first day, in epoch seconds.
        end: Last second of the last day; what happens within it counts.
    """
    borders = slice_borders(start, end)
    # The odd second is the vendor's: the last day ends at 23:59:59, so the
    # previous interval begins a second late (sample of the page).
    previous = start - (end - start)
    return {
        "aggregate_stats": _stats(lookup, agent, start, end, until=end + 1),
        "previous_interval_stats": _stats(lookup, agent, previous, start, until=start),
        "stats": [
            _stats(lookup, agent, low, high, until=high if high < end else end + 1)
            for low, high in pairwise(borders)
        ],
    }


def daily_usage(
    lookup: Lookup, agent: str, start: datetime, end: datetime, utc_offset: int
) -> list[dict[str, Any]]:
    """Return the responses for each day that begins before `end`."""
    zone = timezone(timedelta(seconds=utc_offset))
    first = start.astimezone(zone).replace(hour=0, minute=0, second=0, microsecond=0)
    day = DAY // SECOND
    return [
        usage(lookup, agent, midnight, midnight + day - 1)
        for midnight in range(int(first.timestamp()), int(end.timestamp()), day)
    ]


def emitted_usage(agent: str, raw: dict[str, Any], utc_offset: int) -> dict[str, Any]:
    """Return a day's record as a tap must emit it.

    Args:
        agent: Agent id.
        raw: The response for that day.
        utc_offset: Seconds east of UTC at which the day begins.
    """
    figures = raw["aggregate_stats"]
    zone = timezone(timedelta(seconds=utc_offset))
    return {
        **figures,
        "agent_id": agent,
        "date": datetime.fromtimestamp(figures["start_time"], zone).date().isoformat(),
        "utc_offset": utc_offset,
        "start_time": instant(figures["start_time"]),
        "end_time": instant(figures["end_time"]),
        "previous_interval_stats": raw["previous_interval_stats"],
        "stats": raw["stats"],
        "additional_fields": None,
    }


def slice_borders(start: int, end: int) -> list[float]:
    """Return the ten borders of the nine equal slices, in epoch seconds."""
    inner = [start + (end - start) * part / SLICES for part in range(1, SLICES)]
    return [start, *inner, end]


def _stats(
    lookup: Lookup, agent: str, start: float, end: float, *, until: float
) -> dict[str, Any]:
    """Count what happened from `start` up to but without `until`."""
    first, last = _first_at(start), _first_at(until) - 1
    found = counts(lookup, agent, first, last)
    return {
        "start_time": start,
        "end_time": end,
        **numbers(
            sessions=found.sessions,
            messages=found.unhandled + found.ambiguous + found.successful,
            unhandled=found.unhandled,
            ambiguous=found.ambiguous,
            mismatched=found.ambiguous // 10,
        ),
    }


def _first_at(seconds: float) -> int:
    """Return the first millisecond that is not before an instant."""
    return math.ceil(seconds * SECOND)


def numbers(
    *, sessions: int, messages: int, unhandled: int, ambiguous: int, mismatched: int
) -> dict[str, Any]:
    """Return the counts and rates the page derives from these counts."""
    successful = messages - unhandled - ambiguous
    return {
        "session_count": sessions,
        "messages_count": messages,
        "unhandled_messages_count": unhandled,
        "successful_responses_count": successful,
        "ambiguous_messages_count": ambiguous,
        "interventions_count": 0,
        "success_rate_count": successful + ambiguous - mismatched,
        "success_rate": round(100 * successful / messages, 2) if messages else None,
    }
