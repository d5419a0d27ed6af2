"""What a sync would do, by asking the vendors for counts and for no records."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass
from functools import cached_property, partial
from operator import attrgetter
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.counts import Counted
from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.scheduler import Job, ReadAhead
from tap_botsessions.reports.forecast import (
    Density,
    Forecast,
    Stretch,
    forecast,
    stretches,
)
from tap_botsessions.singer.stream import BotStream, Failure

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.reader import Taken
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.tap import TapBotsessions

SAMPLES = 6
"""So many windows of a bot are counted; if it has no more, that is all of them."""

PATIENCE = 120.0
"""Seconds: fewer are counted, but one at least, if they took a budget longer."""

_RETRIES = 3
"""Of a request at most: somebody is waiting for the answer."""


@dataclass
class BotPlan:
    """What a sync would do for a bot, in one stream.

    Attributes:
        stream: The stream.
        bot: The bot's id.
        spans: The ranges that would be read.
        ids: How many records would be asked for by their ids.
        batches: In how many requests.
        samples: The stretches of its range, by which it is counted.
        forecast: What the ranges take; none as long as they have not been counted.
        error: Why they can't be, if so.
    """

    stream: BotStream
    bot: str
    spans: Sequence[Window] = ()
    ids: int = 0
    batches: int = 0
    samples: Sequence[Stretch] = ()
    forecast: Forecast | None = None
    error: BotError | None = None

    @property
    def what(self) -> str:
        """The stream and the bot, for messages."""
        return self.stream.what(self.bot)

    @property
    def is_uncounted(self) -> bool:
        """Whether it has ranges that hold nobody knows how much."""
        return self.forecast is None and bool(self.spans and self.stream.lists)

    @property
    def budget(self) -> Budget:
        """What its requests are charged to."""
        return self.stream.budget(self.bot)

    @property
    def requests(self) -> int:
        """The requests that it takes, as far as is known."""
        counted = self.forecast.requests if self.forecast else 0
        return counted + self.batches


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
        problems: What could not be found out, in words.
    """

    bots: Sequence[BotPlan]
    requests_made: int = 0
    problems: Sequence[str] = ()

    @property
    def is_whole(self) -> bool:
        """Whether it tells of every bot."""
        return not any(bot.error for bot in self.bots)

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

    def asked(self, _attempts: int) -> None:
        """Count a request that is made."""
        self.requests_made += 1


def plan(tap: TapBotsessions) -> Plan:
    """Plan a sync of the streams that are selected.

    A bot that can't be counted is put down in the tap's failures, too.
    """
    found = Plan([bot for stream in _streams(tap) for bot in _bots(stream)])
    _sample(found.bots)
    asked = {bot.what: bot for bot in found.bots if bot.samples}
    with ReadAhead(
        [_job(found, bot) for bot in asked.values()],
        workers=tap.config["max_concurrent_requests"],
        retries=min(tap.config["max_retries"], _RETRIES),
        heed=tap.end_overdue,
        patience=PATIENCE,
    ) as ahead:
        for what, outcome in ahead:
            _put_down(asked[what], outcome)
    tap.failures += [
        Failure(bot.stream.name, bot.what, bot.error) for bot in found.bots if bot.error
    ]
    found.problems = list(tap.summary())
    return found


def _streams(tap: TapBotsessions) -> Iterator[BotStream]:
    for stream in tap.streams.values():
        if isinstance(stream, BotStream) and stream.selected:
            yield stream


def _bots(stream: BotStream) -> Iterable[BotPlan]:
    """What is known of a stream's bots without asking.

    What bots that are read together take is put down for the first of them.
    """
    bots = {bot: _begun(stream, bot) for bot in stream.bots}
    spans = {bot: plan.spans for bot, plan in bots.items() if not plan.error}
    for lead, together in stream.alike(spans).items():
        ids = stream.ids_of(together, spans[lead])
        bots[lead].ids, bots[lead].batches = len(ids), len(stream.batches(ids))
        for bot in together[1:]:
            bots[bot].forecast = Forecast(windows=0, rows=0, requests=0)
    return bots.values()


def _begun(stream: BotStream, bot: str) -> BotPlan:
    """What is known of a bot without asking."""
    begun = BotPlan(stream, bot)
    try:
        begun.spans = list(stream.spans(stream.span(bot)))
    except BotError as error:
        begun.error = error
    else:
        if not begun.is_uncounted:
            days = len(begun.spans)
            begun.forecast = Forecast(windows=days, rows=days, requests=days)
    return begun


def _sample(bots: Iterable[BotPlan]) -> None:
    """Choose the windows to count, fewer of them where that would take long."""
    charged = defaultdict(list)
    for bot in bots:
        if bot.is_uncounted:
            charged[bot.budget].append(bot)
    for budget, those in charged.items():
        for most in range(SAMPLES, 0, -1):
            for bot in those:
                [span] = bot.spans
                bot.samples = stretches(span, bot.stream.widest, most)
            requests = sum(len(bot.samples) * bot.stream.lists for bot in those)
            if budget.seconds(requests) <= PATIENCE:
                break


def _job(found: Plan, bot: BotPlan) -> Job:
    """What is to be asked for a bot."""
    stream = bot.stream
    windows = [stretch.sample for stretch in bot.samples]
    return Job(
        bot.what,
        partial(stream.take, bot.bot),
        [],
        stream.widest,
        first=stream.count(bot.bot, windows),
        asked=found.asked,
    )


def _put_down(bot: BotPlan, outcome: Taken | BotError) -> None:
    """Put down what a bot was told to have."""
    stream = bot.stream
    try:
        if isinstance(outcome, BotError):
            raise outcome
        if isinstance(outcome, Counted):
            densities = list(map(Density, bot.samples, outcome.totals))
            page_size = stream.config[stream.page_size_setting]
            bot.forecast = forecast(densities, page_size, stream.widest)
    except BotError as error:
        bot.error = error
