"""Reading ahead: the windows of all bots at once, in order for each.

One thread, the one that iterates, keeps all the books. Workers only make requests: they
are given one when a worker and a place in the request's budget are free, so that none
waits with a request in its hands. Bots don't wait for each other: what is read of any
bot is handed out as soon as all before it of the same bot has been. What was read and
not yet handed out is bounded by rows, whatever the range.
"""

from __future__ import annotations

import logging
import time
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING, Self, cast

from tap_botsessions.engine.errors import (
    BotError,
    OutputError,
    TransientError,
    UnavailableError,
)
from tap_botsessions.engine.jobs import Attempt, Lane
from tap_botsessions.engine.pacing import backoff
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_botsessions.engine.jobs import Job, Outcome, Task
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import Page, Reading, WindowResult

logger = logging.getLogger("tap-botsessions")

_HOUR = 3600
_DROPPED = BotError("all bots of the job have failed before")


class Scheduler:
    """Reads jobs ahead; to be iterated over within its context."""

    def __init__(
        self,
        jobs: Iterable[Job],
        workers: int,
        retries: int,
        limits: Limits,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to read.

        Args:
            jobs: The jobs.
            workers: Requests in flight at most.
            retries: How often one request is repeated.
            limits: How much is held, and how long is waited.
            on_tick: Called again and again, also while there is nothing to do.
        """
        self._lanes = [lane for job in jobs if (lane := Lane(job)).tasks]
        self._workers = workers
        self._retries = retries
        self._limits = limits
        self._on_tick = on_tick
        self._under_way: list[Task] = []
        self._in_flight = 0
        self._held = 0
        self._is_awaited = False
        self._wake = 0.0
        self._answers: SimpleQueue[tuple[Attempt, object]] = SimpleQueue()
        self._executor = ThreadPoolExecutor(workers, "tap-botsessions")

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Make no further request, and leave no thread behind.

        But wait for none if what is read can't be written: the process is to end.
        """
        is_for_nobody = kind is not None and issubclass(kind, OutputError)
        self._executor.shutdown(wait=not is_for_nobody, cancel_futures=True)

    def __iter__(self) -> Iterator[Outcome]:
        """Hand out what was read, a window at a time, or why a bot failed."""
        while self._lanes:
            ready = [lane for lane in self._lanes if lane.tasks[0].outcome is not None]
            for lane in ready:
                self._held -= lane.tasks[0].held
                outcomes = list(lane.hand_out())
                if not lane.tasks:
                    self._lanes.remove(lane)
                yield from outcomes
            self.poll(wait=not ready)

    def drop(self, job: Job, bot: str) -> None:
        """Read no more for a bot: what came of it can't be used."""
        for lane in [lane for lane in self._lanes if lane.job is job]:
            if lane.drop(bot):
                continue
            self._lanes.remove(lane)
            for task in lane.tasks:
                self._end(task, _DROPPED)
                self._hold(task, 0)

    @property
    def _is_full(self) -> bool:
        """Whether so much is held that only what a bot is waiting for is read on.

        And that only while nothing can be handed out.
        """
        return self._held >= self._limits.max_rows_ahead

    def poll(self, *, wait: bool = False) -> None:
        """Take in the answers that have come, and make the requests that may be made.

        Args:
            wait: Whether to wait a moment for an answer if there is none.
        """
        self._on_tick()
        self._is_awaited = wait
        self._fill()
        try:
            if wait and self._lanes:
                pause = max(self._wake - time.monotonic(), 0.001)
                pause = min(pause, self._limits.tick)
                self._take_in(*self._answers.get(timeout=pause))
            while True:
                self._take_in(*self._answers.get_nowait())
        except Empty:
            self._fill()

    def _fill(self) -> None:
        """Give every free worker a request, as far as budgets and bounds allow."""
        self._wake = time.monotonic() + self._limits.tick
        while self._in_flight < self._workers and (
            self._is_awaited or not self._is_full
        ):
            attempt = self._next_attempt()
            if attempt is not None:
                self._in_flight += 1
                attempt.task.requests += 1
                attempt.task.lane.job.on_request(attempt.failed)
                self._executor.submit(_work, attempt, self._answers)
            elif not self._begin_one():
                return

    def _next_attempt(self) -> Attempt | None:
        """The attempt of the longest-standing task that may be made now."""
        now = time.monotonic()
        for task in self._under_way:
            if self._is_full and task is not task.lane.tasks[0]:
                continue
            for attempt in task.attempts:
                wait = attempt.due - now
                if wait <= 0 and (wait := attempt.fetch.budget.try_acquire()) == 0:
                    task.attempts.remove(attempt)
                    return attempt
                self._wake = min(self._wake, now + wait)
        return None

    def _begin_one(self) -> bool:
        """Begin a window that is waited for, or of the bot that has the fewest begun.

        Returns:
            Whether there was one.
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

    def _begin(self, task: Task, place: int) -> None:
        """Begin a task, or the part of it that is as wide as the density allows."""
        by_time = task.lane.job.by_time
        if task.requested is not None and by_time is not None:
            task.requested = task.lane.narrow(task, task.requested)
            task.reading = by_time.read(task.requested, task.seen)
        task.begun = True
        task.begun_at = time.monotonic()
        self._under_way.insert(place, task)
        self._go_on(task, None)

    def _go_on(self, task: Task, answer: list[Page] | BotError | None) -> None:
        """Give a reading the pages it asked for, and note what it asks for next."""
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
        except BotError as error:  # what comes after it is not read
            self._end(task, error)
            self._hold(task, 0)
            self._drop_what_nobody_needs(task.lane)
        else:
            task.pages = [None] * len(batch)
            task.missing = len(batch)
            task.attempts.extend(
                Attempt(task, fetch, place, task.batch)
                for place, fetch in enumerate(batch)
            )

    def _take_in(self, attempt: Attempt, answer: object) -> None:
        """Take in the answer to an attempt: a page, or an error."""
        self._in_flight -= 1
        task = attempt.task
        if task.outcome is not None or attempt.batch != task.batch:
            return
        if isinstance(answer, TransientError):
            self._retry(attempt, answer)
        elif isinstance(answer, BotError):
            self._refuse(task, answer)
        elif isinstance(answer, BaseException):
            raise answer
        else:
            page = cast("Page", answer)
            task.pages[attempt.place] = page
            task.missing -= 1
            self._hold(task, task.held + len(page.rows))
            if not task.missing:
                self._go_on(task, task.pages)

    def _retry(self, attempt: Attempt, error: TransientError) -> None:
        """Repeat a request later, or fail its task."""
        attempt.failed += 1
        budget = attempt.fetch.budget
        growing = backoff(attempt.failed, self._limits.max_backoff)
        wanted = error.wait
        if wanted is not None and wanted < 1:
            wanted = max(wanted, growing)  # or the retry would follow without a pause
        # No other request waits for what is too long to be waited for.
        if error.limit is not None and (wanted or 0) <= self._limits.max_pause:
            wait = budget.block(error.limit, wanted)
        else:
            wait = growing if wanted is None else wanted
        most = attempt.fetch.max_attempts(self._retries + 1, is_slow=error.is_slow)
        if attempt.failed >= most:
            msg = (
                f"{error}, in {attempt.failed} attempts; try again later, or raise "
                f"max_retries or request_timeout_seconds"
            )
            refusal = UnavailableError(msg, error.status, is_slow=error.is_slow)
            self._refuse(attempt.task, refusal)
        elif wait > self._limits.max_pause:
            pause = f"{wait / _HOUR:.1f} hours" if wait > _HOUR else f"{wait:.0f} s"
            msg = f"{error}, and asks to wait for {pause}"
            self._refuse(attempt.task, UnavailableError(msg, error.status))
        else:
            attempt.due = time.monotonic() + wait
            attempt.task.attempts.appendleft(attempt)
            logger.warning(
                "%s: %s; attempt %d of %d, the next one in %.1f s",
                attempt.fetch.label,
                error,
                attempt.failed,
                most,
                wait,
            )

    def _refuse(self, task: Task, error: BotError) -> None:
        """Tell a reading that one of the pages that it asked for can't be had."""
        self._hold(task, 0)
        task.attempts.clear()
        task.batch += 1
        self._go_on(task, error)

    def _finish(self, task: Task, result: WindowResult) -> None:
        """Keep what was read, and go on with what a narrowed window left over."""
        lane = task.lane
        seconds = time.monotonic() - task.begun_at
        lane.is_settled = True
        place = self._end(
            task, replace(result, requests=task.requests, seconds=seconds)
        )
        self._hold(task, len(result.rows))
        rest = self._rest_of(task, result)
        if result.errors:
            self._drop_what_nobody_needs(lane)
        if rest is not None and rest.outcome is None:
            self._begin(rest, place)

    def _rest_of(self, task: Task, result: WindowResult) -> Task | None:
        """Learn from how dense a window was, and add a task for what it left over."""
        lane, requested, by_time = task.lane, task.requested, task.lane.job.by_time
        if requested is None or result.window is None or by_time is None:
            return None
        lane.adapt(result, requested, self._limits)
        if result.window.end >= requested.end:
            return None
        left = Window(result.window.end, requested.end)
        return lane.insert_after(task, left, result.carried_over)

    def _drop_what_nobody_needs(self, lane: Lane) -> None:
        for task in lane.cut_where_all_have_failed():
            self._end(task, _DROPPED)
            self._hold(task, 0)

    def _end(self, task: Task, outcome: WindowResult | BotError) -> int:
        """End a task.

        Returns:
            The place that it had among those under way.
        """
        task.outcome = outcome
        task.attempts.clear()
        task.pages = []
        if task not in self._under_way:
            return len(self._under_way)
        place = self._under_way.index(task)
        del self._under_way[place]
        return place

    def _hold(self, task: Task, rows: int) -> None:
        self._held += rows - task.held
        task.held = rows


def _work(attempt: Attempt, answers: SimpleQueue[tuple[Attempt, object]]) -> None:
    """Make a request, by a worker, and put what comes of it where it is taken in."""
    answer: object
    try:
        answer = attempt.fetch.send()
    except BaseException as error:  # noqa: BLE001 -- raised where it is taken in
        answer = error
    answers.put((attempt, answer))
