"""Which rows there are, and from when on lists show them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from simulator.parameters import Parameters
from simulator.streams import LISTS
from simulator.timeline import DAY, LATE, SECOND, Day, Row, Rows, milliseconds


@dataclass(kw_only=True, eq=False)
class Store(Parameters):
    """The rows of all lists: drawn by the day, and changed by hand.

    Attributes:
        days: How long it goes on.
    """

    days: int = 20

    def __post_init__(self) -> None:
        """Set the borders of the data and, unless given, the clock."""
        self._begin = milliseconds(self.start)
        self._end = self._begin + self.days * DAY
        self._last_day = (self._end - 1) // DAY
        self._days: dict[tuple[str, str, int], Day] = {}
        self._views: dict[tuple[str, str, int], tuple[object, Day]] = {}
        self._edits = 0
        self.now = self.now or self._end / SECOND

    @property
    def version(self) -> tuple[object, ...]:
        """Changes whenever what the world shows may have changed."""
        return self.clock, self._edits, self.kore_version

    def rows(self, stream: str, bot: str, first: int, last: int) -> Rows:
        """Return the visible rows of a window, ascending by time.

        Args:
            stream: Which records.
            bot: Agent or bot.
            first: First epoch millisecond.
            last: Last epoch millisecond.
        """
        first_day = max(first, self._begin) // DAY
        last_day = min(last // DAY, self._last_day)
        views = [self._view(stream, bot, day) for day in range(first_day, last_day + 1)]
        spans = [
            (view, bisect_left(view.at, first), bisect_right(view.at, last))
            for view in views
        ]
        return Rows(stream, bot, spans)

    def record(self, row: Row) -> dict[str, Any]:
        """Return the vendor's record of a row, as it stands now."""
        return LISTS[row.stream].record(self, row)

    def add_late(self, stream: str, bot: str, at: datetime) -> dict[str, Any]:
        """Let a record of an earlier (or the present) instant appear now.

        Returns:
            The record.
        """
        moment = milliseconds(at)
        row = Row(stream, bot, moment, LATE + self._edits, 0)
        day = self._day(stream, bot, moment // DAY)
        place = bisect_right(day.at, moment)
        added = Day.of([moment], [row.number], [row.kind], [self.clock])
        self._days[stream, bot, moment // DAY] = day.splice(place, place, added)
        self._last_day = max(self._last_day, moment // DAY)
        self._edits += 1
        return self.record(row)

    def remove(self, stream: str, bot: str, at: datetime) -> dict[str, Any]:
        """Let a record leave its list.

        Returns:
            The record.

        Raises:
            KeyError: If there is none at that instant.
        """
        moment = milliseconds(at)
        day = self._day(stream, bot, moment // DAY)
        place = bisect_left(day.at, moment)
        if place == len(day.at) or day.at[place] != moment:
            raise KeyError(at)
        row = Row(stream, bot, moment, day.number[place], day.kind[place])
        self._days[stream, bot, moment // DAY] = day.splice(place, place + 1, Day.of())
        self._edits += 1
        return self.record(row)

    def add_burst(self, stream: str, bot: str, at: datetime, count: int) -> None:
        """Let so many records of one second appear now.

        Args:
            stream: Which records.
            bot: Agent or bot.
            at: The second.
            count: How many.
        """
        first = milliseconds(at)
        times = [first + place * SECOND // count for place in range(count)]
        numbers = range(LATE + self._edits, LATE + self._edits + count)
        added = Day.of(times, numbers, [0] * count, [self.clock] * count)
        day = self._day(stream, bot, first // DAY)
        both = [[*mine, *theirs] for mine, theirs in zip(day, added, strict=True)]
        order = sorted(range(len(both[0])), key=both[0].__getitem__)
        self._days[stream, bot, first // DAY] = Day.of(
            *([column[place] for place in order] for column in both)
        )
        self._last_day = max(self._last_day, first // DAY)
        self._edits += count

    def _view(self, stream: str, bot: str, day: int) -> Day:
        """Return what is visible of a day, kept until the world changes."""
        key = stream, bot, day
        current = self.version
        version, view = self._views.get(key, (None, Day.of()))
        if version != current:
            view = self._day(*key).visible(self.clock)
            self._views[key] = current, view
        return view

    def _day(self, stream: str, bot: str, day: int) -> Day:
        key = stream, bot, day
        if key not in self._days:
            self._days[key] = self._draw(*key)
        return self._days[key]

    def _draw(self, stream: str, bot: str, day: int) -> Day:
        if day * DAY >= self._end:
            return Day.of()
        drawn = LISTS[stream].draw(self, bot, day)
        return drawn.between(
            bisect_left(drawn.at, self._begin), bisect_left(drawn.at, self._end)
        )
