"""What a sync would do, by asking the vendors for counts and for no records."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, replace
from functools import cached_property
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.errors import BotError, Failure
from tap_botsessions.engine.jobs import Job
from tap_botsessions.engine.list_stream import ListStream
from tap_botsessions.engine.pages import CountResult
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.stream import SyncRanges
from tap_botsessions.engine.workers import Workers
from tap_botsessions.reports.forecast import (
    Density,
    Forecast,
    ForecastInput,
    Stretch,
    forecast,
    stretches,
)
from tap_botsessions.reports.waiting import SignOfLife

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.stream import VendorStream
    from tap_botsessions.engine.windows import Window

Ranges = dict[str, SyncRanges | BotError]
"""What would be read of each bot by time, or why a bot can't be read."""

SAMPLES = 6
"""So many windows of a bot are counted; if it has no more, that is all of them."""

_RETRIES = 3
"""Of a request at most: somebody is waiting for the answer."""

_MAX_PAUSE = 120.0
"""Seconds to wait for a vendor that asks for it or is down, for the same reason."""


@dataclass
class BotPlan:
    """What a sync would do for a bot, in one stream.

    Attributes:
        stream: The stream.
        bot: The bot's id.
        ranges: The ranges that would be read.
        gaps: What did not add up in an earlier run and would be read again.
        ids: How many records would be asked for by their ids.
        batches: In how many requests.
        sweep: In how many requests what was read before would be looked at again, at
            the least: what has changed is read as well.
        samples: The stretches of its range, by which it is counted.
        forecast: What the ranges take; none as long as they have not been counted.
        error: Why they can't be, if so.
    """

    stream: VendorStream
    bot: str
    ranges: Sequence[Window] = ()
    gaps: Sequence[Window] = ()
    ids: int = 0
    batches: int = 0
    sweep: int = 0
    samples: Sequence[Stretch] = ()
    forecast: Forecast | None = None
    error: BotError | None = None

    @property
    def is_uncounted(self) -> bool:
        """Whether it has ranges that hold nobody knows how much."""
        is_list = isinstance(self.stream, ListStream)
        return self.forecast is None and is_list and bool(self.ranges)

    @property
    def budget(self) -> Budget:
        """What its requests are charged to."""
        return self.stream.budget(self.bot)

    @property
    def requests(self) -> int:
        """The requests that it takes, as far as is known."""
        counted = self.forecast.requests if self.forecast else 0
        return counted + self.batches + len(self.gaps) + self.sweep


class Share(NamedTuple):
    """A vendor's share of the time that a sync takes.

    Attributes:
        budget: The budget that decides, of those of all bots.
        requests: The requests that are charged to it.
        seconds: The time.
    """

    budget: Budget
    requests: int
    seconds: float


@dataclass
class Plan:
    """What a sync would do.

    Attributes:
        bots: What it would do for each bot, in each stream.
        requests_made: Requests that were made to find out.
    """

    bots: Sequence[BotPlan]
    requests_made: int = 0

    @property
    def is_whole(self) -> bool:
        """Whether it tells of every bot."""
        return not any(bot.error for bot in self.bots)

    @property
    def asked(self) -> list[BotPlan]:
        """The bots of which it had to be asked, or could not be."""
        return [bot for bot in self.bots if bot.samples or bot.error]

    @property
    def forecasts(self) -> list[Forecast]:
        """What is known of the bots."""
        return [bot.forecast for bot in self.bots if bot.forecast]

    @property
    def is_counted(self) -> bool:
        """Whether all that is known was counted, and nothing extrapolated."""
        return all(each.is_counted for each in self.forecasts)

    @property
    def rows(self) -> int:
        """The records that the vendors count."""
        return sum(each.rows for each in self.forecasts)

    @property
    def requests(self) -> int:
        """The requests that it takes, as far as is known."""
        return self.budgets.total()

    @cached_property
    def budgets(self) -> Counter[Budget]:
        """The requests that are charged to each budget."""
        charged: Counter[Budget] = Counter()
        for bot in self.bots:
            charged[bot.budget] += bot.requests
        return charged

    @cached_property
    def shares(self) -> list[Share]:
        """What each vendor takes: its bots are read at once, the vendors in turn."""
        vendors = defaultdict(list)
        for bot in {bot.budget: bot for bot in self.bots}.values():
            vendors[bot.stream.vendor].append(self._share(bot.budget))
        return [max(shares, key=attrgetter("seconds")) for shares in vendors.values()]

    @property
    def seconds(self) -> float:
        """The time that a sync takes at the least, for the budgets."""
        return sum(share.seconds for share in self.shares)

    def seconds_of(self, bots: Iterable[BotPlan]) -> float:
        """The part that some bots of a stream have in the time of their budgets."""
        parts: Counter[Budget] = Counter()
        for bot in bots:
            parts[bot.budget] += bot.requests
        shares = {budget: self._share(budget) for budget in parts}
        return max(
            share.seconds * parts[budget] / max(share.requests, 1)
            for budget, share in shares.items()
        )

    def _share(self, budget: Budget) -> Share:
        requests = self.budgets[budget]
        return Share(budget, requests, budget.seconds(requests))

    @property
    def failures(self) -> list[Failure]:
        """The bots that can't be counted."""
        return [
            Failure(
                bot.stream.vendor,
                bot.stream.name,
                bot.stream.label(bot.bot),
                bot.error,
            )
            for bot in self.bots
            if bot.error
        ]

    def count_request(self, _failed: int) -> None:
        """Count a request that is made."""
        self.requests_made += 1


