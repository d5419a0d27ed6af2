"""The unit of Avaamo's time tokens: seconds, unless the server shows another one.

The pages User sessions and Messages say "UNIX Epoch Timestamp" and no unit; samples are
in seconds, while the page of a sibling, Successful responses, says microseconds. A
server that counts otherwise answers a range in seconds by an empty list, by its default
of the last days, or by a refusal. None may be taken for an agent without records.

How the unit is found:

1. A window is read in the unit that is taken for the server's, seconds at first.
2. If records come, that is the proof; but where the window holds the server's default
   range, one of them must not come for another time as well.
3. If nothing comes, the last six days of the list are asked for, once, in that unit.
4. If it was a refusal, the last hour is: a server may refuse what it no longer holds.
5. Then the window is asked for in each other unit. Records prove it; where the first
   unit was refused, an answer is taken for a guess.
6. What nothing comes of in any unit is an empty window. From the second one of a list
   on, a unit in which all of the list's time is empty is not asked for any more.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import (
    BotError,
    FilterError,
    RequestError,
    TransientError,
    UnavailableError,
)
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.records import number
from tap_botsessions.engine.windows import Window, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tap_botsessions.engine.options import Json
    from tap_botsessions.engine.pages import Fetch, Page, Reading
    from tap_botsessions.engine.records import Row

logger = logging.getLogger("tap-botsessions")

UNITS = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds"}
"""Names of units by how many of each are a second."""

_REFUSALS = {400, 422}
_NONSENSE = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.OK}

_SLOW_ATTEMPTS = 2
"""At a range that may be too long for an answer in time."""

_DEFAULT = timedelta(days=3)
"""So far back goes a list that is asked for without a range (both pages)."""


@dataclass(frozen=True)
class ListQuery:
    """What is asked of a server whose unit may not be known.

    Attributes:
        label: The list that is read, for messages.
        window: What is read of it.
        whole: All that may be read of it in this run.
        fetch_count: Makes a request for any range of it in a unit; one record will do.
    """

    label: str
    window: Window
    whole: Window
    fetch_count: Callable[[Window, int], Fetch]

    def last(self, time: timedelta) -> Window:
        """The last part of all that may be read."""
        return Window(self.whole.end - time, self.whole.end)


@dataclass
class TimeTokens:
    """What is known of the unit of an account's time tokens.

    Attributes:
        unit: How many of it are a second.
        is_proven: Whether the server has shown it, by records of a range asked for.
    """

    unit: int = 1
    is_proven: bool = False
    _tried: set[str] = field(default_factory=set)
    _nonsense: set[int] = field(default_factory=set)
    _trials: Counter[tuple[str, int]] = field(default_factory=Counter)
    _vain: set[tuple[str, int]] = field(default_factory=set)

    def settle(self, query: ListQuery, read: Callable[[int], Reading]) -> Reading:
        """Read a window in the server's unit; look for that if nothing comes.

        Args:
            query: What is read.
            read: Reads it in a unit.

        Raises:
            BotError: It can't be read, or it can't be said in which unit.
        """
        while True:
            unit = self.unit
            outcome: WindowResult | BotError
            try:
                outcome = yield from read(unit)
            except (FilterError, RequestError) as error:
                is_right = self.is_proven and unit == self.unit
                if is_right or not _may_be_the_unit(error):
                    raise
                outcome = error
            if not self.is_proven:
                outcome = yield from self._verified(query, unit, outcome)
            if unit != self.unit:
                continue  # the search has found another unit: read again in it
            if isinstance(outcome, BotError):
                raise outcome
            return outcome

    def _verified(
        self, query: ListQuery, unit: int, outcome: WindowResult | BotError
    ) -> Generator[Sequence[Fetch], Sequence[Page], WindowResult | BotError]:
        """Prove the unit by what came in it, or look for another.

        Returns:
            What came, or what is wrong with it.
        """
        if isinstance(outcome, WindowResult) and outcome.received:
            is_default = (
                _may_be_the_default(query.window)
                and bool(outcome.rows)
                and (yield from _comes_anyway(outcome.rows[0], unit, query))
            )
            if not is_default:
                self._prove(unit)
                return outcome
            msg = f"{query.window}: the server ignores the range"
            outcome = FilterError(msg)
        yield from self._find_unit(
            query, unit, is_refused=isinstance(outcome, RequestError)
        )
        return outcome

    def _find_unit(
        self, query: ListQuery, unit: int, *, is_refused: bool
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Look for the unit: nothing came of a window, or a refusal."""
        if query.label not in self._tried:
            # Many lists are empty for an hour, and few for days.
            self._tried.add(query.label)
            days = query.last(timedelta(days=6))
            with suppress(UnavailableError):
                yield from self._try(days, unit, query)
        if is_refused:
            # A server may refuse what it no longer holds.
            hour = query.last(timedelta(hours=1))
            is_refused = not (yield from self._try(hour, unit, query))
        for other in sorted(UNITS.keys() - {unit} - self._nonsense):
            if self.is_proven:
                return
            if not is_refused and (yield from self._is_in_vain(query, other)):
                continue
            is_answered = yield from self._try(query.window, other, query)
            if is_answered and is_refused and not self.is_proven:
                self.unit = other  # a guess: records alone are a proof
                return

    def _is_in_vain(
        self, query: ListQuery, unit: int
    ) -> Generator[Sequence[Fetch], Sequence[Page], bool]:
        """Whether no window of a list need be tried in a unit.

        Either because there is nothing in all of its time, or because nothing at all is
        answered. That is found out once, at the second window of which nothing came; a
        server that can't say it of so long a time is asked for each window.
        """
        key = query.label, unit
        self._trials[key] += 1
        if self._trials[key] == 2:  # noqa: PLR2004 -- the second, see above
            is_settled = yield from self._answers(query.whole, unit, query)
            if not is_settled:
                hour = query.last(timedelta(hours=1))
                is_settled = (yield from self._answers(hour, unit, query)) is False
            if is_settled:
                self._vain.add(key)
        return key in self._vain or self.is_proven

    def _answers(
        self, window: Window, unit: int, query: ListQuery
    ) -> Generator[Sequence[Fetch], Sequence[Page], bool | None]:
        """Ask once for a range in a unit, as `_try`, which may be too long for it.

        Returns:
            Whether there was an answer; none if that can't be said.
        """
        fetch = query.fetch_count(window, unit)
        try:
            [page] = yield [replace(fetch, send=partial(_at_once, fetch.send))]
        except UnavailableError:
            return None
        except BotError:
            return False
        yield from self._learn(page, unit, query)
        return True if page.rows or not page.total else None

    def _try(
        self, window: Window, unit: int, query: ListQuery
    ) -> Generator[Sequence[Fetch], Sequence[Page], bool]:
        """Ask for a range in a unit; records of it are the proof.

        Returns:
            Whether there was an answer.

        Raises:
            UnavailableError: That can't be said, after as many attempts as may be.
        """
        fetch = query.fetch_count(window, unit)
        try:
            [page] = yield [replace(fetch, slow_attempts=_SLOW_ATTEMPTS)]
        except UnavailableError as error:
            # In a larger unit than its own, a server sees a longer range, which may be
            # too long; in its own it has an answer for an hour.
            hour = query.last(timedelta(hours=1))
            if error.is_slow and window.width > hour.width:
                is_answered = yield from self._try(hour, unit, query)
                if is_answered and not self.is_proven:
                    [page] = yield [fetch]
                    yield from self._learn(page, unit, query)
                return is_answered
            # These are what a server may well make of a time that is no time.
            if not error.is_slow and error.status not in _NONSENSE:
                raise
            if unit != self.unit:
                self._nonsense.add(unit)
            return False
        except BotError:
            return False
        yield from self._learn(page, unit, query)
        return True

    def _learn(
        self, page: Page, unit: int, query: ListQuery
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Take records of a range for the proof, if they don't come anyway."""
        if page.rows and not self.is_proven:
            is_default = yield from _comes_anyway(page.rows[0], unit, query)
            if not is_default:
                self._prove(unit)

    def _prove(self, unit: int) -> None:
        if self.is_proven:
            return
        if unit != 1:
            logger.warning("Avaamo counts time in %s; so does this run", UNITS[unit])
        self.unit, self.is_proven = unit, True


def _at_once(send: Callable[[], Page]) -> Page:
    """Make the only attempt at a request, unless it is refused for want of budget.

    Raises:
        UnavailableError: It fails, in a way that another attempt might not.
        TransientError: The budget is spent.
    """
    try:
        return send()
    except TransientError as error:
        if error.limit:
            raise
        raise UnavailableError(str(error), error.status) from None


def _may_be_the_unit(error: BotError) -> bool:
    """Whether a server may have failed so because it counts in another unit."""
    return isinstance(error, FilterError) or (
        isinstance(error, RequestError) and error.status in _REFUSALS
    )


def _may_be_the_default(window: Window) -> bool:
    """Whether a window holds all that a server sends that ignores the range."""
    start = datetime.now(UTC) - _DEFAULT
    return window.start <= start + timedelta(hours=1) and start < window.end


def _comes_anyway(
    row: Row, unit: int, query: ListQuery
) -> Generator[Sequence[Fetch], Sequence[Page], bool]:
    """Whether a record comes where another time is asked for, too.

    A server that takes a token for nonsense may answer with its default.
    """
    later = row.time + timedelta(seconds=10)
    try:
        [page] = yield [
            query.fetch_count(Window(later, later + timedelta(seconds=1)), unit)
        ]
    except FilterError:
        return True
    return any(other.key == row.key for other in page.rows)


def in_seconds(value: float | None) -> float | None:
    """An instant in another unit, too late to be one in seconds; none if it is none."""
    for unit in UNITS:
        try:
            parse_instant((value or 0) / unit)
        except (OverflowError, ValueError):
            continue
        return None if value is None else value / unit
    return None


def time_token(value: Json) -> float | None:
    """The server's time when it answered, in seconds, if it says that.

    The samples of the pages User sessions and Messages have it in seconds.
    """
    try:
        return in_seconds(number(value))
    except (TypeError, ValueError):
        return None
