"""The display of a run at several widths: nothing in it is cut off."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest
from rich.console import Console

from tap_botsessions.engine.windows import Window
from tap_botsessions.reports.display import screen
from tap_botsessions.reports.progress import StreamProgress

START = datetime(2026, 1, 1, tzinfo=UTC)


def bot_id(number: int) -> str:
    return f"st-0a1b2c3d-{number:04}-5000-8000-{number:012}"


def under_way(bots: int) -> StreamProgress:
    """A long run, with large figures."""
    progress = StreamProgress("kore_sessions", "bot", map(bot_id, range(bots)))
    for number, bot in enumerate(progress.bots):
        bot.sync_range = Window(START, START + timedelta(days=90))
        bot.until = START + timedelta(days=1 + number)
        bot.windows, bot.rows, bot.requests = 10, 7_200 * (1 + number), 1_200
    return progress


@pytest.mark.parametrize("bots", [2, 60])
@pytest.mark.parametrize(
    ("columns", "headings"),
    [
        (60, ["read", "rows"]),
        (80, ["read", "windows", "rows", "requests"]),
        (120, ["read", "windows", "rows", "requests"]),
    ],
)
def test_each_figure_and_each_id_is_whole(
    columns: int, headings: list[str], bots: int
) -> None:
    progress = under_way(bots)
    console = Console(width=columns - 1)
    with progress.reading(), console.capture() as capture:
        console.print(screen([progress], 6, 16, columns))
    head, whole, *lines = capture.get().splitlines()
    assert head.split() == headings
    rows = sum(bot.rows for bot in progress.bots)
    assert f" {rows:,}" in whole
    shown = [line for line in lines if line.startswith(" st-")]
    assert len(shown) == min(bots, 6)
    for number, line in enumerate(shown):
        assert line.split()[0] == bot_id(number)
        assert f" {7_200 * (1 + number):,}" in line
    assert "…" not in capture.get().split("rows/s")[0]
