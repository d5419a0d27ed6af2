"""What `--verify` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.padding import Padding
from rich.text import Text

from tap_botsessions.engine.listing import listed, many
from tap_botsessions.reports.alike import grouped

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from rich.console import RenderableType

    from tap_botsessions.engine.comparison import Difference
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.reports.verify import Verified

_SHOWN = 20
"""Differences of a bot that are shown for people; machines get all."""


@dataclass
class VerifyReport:
    """What was compared.

    Attributes:
        window: Of which time; all that was read if not given.
        found: What came of each comparison, bot by bot.
        skipped: What was not compared, and the streams that it takes.
    """

    window: Window | None
    found: Sequence[Verified]
    skipped: Mapping[str, Sequence[str]]

    @property
    def is_well(self) -> bool:
        """Whether something was compared, and all agrees that must."""
        return bool(self.found) and all(each.is_well for each in self.found)

    def data(self) -> dict[str, Any]:
        """All of it, for machines."""
        return {
            "is_well": self.is_well,
            "window": str(self.window) if self.window else None,
            "comparisons": [_data(each) for each in self.found],
            "not_compared": [
                {"comparison": name, "needs": list(needs)}
                for name, needs in self.skipped.items()
            ],
        }

    def lines(self) -> RenderableType:
        """All of it, for people."""
        groups = grouped(self.found, lambda each: (each.vendor, each.name))
        return Group(
            Text(str(self.window or "All that was read")),
            *(line for alike in groups.values() for line in _lines(alike)),
            *(
                Text(f"not compared: {name}; it takes {listed(needs)}", "dim")
                for name, needs in self.skipped.items()
            ),
            self._verdict(),
        )

    def _verdict(self) -> Text:
        if not self.found:
            return Text("Nothing was compared.", "bold red")
        if self.is_well:
            return Text("All agree, but for what is known to differ.", "bold green")
        wrong = sum(not each.is_well for each in self.found)
        return Text(f"{wrong} of {len(self.found)} don't agree.", "bold red")


def _data(each: Verified) -> dict[str, Any]:
    compared = each.compared
    return {
        "vendor": each.vendor,
        "comparison": each.name,
        "bot": each.bot,
        "is_well": each.is_well,
        "problem": each.error,
        "compared": compared.number if compared else 0,
        "until": compared.until if compared else None,
        "differences": [
            {
                "of": difference.of,
                "said": difference.said,
                "found": difference.found,
                "ids": list(difference.ids),
                "known": difference.known,
            }
            for difference in (compared.differences if compared else ())
        ],
    }


def _lines(alike: Sequence[Verified]) -> Iterator[RenderableType]:
    """The lines of one comparison."""
    first = alike[0]
    yield Text.assemble("\n", (f"{first.vendor}, {first.name}", "bold"))
    for each in alike:
        yield _line(each)
        if each.compared is not None:
            shown = each.compared.differences[:_SHOWN]
            for difference in shown:
                yield Padding(Text(_words(difference)), (0, 0, 0, 4), expand=False)
            if more := len(each.compared.differences) - len(shown):
                words = f"and {more} more; --format json has all"
                yield Padding(Text(words), (0, 0, 0, 4))


def _line(each: Verified) -> Text:
    if each.compared is None:
        return Text.assemble(("✗ ", "red"), f"{each.bot}: {each.error}")
    number, differ = each.compared.number, len(each.compared.differences)
    mark, color = ("✓ ", "green") if each.is_well else ("✗ ", "red")
    words = f"{each.bot}: {number:,} compared, {differ} differ"
    if each.compared.until:
        but = f", but for {many(differ, 'window')}" if differ else ""
        words = (
            f"{each.bot}: what was loaded is what the vendor has, up to "
            f"{each.compared.until}{but} ({many(number, 'window')})"
        )
    return Text.assemble((mark, color), words)


def _words(difference: Difference) -> str:
    words = f"{difference.of}: {difference.said} said, {difference.found} found"
    if difference.ids:
        words = f"{difference.found} {difference.of}: {listed(difference.ids)}"
    return f"{words} (known: {difference.known})" if difference.known else words
