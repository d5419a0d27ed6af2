"""The made-up data behind both APIs, its clock, and the truth about it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

from simulator.avaamo import records as avaamo_records
from simulator.avaamo.records import LATE
from simulator.avaamo.usage import daily_usage
from simulator.draws import dice
from simulator.kore import records as kore_records
from simulator.timeline import (
    DAY,
    SECOND,
    Day,
    Row,
    Rows,
    Shape,
    Stream,
    draw_day,
)

if TYPE_CHECKING:
    from simulator.kore.records import Life, State, Version

_INTENT_WEIGHTS = (40, 20, 10, 8, 3, 3, 6, 10)
_CONTAINMENT_WEIGHTS = (50, 30, 20)


class App(NamedTuple):
    """A Kore JWT app.

    Attributes:
        client_id: Named by the token's `appId` or `iss`.
        client_secret: Signs the token.
        algorithm: ``HS256`` or ``HS512``.
        scoped: Whether the app has the scope "Bot Sessions".
    """

    client_id: str
    client_secret: str
    algorithm: str = "HS256"
    scoped: bool = True


# The secret is long enough for HS512.
DEFAULT_APP = App("cs-simulated-client", "simulated-client-secret-" + "0" * 40)


@dataclass(kw_only=True, eq=False)
class World:
    """Both vendors' data, all of it a function of the seed.

    Attributes:
        seed: Two worlds of one seed hold the same records.
        start: When the data begins (aware).
        days: How long it goes on.
        agents: Avaamo's agent ids.
        bots: Kore's bot ids.
        sessions_per_day: Of each bot, or per bot (others have none); below
            one, most days are empty.
        messages_per_session: Avaamo messages for each session.
        late_fraction: Share of records that appear minutes to hours after
            their time.
        equal_sessions: Share of Avaamo sessions that equal another one in
            every field; the page names no unique key.
        open_fraction: Share of Kore sessions that stay open for days.
        hostile_text: Some Avaamo messages hold NUL or a lone surrogate.
        kore_version: API version whose record shape Kore serves; ``mixed``
            has them all.
        now: The clock, in epoch seconds, to be moved at will; 0 stands for
            the end of the data. Nothing later is visible.
        avaamo_token: The one valid access token.
        forbidden_agents: Agents the token has no permission on.
        app: The Kore app of every bot that `apps` does not name.
        apps: Kore apps by bot.
    """

    seed: int = 1
    start: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    days: int = 20
    agents: tuple[str, ...] = ("201", "202")
    bots: tuple[str, ...] = (
        "st-0a1b2c3d-0001-5000-8000-000000000001",
        "st-0a1b2c3d-0002-5000-8000-000000000002",
    )
    sessions_per_day: float | Mapping[str, float] = 40
    messages_per_session: float = 4
    late_fraction: float = 0.0
    equal_sessions: float = 0.0
    open_fraction: float = 0.02
    hostile_text: bool = False
    kore_version: Version = "v10"
    now: float = 0.0
    avaamo_token: str = "simulated-access-token"  # noqa: S105 - made up
    forbidden_agents: set[str] = field(default_factory=set)
    app: App = DEFAULT_APP
    apps: dict[str, App] = field(default_factory=dict)

    def __post_init__(self) -> None:
        """Set the borders of the data and, unless given, the clock."""
        self._begin = _milliseconds(self.start)
        self._end = self._begin + self.days * DAY
        self._last_day = (self._end - 1) // DAY
        self._days: dict[tuple[Stream, str, int], Day] = {}
        self._views: dict[tuple[Stream, str, int], tuple[object, Day]] = {}
        self._edits = 0
        self.now = self.now or self._end / SECOND

    @property
    def clock(self) -> int:
        """The clock in epoch milliseconds."""
        return round(self.now * SECOND)

    @property
    def version(self) -> tuple[object, ...]:
        """Changes whenever what the world shows may have changed."""
        return self.clock, self._edits, self.kore_version

    def rows(self, stream: Stream, bot: str, first: int, last: int) -> Rows:
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
        if row.stream == "avaamo_sessions":
            return avaamo_records.session(self.seed, row)
        if row.stream == "avaamo_messages":
            return avaamo_records.message(self.seed, row, hostile=self.hostile_text)
        life, state = self.life(row), self.state(row)
        return kore_records.session(row, life, state, self.kore_version)

    def life(self, row: Row) -> Life:
        """Return what becomes of a Kore session."""
        return kore_records.life(self.seed, row, self.open_fraction)

    def state(self, row: Row) -> State:
        """Return a Kore session as it stands now."""
        return kore_records.state(row, self.life(row), self.clock)

    def truth(
        self,
        stream: Stream | Literal["avaamo_usage"],
        bot: str,
        start: datetime,
        end: datetime,
        *,
        utc_offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Return what an extraction of a window must yield, oldest first.

        Args:
            stream: Which records; ``avaamo_usage`` is a response for each day.
            bot: Agent or bot.
            start: Start of the window (aware), inclusive.
            end: End of the window, exclusive.
            utc_offset: Seconds east of UTC of the days of ``avaamo_usage``.
        """
        if stream == "avaamo_usage":
            return daily_usage(self.rows, bot, start, end, utc_offset)
        first, last = _milliseconds(start), _milliseconds(end) - 1
        return [self.record(row) for row in self.rows(stream, bot, first, last)]

    def count(self, stream: Stream, bot: str, start: datetime, end: datetime) -> int:
        """Return the number of records that `truth` would build."""
        return len(self.rows(stream, bot, _milliseconds(start), _milliseconds(end) - 1))

    def add_late(self, stream: Stream, bot: str, at: datetime) -> dict[str, Any]:
        """Let a record of an earlier (or the present) instant appear now.

        Returns:
            The record.
        """
        moment = _milliseconds(at)
        row = Row(stream, bot, moment, LATE + self._edits, 0)
        day = self._day(stream, bot, moment // DAY)
        place = bisect_right(day.at, moment)
        added = Day.of([moment], [row.number], [row.kind], [self.clock])
        self._days[stream, bot, moment // DAY] = day.splice(place, place, added)
        self._last_day = max(self._last_day, moment // DAY)
        self._edits += 1
        return self.record(row)

    def remove(self, stream: Stream, bot: str, at: datetime) -> dict[str, Any]:
        """Let a record leave its list.

        Returns:
            The record.

        Raises:
            KeyError: If there is none at that instant.
        """
        moment = _milliseconds(at)
        day = self._day(stream, bot, moment // DAY)
        place = bisect_left(day.at, moment)
        if place == len(day.at) or day.at[place] != moment:
            raise KeyError(at)
        row = Row(stream, bot, moment, day.number[place], day.kind[place])
        self._days[stream, bot, moment // DAY] = day.splice(place, place + 1, Day.of())
        self._edits += 1
        return self.record(row)

    def _view(self, stream: Stream, bot: str, day: int) -> Day:
        """Return what is visible of a day, kept until the world changes."""
        key = stream, bot, day
        current = self.version
        version, view = self._views.get(key, (None, Day.of()))
        if version != current:
            view = self._day(*key).visible(self.clock)
            self._views[key] = current, view
        return view

    def _day(self, stream: Stream, bot: str, day: int) -> Day:
        key = stream, bot, day
        if key not in self._days:
            self._days[key] = self._draw(*key)
        return self._days[key]

    def _draw(self, stream: Stream, bot: str, day: int) -> Day:
        if day * DAY >= self._end:
            return Day.of()
        random = dice(self.seed, stream, bot, day)
        count = int(self._rate(stream, bot) + random.random())
        drawn = draw_day(random, day, count, self._shape(stream))
        return drawn.between(
            bisect_left(drawn.at, self._begin), bisect_left(drawn.at, self._end)
        )

    def _rate(self, stream: Stream, bot: str) -> float:
        rate = self.sessions_per_day
        if isinstance(rate, Mapping):
            rate = rate.get(bot, 0.0)
        return rate * self.messages_per_session if stream == "avaamo_messages" else rate

    def _shape(self, stream: Stream) -> Shape:
        if stream == "avaamo_sessions":
            return Shape((1,), self.late_fraction, self.equal_sessions)
        if stream == "avaamo_messages":
            return Shape(_INTENT_WEIGHTS, self.late_fraction)
        return Shape(_CONTAINMENT_WEIGHTS, self.late_fraction)


def _milliseconds(moment: datetime) -> int:
    """Return an aware datetime as epoch milliseconds, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)
