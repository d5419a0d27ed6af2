"""What `--check` prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.table import Column, Table
from rich.text import Text

from tap_botsessions.engine.listing import listed
from tap_botsessions.engine.windows import to_rfc3339
from tap_botsessions.reports.alike import grouped, in_lines, name_of
from tap_botsessions.reports.failures import longest

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from rich.console import RenderableType

    from tap_botsessions.reports.check import BotCheck, VendorCheck


@dataclass
class CheckReport:
    """The vendors that were asked."""

    vendors: Sequence[VendorCheck]

    @property
    def is_well(self) -> bool:
        """Whether every bot can be read."""
        return not self._failed

    @property
    def _bots(self) -> list[BotCheck]:
        return [bot for vendor in self.vendors for bot in vendor.bots]

    @property
    def _failed(self) -> list[BotCheck]:
        return [bot for bot in self._bots if bot.error]

    def data(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "is_well": self.is_well,
            "vendors": [
                {
                    "vendor": vendor.stream.vendor,
                    "stream": vendor.stream.name,
                    "url": vendor.stream.transport.base_url,
                    "clock_ahead_seconds": vendor.skew,
                    "budget_left": vendor.budget_left,
                    "since": to_rfc3339(vendor.window.start),
                    "bots": [_bot_data(bot) for bot in vendor.bots],
                    "remarks": vendor.remarks,
                }
                for vendor in self.vendors
            ],
        }

    def lines(self) -> RenderableType:
        """All of it, for people."""
        return Group(*map(_vendor_lines, self.vendors), self._verdict())

    def _verdict(self) -> Text:
        count, failed = len(self._bots), len(self._failed)
        if failed:
            return Text(f"{failed} of {count} can't be read.", "bold red")
        empty = sum(not bot.records for bot in self._bots)
        words = f"All well: {count} of {count} can be read"
        words += f"; of {empty} there was nothing new." if empty else "."
        return Text(words, "bold green")


def _bot_data(bot: BotCheck) -> dict[str, Any]:
    return {
        "bot": bot.bot,
        "is_well": bot.error is None,
        "records": bot.records,
        "newest": to_rfc3339(bot.newest) if bot.newest else None,
        "problem": str(bot.error) if bot.error else None,
        "failure_type": bot.error.failure_type if bot.error else None,
    }


def _vendor_lines(vendor: VendorCheck) -> RenderableType:
    well = [bot for bot in vendor.bots if not bot.error]
    return Group(
        Text.assemble(
            (vendor.stream.vendor, "bold"),
            "" if vendor.stream.answers_check else f", {vendor.stream.name}",
            f" at {vendor.stream.transport.base_url}",
        ),
        *(Text(line, "dim") for line in _known(vendor)),
        *([_table(vendor, well)] if well else []),
        *(line for alike in _by_cause(vendor.bots) for line in _failed_lines(alike)),
        *(_noted("!", remark, "yellow") for remark in vendor.remarks),
        "",
    )


def _known(vendor: VendorCheck) -> Iterator[str]:
    """What its answers said beside what was asked for, if anything."""
    known = []
    if vendor.skew is not None:
        known.append(f"clocks: {abs(vendor.skew):.0f} s apart")
    if vendor.budget_left is not None:
        known.append(f"budget left: {vendor.budget_left}")
    if known:
        yield "; ".join(known)


def _table(vendor: VendorCheck, bots: Sequence[BotCheck]) -> Table:
    """The bots that can be read, and what they have."""
    rows, noun = vendor.stream.name.partition("_")[2], vendor.stream.bot_noun
    table = Table.grid(
        Column(no_wrap=True),
        Column(overflow="fold"),
        Column(justify="right"),
        Column(no_wrap=True),
        padding=(0, 1),
    )
    table.add_row(
        "",
        Text(noun, "dim"),
        Text(f"{rows} in {_duration(vendor.window.width)}", "dim"),
        Text("newest, UTC", "dim"),
    )
    for line in in_lines(bots, _cells):
        table.add_row(Text("✓", "green"), name_of(line, noun), *_cells(line[0]))
    return table


def _cells(bot: BotCheck) -> tuple[str, str]:
    newest = f"{bot.newest:%b %d %H:%M}" if bot.newest else ""
    return f"{bot.records:,}", newest


def _duration(width: timedelta) -> str:
    if width < timedelta(days=2):
        return f"{width / timedelta(hours=1):g} hours"
    return f"{width / timedelta(days=1):g} days"


def _by_cause(bots: Iterable[BotCheck]) -> Iterable[list[BotCheck]]:
    """The bots that can't be read, those with the same cause together."""
    failed = [bot for bot in bots if bot.error]
    return grouped(failed, lambda bot: bot.error and bot.error.cause).values()


def _failed_lines(alike: Sequence[BotCheck]) -> Iterator[RenderableType]:
    yield _noted("✗", listed(bot.bot for bot in alike), "red")
    error = longest(bot.error for bot in alike if bot.error)
    yield Padding(Text(str(error)), (0, 0, 0, 4), expand=False)


def _noted(mark: str, text: str, color: str) -> Table:
    """A text after a mark, its further lines below its first."""
    line = Table.grid(Column(no_wrap=True), Column(overflow="fold"), padding=(0, 1))
    line.add_row(Text(mark, color), text)
    return line
