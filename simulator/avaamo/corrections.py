"""Corrections of usage.json, of days that were over.

No page says that figures of a day stay as they are, nor that they don't. A correction
consists of marks: an instant at which one more or one less is counted. So all intervals
agree that hold the day or parts of it, whatever their borders, and what comes late
afterwards is counted as well.
"""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING, NamedTuple

from simulator.avaamo.records import INTENT_TYPES
from simulator.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulator.avaamo.usage import Lookup

FIGURES = (
    "session_count",
    "messages_count",
    "unhandled_messages_count",
    "ambiguous_messages_count",
)
"""What can be corrected; the page derives all other figures from these."""

_UNHANDLED = INTENT_TYPES.index("UNHANDLED::INTENT")
_AMBIGUOUS = INTENT_TYPES.index("AMBIGUOUS::INTENT")


class Counts(NamedTuple):
    """What there is of each kind; a message is of one kind only."""

    sessions: int
    unhandled: int
    ambiguous: int
    successful: int


class Mark(NamedTuple):
    """One more or one less, at an instant.

    Attributes:
        at: The instant, in epoch milliseconds.
        kind: Of what: a field of `Counts`.
        by: 1 or -1.
        seen: From when on it is counted, in epoch milliseconds.
    """

    at: int
    kind: str
    by: int
    seen: int


def counts(lookup: Lookup, agent: str, first: int, last: int) -> Counts:
    """Return what there is, corrected, of an interval in epoch milliseconds."""
    sessions = lookup.rows("avaamo_sessions", agent, first, last)
    kinds = lookup.rows("avaamo_messages", agent, first, last).kinds()
    found = Counter(
        sessions=len(sessions),
        unhandled=kinds[_UNHANDLED],
        ambiguous=kinds[_AMBIGUOUS],
        successful=kinds.total() - kinds[_UNHANDLED] - kinds[_AMBIGUOUS],
    )
    for mark in lookup.marks(agent, first, last):
        found[mark.kind] += mark.by
    return Counts(**found)


def corrected(
    now: Mapping[str, int], figures: Mapping[str, int], lookup: Lookup, agent: str
) -> Iterator[tuple[int, str, int]]:
    """Return the marks, without `seen`, that make a day have other figures.

    Args:
        now: The figures that it has, and its `start_time` and `end_time`.
        figures: Those of `FIGURES` that it is to have.
        lookup: Where sessions and messages are counted.
        agent: Agent id.

    Raises:
        ValueError: There are no such figures, or they can't be together.
    """
    if unknown := figures.keys() - set(FIGURES):
        msg = f"no figures to correct: {', '.join(sorted(unknown))}"
        raise ValueError(msg)
    sessions, messages, unhandled, ambiguous = (
        figures.get(name, now[name]) for name in FIGURES
    )
    successful = messages - unhandled - ambiguous
    wanted = Counts(sessions, unhandled, ambiguous, successful)
    if min(wanted) < 0:
        msg = f"a day can't have {dict(figures)}: {wanted}"
        raise ValueError(msg)
    first, end = now["start_time"] * SECOND, (now["end_time"] + 1) * SECOND
    there = _instants(lookup, agent, first, end - 1)
    for kind, number in wanted._asdict().items():
        have = there[kind]
        for at in have[number:]:
            yield at, kind, -1
        missing = number - len(have)
        for place in range(1, missing + 1):
            yield first + place * (end - first) // (missing + 1), kind, 1


def _instants(
    lookup: Lookup, agent: str, first: int, last: int
) -> dict[str, list[int]]:
    """Return the instants of what is counted of each kind."""
    found: dict[str, Counter[int]] = {kind: Counter() for kind in Counts._fields}
    for row in lookup.rows("avaamo_sessions", agent, first, last):
        found["sessions"][row.at] += 1
    kinds = {_UNHANDLED: "unhandled", _AMBIGUOUS: "ambiguous"}
    for row in lookup.rows("avaamo_messages", agent, first, last):
        found[kinds.get(row.kind, "successful")][row.at] += 1
    for mark in lookup.marks(agent, first, last):
        found[mark.kind][mark.at] += mark.by
    return {kind: sorted(times.elements()) for kind, times in found.items()}
