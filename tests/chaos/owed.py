"""What a run of the tap owes: from where to where it reads, and what must come."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property
from typing import TYPE_CHECKING

from simulator.streams import DAILY
from tests.chaos.gaps import gaps_in, is_in
from tests.chaos.history import bot_of_key
from tests.chaos.truth import (
    Bookmarks,
    bookmark_at,
    bookmarks,
    bot_of,
    midnight,
    time_of,
    zone,
)

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_botsessions.engine.windows import Window
    from tests.chaos.gaps import Gaps
    from tests.chaos.history import Bot, Key, Page, Record, Run
    from tests.chaos.plan import Plan

_BY_CHANNEL = {"kore_analytics", "kore_messages"}
"""Lists that may hold one channel only."""

_NEAR = timedelta(seconds=3)
"""So near to the border of a page's window, a record may be of another one."""


@dataclass(frozen=True)
class Owed:
    """What a run owes."""

    plan: Plan
    run: Run

    @cached_property
    def bookmarks(self) -> Bookmarks:
        """Up to where each bot had been read before."""
        return bookmarks(self.plan, self.run.state)

    def start(self, bot: Bot) -> datetime:
        """From where a bot is read."""
        start = self.plan.start
        if bot in self.bookmarks:
            start = max(start, self.bookmarks[bot] - self.plan.lookback)
        if bot in self._since and self.plan.follows:
            start = min(start, self._since[bot])
        if bot[0] in DAILY:
            return midnight(self.plan, start.astimezone(zone(self.plan)).date())
        return start

    def is_empty(self, bot: Bot) -> bool:
        """Whether there is no time to read of a bot."""
        return self.run.end <= self.start(bot)

    def is_due(self, key: Key, record: Record) -> bool:
        """Whether a record lies where a run reads, be it for the first time or not."""
        bot, time = bot_of_key(key), time_of(key[0], record)
        return time >= self.start(bot) or self.is_in_gap(bot, time)

    def is_in_gap(self, bot: Bot, time: datetime) -> bool:
        """Whether an instant lies where an earlier run left a gap."""
        return is_in(time, self._gaps[bot])

    def hidden(self, key: Key) -> tuple[str, Record]:
        """The stream of a record that is not served, and the record."""
        stream, name = key
        return stream, self.run.before[stream][name]

    def has_come_to_end(self, bot: Bot, bookmark: datetime | None) -> bool:
        """Whether a bookmark is one that a bot has once all of it has been read.

        That is the end of the range, or the vendor's time if answers show an earlier
        one: from when the run began, less the time until the first of them came.
        """
        goal, before = self.goal(bot), self.bookmarks.get(bot)
        date = self.plan.options["date"]
        if date == "machine" or goal is None or bookmark is None or bookmark == goal:
            return bookmark == goal
        if before is not None and bookmark < before:
            return False
        if date == "nonsense":
            return bookmark <= goal
        late = timedelta(days=3 * (date == "cached"), seconds=self.run.seconds + 2)
        shown = bookmark_at(self.plan, bot[0], self.run.now - late)
        return min(shown, goal) <= bookmark <= goal

    def goal(self, bot: Bot) -> datetime | None:
        """The bookmark that a bot has once all of it has been read."""
        before = self.bookmarks.get(bot)
        if self.is_empty(bot):
            return before
        end = bookmark_at(self.plan, bot[0], self.run.end)
        return max(before or end, end)

    def records(self, bot: Bot, end: datetime) -> Iterator[Key]:
        """What a bot showed before an instant, from the run's beginning to its end.

        What it shows later may come or not.
        """
        stream, start = bot[0], self.start(bot)
        for key, record in self.run.before[stream].items():
            if (
                start <= time_of(stream, record) < end
                and bot_of(stream, record) == bot[1]
                and self._is_shown((stream, key))
            ):
                yield stream, key

    def in_gaps(self, bot: Bot, gaps: Sequence[Window]) -> Iterator[Key]:
        """Likewise, what a bot showed in gaps that a state named."""
        stream, name = bot
        for key, record in self.run.before[stream].items() if gaps else ():
            if (
                bot_of(stream, record) == name
                and is_in(time_of(stream, record), gaps)
                and time_of(stream, record) < self.run.end
                and self._is_shown((stream, key))
            ):
                yield stream, key

    def _is_shown(self, key: Key) -> bool:
        """Whether a record was in its list all the time, and is asked for."""
        stream, name = key
        return key not in self.run.gone and (
            stream != "kore_sessions" or self._is_asked_for(name)
        )

    def _is_asked_for(self, key: tuple[str, ...]) -> bool:
        """Whether a session was of the kinds that are asked for all the time."""
        run = self.run
        return self.plan.asks_for(*run.kinds[key]) and self.plan.asks_for(
            *run.kinds_after[key]
        )

    def served(self) -> Iterator[Key]:
        """What was on a page that was sent, and left its list then.

        The tap keeps what it has seen of a list that it reads again.
        """
        if self.plan.is_account or self.plan.filters:
            return
        for page in self.run.pages:
            if page.total <= self.plan.limits["max_window_rows"]:
                yield from self._gone(page)

    def _gone(self, page: Page) -> Iterator[Key]:
        for key, record in page.records:
            start = max(page.window.start + _NEAR, self.start(bot_of_key(key)))
            end = min(page.window.end - _NEAR, self.run.end)
            if key in self.run.gone and start <= time_of(key[0], record) < end:
                yield key

    def must_fail(self, bot: Bot) -> bool:
        """Whether every request for a bot was refused for good."""
        return bool(self.run.requests[bot]) and any(
            fault.is_certain and fault.concerns(*bot)
            for fault in self.run.step.weather.faults
        )

    def may_fail(self, bot: Bot) -> bool:
        """Whether a request for a bot may have been refused for good, or its map.

        Channels are known by the sessions of the bot, which are asked for as well.
        """
        faults = self.run.step.weather.faults
        asked = {bot, *([("kore_sessions", bot[1])] if bot[0] in _BY_CHANNEL else [])}
        return bot == self.run.step.trouble.unmappable or any(
            fault.is_final and fault.concerns(*each)
            for fault in faults
            for each in asked
        )

    @cached_property
    def _gaps(self) -> Gaps:
        return gaps_in(self.run.state)

    @cached_property
    def _since(self) -> dict[Bot, datetime]:
        """From where sessions are read again, by bot: too many of them were open."""
        found = (self.run.state or {}).get("bookmarks", {}).get("kore_sessions", {})
        return {
            ("kore_sessions", partition["context"]["bot_id"]): datetime.fromisoformat(
                partition["open_since"]
            )
            for partition in found.get("partitions", ())
            if "open_since" in partition
        }
