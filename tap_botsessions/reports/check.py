"""Whether every bot can be read, and whether the vendors answer as is assumed.

One request for each bot, and of the first bot of a vendor that has records two more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import BotError, Failure, UnavailableError
from tap_botsessions.engine.jobs import Job
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.windows import Window
from tap_botsessions.engine.workers import Workers
from tap_botsessions.reports.waiting import SignOfLife

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    import requests

    from tap_botsessions.engine.list_stream import ListStream
    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.pages import Reading
    from tap_botsessions.engine.records import Row

_RETRIES = 1
_MAX_PAUSE = 5.0
"""Seconds to wait for a vendor that asks for it or is down: somebody waits for us."""

_SKEW = 30.0
"""Seconds from which on clocks count as apart; Kore.ai's tokens allow for 60."""


_Question = tuple["ListStream", str]
"""The stream and the bot that are asked for."""


@dataclass
class BotCheck:
    """What was found out about a bot.

    Attributes:
        bot: Its id.
        error: Why it can't be read, if so.
        records: How many records the vendor counts in the time that was asked for; of
            an account that bots share, those on its first page that are the bot's.
        newest: When its newest record was made, of the time that was asked for; none
            if there is none, or if the list is in no order.
    """

    bot: str
    error: BotError | None = None
    records: int = 0
    newest: datetime | None = None


@dataclass
class VendorCheck:
    """What was found out about a vendor.

    Attributes:
        stream: The stream that was asked for.
        window: The time that was asked for.
        bots: Its bots.
        skew: Seconds by which its clock is ahead of this machine's, if that is known.
        budget_left: What it says is left of the budget of requests, if it does.
        remarks: Where it answers other than one would think, and what the tap does.
    """

    stream: ListStream
    window: Window
    bots: list[BotCheck] = field(default_factory=list)
    skew: float | None = None
    budget_left: str | None = None
    remarks: list[str] = field(default_factory=list)

    def listen(self, response: requests.Response) -> None:
        """Note what the headers of an answer say."""
        now = time.time()
        for name, value in response.headers.items():
            if name.lower().endswith("ratelimit-remaining"):
                self.budget_left = value[:20]
        try:
            date = parsedate_to_datetime(response.headers["Date"])
        except (KeyError, ValueError):
            return
        # The header has whole seconds, what is beyond is cut off.
        self.skew = round(date.timestamp() + 0.5 - now)


@dataclass(frozen=True)
class Check:
    """Asks vendors for their bots.

    Attributes:
        streams: The stream of each vendor that a bot is asked for by.
        options: What a sync is asked to do.
        on_tick: Called again and again while vendors are asked.
    """

    streams: Sequence[ListStream]
    options: Options
    on_tick: Callable[[], None]

    def vendors(self) -> list[VendorCheck]:
        """Ask each vendor for each bot, all at once."""
        vendors = [_vendor(stream) for stream in self.streams]
        probes = {
            (vendor.stream, bot): vendor.stream.probe([bot], vendor.window)
            for vendor in vendors
            for bot in vendor.stream.bots
        }
        outcomes = dict(self._ask(probes))
        for vendor in vendors:
            stream = vendor.stream
            vendor.bots = [
                _bot(stream, bot, outcomes[stream, bot]) for bot in stream.bots
            ]
            if stream.bots_error:
                vendor.bots.append(BotCheck("*", error=stream.bots_error))
        examinations = {
            (vendor.stream, bot): _examine(vendor, bot, result)
            for vendor in vendors
            if (found := _first_with_rows(vendor, outcomes))
            for bot, result in [found]
        }
        dict(self._ask(examinations))
        for vendor in vendors:
            _remark_on_clocks(vendor)
            _remark_on_absent_bots(vendor)
        return vendors

    def failures(self) -> Iterator[Failure]:
        """Ask for each bot, and yield those that can't be read."""
        for stream in self.streams:
            window = _recent(stream)
            probes = {(stream, bot): stream.probe([bot], window) for bot in stream.bots}
            for (_, bot), result in self._ask(probes):
                if isinstance(result, BotError):
                    label = stream.label(bot)
                    error = _with_hint(stream, result)
                    yield Failure(stream.vendor, stream.name, label, error)

    def _ask(
        self, readings: Mapping[_Question, Reading]
    ) -> Iterator[tuple[_Question, WindowResult | BotError]]:
        jobs = {
            Job([bot], first=reading, host=stream.transport.health): (stream, bot)
            for (stream, bot), reading in readings.items()
        }
        budgets = {stream.budget(bot) for stream, bot in readings}
        sign_of_life = SignOfLife(self.on_tick, budgets, len(jobs))
        with Scheduler(
            jobs,
            Workers(self.options.config["max_concurrent_requests"]),
            _RETRIES,
            replace(
                self.options.limits,
                max_pause=_MAX_PAUSE,
                max_outage=_MAX_PAUSE,
                is_interactive=True,
            ),
            sign_of_life,
        ) as scheduler:
            for job, _, result in scheduler:
                sign_of_life.answered += 1
                yield jobs[job], result


