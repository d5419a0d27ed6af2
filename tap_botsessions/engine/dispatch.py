"""Which request is made next: of those that may be made, and so that none starves.

A bot that does not answer holds a worker until its time-out. So requests are ranked:
those of bots that answer; those of bots that have not been heard of yet; those that
have failed before, or are of a bot whose last answer was a failure. As long as there is
something left to read of the first rank, the others get few of the workers, the second
rank before the third.
"""

from __future__ import annotations

import math
from enum import Enum, auto
from typing import TYPE_CHECKING

from tap_botsessions.engine.holding import ReadAhead
from tap_botsessions.engine.jobs import Attempt

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_botsessions.engine.health import Health
    from tap_botsessions.engine.jobs import Lane, Task

_SHARE = 0.25
"""The part of the workers' time that requests get that are not of the first rank."""


_UNWANTED = -1
"""The batch of a request whose answer nobody waits for."""


class Rank(Enum):
    """How likely a request is to be answered soon."""

    GOOD = auto()
    NEW = auto()
    FAILING = auto()


class Dispatcher:
    """Chooses the request that is made next.

    Attributes:
        under_way: What has been begun and is not over, the longest-standing first.
        in_flight: How many requests are in flight.
        wake: When there may be more to do without an answer having come.
    """

    def __init__(self, lanes: Sequence[Lane], workers: int) -> None:
        """Prepare to choose.

        Args:
            lanes: The lanes that are not over: the scheduler's own list, from which it
                removes those that are.
            workers: Requests in flight at most.
        """
        self.under_way: list[Task] = []
        self.in_flight = 0
        self.wake = 0.0
        self._lanes = lanes
        self._unheard = [*lanes]
        self._workers = workers
        self._doubtful = 0
        self._rest_until = 0.0

    @property
    def is_busy(self) -> bool:
        """Whether no worker is free."""
        return self.in_flight >= self._workers

    def take(self, now: float, read_ahead: ReadAhead) -> Attempt | None:
        """The request that is to be made now, if there is one and a worker is free.

        Args:
            now: The time.
            read_ahead: What is read next.
        """
        if self.is_busy:
            return None
        attempt = self._probe(now) or self._next(now, read_ahead)
        if attempt is not None:
            attempt.sent = now
            self.in_flight += 1
            self._doubtful += attempt.is_doubtful
        return attempt

    def give_back(self, attempt: Attempt, now: float) -> None:
        """Note that a request has come to its end, whatever came of it."""
        self.in_flight -= 1
        if attempt.is_doubtful:
            self._doubtful -= 1
            # Where a single worker is more than the share, it rests for the others.
            rest = max(1 / (_SHARE * self._workers) - 1, 0.0)
            self._rest_until = now + rest * (now - attempt.sent)

    def _admitted(self, now: float) -> set[Rank]:
        """The ranks of which a request may be made now."""
        has_good = any(
            lane.is_well and lane.is_unfinished and not lane.job.host.is_held
            for lane in self._lanes
        )
        has_new = self._has_new()
        if self._rest_until > now:
            self.wake = min(self.wake, self._rest_until)
        most = max(int(_SHARE * self._workers), 1)
        has_room = self._doubtful < most and now >= self._rest_until
        if has_good and not has_room:
            return {Rank.GOOD}
        return {Rank.GOOD, Rank.NEW} if has_new else {*Rank}

    def _has_new(self) -> bool:
        """Whether a bot waits that has not been heard of yet."""
        self._unheard = [
            lane for lane in self._unheard if lane.is_well is None and lane.tasks
        ]
        return any(
            lane.is_waiting and not lane.job.host.is_held for lane in self._unheard
        )

    def to_begin(self, now: float, read_ahead: ReadAhead) -> Task | None:
        """The window to begin: one that is waited for, or of the bot with the fewest.

        Args:
            now: The time.
            read_ahead: What is read next.
        """
        if read_ahead is ReadAhead.ONE and any(map(_is_coming, self.under_way)):
            return None
        admitted = self._admitted(now)
        able = [lane for lane in self._lanes if _rank(lane) in admitted]
        lanes = [lane for lane in able if not lane.tasks[0].begun]
        if not lanes and read_ahead is ReadAhead.ALL:
            most = 1 + math.ceil(2 * self._workers / max(len(self._lanes), 1))
            lanes = [
                lane
                for lane in able
                if lane.has_more and lane.is_settled and lane.begun < most
            ]
            lanes.sort(key=lambda lane: lane.begun)
        return lanes[0].next_to_begin if lanes else None

    def waiting_for(self, host: Health) -> list[Attempt]:
        """The requests to a host that are to be made."""
        return [
            attempt
            for task in self.under_way
            if task.lane.job.host is host
            for attempt in task.attempts
        ]

    def _next(self, now: float, read_ahead: ReadAhead) -> Attempt | None:
        """The first request of the longest-standing task that may be made."""
        admitted = self._admitted(now)
        for task in self.under_way:
            if task.lane.job.host.is_held:
                continue
            if read_ahead is not ReadAhead.ALL and not task.is_needed:
                continue
            for attempt in task.attempts:
                rank = Rank.FAILING if attempt.failed else _rank(task.lane)
                if rank in admitted and self._is_free(attempt, now):
                    attempt.is_doubtful = rank is not Rank.GOOD
                    task.attempts.remove(attempt)
                    return attempt
            if read_ahead is ReadAhead.ONE and _is_coming(task):
                return None
        return None

    def _is_free(self, attempt: Attempt, now: float) -> bool:
        """Whether a request may be made now; if so, its budget has been charged."""
        wait = attempt.due - now
        if wait <= 0 and (wait := attempt.fetch.budget.try_acquire()) == 0:
            return True
        self.wake = min(self.wake, now + wait)
        return False

    def _probe(self, now: float) -> Attempt | None:
        """A request that shows whether a host is up, if it is time for that."""
        for host in {task.lane.job.host for task in self.under_way}:
            if not host.is_held or host.probe:
                continue
            if (wait := host.seconds_until_probe(now)) > 0:
                self.wake = min(self.wake, now + wait)
                continue
            for attempt in self._probes(host):
                if (wait := attempt.fetch.budget.try_acquire()) == 0:
                    if attempt in attempt.task.attempts:
                        attempt.task.attempts.remove(attempt)
                    attempt.is_doubtful = False
                    host.probe = attempt
                    return attempt
                self.wake = min(self.wake, now + wait)
        return None

    def _probes(self, host: Health) -> Iterator[Attempt]:
        """What may be asked: best what was answered before, else what is waiting."""
        tasks = [task for task in self.under_way if task.lane.job.host is host]
        if host.known_good is not None:
            yield Attempt(tasks[0], host.known_good, 0, _UNWANTED)
        yield from sorted(
            (attempt for task in tasks for attempt in task.attempts),
            key=lambda attempt: attempt.sent,
        )


def _is_coming(task: Task) -> bool:
    """Whether a bot that answers is about to have something to hand out."""
    return task.is_needed and task.is_awaited and task.lane.is_well is True


def _rank(lane: Lane) -> Rank:
    if lane.is_well is None:
        return Rank.NEW
    return Rank.GOOD if lane.is_well else Rank.FAILING
