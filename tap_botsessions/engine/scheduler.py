"""Reading ahead: the windows of all bots at once, in order for each.

One thread, the one that iterates, keeps all the books. Workers only make requests: they
are given one when a worker and a place in the request's budget are free, so that none
waits with a request in its hands. Bots don't wait for each other: what is read of any
bot is handed out as soon as all before it of the same bot has been. What was read and
not yet handed out is bounded by rows, whatever the range.
"""

from __future__ import annotations

import logging
import random
import time
from collections import deque
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field, replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Any, Self, cast

from tap_botsessions.engine.errors import (
    BotError,
    TransientError,
    UnavailableError,
)
from tap_botsessions.engine.reader import next_width
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import timedelta

    from tap_botsessions.engine.reader import Fetch, Page, Reading, Seen, Taken

logger = logging.getLogger("tap-botsessions")

ROWS_AHEAD = 6_000
"""Rows that may be held before only what can be handed out next is read on."""

LONGEST_WAIT = 3600.0
"""Seconds: for a longer pause than this a vendor is not waited for in a sync."""

_LONGEST_BACKOFF = 60.0
_TICK = 0.2


@dataclass(eq=False)
class Job:
    """What is to be read of one bot.

    Attributes:
        bot: The bot's id.
        take: Begins to read a window, given rows of it that were seen before.
        spans: The ranges to read, in order.
        widest: How wide a window may be.
        first: What to read before the windows, if anything.
        settles: Whether nothing else is begun before the first of it is over, since
            that may settle how the rest is read.
        asked: Called for each request, with how many attempts at it have failed.
    """

    bot: str
    take: Callable[[Window, Seen], Reading]
    spans: Sequence[Window]
    widest: timedelta
    first: Reading | None = None
    settles: bool = False
    asked: Callable[[int], None] = lambda _attempts: None

    @property
    def span(self) -> Window | None:
        """The range in which its windows lie; none if it has no window."""
        if not self.spans:
            return None
        return Window(self.spans[0].start, self.spans[-1].end)


@dataclass(eq=False)
class _Lane:
    """A job under way: its tasks in order of time, without those handed out."""

    job: Job
    width: timedelta
    tasks: list[_Task] = field(default_factory=list)
    is_settled: bool = True

    @property
    def begun(self) -> int:
        """How many tasks have been begun and not been handed out yet."""
        return sum(task.begun for task in self.tasks)

    @property
    def has_more(self) -> bool:
        """Whether there are tasks that have not been begun."""
        return not all(task.begun for task in self.tasks)


@dataclass(eq=False)
class _Task:
    """One window of a lane: not begun, then under way, then over with an outcome.

    Attributes:
        lane: Whose window it is.
        asked: The window; none for what a job reads first.
        seen: Rows of it that were seen before.
        reading: Says what to fetch next.
        begun: Whether it has been begun.
        calls: What it waits to fetch.
        pages: What it has fetched of its latest batch.
        missing: How many pages of the batch are still to come.
        held: Rows that it holds.
        requests: Requests that were made for it.
        begun_at: When it was begun, by the monotonic clock.
        outcome: What came of it.
    """

    lane: _Lane
    asked: Window | None
    seen: Seen = field(default_factory=dict)
    reading: Reading | None = None
    begun: bool = False
    calls: deque[_Call] = field(default_factory=deque)
    pages: list[Any] = field(default_factory=list)
    missing: int = 0
    held: int = 0
    requests: int = 0
    begun_at: float = 0.0
    outcome: Taken | BotError | None = None


@dataclass(eq=False)
class _Call:
    """One fetch of a task, and how it has fared so far."""

    task: _Task
    fetch: Fetch
    place: int
    attempts: int = 0
    due: float = 0.0


