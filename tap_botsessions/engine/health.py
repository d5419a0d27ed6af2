"""Whether the host of a vendor is up: one fact for all requests to it.

How an outage is distinguished from the trouble of one bot or one request: several
requests in a row have failed, of whatever bot, and none was answered meanwhile. Then
one that was answered before is repeated. If it is answered again, the host is well, and
what fails does so for reasons of its own. Else the host is down. As long as nothing has
been answered in the run, there is nothing to repeat: the host counts as down where it
can't be connected to, or says so (502, 503), and not for a 500, a 504 or a time-out,
which a range that is too wide gets as well.

While a host is down, one request at a time asks whether it is back, with growing
pauses. The others wait, and failures do not count for them. A host that was never
reached is given up much sooner: its address is wrong, or the network.
"""

from __future__ import annotations

import logging
import math
import random
from typing import TYPE_CHECKING, Literal, Protocol

from tap_botsessions.engine.errors import (
    BotError,
    HostError,
    RequestError,
    TransientError,
)

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import Fetch

logger = logging.getLogger("tap-botsessions")

_SUSPICIOUS = 3
"""So many failures in a row, of any requests, may be an outage."""


class Call(Protocol):
    """A request that was made.

    Attributes:
        fetch: What was asked.
        sent: When, by the clock of those who made it.
        failed: How many attempts at it have failed.
    """

    fetch: Fetch
    sent: float
    failed: int


