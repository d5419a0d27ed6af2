"""What is looked at again of what a bot had, long after it was read."""

from __future__ import annotations

from dataclasses import dataclass, replace
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from tap_botsessions.engine.counted_days import CountedDays
from tap_botsessions.engine.errors import BookmarkError
from tap_botsessions.engine.parts import grouped
from tap_botsessions.engine.windows import Window, parse_instant, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.parts import Part

SWEEP = "sweep"
"""Its place in the state of a bot."""

_AT, _FULL_AT, _SINCE_FULL, _TURN = "at", "full_at", "since_full", "turn"

_SPAN = timedelta(days=6)
"""How much is read again at the least where it is a span's turn."""


@dataclass(frozen=True)
class Rhythm:
    """How often what was read is looked at again, by the settings.

    Attributes:
        reach: How far back.
        period: How often at most.
        full_every: So many times the counts are compared, or it is a span's turn to be
            read whole.
    """

    reach: timedelta
    period: timedelta
    full_every: int

    @classmethod
    def of(cls, options: Options) -> Rhythm:
        """What the settings say."""
        config = options.config
        return cls(
            timedelta(days=config["sweep_days"]),
            timedelta(hours=config["sweep_hours"]),
            config["sweep_full_every"],
        )


class Sweep:
    """How far the sweep of a bot is, in one stream.

    In the state it is `sweep`, an object with `at`, when the last one was over; the
    counts of `CountedDays`; `full_at`, when a span was read whole last, `since_full`,
    the sweeps since then, and `turn`, where the next one begins.

    Attributes:
        days: What the bot had when it was read.
    """

    def __init__(self, state: Mapping[str, Any], options: Options) -> None:
        """Read what the last run left.

        Args:
            state: The state of the bot.
            options: What the run is asked to do.

        Raises:
            BookmarkError: It is not as the tap wrote it.
        """
        self._now = options.run_start
        self._rhythm = Rhythm.of(options)
        self._scope = options.scope
        given = state.get(SWEEP) or {}
        try:
            self._is_known = _AT in given
            self._at = parse_instant(given.get(_AT, self._now.timestamp()))
            self._full_at = parse_instant(given.get(_FULL_AT, self._at.timestamp()))
            self._since_full = int(given.get(_SINCE_FULL, 0))
            turn = given.get(_TURN)
            self._turn = None if turn is None else parse_instant(turn)
            self.days = CountedDays(given)
        except (AttributeError, TypeError, ValueError) as error:
            msg = "the sweep in the state is unreadable; fix or clear it"
            raise BookmarkError(msg) from error

    @property
    def oldest(self) -> datetime:
        """Where it begins."""
        try:
            return max(self._scope.start, self._now - self._rhythm.reach)
        except OverflowError:
            return self._scope.start

    @property
    def is_due(self) -> bool:
        """Whether it is time for the next one."""
        return self._is_known and self._now - self._at >= self._rhythm.period

    def spans(self, until: datetime, max_width: timedelta) -> list[list[Part]]:
        """What is to be counted of what lies before an instant.

        Args:
            until: The instant.
            max_width: How wide a span may be that is counted at once.

        Returns:
            For each request the parts that it counts.
        """
        known = [
            replace(part, times=None)
            for part in self.days.close(until)
            if part.count is not None and part.window.end > self.oldest
        ]
        return grouped(known, max_width)

    def mark_turn(self, until: datetime) -> None:
        """Have what it is the turn of read whole, if it is time for that.

        And a span of what lies before all that was counted, as there is after a release
        that did not count, or where the reach was shorter.
        """
        known = self.days.window
        if known is None:
            return
        if self.oldest < known.start:
            self.days.prepend(max(self.oldest, known.start - _SPAN))
        self._since_full += 1
        if self._since_full >= self._rhythm.full_every:
            turn = self.take_turn(until, max(_SPAN, self._now - self._full_at))
            self.days.forget(turn)
            self._since_full, self._full_at = 0, self._now

    def take_turn(self, until: datetime, width: timedelta) -> Window:
        """What is read whole next, of what lies before an instant; so wide at most."""
        start = self.oldest
        if self._turn and start < self._turn < until:
            start = self._turn
        turn = Window(start, max(start, min(start + width, until)))
        self._turn = turn.end
        return turn

    @property
    def share(self) -> timedelta:
        """How much is read whole at a time where all of it takes its turn."""
        return self._rhythm.reach / self._rhythm.full_every

    def finish(self) -> None:
        """Note that one is over."""
        self._at = self._now

    def to_state(self, until: datetime) -> dict[str, Any]:
        """What the state must hold; nothing where all is too old to be looked at.

        Args:
            until: Where the next run begins to read.
        """
        if until <= self.oldest:
            return {}
        self.days.settle(until, self.oldest)
        turn = {_TURN: to_rfc3339(self._turn)} if self._turn else {}
        return {
            _AT: to_rfc3339(self._at),
            _FULL_AT: to_rfc3339(self._full_at),
            _SINCE_FULL: self._since_full,
            **turn,
            **self.days.to_state(until),
        }
