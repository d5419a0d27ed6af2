"""The made-up data behind both APIs, its clock, and the truth about it."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, NamedTuple

from simulator.parameters import Parameters
from simulator.streams import DAILY, LISTS, STREAMS, WHOLE
from simulator.timeline import DAY, LATE, SECOND, Day, Row, Rows

if TYPE_CHECKING:
    from simulator.exchange import Vendor


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
class World(Parameters):
    """Both vendors' data, all of it a function of the parameters.

    Attributes:
        days: How long it goes on.
        agents: Avaamo's agent ids.
        bots: Kore's bot ids.
        avaamo_token: The one valid access token.
        agent_tokens: Tokens of agents themselves; others have one that `agent_token`
            makes.
        forbidden_agents: Agents the token has no permission on.
        app: The Kore app of every bot that `apps` does not name.
        apps: Kore apps by bot.
        ghosts: Records that lists count and don't serve: stream, bot, epoch
            milliseconds (see `hide`).
        lost: Records that lists neither count nor serve, though all else counts them,
            likewise (see `lose`).
        ownerless: Sessions of Kore's that lists of the account don't say the bot of,
            likewise (see `disown`).
    """

    days: int = 20
    agents: tuple[str, ...] = ("201", "202")
    bots: tuple[str, ...] = (
        "st-0a1b2c3d-0001-5000-8000-000000000001",
        "st-0a1b2c3d-0002-5000-8000-000000000002",
    )
    avaamo_token: str = "simulated-access-token"  # noqa: S105 - made up
    agent_tokens: dict[str, str] = field(default_factory=dict)
    forbidden_agents: set[str] = field(default_factory=set)
    app: App = DEFAULT_APP
    apps: dict[str, App] = field(default_factory=dict)
    ghosts: set[tuple[str, str, int]] = field(default_factory=set)
    lost: set[tuple[str, str, int]] = field(default_factory=set)
    ownerless: set[tuple[str, str, int]] = field(default_factory=set)

    def __post_init__(self) -> None:
        """Set the borders of the data and, unless given, the clock."""
        self._begin = _milliseconds(self.start)
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

    def agent_token(self, agent: str | None) -> str:
        """Return the token of an agent itself."""
        return self.agent_tokens.get(agent or "", f"simulated-token-of-agent-{agent}")

    def agent_of(self, token: str | None) -> str | None:
        """Return the agent whose own token it is, if it is one."""
        return next(
            (agent for agent in self.agents if self.agent_token(agent) == token), None
        )

    def bots_of(self, stream: str) -> tuple[str, ...]:
        """Return the agents or the bots, whichever a stream is of."""
        bots: dict[Vendor, tuple[str, ...]] = {"avaamo": self.agents, "kore": self.bots}
        return bots[STREAMS[stream].vendor]

    def truth(
        self,
        stream: str,
        bot: str,
        start: datetime,
        end: datetime,
        *,
        utc_offset: int = 0,
    ) -> list[dict[str, Any]]:
        """Return the vendor's records of a window, oldest first.

        Args:
            stream: Which records; of a daily stream, the response for each day.
            bot: Agent or bot.
            start: Start of the window (aware), inclusive.
            end: End of the window, exclusive.
            utc_offset: Seconds east of UTC of the days of a daily stream.
        """
        if stream in WHOLE:
            return [WHOLE[stream].record(self, bot)]
        if stream in DAILY:
            return DAILY[stream].days(self.rows, bot, start, end, utc_offset)
        first, last = _milliseconds(start), _milliseconds(end) - 1
        return [self.record(row) for row in self.rows(stream, bot, first, last)]

    def expected(
        self, stream: str, start: datetime, end: datetime, *, utc_offset: int = 0
    ) -> dict[tuple[str, ...], dict[str, Any]]:
        """Return what a tap must emit of a window, of all agents or bots, by key.

        Args:
            stream: Which records.
            start: Start of the window (aware), inclusive.
            end: End of the window, exclusive.
            utc_offset: Seconds east of UTC of the days of a daily stream.
        """
        table = STREAMS[stream]
        records = [
            table.expected(bot, raw, utc_offset)
            for bot in self.bots_of(stream)
            for raw in self.truth(stream, bot, start, end, utc_offset=utc_offset)
        ]
        return {table.key_of(record): record for record in records}

    def count(self, stream: str, bot: str, start: datetime, end: datetime) -> int:
        """Return the number of records that `truth` would build."""
        return len(self.rows(stream, bot, _milliseconds(start), _milliseconds(end) - 1))

    def add_late(self, stream: str, bot: str, at: datetime) -> dict[str, Any]:
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

    def remove(self, stream: str, bot: str, at: datetime) -> dict[str, Any]:
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

    def add_burst(self, stream: str, bot: str, at: datetime, count: int) -> None:
        """Let so many records of one second appear now.

        Args:
            stream: Which records.
            bot: Agent or bot.
            at: The second.
            count: How many.
        """
        first = _milliseconds(at)
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

    def hide(self, stream: str, bot: str, at: datetime) -> None:
        """Let lists count the records of an instant, and not serve them."""
        self.ghosts.add((stream, bot, _milliseconds(at)))

    def lose(self, stream: str, bot: str, at: datetime) -> None:
        """Let lists pass over the records of an instant, which all else counts."""
        self.lost.add((stream, bot, _milliseconds(at)))

    def disown(self, bot: str, at: datetime) -> None:
        """Let Kore's lists of the account not say whose the sessions of an instant are.

        Args:
            bot: Whose they are.
            at: The instant.
        """
        self.ownerless.add(("kore_sessions", bot, _milliseconds(at)))

    def heal(self) -> None:
        """Let lists serve all records as they are."""
        self.ghosts.clear()
        self.lost.clear()
        self.ownerless.clear()

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


def _milliseconds(moment: datetime) -> int:
    """Return an aware datetime as epoch milliseconds, exactly."""
    since = moment - datetime(1970, 1, 1, tzinfo=UTC)
    return since // timedelta(milliseconds=1)