class Health:
    """Whether a host is up, from what has come of the requests to it.

    It is used by one thread. All times are in seconds, of one monotonic clock.

    Attributes:
        setting: The setting that says where it is, for messages.
        error: Why no request is to be made any more, once the host has been given up.
        probe: The request in flight that shows whether the host is back.
        known_good: The last request that was answered.
    """

    def __init__(self, url: str, max_outage: float, setting: str) -> None:
        """Take a host for well.

        Args:
            url: Its base URL, for messages.
            max_outage: Seconds for which it is waited for if it is down; 0: not at all.
            setting: The setting that says where it is.
        """
        self.setting = setting
        self.error: HostError | None = None
        self.probe: Call | None = None
        self.known_good: Fetch | None = None
        self._url = url
        self._max_outage = max_outage
        self._state: Literal["well", "suspected", "down"] = "well"
        self._is_reached = False
        self._in_a_row: list[Call] = []
        self._plain_in_a_row = 0
        self._probes = 0
        self._next_probe = 0.0
        self._since = 0.0  # of an outage, or of the suspicion
        self._unanswered_since = math.inf
        self._well_since = 0.0

    @property
    def is_held(self) -> bool:
        """Whether no request is to be made but to find out whether the host is up."""
        return self._state != "well"

    def seconds_until_probe(self, now: float) -> float:
        """Seconds until such a request is to be made, if none is in flight."""
        return self._next_probe - now

    def resume(self, now: float) -> None:
        """Begin anew, with other requests.

        A host gets another chance if it was given up though it had been reached: it may
        be back, or it is some of its lists only that fail.
        """
        self.probe = None
        if self.error and self._is_reached:
            self.error = self.known_good = None
            self._next_probe = now

    def observe(self, call: Call, answer: object, now: float, limits: Limits) -> bool:
        """Learn from what came of a request.

        Args:
            call: The request; a failure that counts is added to its own.
            answer: An error, or anything else if it was answered as it should be.
            now: When that came.
            limits: How long is waited.

        Returns:
            Whether a failure counts. If it does not, the request is to be repeated as
            soon as the host is up.
        """
        was_probe = call is self.probe
        if was_probe:
            self.probe = None
        if isinstance(answer, TransientError) and answer.trouble:
            self._unanswered_since = min(self._unanswered_since, now)
            return self._observe_trouble(call, answer, now, limits, is_probe=was_probe)
        if not isinstance(answer, BaseException):
            self.known_good = call.fetch
        if _is_answer(answer):
            self._is_reached = True
            self._unanswered_since = math.inf
            # An answer to what was asked before tells nothing of the host as it is now.
            if not self.is_held or call.sent >= self._since:
                self._recover(now)
        elif isinstance(answer, TransientError):
            self._is_reached = True
            if was_probe:
                self._plan_probe(answer, now, limits)
        if isinstance(answer, TransientError) and not self.is_held:
            call.failed += 1
        return not self.is_held

    def _observe_trouble(
        self,
        call: Call,
        error: TransientError,
        now: float,
        limits: Limits,
        *,
        is_probe: bool,
    ) -> bool:
        self._is_reached |= error.trouble != "unreached"
        if self.is_held:
            if is_probe:
                self._observe_probe(error, now, limits)
            elif self._state == "suspected":
                self._count(call)
            return False
        if call.sent < self._well_since:
            return False  # it is of the outage that is over
        if not self._in_a_row:
            self._since = now
            self._plain_in_a_row = 0
        self._count(call)
        is_plain = error.trouble in {"unreached", "down"}
        self._plain_in_a_row = self._plain_in_a_row + 1 if is_plain else 0
        if not self._is_reached:
            self._since = min(self._since, call.sent)
            self._go_down(error, now, limits)
        elif self._is_suspicious(limits):
            if self.known_good is not None:
                self._state = "suspected"
                self._next_probe = now
            elif self._plain_in_a_row >= _SUSPICIOUS:
                self._go_down(error, now, limits)
        return not self.is_held

    def _observe_probe(self, error: TransientError, now: float, limits: Limits) -> None:
        if self.known_good is None and error.trouble == "slow":
            # A range that is too wide gets no more. It is narrowed if that goes on, and
            # would be asked for again and again while the host is held.
            self._recover(now)
        else:
            self._go_down(error, now, limits)

    def _count(self, call: Call) -> None:
        """Have a failure count for a request, unless it turns out to be the host's."""
        call.failed += 1
        self._in_a_row.append(call)

    def _is_suspicious(self, limits: Limits) -> bool:
        return len(self._in_a_row) >= _SUSPICIOUS and self._patience(limits) > 0

    def _patience(self, limits: Limits) -> float:
        """Seconds for which the host is waited for."""
        patience = self._max_outage if self._is_reached else limits.max_unreached
        return min(patience, limits.max_outage)

    def _go_down(self, error: TransientError, now: float, limits: Limits) -> None:
        """Count the host as down: what has failed for that reason has not failed."""
        if self._state != "down":
            self._state = "down"
            for call in self._in_a_row:
                call.failed -= 1
            self._in_a_row.clear()
            logger.warning(
                "%s %s (%s); requests wait for it, for up to %s",
                self._url,
                "is down" if self._is_reached else "can't be reached",
                error,
                _duration(self._patience(limits)),
            )
        self._plan_probe(error, now, limits)

    def _plan_probe(self, error: TransientError, now: float, limits: Limits) -> None:
        """Decide when the host is asked again, or give it up."""
        self._probes += 1
        pause = error.wait or 0.0
        if pause < 1:
            pause = max(pause, backoff(self._probes, limits.max_backoff / 2))
            # The last moment is not missed for a pause that nobody asked for.
            left = self._patience(limits) - self._waited(now)
            pause = min(pause, left) if self._is_reached and left > 0 else pause
        self._next_probe = now + pause
        is_over = self._waited(now) >= self._patience(limits)
        is_too_late = self._waited(self._next_probe) >= self._patience(limits)
        if (
            is_over
            or pause > limits.max_pause
            or (is_too_late and not self._is_reached)
        ):
            self.error = self._verdict(error, now)

    def _waited(self, now: float) -> float:
        """Seconds for which nothing has been answered.

        A probe that takes too long ends an outage, as its range may be too wide. It is
        no answer: where nothing else comes in between, the outages are one.
        """
        return now - min(self._since, self._unanswered_since)

    def _verdict(self, error: TransientError, now: float) -> HostError:
        waited = _duration(self._waited(now))
        if self._is_reached:
            return HostError(
                f"{self._url} has been down for {waited} ({error}); run again later, "
                f"or raise outage_minutes"
            )
        return HostError(
            f"{self._url} could not be reached at all, in {waited} ({error}); check "
            f"{self.setting}, and the network and proxy that lead there"
        )

    def _recover(self, now: float) -> None:
        if self._state == "down":
            logger.warning(
                "%s answers again, after %s", self._url, _duration(now - self._since)
            )
            self._well_since = now
        self._state = "well"
        self._probes = 0
        self._in_a_row.clear()


def backoff(failed: int, longest: float) -> float:
    """Seconds to wait after so many failures: growing, half of it drawn by chance."""
    most = min(longest, 0.5 * 2 ** min(failed, 30))
    return random.uniform(most / 2, most)  # noqa: S311 -- not for secrets


def _is_answer(answer: object) -> bool:
    """Whether it shows that the host does its work, be it by a refusal."""
    if isinstance(answer, (TransientError, RequestError)):
        return answer.status is not None
    return isinstance(answer, BotError) or not isinstance(answer, BaseException)


def _duration(seconds: float) -> str:
    """A duration for people."""
    minutes = round(seconds / 60)
    return f"{minutes} minutes" if minutes > 1 else f"{seconds:.0f} s"
