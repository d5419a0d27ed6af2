"""What `--check` prints."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import timedelta
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from tap_botsessions.engine.windows import to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Sequence

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
        return Text(f"All well: {count} of {count} can be read.", "bold green")


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
    clock = "unknown"
    if vendor.skew is not None:
        clock = f"{abs(vendor.skew):.0f} s apart"
    left = vendor.budget_left or "unknown"
    return Group(
        Text.assemble(
            (vendor.stream.vendor, "bold"), f" at {vendor.stream.transport.base_url}"
        ),
        Text(f"clocks: {clock}; budget left: {left}", "dim"),
        *(line for bot in vendor.bots for line in _bot_lines(vendor, bot)),
        *(Text(f"! {remark}", "yellow") for remark in vendor.remarks),
        "",
    )


def _duration(width: timedelta) -> str:
    if width < timedelta(days=2):
        return f"{width / timedelta(hours=1):g} hours"
    return f"{width / timedelta(days=1):g} days"


def _bot_lines(vendor: VendorCheck, bot: BotCheck) -> list[RenderableType]:
    if bot.error:
        why = Padding(Text(str(bot.error)), (0, 0, 0, 4), expand=False)
        return [Text.assemble(("✗ ", "red"), bot.bot), why]
    width = max(len(other.bot) for other in vendor.bots)
    found = f"  {bot.records:,} in {_duration(vendor.window.width)}"
    if bot.newest:
        found += f", newest {bot.newest:%b %d %H:%M} UTC"
    name = f"{bot.bot:<{width}}"
    return [Text.assemble(("✓ ", "green"), name, (found, "dim"))]
