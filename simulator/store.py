"""Which rows there are, and from when on lists show them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from simulator.kore.numbering import late_number
from simulator.parameters import Parameters
from simulator.streams import DAILY, LISTS
from simulator.timeline import DAY, LATE, SECOND, Day, Row, Rows, milliseconds

if TYPE_CHECKING:
    from datetime import datetime


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
        self._first_day = self._begin // DAY
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
        views = [self._view(stream, bot, day) for day in self._range(first, last)]
        spans = [
            (view, bisect_left(view.at, first), bisect_right(view.at, last))
            for view in views
        ]
        return Rows(stream, bot, spans)

    def record(self, row: Row) -> dict[str, Any]:
        """Return the vendor's record of a row, as it stands now."""
        return LISTS[row.stream].record(self, row)

    def add_late(
        self, stream: str, bot: str, at: datetime, *, session_id: str | None = None
    ) -> dict[str, Any]:
        """Let a record of an earlier (or the present) instant appear now.

        It comes in its list alone. Those of Avaamo's queries, transcripts and feedback
        are then of a message that no list has, and those of Kore's messages, feedback
        and analytics of such a session, unless they are told which.

        Args:
            stream: Which records; of a list.
            bot: Agent or bot.
            at: The instant, however long ago (aware).
            session_id: The session that a message, a feedback or an analytics record of
                Kore's is of, of those that were drawn. It began on the day of that
                instant, UTC, or on the day before, which feedback can't be of.

        Returns:
            The record.

        Raises:
            ValueError: The stream is no list, or not of sessions; or there is no such
                session, or it has a record of that instant.
        """
        check_is_list(stream)
        moment = milliseconds(at)
        number = LATE + self._edits
        if session_id is not None:
            of = Row(stream, bot, moment, self._edits, 0)
            number = late_number(self, of, session_id)
        row = Row(stream, bot, moment, number, 0)
        day = self._day(stream, bot, moment // DAY)
        place = bisect_right(day.at, moment)
        same = day.number[bisect_left(day.at, moment) : place]
        if number in same:
            msg = f"{session_id} has a record of {at} in {stream}"
            raise ValueError(msg)
        added = Day.of([moment], [row.number], [row.kind], [self.clock])
        self._put(stream, bot, moment // DAY, day.splice(place, place, added))
        self._edits += 1
        return self.record(row)

    def remove(self, stream: str, bot: str, at: datetime) -> dict[str, Any]:
        """Let a record leave its list; lists that are of it keep theirs.

        Returns:
            The record.

        Raises:
            KeyError: The list shows none of that instant.
            ValueError: The stream is no list.
        """
        check_is_list(stream)
        moment = milliseconds(at)
        shown = self._view(stream, bot, moment // DAY)
        place = bisect_left(shown.at, moment)
        if place == len(shown.at) or shown.at[place] != moment:
            raise KeyError(at)
        row = Row(stream, bot, moment, shown.number[place], shown.kind[place])
        day = self._day(stream, bot, moment // DAY)
        one = list(zip(*shown, strict=True))[place]
        index = list(zip(*day, strict=True)).index(one)
        self._put(stream, bot, moment // DAY, day.splice(index, index + 1, Day.of()))
        self._edits += 1
        return self.record(row)

    def add_burst(self, stream: str, bot: str, at: datetime, count: int) -> None:
        """Let so many records of one second appear now.

        Args:
            stream: Which records.
            bot: Agent or bot.
            at: The second.
            count: How many.

        Raises:
            ValueError: The stream is no list.
        """
        check_is_list(stream)
        first = milliseconds(at)
        times = [first + place * SECOND // count for place in range(count)]
        numbers = range(LATE + self._edits, LATE + self._edits + count)
        added = Day.of(times, numbers, [0] * count, [self.clock] * count)
        day = self._day(stream, bot, first // DAY)
        both = [[*mine, *theirs] for mine, theirs in zip(day, added, strict=True)]
        order = sorted(range(len(both[0])), key=both[0].__getitem__)
        whole = Day.of(*([column[place] for place in order] for column in both))
        self._put(stream, bot, first // DAY, whole)
        self._edits += count

    def _range(self, first: int, last: int) -> range:
        """Return the days, counted from the epoch, that have rows of a window."""
        start, end = (
            max(first // DAY, self._first_day),
            min(last // DAY, self._last_day),
        )
        return range(start, end + 1)

    def _put(self, stream: str, bot: str, day: int, rows: Day) -> None:
        """Have a day consist of these rows."""
        self._days[stream, bot, day] = rows
        self._first_day = min(self._first_day, day)
        self._last_day = max(self._last_day, day)

    def _view(self, stream: str, bot: str, day: int) -> Day:
        """Return what is visible of a day, kept until the world changes."""
        key = stream, bot, day
        current = self.version
        version, view = self._views.get(key, (None, Day.of()))
        if version != current:
            view = self._shown(*key)
            self._views[key] = current, view
        return view

    def _shown(self, stream: str, bot: str, day: int) -> Day:
        """Return what is visible of a day by the clock."""
        return self._day(stream, bot, day).visible(self.clock)

    def _day(self, stream: str, bot: str, day: int) -> Day:
        key = stream, bot, day
        if key not in self._days:
            self._days[key] = self._draw(*key)
        return self._days[key]

    def _draw(self, stream: str, bot: str, day: int) -> Day:
        if not self._begin // DAY <= day <= (self._end - 1) // DAY:
            return Day.of()
        drawn = LISTS[stream].draw(self, bot, day)
        return drawn.between(
            bisect_left(drawn.at, self._begin), bisect_left(drawn.at, self._end)
        )


def check_is_list(stream: str) -> None:
    """Refuse a stream whose records are made of other data.

    Raises:
        ValueError: Its records are no rows of a list.
    """
    if stream in DAILY:
        msg = f"{stream} is counted from lists: change these, or `correct_usage`"
        raise ValueError(msg)
    if stream not in LISTS:
        msg = f"{stream} lists the bots of the world: change `World.bots`"
        raise ValueError(msg)
