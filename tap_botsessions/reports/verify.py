"""Whether vendors agree with themselves: double entry, without a target."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.jobs import Job, TimeRanges
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.stream import SyncRanges
from tap_botsessions.engine.workers import Workers
from tap_botsessions.reports.waiting import SignOfLife

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence

    from tap_botsessions.engine.comparison import Compared, Comparison
    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.stream import VendorStream
    from tap_botsessions.engine.vendor import Vendor
    from tap_botsessions.engine.windows import Window

Records = dict[tuple[str, str], list[tuple[datetime, dict[str, Any]]]]
"""What is needed of records, each with its time, by stream and bot."""


@dataclass(frozen=True)
class Verified:
    """What came of a comparison for one bot.

    Attributes:
        vendor: The vendor.
        name: What was compared with what.
        bot: The bot's id.
        compared: What came of it; none if it could not be done.
        error: Why it could not, if so.
    """

    vendor: str
    name: str
    bot: str
    compared: Compared | None = None
    error: str | None = None

    @property
    def is_well(self) -> bool:
        """Whether all agree, but where they may differ by definition."""
        return self.compared is not None and all(
            each.known for each in self.compared.differences
        )


@dataclass
class Verification:
    """Compares what vendors say twice.

    Attributes:
        vendors: The vendors that are configured.
        selected: The names of the streams that may be read.
        options: What the run is asked to do.
        window: What is compared.
        on_tick: Called again and again meanwhile.
        skipped: What is not compared, and the streams that it takes, which a catalog
            has to select.
    """

    vendors: Sequence[Vendor]
    selected: frozenset[str]
    options: Options
    window: Window
    on_tick: Callable[[], None]
    skipped: dict[str, list[str]] = field(default_factory=dict)

    def run(self) -> list[Verified]:
        """Compare all that can be compared, bot by bot."""
        # Users are counted, and nothing of a record is shown but the ids of sessions
        # and messages. What the settings leave out of one account is in the other.
        config = {**self.options.config, "personal_data": "keep"}
        for vendor in self.vendors:
            for stream in vendor.streams(self.options):
                config |= dict.fromkeys(stream.filters)
        options = replace(self.options, config=config)
        return [
            each for vendor in self.vendors for each in self._verified(vendor, options)
        ]

    def _verified(self, vendor: Vendor, options: Options) -> Iterator[Verified]:
        streams = {each.name: each for each in vendor.streams(options)}
        wanted = []
        for comparison in vendor.comparisons(streams):
            lacking = comparison.reads.keys() - self.selected
            if lacking:
                self.skipped[f"{vendor.name}, {comparison.name}"] = sorted(lacking)
            else:
                wanted.append(comparison)
        names = {name for comparison in wanted for name in comparison.reads}
        if not names:
            return
        read = _Reading(streams, self)
        bots = read.bots(names)
        for name in streams.keys() & names:
            columns = {each for of in wanted for each in of.reads.get(name, ())}
            read.stream(streams[name], columns)
        for comparison in wanted:
            for bot in bots:
                yield read.compared(vendor.name, comparison, bot)
        if read.bots_error:
            yield Verified(vendor.name, "all", "*", error=str(read.bots_error))


@dataclass
class _Reading:
    """What is read of a vendor's streams, each of them once.

    Attributes:
        streams: The vendor's streams by their names.
        verification: What they are read for.
        bots_error: Why it can't be known which bots to read, if so.
    """

    streams: Mapping[str, VendorStream]
    verification: Verification
    bots_error: BotError | None = None
    _records: Records = field(default_factory=lambda: defaultdict(list))
    _errors: dict[tuple[str, str], str] = field(default_factory=dict)

    def bots(self, names: Iterable[str]) -> Sequence[str]:
        """The bots of streams, which are those of the vendor."""
        stream = self.streams[min(names)]
        stream.find_bots(self.verification.on_tick)
        self.bots_error = stream.bots_error
        return stream.bots

    def stream(self, stream: VendorStream, columns: Iterable[str]) -> None:
        """Read a stream of all bots, and keep some columns of its records."""
        ranges = SyncRanges([], list(stream.ranges(self.verification.window)))
        jobs = [
            Job(
                group,
                TimeRanges(
                    ranges.ranges, partial(stream.read, group), stream.max_window, []
                ),
                settles_first=stream.settles_first,
                host=stream.transport.health,
            )
            for group in stream.group_bots(dict.fromkeys(stream.bots, ranges))
        ]
        for bot, result in self._results(stream, jobs):
            key = stream.name, bot
            if isinstance(result, BotError):
                self._errors[key] = f"{stream.name}: {result}"
                continue
            if result.gap is not None:
                self._errors[key] = f"{stream.name}, {result.window}: {result.gap}"
            self._records[key] += [
                (row.time, {name: row.record[name] for name in columns})
                for row in result.rows
            ]

    def compared(self, vendor: str, of: Comparison, bot: str) -> Verified:
        """Compare what a bot has in the part of the window that can be compared."""
        errors = [
            error for name in of.reads if (error := self._errors.get((name, bot)))
        ]
        window = of.window(self.verification.window)
        found = {
            name: [
                record
                for time, record in self._records[name, bot]
                if window.start <= time < window.end
            ]
            for name in of.reads
        }
        told: list[dict[str, Any]] = []
        asked = None
        if window.start < window.end and not errors:
            asked = of.ask(bot, window, found)
        if asked is not None:
            stream = self.streams[min(of.reads)]
            job = Job([bot], first=asked, host=stream.transport.health)
            for _, result in self._results(stream, [job]):
                if isinstance(result, BotError):
                    errors.append(str(result))
                else:
                    told += [row.record for row in result.rows]
        if errors:
            return Verified(vendor, of.name, bot, error="; ".join(errors))
        return Verified(vendor, of.name, bot, of.compare(window, found, told))

    def _results(
        self, stream: VendorStream, jobs: Sequence[Job]
    ) -> Iterator[tuple[str, WindowResult | BotError]]:
        """What came of jobs, for each of their bots."""
        verification = self.verification
        config = verification.options.config
        budgets = {stream.budget(bot) for bot in stream.bots}

        def tick() -> None:
            stream.transport.end_overdue()
            verification.on_tick()

        sign_of_life = SignOfLife(
            tick, budgets, len({bot for job in jobs for bot in job.bots})
        )
        answered = set()
        with Scheduler(
            jobs,
            Workers(config["max_concurrent_requests"]),
            config["max_retries"],
            stream.limits,
            sign_of_life,
        ) as scheduler:
            for _, bot, result in scheduler:
                answered.add(bot)
                sign_of_life.answered = len(answered)
                yield bot, result
