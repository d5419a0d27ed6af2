"""How far a run is, shown on a terminal while it goes on."""

from __future__ import annotations

import os
import sys
import time
from threading import Event, Thread
from typing import TYPE_CHECKING, Self

from rich.console import Console, Group
from rich.progress_bar import ProgressBar
from rich.table import Table
from rich.text import Text

from tap_botsessions.engine.errors import OutputError
from tap_botsessions.reports.footer import Footer, is_large
from tap_botsessions.reports.progress import duration, percent

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from rich.console import RenderableType

    from tap_botsessions.reports.progress import BotProgress, StreamProgress

_SECONDS_BETWEEN_FRAMES = 0.25
_WIDE = 76
"""Columns in which a bot's id of Kore.ai's, a bar and all figures have room."""

_FEW = ("read", "rows")
"""The figures that are shown where there are fewer."""


class Display:
    """Shows how far streams are at the bottom of the terminal of standard error."""

    def __init__(self, streams: Sequence[StreamProgress]) -> None:
        """Prepare to show streams."""
        self._streams = streams
        self._console = Console(stderr=True, highlight=False)
        self._footer = Footer(sys.stderr.fileno())
        self._begun_at = time.monotonic()
        self._is_closed = Event()
        self._thread = Thread(target=self._run, name="display", daemon=True)

    def __enter__(self) -> Self:
        """Begin."""
        self._thread.start()
        return self

    def __exit__(self, kind: type[BaseException] | None, *_: object) -> None:
        """Leave how far it came, unless nobody has what was read."""
        if kind is not None and issubclass(kind, OutputError):
            self._close("")
        else:
            self.close()

    def close(self) -> None:
        """Leave how far it came, and the terminal as it was; it takes no second."""
        self._close(self._rendered(self._footer.size))

    def _close(self, text: str) -> None:
        if not self._is_closed.is_set():
            self._is_closed.set()
            self._thread.join(0.5)
            self._footer.close(text)

    def _run(self) -> None:
        while not self._is_closed.wait(_SECONDS_BETWEEN_FRAMES):
            size = self._footer.size
            lines = self._rendered(size).splitlines() if is_large(size) else []
            self._footer.show(lines, size)

    def _rendered(self, size: os.terminal_size) -> str:
        # Terminals differ in what they do after a character in the last column.
        self._console.size = os.terminal_size((size.columns - 1, size.lines))
        most = max(size.lines // 2 - 5 - len(self._streams), 2)
        seconds = time.monotonic() - self._begun_at
        with self._console.capture() as capture:
            self._console.print(screen(self._streams, most, seconds, size.columns))
        return capture.get()


def screen(
    streams: Sequence[StreamProgress], most: int, seconds: float, columns: int
) -> RenderableType:
    """How far streams are, one after another.

    Args:
        streams: The streams, in order.
        most: So many bots are shown at most.
        seconds: For how long the run has been going on.
        columns: The terminal's; where there are few, bots' ids come before figures.
    """
    is_wide = columns >= _WIDE
    table = Table(
        box=None, expand=True, padding=(0, 1, 0, 0), pad_edge=False, header_style="dim"
    )
    table.add_column(no_wrap=True, overflow="ellipsis")
    if is_wide:
        table.add_column(ratio=1, min_width=4)
    for heading in ("read", "windows", "rows", "requests") if is_wide else _FEW:
        table.add_column(heading, justify="right", no_wrap=True)
    for stream in streams:
        for name, *cells in _rows(stream, most):
            table.add_row(name, *(cells if is_wide else cells[1:4:2]))
    return Group(table, *_below(streams, seconds))


def _rows(stream: StreamProgress, most: int) -> Iterator[Sequence[RenderableType]]:
    if not stream.is_begun:
        yield [Text(stream.name, style="dim")]
        return
    color = "red" if any(bot.has_failed for bot in stream.bots) else ""
    name = Text.assemble(stream.name, (f", {stream.counted}", color))
    bar = _bar(stream.share)
    yield [name, bar, percent(stream.share), *_counts(stream.bots)]
    if stream.is_over:
        return
    under_way = stream.under_way
    bots = [bot for bot in under_way if bot.requests][:most]
    for bot in bots:
        bar = _bar(bot.share, "yellow" if bot.wait else "cyan")
        name = Text(f" {bot.bot}")
        yield [name, bar, percent(bot.share), *_counts([bot])]
    if others := len(under_way) - len(bots):
        yield [f" and {others} more"]


def _bar(share: float, style: str = "bar.complete") -> ProgressBar:
    return ProgressBar(total=1.0, completed=share, complete_style=style)


def _counts(bots: Sequence[BotProgress]) -> Iterator[str]:
    yield f"{sum(bot.windows for bot in bots):,}"
    yield f"{sum(bot.rows for bot in bots):,}"
    yield f"{sum(bot.requests for bot in bots):,}"


def _below(streams: Sequence[StreamProgress], seconds: float) -> Iterator[Text]:
    """What goes for the whole: its rate, the time left, and what is waited for."""
    words = [duration(seconds)]
    stream = next(
        (each for each in streams if each.is_begun and not each.is_over), None
    )
    if stream and stream.seconds:
        rows = sum(bot.rows for bot in stream.bots)
        words.append(f"{rows / stream.seconds:,.0f} rows/s")
        if left := stream.seconds_left:
            words.append(f"about {duration(left)} left of {stream.name}")
        if repeated := sum(bot.repeated for bot in stream.bots):
            words.append(f"{repeated:,} requests repeated")
    yield Text(", ".join(words), "bold", no_wrap=True, overflow="ellipsis")
    waiting = stream.waiting if stream else ""
    yield Text(waiting, "yellow", no_wrap=True, overflow="ellipsis")
