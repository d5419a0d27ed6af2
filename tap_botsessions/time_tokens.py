"""The unit of Avaamo's time tokens: seconds, unless the server shows another one.

The pages User sessions and Messages say "UNIX Epoch Timestamp" and no unit; samples are
in seconds, while the page of a sibling, Successful responses, says microseconds. A
server that counts otherwise answers a range in seconds by an empty list, by its default
of the last days, or by a refusal. None may be taken for an agent without records.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_botsessions.errors import (
    BotError,
    FilterError,
    RequestError,
    UnavailableError,
)
from tap_botsessions.reader import Taken
from tap_botsessions.windows import Window, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tap_botsessions.reader import Fetch, Page, Reading
    from tap_botsessions.records import Row

    Ask = Callable[[Window, int], Fetch]
    Trials = Generator[Sequence[Fetch], Sequence[Page], None]

logger = logging.getLogger("tap-botsessions")

UNITS = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds"}
"""Names of units by how many of each are a second."""

_REFUSALS = {400, 422}

_RETRIES = 2
"""Of a trial: a server may well fail at a range that makes no sense to it."""


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

    def settle(
        self,
        what: str,
        span: Callable[[], Window],
        read: Callable[[int], Reading],
        ask: Ask,
    ) -> Reading:
        """Read a window in the server's unit; look for that if nothing comes.

        Args:
            what: The list that is read; the units are tried once on each.
            span: Tells all that is to be read of it in this run.
            read: Reads the window in a unit.
            ask: Makes a request for a range in a unit.
        """
        while True:
            unit = self.unit
            outcome: Taken | BotError
            try:
                outcome = yield from read(unit)
            except (FilterError, RequestError) as error:
                is_right = self.is_proven and unit == self.unit
                if is_right or not _may_be_the_unit(error):
                    raise
                outcome = error
            if isinstance(outcome, Taken) and outcome.received:
                self._prove(unit)
            elif not self.is_proven and what not in self._tried:
                self._tried.add(what)
                if isinstance(outcome, RequestError):
                    yield from self._find_what_is_taken(span(), ask)
                if unit == self.unit:
                    yield from self._find_what_has_records(span(), ask)
            if unit != self.unit:
                continue
            if isinstance(outcome, BotError):
                raise outcome
            return outcome

    def _find_what_is_taken(self, span: Window, ask: Ask) -> Trials:
        """Change to a unit that is answered where the present one is refused.

        And that even for the last hour: a server may refuse what it no longer holds.
        It is a guess that may be changed again, since records alone prove a unit.
        """
        hour = Window(span.end - timedelta(hours=1), span.end)
        ranges = [(hour, self.unit), *((span, unit) for unit in self._others)]
        for asked, unit in ranges:
            if (yield from _trial(ask(asked, unit))) is not None:
                self.unit = unit
                return

    def _find_what_has_records(self, span: Window, ask: Ask) -> Trials:
        """Change to a unit in which records come that were asked for.

        The present one is tried first, by the last week: most lists are empty for an
        hour, and few for as long as that.
        """
        week = Window(span.end - timedelta(days=7), span.end)
        ranges = [(week, self.unit), *((span, unit) for unit in self._others)]
        for asked, unit in ranges:
            if self.is_proven:
                return
            page = yield from _trial(ask(asked, unit))
            if page is None or not page.rows or self.is_proven:
                continue
            # A server that takes a token for nonsense may answer with its default:
            # does the record come again where another time is asked for?
            later = page.rows[0].time + timedelta(seconds=10)
            aside = Window(later, later + timedelta(seconds=1))
            beside = yield from _trial(ask(aside, unit))
            if beside is not None and not _has(beside, page.rows[0]):
                self._prove(unit)

    @property
    def _others(self) -> Sequence[int]:
        return [unit for unit in UNITS if unit != self.unit]

    def _prove(self, unit: int) -> None:
        if not self.is_proven and unit != 1:
            logger.warning("Avaamo counts time in %s; so does this run", UNITS[unit])
        self.unit, self.is_proven = unit, True


def in_seconds(value: float | None) -> float | None:
    """An instant in another unit, too late to be one in seconds; none if it is none."""
    for unit in UNITS:
        try:
            parse_instant((value or 0) / unit)
        except ValueError:
            continue
        return None if value is None else value / unit
    return None


def _may_be_the_unit(error: BotError) -> bool:
    """Whether a server may have failed so because it counts in another unit."""
    return isinstance(error, FilterError) or (
        isinstance(error, RequestError) and error.status in _REFUSALS
    )


def _trial(fetch: Fetch) -> Generator[Sequence[Fetch], Sequence[Page], Page | None]:
    """The answer to a request that may make no sense to the server; or none.

    That none is to be had is told, since a unit may be overlooked for it.
    """
    try:
        [page] = yield [replace(fetch, retries=_RETRIES)]
    except UnavailableError as error:
        logger.warning("%s: trying another unit of time: %s", fetch.what, error)
        return None
    except BotError:
        return None
    return page


def _has(page: Page, row: Row) -> bool:
    return any(other.key == row.key for other in page.rows)
