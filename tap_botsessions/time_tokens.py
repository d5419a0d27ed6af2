"""The unit of Avaamo's time tokens: seconds, unless the server shows another one.

The pages User sessions and Messages say "UNIX Epoch Timestamp" and no unit; samples are
in seconds, while the page of a sibling, Successful responses, says microseconds. A
server that counts otherwise answers a range in seconds by an empty list, or refuses it,
which must not be taken for an agent without records.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from tap_botsessions.errors import BotError, RequestError, TransientError
from tap_botsessions.reader import Page, Taken
from tap_botsessions.windows import Window, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tap_botsessions.reader import Fetch, Reading

logger = logging.getLogger("tap-botsessions")

UNITS = {1: "seconds", 1_000: "milliseconds", 1_000_000: "microseconds"}
"""Names of units by how many of each are a second."""

_FAILED = Page([], received=0, total=0, more=False, following=1)
_REFUSALS = {400, 422}


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
        span: Window,
        read: Callable[[int], Reading],
        ask: Callable[[Window, int], Fetch],
    ) -> Reading:
        """Read a window in the server's unit; look for that if nothing comes.

        Args:
            what: The list that is read; the units are tried once on each.
            span: All that is to be read of it in this run.
            read: Reads the window in a unit.
            ask: Makes a request for a range in a unit.
        """
        while True:
            unit = self.unit
            outcome: Taken | RequestError
            try:
                outcome = yield from read(unit)
            except RequestError as error:
                is_right = self.is_proven and unit == self.unit
                if is_right or error.status not in _REFUSALS:
                    raise
                outcome = error
            if isinstance(outcome, Taken) and outcome.received:
                self._prove(unit)
            elif not self.is_proven and what not in self._tried:
                self._tried.add(what)
                is_refused = isinstance(outcome, RequestError)
                yield from self._find(span, ask, is_refused=is_refused)
            if unit != self.unit:
                continue
            if isinstance(outcome, RequestError):
                raise outcome
            return outcome

    def _find(
        self,
        span: Window,
        ask: Callable[[Window, int], Fetch],
        *,
        is_refused: bool,
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Try the other units.

        One is the server's if it is answered where the present one is refused, even for
        the last hour. Or else if a record of the range comes, and does not come again
        where another time is asked for: a server that takes a token for nonsense may
        answer with its default, the last days.
        """
        if is_refused:
            hour = Window(span.end - timedelta(hours=1), span.end)
            [page] = yield [_trial(ask(hour, self.unit))]
            is_refused = page is _FAILED
        for unit in UNITS.keys() - {self.unit}:
            [page] = yield [_trial(ask(span, unit))]
            if is_refused and page is not _FAILED:
                self._prove(unit)
                return
            if not page.rows:
                continue
            later = page.rows[0].time + timedelta(seconds=10)
            aside = Window(later, later + timedelta(seconds=1))
            [beside] = yield [_trial(ask(aside, unit))]
            again = page.rows[0].key in {row.key for row in beside.rows}
            if beside is not _FAILED and not again:
                self._prove(unit)
                return

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


def _trial(fetch: Fetch) -> Fetch:
    """A request that may make no sense to the server, which then has nothing."""
    return replace(fetch, send=partial(_page_or_failed, fetch.send))


def _page_or_failed(send: Callable[[], Page]) -> Page:
    try:
        return send()
    except BotError:
        return _FAILED
    except TransientError as error:
        if error.limit is not None:
            raise
        return _FAILED
