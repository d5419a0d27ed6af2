"""How far a stream is, bot by bot."""

from __future__ import annotations

import math
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from datetime import datetime

    from tap_botsessions.engine.jobs import Job
    from tap_botsessions.engine.pacing import Budget, Clock
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.windows import Window


_DAY = 86_400


@dataclass(eq=False)
class BotProgress:
    """How far a bot is, in one stream.

    Attributes:
        bot: Its id.
        budget: What its requests are charged to.
        sync_range: All that is to be read of it by time, if that is known.
        until: The instant up to which it has been read.
        windows: The windows that were read.
        rows: The records that were emitted.
        requests: The requests that were made.
        repeated: Those of them that repeat one that failed.
        is_over: Whether nothing more is read of it.
        has_failed: Whether it has failed.
    """

    bot: str
    budget: Budget | None = None
    sync_range: Window | None = None
    until: datetime | None = None
    windows: int = 0
    rows: int = 0
    requests: int = 0
    repeated: int = 0
    is_over: bool = False
    has_failed: bool = False

    @property
    def width(self) -> float:
        """How many seconds of time are to be read."""
        return self.sync_range.width.total_seconds() if self.sync_range else 0.0

    @property
    def done(self) -> float:
        """How many of them have been."""
        if self.sync_range is None or self.until is None:
            return 0.0
        return (self.until - self.sync_range.start).total_seconds()

    def reach(self, end: datetime) -> None:
        """Note up to where it has been read; a gap lies before its range."""
        if self.sync_range is not None and end >= self.sync_range.start:
            self.until = end

    @property
    def share(self) -> float:
        """The part that has been read, from 0 to 1."""
        if self.width:
            return self.done / self.width
        return float(self.is_over and not self.has_failed)

    @property
    def wait(self) -> float:
        """Seconds that its requests have to wait for their budget."""
        return (
            self.budget.seconds_until_free if self.budget and not self.is_over else 0.0
        )


class StreamProgress:
    """How far a stream is.

    The thread that reads keeps it up to date; others may look at it meanwhile.

    Attributes:
        name: The stream's name.
        bot_noun: What the vendor calls a bot.
        bots: How far each bot is.
        clock: What tells the time.
        is_over: Whether nothing more is read.
    """

    def __init__(
        self,
        name: str,
        bot_noun: str,
        bots: Iterable[str] = (),
        clock: Clock = time,
    ) -> None:
        """Begin with nothing read of bots, which may be known later."""
        self.name = name
        self.bot_noun = bot_noun
        self.bots: list[BotProgress] = []
        self.clock = clock
        self.is_over = False
        self._by_id: dict[str, BotProgress] = {}
        self.know(bots)
        self._begun_at: float | None = None
        self._seconds = 0.0

    def know(self, bots: Iterable[str]) -> None:
        """Begin with these bots, unless they are known."""
        if not self.bots:
            self.bots = [BotProgress(bot) for bot in bots]
            self._by_id = {bot.bot: bot for bot in self.bots}

    # What happens.

    @contextmanager
    def reading(self) -> Iterator[None]:
        """Keep the time of the block, in which the stream is read."""
        self._begun_at = self.clock.monotonic()
        try:
            yield
        finally:
            self._seconds = self.seconds
            self.is_over = True

    def expect(self, bot: str, job: Job, budget: Budget) -> None:
        """Learn what is to be read of a bot, and what that is charged to."""
        progress = self._by_id[bot]
        progress.budget = budget
        progress.sync_range = job.sync_range
        progress.is_over = job.sync_range is None and job.first is None

    def requested(self, bot: str, attempts: int) -> None:
        """Count a request that is made, after so many failed attempts."""
        self._by_id[bot].requests += 1
        self._by_id[bot].repeated += attempts > 0

    def read(self, bot: str, result: WindowResult, rows: int) -> None:
        """Count a window of which so many rows were emitted."""
        progress = self._by_id[bot]
        progress.rows += rows
        if result.window is not None:
            progress.windows += 1
            progress.reach(result.window.end)
        progress.is_over = progress.done == progress.width

    def fail(self, bots: Iterable[str]) -> None:
        """Learn that nothing more is read of bots, if not all has been."""
        for bot in bots:
            progress = self._by_id[bot]
            progress.has_failed |= not progress.is_over
            progress.is_over = True

    # What it comes to.

    @property
    def is_begun(self) -> bool:
        """Whether it is being read, or was."""
        return self._begun_at is not None

    @property
    def seconds(self) -> float:
        """How long it has been read."""
        if self._begun_at is None or self.is_over:
            return self._seconds
        return self.clock.monotonic() - self._begun_at

    @property
    def share(self) -> float:
        """The part of all bots' time that has been read, from 0 to 1."""
        if width := sum(bot.width for bot in self.bots):
            return sum(bot.done for bot in self.bots) / width
        return float(all(bot.share for bot in self.bots))

    @property
    def under_way(self) -> list[BotProgress]:
        """The bots of which there is more to read."""
        return [bot for bot in self.bots if not bot.is_over]

    def silent(self, start_date: datetime) -> list[str]:
        """The bots of which nothing came, while it did of others.

        One that was read for less than a day may just have been quiet, unless that was
        all there is to read of it.

        Args:
            start_date: Where a bot is begun to be read.
        """
        if not any(bot.rows for bot in self.bots):
            return []
        return [
            bot.bot
            for bot in self.bots
            if not (bot.rows or bot.has_failed)
            and bot.sync_range is not None
            and (bot.width >= _DAY or bot.sync_range.start <= start_date)
        ]

    @property
    def seconds_left(self) -> float | None:
        """About how long it will still take, at the pace of the requests so far.

        Each bot goes on to take as many for its time as before, and one of which
        nothing has been read as many as the others.

        Returns:
            The seconds; none as long as nothing has been read at all.
        """
        done = sum(bot.done for bot in self.bots)
        if not done:
            return None
        made = sum(bot.requests for bot in self.bots)
        to_come = sum(
            (bot.requests / bot.done if bot.done else made / done)
            * (bot.width - bot.done)
            for bot in self.under_way
        )
        # The time until a budget that is spent is free belongs to what was spent.
        wait = max((bot.wait for bot in self.under_way), default=0.0)
        return wait + (self.seconds + wait) * to_come / max(made, 1)

    def is_waiting(self) -> bool:
        """Whether each bot that is under way waits for its budget."""
        return all(bot.wait for bot in self.bots if not bot.is_over)

    @property
    def waiting(self) -> str:
        """For whose budget bots are waiting, and how long; empty if for none."""
        waits = {
            bot.budget.label: wait
            for bot in self.under_way
            if bot.budget and (wait := bot.wait)
        }
        if not waits:
            return ""
        seconds = math.ceil(max(waits.values()))
        if len(waits) > 1:
            return f"waiting up to {seconds} s for the budgets of {len(waits)} bots"
        [label] = waits
        return f"waiting {seconds} s for budget: {label}"

    @property
    def counted(self) -> str:
        """How many bots there are, and how many are through."""
        failed = sum(bot.has_failed for bot in self.bots)
        done = sum(bot.is_over for bot in self.bots) - failed
        words = f"{done} of {len(self.bots)} {self.bot_noun}s"
        return f"{words}, {failed} failed" if failed else words


def percent(share: float) -> str:
    """A share, never more than it is."""
    return f"{int(share * 100)}%"


def duration(seconds: float) -> str:
    """Seconds as hours, minutes and seconds."""
    return str(timedelta(seconds=round(seconds)))
