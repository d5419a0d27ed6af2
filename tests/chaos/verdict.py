"""What targets have kept in the end, compared with the truth."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from simulator.streams import DAILY
from tests.chaos.truth import time_of

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tests.chaos.history import Key, Record
    from tests.chaos.plan import Plan
    from tests.chaos.truth import Kinds, Truth


@dataclass
class Verdict:
    """All that can be known after the last run, in which nothing goes wrong.

    Attributes:
        plan: The plan.
        truth: What the vendors show.
        kinds: Of what kind each session is.
        gone: What has left its list.
        uncommitted: What targets kept, and no state of a later run vouched for.
        furthest: The latest instant up to which a run had to read.
        counts: How many records are what.
    """

    plan: Plan
    truth: Truth
    kinds: Kinds
    gone: set[Key]
    uncommitted: set[Key]
    furthest: datetime
    counts: Counter[str] = field(default_factory=Counter)

    def judge(self, kept: Truth) -> Iterator[str]:
        """Judge what the targets have; yield what is wrong, a line each."""
        for stream in self.plan.bots:
            found, owed = kept[stream], self.truth[stream]
            for name in owed.keys() - found.keys():
                if not self._is_asked_for((stream, name)):
                    self.counts["records not asked for"] += 1
                elif not self._is_due(stream, owed[name]):
                    self.counts["records that came too late"] += 1
                else:
                    yield f"{stream} {name} is missing: {owed[name]}"
            for name in found.keys() - owed.keys():
                # A run whose clock was ahead has read further than the last one.
                is_later = time_of(stream, found[name]) < self.furthest
                if (stream, name) not in self.gone and not is_later:
                    yield f"{stream} {name} is not in the truth: {found[name]}"
            for name in found.keys() & owed.keys():
                if found[name] == owed[name]:
                    self.counts["records true"] += 1
                elif self._may_be_stale((stream, name), found[name]):
                    self.counts["records stale"] += 1
                else:
                    yield f"{stream} {name} is {found[name]}, not {owed[name]}"

    def _is_asked_for(self, key: Key) -> bool:
        stream, name = key
        return stream != "kore_sessions" or self.plan.asks_for(*self.kinds[name])

    def _is_due(self, stream: str, record: Record) -> bool:
        """Whether a record must have come, whenever it appeared."""
        if stream != "kore_sessions" or not self.plan.filters:
            return self.plan.owes_late
        # What enters another filter than that of the containment type is not owed.
        return (
            self.plan.owes_late
            and "kore_session_type" not in self.plan.settings
            and self._is_followed(record)
        )

    def _may_be_stale(self, key: Key, record: Record) -> bool:
        """Whether a record may be other than it is now."""
        if key[0] in DAILY:
            return bool(self.gone) or not self.plan.owes_late
        # If it is not followed by its id, it is read again where it is still asked for.
        has_left = self.plan.filters and (
            key in self.uncommitted or self.plan.follows_few
        )
        return key[0] == "kore_sessions" and (has_left or not self._is_followed(record))

    def _is_followed(self, session: Record) -> bool:
        """Whether a session is asked for until it is closed."""
        return (
            self.plan.follows
            and session["session_status"] is not None
            and time_of("kore_sessions", session)
            >= self.furthest - self.plan.follows_for
        )
