"""What is to be read, and how far each window of it is."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tap_botsessions.engine.capacity import next_width
from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.health import Health
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from datetime import timedelta

    from tap_botsessions.engine.errors import TransientError
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import Fetch, Reading, Seen


@dataclass(frozen=True)
class TimeRanges:
    """Ranges of time, to be read window by window.

    Attributes:
        ranges: The ranges, in order, none of them empty.
        gaps: What did not add up in an earlier run and lies in none of them; it is read
            before them.
        read: Begins to read a window, given rows of it that were seen before.
        max_width: How wide a window may be.
    """

    ranges: Sequence[Window]
    read: Callable[[Window, Seen], Reading]
    max_width: timedelta
    gaps: Sequence[Window] = ()


@dataclass(eq=False)
class Job:
    """What is to be read of a bot, or of several that share their lists.

    Attributes:
        bots: The ids of the bots.
        by_time: What to read by time, if anything.
        first: What to read before that, if anything.
        settles_first: Whether no more of it is begun before its first part is over,
            since that may settle how the rest is read.
        on_request: Called for each request, with how many attempts at it have failed.
        host: Whether the host that is asked is up.
    """

    bots: Sequence[str]
    by_time: TimeRanges | None = None
    first: Reading | None = None
    settles_first: bool = False
    on_request: Callable[[int], None] = lambda _attempts: None
    host: Health = field(default_factory=lambda: Health("the host", 0, "its setting"))

    @property
    def sync_range(self) -> Window | None:
        """The range in which its windows lie, gaps aside; none if it has no window."""
        if self.by_time is None or not self.by_time.ranges:
            return None
        ranges = self.by_time.ranges
        return Window(ranges[0].start, ranges[-1].end)


class Outcome(NamedTuple):
    """What came of a bot's next window, or why the bot failed.

    Attributes:
        job: The job.
        bot: The bot's id.
        result: The window, or the error after which nothing follows of the bot.
    """

    job: Job
    bot: str
    result: WindowResult | BotError


@dataclass(eq=False)
class Task:
    """One window of a lane: not begun, then under way, then over with an outcome.

    Attributes:
        lane: Whose window it is.
        requested: The window; none for what a job reads first.
        seen: Rows of it that were seen before.
        reading: Says what to fetch next.
        begun: Whether it has been begun.
        attempts: What it waits to fetch.
        pages: What it has fetched of its latest batch.
        missing: How many pages of the batch are still to come.
        batch: Which of its batches that is.
        held: Rows that it holds.
        size: Bytes of memory that they take, about.
        requests: Requests that were made for it.
        begun_at: When it was begun, by the monotonic clock.
        outcome: What came of it.
    """

    lane: Lane
    requested: Window | None
    seen: Seen = field(default_factory=dict)
    reading: Reading | None = None
    begun: bool = False
    attempts: deque[Attempt] = field(default_factory=deque)
    pages: list[Any] = field(default_factory=list)
    missing: int = 0
    batch: int = 0
    held: int = 0
    size: int = 0
    requests: int = 0
    begun_at: float = 0.0
    outcome: WindowResult | BotError | None = None

    @property
    def is_needed(self) -> bool:
        """Whether its bot has nothing to hand out before it is over."""
        return self is self.lane.tasks[0]

    @property
    def is_awaited(self) -> bool:
        """Whether requests for it are in flight."""
        return self.missing > len(self.attempts)


@dataclass(eq=False)
class Attempt:
    """One fetch of a task, and how it has fared so far.

    Attributes:
        task: The task.
        fetch: What is asked.
        place: The place of the page among those of its batch.
        batch: Which batch of the task it is of, or none that is still wanted.
        failed: How many attempts have failed.
        error: What came of the last one that did.
        due: When the next one may be made.
        sent: When the last one was made.
        is_doubtful: Whether that one was not likely to be answered soon.
        size: Bytes of memory that it may take, by the last page of the bot.
    """

    task: Task
    fetch: Fetch
    place: int
    batch: int
    failed: int = 0
    error: TransientError | None = None
    due: float = 0.0
    sent: float = 0.0
    is_doubtful: bool = False
    size: int = 0


class Lane:
    """A job under way: its tasks in order of time, without those handed out.

    Attributes:
        job: The job.
        tasks: What is still to come.
        width: How wide its next window is.
        is_after_gap: Whether its last window was a gap.
        is_settled: Whether more than its first task may be begun.
        is_well: Whether the last of its requests that came to an end was answered; none
            as long as none has.
        page_size: Bytes of memory that its last page takes, about.
    """

    def __init__(self, job: Job) -> None:
        """Prepare the tasks of a job."""
        self.job = job
        self.is_settled = not job.settles_first
        self.is_well: bool | None = None
        self.page_size = 0
        self.tasks: list[Task] = []
        self._bots = list(job.bots)
        if job.first is not None:
            self.tasks.append(Task(self, None, reading=job.first))
        self.is_after_gap = False
        self._last_gap: WindowResult | None = None
        if job.by_time is not None:
            self.width = job.by_time.max_width
            ranges = [*job.by_time.gaps, *job.by_time.ranges]
            self.tasks += [Task(self, each) for each in ranges]

    @property
    def begun(self) -> int:
        """How many tasks have been begun and not been handed out yet."""
        return sum(task.begun for task in self.tasks)

    @property
    def has_more(self) -> bool:
        """Whether there are tasks that have not been begun."""
        return not all(task.begun for task in self.tasks)

    @property
    def next_to_begin(self) -> Task:
        """The first task that has not been begun."""
        return next(task for task in self.tasks if not task.begun)

    @property
    def is_unfinished(self) -> bool:
        """Whether there are tasks that are not over."""
        return any(task.outcome is None for task in self.tasks)

    @property
    def is_waiting(self) -> bool:
        """Whether its first task waits to make a request for the first time."""
        first = self.tasks[0]
        return not first.begun or not all(each.failed for each in first.attempts)

    def insert_after(self, task: Task, window: Window) -> Task:
        """Add a task for a window that follows another one's."""
        rest = Task(self, window)
        self.tasks.insert(self.tasks.index(task) + 1, rest)
        return rest

    def narrow(self, task: Task, requested: Window) -> Window:
        """Leave of a task no more than its width; a new task gets what remains."""
        end = requested.start + self.width
        if end >= requested.end:
            return requested
        self.insert_after(task, Window(end, requested.end))
        self._pass_on(task, task.seen)
        return Window(requested.start, end)

    def insert_rest(
        self, task: Task, result: WindowResult, limits: Limits
    ) -> Task | None:
        """Learn from how dense a window was, and add a task for what it left over."""
        requested = task.requested
        if requested is None or result.window is None or self.job.by_time is None:
            return None
        self._adapt(result, requested, limits)
        rest = None
        if result.window.end < requested.end:
            left = Window(result.window.end, requested.end)
            rest = self.insert_after(task, left)
        self._pass_on(task, result.carried_over)
        return rest

    def _pass_on(self, task: Task, rows: Seen) -> None:
        """Give rows that came along with a task's to the tasks that they are of.

        They may not come there: it is a gap then, of which what was served is emitted.
        """
        for other in self.tasks if rows else ():
            window = other.requested
            if other is task or window is None:
                continue
            own = {key: row for key, row in rows.items() if row.time in window}
            if isinstance(other.outcome, WindowResult):
                other.outcome = other.outcome.including(own)
            else:
                other.seen = {**own, **other.seen}

    def completed(self, task: Task, result: WindowResult) -> WindowResult:
        """What was read of a task, with the rows of it that came elsewhere.

        And with those of the gap before it, which has been handed out.
        """
        result, gap = result.including(task.seen), self._last_gap
        if gap is None or gap.window is None:
            return result
        known = {row.key for row in gap.rows}
        late = [
            row
            for key, row in result.carried_over.items()
            if row.time in gap.window and key not in known
        ]
        return replace(result, rows=[*late, *result.rows]) if late else result

    def _adapt(self, result: WindowResult, requested: Window, limits: Limits) -> None:
        """Learn from a window how wide the next one should be.

        The window after a gap is as narrow, since a list may hold what belongs to the
        second before it; the one after that begins anew. None is read ahead meanwhile,
        which would be as narrow.
        """
        if result.window is None or self.job.by_time is None:
            return
        max_width = self.job.by_time.max_width
        was_gap = any(requested.start in gap for gap in self.job.by_time.gaps)
        if self.is_after_gap or (was_gap and result.gap is None):
            self.width = max_width
        else:
            rows = len(result.rows)
            self.width = next_width(result, rows, requested, max_width, limits)
        self.is_after_gap = result.gap is not None and not self.is_after_gap
        self.is_settled = not self.is_after_gap

    def drop(self, bot: str) -> bool:
        """Hand out no more of a bot.

        Returns:
            Whether there are others.
        """
        self._bots = [each for each in self._bots if each != bot]
        return bool(self._bots)

    def cut_where_all_have_failed(self) -> list[Task]:
        """Drop the tasks that follow the one by which the last bot has failed.

        Returns:
            The tasks that were dropped.
        """
        left = set(self._bots)
        for place, task in enumerate(self.tasks, 1):
            if isinstance(task.outcome, BotError):
                left.clear()
            elif task.outcome is not None:
                left -= task.outcome.errors.keys()
            if not left:
                dropped = self.tasks[place:]
                del self.tasks[place:]
                return dropped
        return []

    def hand_out(self) -> Iterator[Outcome]:
        """Take the first task away, which is over.

        Yields:
            What came of it, for each bot that had not failed before. The requests,
            which were made once for all of them, count for the first that goes on.
        """
        outcome = cast("WindowResult | BotError", self.tasks.pop(0).outcome)
        self._last_gap = None
        if isinstance(outcome, WindowResult) and outcome.gap is not None:
            self._last_gap = outcome
        is_charged = False
        for bot in [*self._bots]:
            result = outcome
            if not isinstance(outcome, BotError):
                result = outcome.for_bot(bot, is_only=len(self.job.bots) == 1)
            if isinstance(result, BotError):
                self._bots.remove(bot)
            elif is_charged:
                result = replace(result, requests=0)
            else:
                is_charged = True
            yield Outcome(self.job, bot, result)