def _vendor(stream: ListStream) -> VendorCheck:
    vendor = VendorCheck(stream, _recent(stream))
    stream.transport.listeners.append(vendor.listen)
    return vendor


def _recent(stream: ListStream) -> Window:
    """The last days of what a sync would read."""
    end = stream.options.end
    return Window(end - timedelta(days=stream.config["window_days"]), end)


def _bot(stream: ListStream, bot: str, outcome: WindowResult | BotError) -> BotCheck:
    if isinstance(outcome, BotError):
        return BotCheck(bot, error=_with_hint(stream, outcome))
    is_known = _is_descending(outcome) or outcome.received == outcome.expected
    times = [row.time for row in outcome.rows] if is_known else []
    newest = max(times, default=None)
    records = len(outcome.rows) if stream.is_shared else outcome.expected
    return BotCheck(bot, records=records, newest=newest)


def _with_hint(stream: ListStream, error: BotError) -> BotError:
    """An error of a check, and what a sync does where an answer takes too long."""
    if not isinstance(error, UnavailableError) or not error.is_slow:
        return error
    msg = (
        f"{error}; {stream.config['window_days']:g} days may be too much for one "
        f"answer: a sync asks for less and goes on, as would a smaller window_days"
    )
    return UnavailableError(msg, error.status, is_slow=True)


def _is_descending(result: WindowResult) -> bool:
    times = [row.time for row in result.rows]
    return times == sorted(times, reverse=True)


def _first_with_rows(
    vendor: VendorCheck, outcomes: Mapping[_Question, WindowResult | BotError]
) -> tuple[str, WindowResult] | None:
    for bot in vendor.stream.bots:
        outcome = outcomes[vendor.stream, bot]
        if isinstance(outcome, WindowResult) and outcome.rows:
            return bot, outcome
    return None


def _examine(vendor: VendorCheck, bot: str, result: WindowResult) -> Reading:
    """Find out where a vendor answers other than one would think."""
    stream, remark = vendor.stream, vendor.remarks.append
    size = stream.page_size
    if result.received < min(size, result.expected):
        remark(
            f"It serves {result.received} records a page where {size} were asked for; "
            f"the tap goes on from what comes."
        )
    if not _is_descending(result):
        remark("Its lists do not begin with the newest record; the tap sorts them.")
    vendor.remarks.extend(stream.remarks())
    row = next((row for row in result.rows if _is_even(row.time, stream.margin)), None)
    if row is None:
        return result
    # A list is asked for from a margin before the start of its window.
    after = Window(row.time + stream.margin, row.time + 4 * stream.margin)
    if not _has(row, (yield from stream.probe([bot], after))):
        remark("A list lacks what is at its very start; the tap asks from before that.")
    before = Window(row.time - stream.margin, row.time)
    if not _has(row, (yield from stream.probe([bot], before))):
        remark("A list lacks what is at its very end; the tap's next window has it.")
    return result


def _is_even(instant: datetime, unit: timedelta) -> bool:
    return (instant - datetime.fromtimestamp(0, UTC)) % unit == timedelta(0)


def _has(row: Row, result: WindowResult) -> bool:
    return row.key in {other.key for other in result.rows}


def _remark_on_clocks(vendor: VendorCheck) -> None:
    if vendor.skew is not None and abs(vendor.skew) >= _SKEW:
        side = "ahead of" if vendor.skew > 0 else "behind"
        vendor.remarks.append(
            f"Its clock is {abs(vendor.skew):.0f} s {side} this machine's. Set this "
            f"one: tokens of another time are refused, and the newest records missed."
        )


def _remark_on_absent_bots(vendor: VendorCheck) -> None:
    if not vendor.stream.is_shared:
        return
    vendor.remarks += [
        f"None of the account's newest sessions is of {bot.bot}; is its id right?"
        for bot in vendor.bots
        if not bot.error and not bot.records
    ]