class ReadAhead:
    """Reads jobs ahead; to be iterated over within its context."""

    def __init__(
        self,
        jobs: Iterable[Job],
        workers: int,
        retries: int,
        heed: Callable[[], None] = lambda: None,
        patience: float = LONGEST_WAIT,
    ) -> None:
        """Prepare to read.

        Args:
            jobs: One for each bot.
            workers: Requests in flight at most.
            retries: How often one request is repeated.
            heed: Called again and again, also while there is nothing to do.
            patience: Seconds: for a longer pause than this a vendor is not waited for.
        """
        self._lanes = [lane for job in jobs if (lane := _lane(job)).tasks]
        self._workers = workers
        self._retries = retries
        self._heed = heed
        self._patience = patience
        self._under_way: list[_Task] = []
        self._in_flight = 0
        self._held = 0
        self._is_awaited = False
        self._wake = 0.0
        self._answers: SimpleQueue[tuple[_Call, object]] = SimpleQueue()
        self._executor = ThreadPoolExecutor(workers, "tap-botsessions")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Make no further request, and leave no thread behind.

        But wait for none if what is read can't be written: the process is to end.
        """
        is_in_vain = kind is not None and issubclass(kind, OSError)
        self._executor.shutdown(wait=not is_in_vain, cancel_futures=True)

    def __iter__(self) -> Iterator[tuple[str, Taken | BotError]]:
        """Hand out what was read, a window at a time, or why a bot was given up.

        Yields:
            A bot, and its next window, or the error after which none follows.
        """
        while self._lanes:
            ready = [lane for lane in self._lanes if lane.tasks[0].outcome is not None]
            for lane in ready:
                task = lane.tasks.pop(0)
                self._held -= task.held
                if not lane.tasks:
                    self._lanes.remove(lane)
                if task.outcome is not None:
                    yield lane.job.bot, task.outcome
            self.poll(wait=not ready)

    @property
    def _is_full(self) -> bool:
        """Whether so much is held that only what a bot is waiting for is read on.

        And that only while nothing can be handed out.
        """
        return self._held >= ROWS_AHEAD

    def poll(self, *, wait: bool = False) -> None:
        """Take in the answers that have come, and make the requests that may be made.

        Args:
            wait: Whether to wait a moment for an answer if there is none.
        """
        self._heed()
        self._is_awaited = wait
        self._fill()
        try:
            if wait and self._lanes:
                pause = min(max(self._wake - time.monotonic(), 0.001), _TICK)
                self._take_in(*self._answers.get(timeout=pause))
            while True:
                self._take_in(*self._answers.get_nowait())
        except Empty:
            self._fill()

    def _fill(self) -> None:
        """Give every free worker a request, as far as budgets and bounds allow."""
        self._wake = time.monotonic() + _TICK
        while self._in_flight < self._workers and (
            self._is_awaited or not self._is_full
        ):
            call = self._next_call()
            if call is not None:
                self._in_flight += 1
                call.task.requests += 1
                call.task.lane.job.asked(call.attempts)
                self._executor.submit(self._work, call)
            elif not self._begin_one():
                return

    def _next_call(self) -> _Call | None:
        """The call of the longest-standing task that may be made now."""
        now = time.monotonic()
        for task in self._under_way:
            if self._is_full and task is not task.lane.tasks[0]:
                continue
            for call in task.calls:
                wait = call.due - now
                if wait <= 0 and (wait := call.fetch.budget.take()) == 0:
                    task.calls.remove(call)
                    return call
                self._wake = min(self._wake, now + wait)
        return None

    def _work(self, call: _Call) -> None:
        answer: object
        try:
            answer = call.fetch.send()
        except BaseException as error:  # noqa: BLE001 -- raised where it is taken in
            answer = error
        self._answers.put((call, answer))

    def _begin_one(self) -> bool:
        """Begin a window, if one may be begun.

        It is one that a bot is waiting for, or else one of the bot that has the fewest
        begun.
        """
        lanes = [lane for lane in self._lanes if not lane.tasks[0].begun]
        if not lanes and not self._is_full:
            most = 1 + -(-2 * self._workers // max(len(self._lanes), 1))
            lanes = [
                lane
                for lane in self._lanes
                if lane.has_more and lane.is_settled and lane.begun < most
            ]
            lanes.sort(key=lambda lane: lane.begun)
        if not lanes:
            return False
        task = next(task for task in lanes[0].tasks if not task.begun)
        self._begin(task, len(self._under_way))
        return True

    def _begin(self, task: _Task, place: int) -> None:
        """Begin a task, or the part of it that is as wide as the density allows."""
        if task.asked is not None:
            task.asked = _leading_part(task, task.asked)
            task.reading = task.lane.job.take(task.asked, task.seen)
        task.begun = True
        task.begun_at = time.monotonic()
        self._under_way.insert(place, task)
        self._go_on(task, None)

    def _go_on(self, task: _Task, answer: list[Page] | BotError | None) -> None:
        """Give a reading the pages it asked for, and put down what it asks for next.

        That a page is not to be had which was asked for alone is for the reading to
        heed.
        """
        reading = cast("Reading", task.reading)
        try:
            if isinstance(answer, BotError):
                batch = reading.throw(answer)
            else:
                batch = reading.send(answer) if answer is not None else next(reading)
            while not batch:
                batch = reading.send([])
        except StopIteration as stop:
            self._finish(task, stop.value)
        except BotError as error:
            self._give_up(task, error)
        else:
            task.pages = [None] * len(batch)
            task.missing = len(batch)
            task.calls.extend(
                _Call(task, fetch, place) for place, fetch in enumerate(batch)
            )

    def _take_in(self, call: _Call, answer: object) -> None:
        """Take in the answer to a call: a page, or an error."""
        self._in_flight -= 1
        task = call.task
        if task.outcome is not None:
            return
        if isinstance(answer, TransientError):
            self._retry(call, answer)
        elif isinstance(answer, BotError):
            self._refuse(task, answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            page = cast("Page", answer)
            task.pages[call.place] = page
            task.missing -= 1
            self._hold(task, task.held + len(page.rows))
            if not task.missing:
                self._go_on(task, task.pages)

    def _retry(self, call: _Call, error: TransientError) -> None:
        """Put a call back until it may be repeated, or give its task up."""
        call.attempts += 1
        budget = call.fetch.budget
        growing = backoff(call.attempts)
        asked = error.wait
        if asked is not None and asked < 1:
            asked = max(asked, growing)  # or else it would be asked without a pause
        # Nobody is to wait for what is too long to be waited for.
        if error.limit is not None and (asked or 0) <= self._patience:
            wait = budget.pause(error.limit, asked)
        else:
            wait = growing if asked is None else asked
        if call.attempts > self._retries:
            msg = (
                f"{error}, in {call.attempts} attempts; try again later, or raise "
                f"max_retries or request_timeout_seconds"
            )
            self._refuse(call.task, UnavailableError(msg, error.status))
        elif wait > self._patience:
            pause = (
                f"{wait / 3600:.1f} hours" if wait > LONGEST_WAIT else f"{wait:.0f} s"
            )
            msg = f"{error}, and asks to wait for {pause}"
            self._refuse(call.task, UnavailableError(msg, error.status))
        else:
            call.due = time.monotonic() + wait
            call.task.calls.appendleft(call)
            logger.warning(
                "%s: %s; attempt %d of %d, the next one in %.1f s",
                call.fetch.what,
                error,
                call.attempts,
                self._retries + 1,
                wait,
            )

    def _refuse(self, task: _Task, error: BotError) -> None:
        """Tell a reading that a page is not to be had, if it asked for that alone."""
        if len(task.pages) == 1:
            self._go_on(task, error)
        else:
            self._give_up(task, error)

    def _finish(self, task: _Task, taken: Taken) -> None:
        """Put down what was taken, and go on with what a narrowed window left over."""
        lane = task.lane
        seconds = time.monotonic() - task.begun_at
        taken = replace(taken, requests=task.requests, seconds=seconds)
        lane.is_settled = True
        place = self._end(task, taken)
        self._hold(task, len(taken.rows))
        if task.asked is None or taken.window is None:
            return
        rows = len(taken.rows)
        lane.width = next_width(taken.window, rows, task.asked, lane.job.widest)
        if taken.window.end < task.asked.end:
            rest = _Task(lane, Window(taken.window.end, task.asked.end), taken.beyond)
            lane.tasks.insert(lane.tasks.index(task) + 1, rest)
            self._begin(rest, place)

    def _give_up(self, task: _Task, error: BotError) -> None:
        """End a lane with an error: what comes after the task is not read."""
        lane = task.lane
        after = lane.tasks.index(task) + 1
        for other in lane.tasks[after:]:
            self._end(other, error)
            self._hold(other, 0)
        del lane.tasks[after:]
        self._end(task, error)
        self._hold(task, 0)

    def _end(self, task: _Task, outcome: Taken | BotError) -> int:
        """End a task.

        Returns:
            The place that it had among those under way.
        """
        task.outcome = outcome
        task.calls.clear()
        task.pages = []
        if task not in self._under_way:
            return len(self._under_way)
        place = self._under_way.index(task)
        del self._under_way[place]
        return place

    def _hold(self, task: _Task, rows: int) -> None:
        self._held += rows - task.held
        task.held = rows


def backoff(attempts: int) -> float:
    """Seconds to wait after so many failed attempts: growing, and with full jitter."""
    return random.uniform(0, min(_LONGEST_BACKOFF, 0.5 * 2**attempts))  # noqa: S311 -- not for secrets


def _lane(job: Job) -> _Lane:
    lane = _Lane(job, job.widest, is_settled=not job.settles)
    if job.first is not None:
        lane.tasks.append(_Task(lane, None, reading=job.first))
    lane.tasks.extend(_Task(lane, span) for span in job.spans)
    return lane


def _leading_part(task: _Task, asked: Window) -> Window:
    """Leave of a task no more than its lane's width; a new task gets what remains."""
    lane = task.lane
    end = asked.start + lane.width
    if end >= asked.end:
        return asked
    beyond = {key: row for key, row in task.seen.items() if row.time >= end}
    rest = _Task(lane, Window(end, asked.end), beyond)
    lane.tasks.insert(lane.tasks.index(task) + 1, rest)
    return Window(asked.start, end)
