"""Reading ahead: the windows of all bots at once, in order for each.

One thread, the one that iterates, keeps all the books. Workers only make requests: they
are given one when a worker and a place in the request's budget are free, so that none
waits with a request in its hands. Bots don't wait for each other: what is read of any
bot is handed out as soon as all before it of the same bot has been. What was read and
not yet handed out is bounded by rows and by bytes, whatever the range.

What becomes of a task, which is a window of one bot:

- `_begin`: its reading is started, and says which pages it wants.
- `_go_on`: these become attempts, which `_fill` sends as workers and budgets allow.
- `_take_in`: an attempt has come to its end. `_keep` is for a page: when all pages that
  were wanted are there, the reading goes on. `_use` tries a request again that may
  succeed. `_refuse` tells the reading of a page that can't be had; it may want others.
- `_finish`: the reading is done. What it left over of its window is a new task.
- `_fail`: the bot can't be read on, so what comes after the task is dropped.
- `_end`: in either case the task is over. It is handed out when it is its bot's first.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Self, cast

from tap_botsessions.engine.dispatch import Dispatcher
from tap_botsessions.engine.errors import (
    BotError,
    OutputError,
    OversizeError,
    TransientError,
    UnavailableError,
)
from tap_botsessions.engine.holding import Holding, ReadAhead
from tap_botsessions.engine.jobs import Attempt, Lane
from tap_botsessions.engine.retries import Retries

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    from tap_botsessions.engine.health import Health
    from tap_botsessions.engine.jobs import Job, Outcome, Task
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import Page, Reading, WindowResult
    from tap_botsessions.engine.workers import Workers

_DROPPED = BotError("all bots of the job have failed before")


class Scheduler:
    """Reads jobs ahead; to be iterated over within its context."""

    def __init__(
        self,
        jobs: Iterable[Job],
        workers: Workers,
        retries: int,
        limits: Limits,
        on_tick: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare to read.

        Args:
            jobs: The jobs.
            workers: Make the requests, and keep the time; they are closed at the end.
            retries: How often one request is repeated.
            limits: How much is held, and how long is waited.
            on_tick: Called again and again, also while there is nothing to do.
        """
        self._lanes = [lane for job in jobs if (lane := Lane(job)).tasks]
        self._workers = workers
        self._retries = Retries(retries, limits)
        self._limits = limits
        self._on_tick = on_tick
        self._dispatcher = Dispatcher(self._lanes, workers.count)
        self._holding = Holding(limits)
        self._is_awaited = False

    def __enter__(self) -> Self:
        """Begin."""
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Make no further request, and leave no thread behind.

        But wait for none if what is read can't be written: the process is to end.
        """
        if kind is not None and issubclass(kind, OutputError):
            self._workers.abandon()
        else:
            self._workers.close(self._limits.tick, self._on_tick)

    def __iter__(self) -> Iterator[Outcome]:
        """Hand out what was read, a window at a time, or why a bot failed."""
        for host in {lane.job.host for lane in self._lanes}:
            host.resume(self._workers.now())
            self._give_up(host)
        while self._lanes:
            ready = [lane for lane in self._lanes if lane.tasks[0].outcome is not None]
            for lane in ready:
                self._holding.release(lane.tasks[0])
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
                self._holding.release(task)

    def poll(self, *, wait: bool = False) -> None:
        """Take in the answers that have come, and make the requests that may be made.

        Args:
            wait: Whether to wait a moment for an answer if there is none.
        """
        self._on_tick()
        self._is_awaited = wait
        self._fill()
        pause = 0.0
        if wait and self._lanes:
            pause = max(self._dispatcher.wake - self._workers.now(), 0.001)
        answer = self._workers.next_answer(min(pause, self._limits.tick))
        while answer is not None:
            self._take_in(*answer)
            answer = self._workers.next_answer(0)
        self._fill()

    def _fill(self) -> None:
        """Give every free worker a request, as far as budgets and bounds allow."""
        now = self._workers.now()
        dispatcher = self._dispatcher
        dispatcher.wake = now + self._limits.tick
        while self._is_awaited or self._holding.read_ahead is ReadAhead.ALL:
            attempt = dispatcher.take(now, self._holding.read_ahead)
            if attempt is not None:
                self._send(attempt)
                continue
            task = dispatcher.to_begin(now, self._holding.read_ahead)
            if dispatcher.is_busy or task is None:
                return
            self._begin(task, len(dispatcher.under_way))

    def _send(self, attempt: Attempt) -> None:
        lane = attempt.task.lane
        attempt.task.requests += 1
        self._holding.expect(attempt)
        lane.job.on_request(attempt.failed)
        self._workers.send(attempt)

    def _begin(self, task: Task, place: int) -> None:
        """Begin a task, or the part of it that is as wide as the density allows."""
        by_time = task.lane.job.by_time
        if task.requested is not None and by_time is not None:
            task.requested = task.lane.narrow(task, task.requested)
            task.reading = by_time.read(task.requested, task.seen)
        task.begun = True
        task.begun_at = self._workers.now()
        self._dispatcher.under_way.insert(place, task)
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
        except BotError as error:
            self._fail(task, error)
        else:
            task.pages = [None] * len(batch)
            task.missing = len(batch)
            task.attempts.extend(
                Attempt(task, fetch, place, task.batch)
                for place, fetch in enumerate(batch)
            )

    def _take_in(self, attempt: Attempt, answer: object) -> None:
        """Take in the answer to an attempt: a page, or an error."""
        if _is_unforeseen(answer):
            raise cast("BaseException", answer)
        task, host, now = attempt.task, attempt.task.lane.job.host, self._workers.now()
        self._dispatcher.give_back(attempt, now)
        self._holding.expect_no_more(attempt)
        was_held = host.is_held
        counts = host.observe(attempt, answer, now, self._limits)
        if attempt.batch == task.batch and task.outcome is None:
            self._use(attempt, answer, counts=counts)
        if host.error:
            self._give_up(host)
        elif was_held and not host.is_held:
            for late in self._dispatcher.waiting_for(host):
                is_waiting = late.batch == late.task.batch
                if is_waiting and self._retries.are_over(late):
                    self._refuse(late.task, self._retries.exhausted(late))

    def _use(self, attempt: Attempt, answer: object, *, counts: bool) -> None:
        """Use the answer to an attempt that is waited for."""
        task = attempt.task
        if isinstance(answer, TransientError):
            attempt.error = answer
            if counts:
                task.lane.is_well = answer.limit is not None
            try:
                pause = self._retries.pause(attempt, answer, counts=counts)
            except UnavailableError as final:
                self._refuse(task, final)
            else:
                attempt.due = self._workers.now() + pause
                task.attempts.appendleft(attempt)
        elif isinstance(answer, BotError):
            self._refuse(task, answer)
        else:
            self._keep(attempt, cast("Page", answer))

    def _keep(self, attempt: Attempt, page: Page) -> None:
        """Keep a page, and go on with its reading once all of its batch are there."""
        task = attempt.task
        task.lane.is_well = True
        self._holding.learn(attempt, page.size)
        task.pages[attempt.place] = page
        task.missing -= 1
        self._holding.hold(task, task.held + len(page.rows), task.size + page.size)
        if error := _oversize(task, attempt.fetch.max_bytes):
            self._refuse(task, error)
        elif not task.missing:
            self._go_on(task, task.pages)

    def _give_up(self, host: Health) -> None:
        """Fail all that is to be read of a host that has been given up."""
        for lane in self._lanes:
            if lane.job.host is host and host.error and lane.is_unfinished:
                first = next(task for task in lane.tasks if task.outcome is None)
                self._fail(first, host.error)

    def _refuse(self, task: Task, error: BotError) -> None:
        """Tell a reading that one of the pages that it asked for can't be had."""
        self._holding.release(task)
        task.attempts.clear()
        task.batch += 1
        self._go_on(task, error)

    def _finish(self, task: Task, result: WindowResult) -> None:
        """Keep what was read, and go on with what a narrowed window left over."""
        lane = task.lane
        result = lane.completed(task, result)
        result = replace(
            result,
            requests=task.requests,
            seconds=self._workers.now() - task.begun_at,
            begun_at=task.begun_at,
        )
        lane.is_settled = True
        place = self._end(task, result)
        self._holding.hold(task, len(result.rows), result.size)
        rest = lane.insert_rest(task, result, self._limits)
        if result.errors:
            self._drop_what_nobody_needs(lane)
        if rest is not None and rest.outcome is None:
            self._begin(rest, place)

    def _fail(self, task: Task, error: BotError) -> None:
        """End a lane with an error: what comes after the task is not read."""
        self._end(task, error)
        self._holding.release(task)
        self._drop_what_nobody_needs(task.lane)

    def _drop_what_nobody_needs(self, lane: Lane) -> None:
        for task in lane.cut_where_all_have_failed():
            self._end(task, _DROPPED)
            self._holding.release(task)

    def _end(self, task: Task, outcome: WindowResult | BotError) -> int:
        """End a task.

        Returns:
            The place that it had among those under way.
        """
        task.outcome = outcome
        task.begun = True
        task.attempts.clear()
        task.pages = []
        under_way = self._dispatcher.under_way
        if task not in under_way:
            return len(under_way)
        place = under_way.index(task)
        del under_way[place]
        return place


def _oversize(task: Task, most: int | None) -> OversizeError | None:
    """The error of a batch whose pages take too much memory before all have come."""
    if most is None or task.size <= most:
        return None
    pages = [page for page in task.pages if page is not None]
    size = sum(page.size for page in pages)
    if size <= most or len(pages) == 1:
        return None
    rows = sum(page.received for page in pages)
    return OversizeError(size * pages[0].total / max(rows, 1))


def _is_unforeseen(answer: object) -> bool:
    return isinstance(answer, BaseException) and not isinstance(
        answer, (TransientError, BotError)
    )
