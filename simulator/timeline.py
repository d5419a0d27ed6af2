"""When records happen: per bot and day, columns sorted by time.

A record is built from its row only when a page shows it, so a day of hundreds
of thousands of records costs four columns of numbers.
"""

from __future__ import annotations

from array import array
from bisect import bisect_right
from collections import Counter
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from itertools import accumulate
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from random import Random

SECOND = 1000
MINUTE = 60 * SECOND
HOUR = 60 * MINUTE
DAY = 24 * HOUR
"""Spans in milliseconds, the unit of all times inside the simulator."""

LATE = 1 << 40
"""Rows put in by hand are numbered from here."""

LONGEST_DELAY = 6 * HOUR
"""How late the latest of the late records appears."""


class Row(NamedTuple):
    """One record's place in the data.

    Attributes:
        stream: The kind of record.
        bot: Agent or bot.
        at: Its time, in epoch milliseconds.
        number: Its number within the bot's day; equal rows share it.
        kind: Index into the stream's kinds (intent or containment type).
    """

    stream: str
    bot: str
    at: int
    number: int
    kind: int


class Day(NamedTuple):
    """The rows of a bot's day, a column each, sorted by `at`.

    `seen` is the time in epoch milliseconds from which a row is visible. A day
    never changes: edits make another one, so readers need no lock.
    """

    at: array[int]
    number: array[int]
    kind: array[int]
    seen: array[int]

    @classmethod
    def of(
        cls,
        at: Iterable[int] = (),
        number: Iterable[int] = (),
        kind: Iterable[int] = (),
        seen: Iterable[int] = (),
    ) -> Day:
        """Return a day with these columns."""
        return cls(
            array("q", at), array("q", number), array("B", kind), array("q", seen)
        )

    @classmethod
    def drawn(
        cls, random: Random, at: Sequence[int], number: Iterable[int], shape: Shape
    ) -> Day:
        """Return a day with these times and numbers; all else is drawn."""
        kind = random.choices(range(len(shape.weights)), shape.weights, k=len(at))
        return cls.drawn_late(random, at, number, kind, shape.late_fraction)

    @classmethod
    def drawn_late(
        cls,
        random: Random,
        at: Sequence[int],
        number: Iterable[int],
        kind: Iterable[int],
        late_fraction: float,
    ) -> Day:
        """Return a day with these columns; how late its rows appear is drawn."""
        seen = [instant + _delay(random, late_fraction) for instant in at]
        return cls.of(at, number, kind, seen)

    def splice(self, start: int, stop: int, rows: Day) -> Day:
        """Return the day with the rows from start to stop replaced."""
        return Day(
            *(
                mine[:start] + theirs + mine[stop:]
                for mine, theirs in zip(self, rows, strict=True)
            )
        )

    def between(self, start: int, stop: int) -> Day:
        """Return the rows from start to stop."""
        return Day(*(column[start:stop] for column in self))

    def visible(self, now: int) -> Day:
        """Return the rows that can be seen at an instant."""
        if max(self.seen, default=now) <= now:
            return self
        return self.pick(index for index, seen in enumerate(self.seen) if seen <= now)

    def pick(self, places: Iterable[int]) -> Day:
        """Return the rows at some places, in their order."""
        keep = list(places)
        return Day.of(*([column[place] for place in keep] for column in self))


@dataclass(frozen=True)
class Shape:
    """How the days of a stream look.

    Attributes:
        weights: Relative frequency of each kind.
        late_fraction: Share of rows that appear minutes to hours late.
        equal_fraction: Share of rows that are exact copies of another row.
    """

    weights: Sequence[float]
    late_fraction: float = 0.0
    equal_fraction: float = 0.0


def draw_day(random: Random, day: int, count: int, shape: Shape) -> Day:
    """Return a made-up day of `count` rows; `day` counts from the epoch."""
    at = [day * DAY + instant for instant in _instants(random, count)]
    number = list(range(count))
    for index in range(1, count):
        if random.random() < shape.equal_fraction:
            at[index], number[index] = at[index - 1], number[index - 1]
    return Day.drawn(random, at, number, shape)


def _instants(random: Random, count: int) -> list[int]:
    """Return sorted milliseconds of a day: quiet nights, awkward instants."""
    instants = [int(random.triangular(0, DAY, 14 * HOUR)) for _ in range(count)]
    instants[::2] = [instant - instant % SECOND for instant in instants[::2]]
    for index in range(5, count, 25):
        instants[index] = instants[index - 1]
    borders = [0, 0, DAY - 1]
    if count > len(borders):
        instants[: len(borders)] = borders
    return sorted(instants)


def _delay(random: Random, late_fraction: float) -> int:
    if random.random() >= late_fraction:
        return 0
    return random.randrange(5 * MINUTE, LONGEST_DELAY)


class RowList(Protocol):
    """Rows ascending by time, built on access or before."""

    def __len__(self) -> int:
        """Return the number of rows."""

    def __getitem__(self, index: int, /) -> Row:
        """Return the row at a place."""


class Rows:
    """The rows of a bot's window, ascending by time, built on access."""

    def __init__(
        self, stream: str, bot: str, spans: Sequence[tuple[Day, int, int]]
    ) -> None:
        """Cover of each day the rows from a start to a stop."""
        self._stream = stream
        self._bot = bot
        self._spans = spans
        self._ends = list(accumulate(stop - start for _, start, stop in spans))

    def __len__(self) -> int:
        """Return the number of rows."""
        return self._ends[-1] if self._ends else 0

    def __getitem__(self, index: int, /) -> Row:
        """Return the row at a place, from 0, the oldest."""
        if not 0 <= index < len(self):
            raise IndexError(index)
        span = bisect_right(self._ends, index)
        day, _, stop = self._spans[span]
        place = stop - (self._ends[span] - index)
        return Row(
            self._stream, self._bot, day.at[place], day.number[place], day.kind[place]
        )

    def __iter__(self) -> Iterator[Row]:
        """Return the rows from the oldest on."""
        return (self[index] for index in range(len(self)))

    def kinds(self) -> Counter[int]:
        """Return how many rows there are of each kind."""
        counts: Counter[int] = Counter()
        for day, start, stop in self._spans:
            counts.update(day.kind[start:stop])
        return counts


def milliseconds(moment: datetime) -> int:
    """Return an aware datetime as epoch milliseconds, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)
