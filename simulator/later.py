"""What changes long after it happened: erasure, corrections, and a vendor's backlog.

All of it is a function of the clock, as all data is: where that is set back, things are
as they were then.
"""

from __future__ import annotations

from array import array
from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any, NamedTuple

from typing_extensions import override

from simulator.avaamo.corrections import Mark, corrected
from simulator.avaamo.usage import usage
from simulator.draws import dice
from simulator.kore.numbering import OF_SESSIONS, session_id_of
from simulator.kore.records import ID_LAG
from simulator.store import Store, check_is_list
from simulator.timeline import DAY, SECOND, Row, milliseconds

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator
    from datetime import date

    from simulator.timeline import Day


_MILLISECOND = timedelta(milliseconds=1)


class Outage(NamedTuple):
    """When a vendor recorded nothing that its lists show, and when that comes.

    Attributes:
        start: When it began (aware).
        end: When it ended, exclusive.
        until: When the first record of it appears.
        over: How long it takes until all have.
    """

    start: datetime
    end: datetime
    until: datetime
    over: timedelta = timedelta(hours=3)


@dataclass(kw_only=True, eq=False)
class Later(Store):
    """The rows of all lists, and what becomes of them."""

    @override
    def __post_init__(self) -> None:
        """Begin with data of which nothing has changed."""
        super().__post_init__()
        self._erased: dict[tuple[str, str, int], dict[str, list[int]]] = {}
        self._marks: dict[str, list[Mark]] = {}

    def erase(
        self,
        bot: str,
        session_ids: Collection[str],
        streams: Collection[str] = OF_SESSIONS,
        *,
        at: datetime | None = None,
    ) -> None:
        """Let what Kore keeps of some sessions leave its lists, as a deletion does.

        Messages, feedback and analytics name their session by `sessionId`; an analytics
        record has the text of its message besides, and a feedback its comment. The
        session itself stays: the release notes of May 2026 say that "analytics-critical
        data remains intact". What of a session is shown later than the deletion stays.

        Args:
            bot: Whose sessions they are.
            session_ids: The sessions; those that there are not are passed over.
            streams: The lists, ``kore_sessions`` among them if they don't stay.
            at: When it happens (aware); None: now.

        Raises:
            ValueError: A stream has no session, or an id is none.
        """
        if unknown := set(streams) - {"kore_sessions", *OF_SESSIONS}:
            msg = f"not of sessions: {', '.join(sorted(unknown))}"
            raise ValueError(msg)
        gone = self.clock if at is None else milliseconds(at)
        for session_id in session_ids:
            created = int(session_id[:8], 16) * SECOND
            # The last is of messages: a session has them for half a day.
            for day in range((created - ID_LAG) // DAY, created // DAY + 2):
                for stream in streams:
                    erased = self._erased.setdefault((stream, bot, day), {})
                    erased.setdefault(session_id, []).append(gone)
        self._edits += 1

    def delay(self, stream: str, bot: str, outage: Outage, *, seed: int = 0) -> int:
        """Let the records of an outage appear after it, in another order than happened.

        Lists that are of them are delayed by themselves. What is put in by hand later
        on is not delayed.

        Args:
            stream: Which records; of a list.
            bot: Agent or bot.
            outage: When.
            seed: Draws the order.

        Returns:
            How many records there are.

        Raises:
            ValueError: The stream is no list.
        """
        check_is_list(stream)
        first, last = milliseconds(outage.start), milliseconds(outage.end) - 1
        until, over = milliseconds(outage.until), outage.over // _MILLISECOND
        days = {day: self._day(stream, bot, day) for day in self._range(first, last)}
        spans = {
            day: range(bisect_left(rows.at, first), bisect_right(rows.at, last))
            for day, rows in days.items()
        }
        total = sum(map(len, spans.values()))
        order = dice(self.seed, "delay", seed, stream, bot, first).sample(
            range(total), total
        )
        if order == sorted(order):
            order.reverse()
        turns = iter(order)
        for day, rows in days.items():
            seen = array("q", rows.seen)
            for place, turn in zip(spans[day], turns, strict=False):
                seen[place] = max(seen[place], until + turn * over // total)
            self._put(stream, bot, day, rows._replace(seen=seen))
        self._edits += 1
        return total

    def correct_usage(
        self, agent: str, day: date, *, utc_offset: int = 0, **figures: int
    ) -> dict[str, Any]:
        """Let usage.json show other figures of a day from now on.

        Args:
            agent: Agent id.
            day: The day.
            utc_offset: Seconds east of UTC at which it begins.
            figures: Those of `session_count`, `messages_count`,
                `unhandled_messages_count` and `ambiguous_messages_count` that change;
                all others follow from these.

        Returns:
            The response for that day.

        Raises:
            ValueError: There are no such figures, or they can't be together.
        """
        zone = timezone(timedelta(seconds=utc_offset))
        midnight = datetime(day.year, day.month, day.day, tzinfo=zone)
        start = milliseconds(midnight) // SECOND
        end = start + DAY // SECOND - 1
        now = usage(self, agent, start, end)["aggregate_stats"]
        marks = [
            Mark(*mark, seen=self.clock)
            for mark in corrected(now, figures, self, agent)
        ]
        self._marks.setdefault(agent, []).extend(marks)
        self._edits += 1
        return usage(self, agent, start, end)

    def marks(self, agent: str, first: int, last: int) -> Iterator[Mark]:
        """Return what usage.json counts beside the rows of an agent's window.

        Args:
            agent: Agent id.
            first: First epoch millisecond.
            last: Last epoch millisecond.
        """
        clock = self.clock
        for mark in self._marks.get(agent, ()):
            if first <= mark.at <= last and mark.seen <= clock:
                yield mark

    @override
    def _shown(self, stream: str, bot: str, day: int) -> Day:
        shown = super()._shown(stream, bot, day)
        erased = self._erased.get((stream, bot, day))
        if not erased:
            return shown
        clock = self.clock

        def is_gone(row: Row, seen: int) -> bool:
            gone = erased.get(session_id_of(self, row), ())
            return any(seen <= instant <= clock for instant in gone)

        return shown.pick(
            place
            for place, (at, number, kind, seen) in enumerate(zip(*shown, strict=True))
            if not is_gone(Row(stream, bot, at, number, kind), seen)
        )
