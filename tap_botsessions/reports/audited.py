"""Whether vendors still have what an audit trail says was read, by their counts."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from operator import attrgetter
from typing import TYPE_CHECKING, Any, NamedTuple, cast

from tap_botsessions.engine.comparison import Compared, Difference
from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.jobs import Job
from tap_botsessions.engine.pages import CountResult
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.windows import Window, parse_instant, to_rfc3339
from tap_botsessions.engine.workers import Workers
from tap_botsessions.reports.verify import Verified
from tap_botsessions.reports.waiting import SignOfLife

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Sequence
    from datetime import datetime

    from tap_botsessions.engine.list_stream import ListStream
    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pages import Reading, WindowResult

STREAM = "sync_windows"

_ENDS = ("start", "end")


class AuditedWindow(NamedTuple):
    """A window of the audit trail.

    Attributes:
        window: The window.
        received: Records that came of it, those around its bounds included.
        distinct: Its records that have a key of their own.
        gap: Why it may not be all of it, if so.
        read_at: When it was read.
    """

    window: Window
    received: int
    distinct: int
    gap: str | None
    read_at: datetime


AuditTrail = dict[tuple[str, str], list[AuditedWindow]]
"""The windows of each stream's bots, in the order of their reading."""


def audit_trail(lines: Iterable[str]) -> AuditTrail:
    """The windows in a file of records of `sync_windows`.

    Args:
        lines: A record each, as target-jsonl writes them, or a Singer message.

    Raises:
        ValueError: A line is neither.
    """
    trail: AuditTrail = defaultdict(list)
    for number, line in enumerate(lines, start=1):
        if not line.strip():
            continue
        try:
            record = _record(json.loads(line))
            if record is None or record["window_start"] is None:
                continue
            window = AuditedWindow(
                Window(
                    *(
                        parse_instant(record[f"window_{end}"])
                        for end in ("start", "end")
                    )
                ),
                int(record["rows_received"]),
                int(record["rows_distinct"]),
                record["gap"],
                parse_instant(record["read_at"]),
            )
            trail[record["stream"], record["bot"]].append(window)
        except (KeyError, TypeError, ValueError) as error:
            msg = f"line {number} is no record of {STREAM}"
            raise ValueError(msg) from error
    for windows in trail.values():
        windows.sort(key=attrgetter("read_at"))
    return trail


def _record(line: Json) -> dict[str, Any] | None:
    """The record of a line; none if it is a message of something else."""
    if "type" in line and "window_start" not in line:
        is_own = line["type"] == "RECORD" and line["stream"] == STREAM
        return cast("dict[str, Any]", line["record"]) if is_own else None
    return cast("dict[str, Any]", line)


@dataclass(frozen=True)
class Audit:
    """Compares an audit trail with what vendors count now.

    Attributes:
        streams: The streams that are compared.
        trail: The audit trail.
        options: What the run is asked to do.
        window: Of which time; all of it if not given.
        on_tick: Called again and again meanwhile.
    """

    streams: Sequence[ListStream]
    trail: AuditTrail
    options: Options
    window: Window | None
    on_tick: Callable[[], None]

    def run(self) -> list[Verified]:
        """Compare each bot of each stream."""
        return [each for stream in self.streams for each in self._of(stream)]

    def _of(self, stream: ListStream) -> Iterator[Verified]:
        windows = {
            bot: found
            for bot in stream.bots
            if (found := self._newest(self.trail.get((stream.name, bot), ())))
        }
        jobs = {
            Job(
                [bot],
                first=_count(stream, bot, [each.window for each in those]),
                host=stream.transport.health,
            ): bot
            for bot, those in windows.items()
        }
        budgets = {stream.budget(bot) for bot in windows}
        config = self.options.config

        def tick() -> None:
            stream.transport.end_overdue()
            self.on_tick()

        sign_of_life = SignOfLife(tick, budgets, len(jobs))
        with Scheduler(
            jobs,
            Workers(config["max_concurrent_requests"]),
            config["max_retries"],
            stream.limits,
            sign_of_life,
        ) as scheduler:
            for _, bot, result in scheduler:
                sign_of_life.answered += 1
                yield self._verified(stream, bot, windows[bot], result)

    def _newest(self, windows: Sequence[AuditedWindow]) -> list[AuditedWindow]:
        """The windows that no later ones cover, in order of time."""
        left: list[AuditedWindow] = []
        covered: list[Window] = []
        for each in reversed(windows):
            is_asked = self.window is None or each.window.overlap(self.window)
            if is_asked and _uncovered(each.window, covered):
                left.append(each)
            covered.append(each.window)
        return sorted(left, key=lambda each: each.window.start)

    def _verified(
        self,
        stream: ListStream,
        bot: str,
        windows: Sequence[AuditedWindow],
        result: WindowResult | BotError,
    ) -> Verified:
        name = f"{stream.name}, as it was read"
        if isinstance(result, BotError):
            return Verified(stream.vendor, name, bot, error=str(result))
        totals = [sum(each) for each in cast("CountResult", result).totals]
        differences = [*_holes(windows)]
        for each, total in zip(windows, totals, strict=True):
            if each.gap is not None:
                of = f"{each.window}, a gap"
                differences.append(Difference(of, total, each.received))
            elif total not in {each.received, each.distinct}:
                differences.append(Difference(str(each.window), total, each.received))
        until = to_rfc3339(max(each.window.end for each in windows))
        return Verified(
            stream.vendor, name, bot, Compared(len(windows), differences, until)
        )


def _count(stream: ListStream, bot: str, windows: Sequence[Window]) -> Reading:
    """Count windows as they were read, one after another."""
    totals: list[Sequence[int]] = []
    for window in windows:
        result = yield from stream.count_again([bot], window)
        totals += cast("CountResult", result).totals
    return CountResult(None, [], totals=totals)


def _uncovered(window: Window, covered: Iterable[Window]) -> list[Window]:
    """The parts of a window that lie in none of others."""
    left = [window]
    for each in covered:
        left = [
            part
            for one in left
            for part in (
                Window(one.start, min(one.end, each.start)),
                Window(max(one.start, each.end), one.end),
            )
            if part.start < part.end
        ]
    return left


def _holes(windows: Sequence[AuditedWindow]) -> Iterator[Difference]:
    """What lies between windows and was never read, as far as the trail tells."""
    end = windows[0].window.start
    for each in windows:
        if each.window.start > end:
            hole = Window(end, each.window.start)
            yield Difference(f"{hole}, never read", 0, 0)
        end = max(end, each.window.end)
