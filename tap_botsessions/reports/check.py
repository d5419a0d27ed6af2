"""Whether every bot can be read, and whether the vendors answer as is assumed.

One request for each bot, and of the first bot of a vendor that has records two more.
"""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from email.utils import parsedate_to_datetime
from typing import TYPE_CHECKING, NoReturn

from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.reader import Taken
from tap_botsessions.engine.scheduler import Job, ReadAhead
from tap_botsessions.engine.windows import Window
from tap_botsessions.singer.stream import BotStream, Failure
from tap_botsessions.vendors.avaamo.streams import AvaamoStream
from tap_botsessions.vendors.avaamo.time_tokens import UNITS

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    import requests

    from tap_botsessions.engine.reader import Reading
    from tap_botsessions.engine.records import Row
    from tap_botsessions.tap import TapBotsessions

_RETRIES = 1
_PATIENCE = 5.0
"""Seconds to wait for a vendor that asks for it: somebody is waiting for us."""

_SKEW = 30.0
"""Seconds from which on clocks count as apart; Kore.ai's tokens allow for 60."""


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
        skew: Seconds by which its clock is ahead of this machine's, if it tells.
        budget_left: What it says is left of the budget of requests, if it does.
        remarks: Where it answers other than one would think, and what the tap does.
    """

    stream: BotStream
    window: Window
    bots: list[BotCheck] = field(default_factory=list)
    skew: float | None = None
    budget_left: str | None = None
    remarks: list[str] = field(default_factory=list)

    def listen(self, response: requests.Response) -> None:
        """Note what an answer tells beside its body."""
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


def check(tap: TapBotsessions) -> list[VendorCheck]:
    """Ask each vendor for each bot, all at once."""
    vendors = [_vendor(stream) for stream in probed(tap)]
    probes = {
        vendor.stream.what(bot): vendor.stream.probe(bot, vendor.window)
        for vendor in vendors
        for bot in vendor.stream.bots
    }
    outcomes = dict(_ask(tap, probes))
    for vendor in vendors:
        stream = vendor.stream
        vendor.bots = [
            _bot(stream, bot, outcomes[stream.what(bot)]) for bot in stream.bots
        ]
    examinations = {
        vendor.stream.name: _examine(vendor, bot, taken)
        for vendor in vendors
        if (found := _first_with_rows(vendor, outcomes))
        for bot, taken in [found]
    }
    dict(_ask(tap, examinations))
    for vendor in vendors:
        _remark_on_clocks(vendor)
        _remark_on_absent_bots(vendor)
    return vendors


def failures(tap: TapBotsessions) -> Iterator[Failure]:
    """Ask for each bot, and tell of those that can't be read."""
    for stream in probed(tap):
        window = _recent(stream)
        probes = {stream.what(bot): stream.probe(bot, window) for bot in stream.bots}
        for what, outcome in _ask(tap, probes):
            if isinstance(outcome, BotError):
                yield Failure(stream.name, what, outcome)


def probed(tap: TapBotsessions) -> Iterator[BotStream]:
    """The streams that a bot is asked for by: one of each vendor."""
    for stream in tap.streams.values():
        if isinstance(stream, BotStream) and stream.name.endswith("_sessions"):
            yield stream


def _vendor(stream: BotStream) -> VendorCheck:
    vendor = VendorCheck(stream, _recent(stream))
    stream.transport.listeners.append(vendor.listen)
    return vendor


def _recent(stream: BotStream) -> Window:
    """The last days of what a sync would read."""
    end = stream.end
    return Window(end - timedelta(days=stream.config["window_days"]), end)


def _ask(
    tap: TapBotsessions, readings: Mapping[str, Reading]
) -> Iterator[tuple[str, Taken | BotError]]:
    jobs = [
        Job(name, _no_window, [], timedelta(days=1), first=reading)
        for name, reading in readings.items()
    ]
    workers = tap.config["max_concurrent_requests"]
    with ReadAhead(jobs, workers, _RETRIES, tap.end_overdue, _PATIENCE) as ahead:
        yield from ahead


def _no_window(*_: object) -> NoReturn:
    raise NotImplementedError


def _bot(stream: BotStream, bot: str, outcome: Taken | BotError) -> BotCheck:
    if isinstance(outcome, BotError):
        return BotCheck(bot, error=outcome)
    is_known = _is_descending(outcome) or outcome.received == outcome.expected
    times = [row.time for row in outcome.rows] if is_known else []
    newest = max(times, default=None)
    records = len(outcome.rows) if stream.is_shared else outcome.expected
    return BotCheck(bot, records=records, newest=newest)


def _is_descending(taken: Taken) -> bool:
    times = [row.time for row in taken.rows]
    return times == sorted(times, reverse=True)


def _first_with_rows(
    vendor: VendorCheck, outcomes: Mapping[str, Taken | BotError]
) -> tuple[str, Taken] | None:
    for bot in vendor.stream.bots:
        outcome = outcomes[vendor.stream.what(bot)]
        if isinstance(outcome, Taken) and outcome.rows:
            return bot, outcome
    return None


def _examine(vendor: VendorCheck, bot: str, taken: Taken) -> Reading:
    """Find out where a vendor answers other than one would think."""
    stream, remark = vendor.stream, vendor.remarks.append
    size = stream.config[stream.page_size_setting]
    if taken.received < min(size, taken.expected):
        remark(
            f"It serves {taken.received} records a page where {size} were asked for; "
            f"the tap goes on from what comes."
        )
    if not _is_descending(taken):
        remark("Its lists do not begin with the newest record; the tap sorts them.")
    if isinstance(stream, AvaamoStream) and stream.account.time_tokens.unit != 1:
        unit = UNITS[stream.account.time_tokens.unit]
        remark(f"It counts time in {unit}, not in seconds; so does the tap.")
    row = next((row for row in taken.rows if _is_even(row.time, stream.margin)), None)
    if row is None:
        return taken
    # A list is asked for from a margin before the start of its window.
    after = Window(row.time + stream.margin, row.time + 4 * stream.margin)
    if not _has(row, (yield from stream.probe(bot, after))):
        remark("A list lacks what is at its very start; the tap asks from before that.")
    before = Window(row.time - stream.margin, row.time)
    if not _has(row, (yield from stream.probe(bot, before))):
        remark("A list lacks what is at its very end; the tap's next window has it.")
    return taken


def _is_even(instant: datetime, unit: timedelta) -> bool:
    return (instant - datetime.fromtimestamp(0, UTC)) % unit == timedelta(0)


def _has(row: Row, taken: Taken) -> bool:
    return row.key in {other.key for other in taken.rows}


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
