"""What the log has of a stream: how far it is, once a while and in the end."""

from __future__ import annotations

from contextlib import contextmanager
from typing import TYPE_CHECKING

from tap_botsessions.engine.listing import MAX_LISTED, many
from tap_botsessions.engine.windows import to_rfc3339
from tap_botsessions.reports.alike import in_lines, name_of
from tap_botsessions.reports.progress import duration, percent

if TYPE_CHECKING:
    import logging
    from collections.abc import Iterable, Iterator

    from tap_botsessions.reports.progress import BotProgress, StreamProgress

SECONDS_BETWEEN = 30.0


class Summaries:
    """Logs a stream's progress.

    Attributes:
        is_quiet: Whether nothing is logged: the progress is shown elsewhere.
    """

    def __init__(self, progress: StreamProgress, logger: logging.Logger) -> None:
        """Prepare to log a stream."""
        self.is_quiet = False
        self._progress = progress
        self._logger = logger
        self._due = 0.0

    @contextmanager
    def logging(self) -> Iterator[None]:
        """Begin, and log all bots at the end of the block."""
        self._due = self._progress.clock.monotonic() + SECONDS_BETWEEN
        yield
        self._log(self._progress.bots)

    def on_tick(self) -> None:
        """Log the bots that are under way, if it is time to."""
        now = self._progress.clock.monotonic()
        if now >= self._due:
            self._due = now + SECONDS_BETWEEN
            self._log(self._progress.under_way)

    def _log(self, bots: Iterable[BotProgress]) -> None:
        if not self.is_quiet:
            for line in _summary(self._progress, bots):
                self._logger.info("%s", line)


def _summary(progress: StreamProgress, bots: Iterable[BotProgress]) -> Iterator[str]:
    """Say how far all is, and each of some bots: those that need a look come first."""
    name, noun, left = progress.name, progress.bot_noun, progress.seconds_left
    words = [
        f"{name}: {percent(progress.share)} read",
        progress.counted,
        f"{_costs(progress.bots)} in {duration(progress.seconds)}",
    ]
    if left:
        words.append(f"about {duration(left)} left")
    if progress.waiting:
        words.append(progress.waiting)
    yield ", ".join(words)
    ordered = sorted(
        bots, key=lambda bot: (not bot.has_failed, bot.share, -bot.requests)
    )
    lines = list(in_lines(ordered, _words))
    for line in lines[:MAX_LISTED]:
        kind = "" if len(line) > 1 else f"{noun} "
        yield f"{name}, {kind}{name_of(line, noun)}: {_words(line[0])}"
    if others := [bot for line in lines[MAX_LISTED:] for bot in line]:
        yield f"{name}, {many(len(others), f'other {noun}')}: {_costs(others)}"


def _words(bot: BotProgress) -> str:
    read = f"{percent(bot.share)} read, {_costs([bot])}"
    failed = "failed, " if bot.has_failed else ""
    until = f", up to {to_rfc3339(bot.until)}" if bot.until else ""
    return f"{failed}{read}{until}"


def _costs(bots: Iterable[BotProgress]) -> str:
    bots = list(bots)
    rows = sum(bot.rows for bot in bots)
    requests = sum(bot.requests for bot in bots)
    repeated = sum(bot.repeated for bot in bots)
    again = f" ({repeated:,} of them repeated)" if repeated else ""
    return f"{many(rows, 'row')}, {many(requests, 'request')}{again}"