def plan(
    streams: Mapping[VendorStream, Ranges],
    sweeps: Mapping[tuple[VendorStream, str], int],
    options: Options,
    on_tick: Callable[[], None],
) -> Plan:
    """Plan a sync of streams.

    Args:
        streams: The streams, and what would be read of them.
        sweeps: The requests of sweeps that are due, by stream and bot.
        options: What a sync is asked to do.
        on_tick: Called again and again while vendors are asked.
    """
    found = Plan([bot for each in streams.items() for bot in _bots(*each)])
    for bot in found.bots:
        bot.sweep = sweeps.get((bot.stream, bot.bot), 0)
    max_seconds = options.limits.max_plan_seconds
    _choose_samples(found.bots, max_seconds)
    jobs = {_job(found, bot): bot for bot in found.bots if bot.samples}
    budgets = {bot.budget for bot in jobs.values()}
    sign_of_life = SignOfLife(on_tick, budgets, len(jobs))
    with Scheduler(
        jobs,
        workers=Workers(options.config["max_concurrent_requests"]),
        retries=min(options.config["max_retries"], _RETRIES),
        limits=replace(
            options.limits,
            max_pause=_MAX_PAUSE,
            max_outage=_MAX_PAUSE,
            is_interactive=True,
        ),
        on_tick=sign_of_life,
    ) as scheduler:
        for job, _, result in scheduler:
            sign_of_life.answered += 1
            _record(jobs[job], result)
    return found


def _bots(stream: VendorStream, ranges: Ranges) -> Iterable[BotPlan]:
    """What is known of a stream's bots without asking.

    What bots that are read together take is that of the first of them.
    """
    bots = {bot: _begun(stream, bot, those) for bot, those in ranges.items()}
    usable = {
        bot: those for bot, those in ranges.items() if isinstance(those, SyncRanges)
    }
    for first, *others in stream.group_bots(usable):
        bots[first].gaps = usable[first].gaps
        if stream.revisits:
            ids = stream.revisits.ids([first, *others], usable[first].ranges)
            bots[first].ids = len(ids)
            bots[first].batches = len(stream.revisits.batches(ids))
        for bot in others:
            bots[bot].forecast = Forecast(windows=0, rows=0, requests=0)
    return bots.values()


def _begun(stream: VendorStream, bot: str, found: SyncRanges | BotError) -> BotPlan:
    """What is known of a bot without asking."""
    if isinstance(found, BotError):
        return BotPlan(stream, bot, error=found)
    begun = BotPlan(stream, bot, found.ranges)
    if not begun.is_uncounted:
        days = len(found.ranges)
        begun.forecast = Forecast(windows=days, rows=days, requests=days)
    return begun


def _choose_samples(bots: Iterable[BotPlan], max_seconds: float) -> None:
    """Choose the windows to count, fewer of them where that would take long."""
    charged = defaultdict(list)
    for bot in bots:
        if bot.is_uncounted:
            charged[bot.budget].append(bot)
    for budget, those in charged.items():
        for most in range(SAMPLES, 0, -1):
            for bot in those:
                [span] = bot.ranges
                bot.samples = stretches(span, bot.stream.max_window, most)
            requests = sum(len(bot.samples) * _lists_per_window(bot) for bot in those)
            if budget.seconds(requests) <= max_seconds:
                break


def _lists_per_window(bot: BotPlan) -> int:
    stream = bot.stream
    if not isinstance(stream, ListStream):
        return 0
    return len(stream.lists([bot.bot], bot.ranges[0]))


def _job(found: Plan, bot: BotPlan) -> Job:
    """What is to be asked for a bot."""
    windows = [stretch.sample for stretch in bot.samples]
    stream = bot.stream
    count = stream.count([bot.bot], windows) if isinstance(stream, ListStream) else None
    return Job(
        [bot.bot],
        first=count,
        on_request=found.count_request,
        host=stream.transport.health,
    )


def _record(bot: BotPlan, result: WindowResult | BotError) -> None:
    """Keep what a bot is said to have."""
    if isinstance(result, BotError):
        bot.error = result
    elif isinstance(result, CountResult) and isinstance(bot.stream, ListStream):
        try:
            bot.forecast = forecast(
                ForecastInput(
                    list(map(Density, bot.samples, result.totals)),
                    bot.stream.page_size,
                    bot.stream.max_window,
                    bot.stream.limits,
                    bot.budget,
                )
            )
        except BotError as error:
            bot.error = error
