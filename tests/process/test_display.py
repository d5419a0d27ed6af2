"""What a terminal shows of a run."""

from __future__ import annotations

import json
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import partial
from typing import IO, TYPE_CHECKING, Any, cast

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import latency
from tests import screens
from tests.conftest import Synced, config_for, end_of
from tests.process.test_kill import SECONDS_TO_DIE, SIGNALS
from tests.programs import SOURCE, TAP
from tests.terminal import on_terminal
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from tests.terminal import Terminal

START = datetime(2026, 3, 1, tzinfo=UTC)
MANY = tuple(f"st-0a1b2c3d-{n:04}-5000-8000-{n:012}" for n in range(1, 101))
"""Ids as long as Kore.ai's are."""


DAYS = 10


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(World(days=DAYS, sessions_per_day=12)) as running:
        yield running


@pytest.fixture
def config(simulator: Simulator, tmp_path: Path) -> Path:
    """The file of a configuration of some seconds."""
    simulator.faults.rules.append(Rule(latency(0.1)))
    settings = {"window_days": 1, "max_concurrent_requests": 2}
    return written(tmp_path, config_for(simulator, **settings))


def written(folder: Path, config: Mapping[str, Any]) -> Path:
    """A configuration in a file."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    return file


@contextmanager
def shown(
    config: Path, *arguments: str, **options: Any
) -> Iterator[tuple[Terminal, Path]]:
    """The tap on a terminal, with its records in a file."""
    output = config.with_name("output")
    command: list[str | Path] = [TAP, "--config", config, *arguments]
    with output.open("wb") as file, on_terminal(command, file, **options) as terminal:
        yield terminal, output


def is_shown(terminal: Terminal) -> bool:
    """Whether the display is there."""
    return any(line.endswith("windows rows requests") for line in words(terminal))


def is_apart(terminal: Terminal) -> bool:
    """Whether the display is there, and only what is above it scrolls.

    A narrow terminal shows no windows.
    """
    margins = terminal.screen.margins
    header = re.compile(r" read +(windows +)?rows")
    shown = [n for n, line in enumerate(terminal.lines) if header.search(line)]
    return bool(margins and shown and margins.bottom < shown[0])


def words(terminal: Terminal) -> list[str]:
    """The lines of the screen, with single spaces."""
    return [" ".join(line.split()) for line in terminal.lines]


def apart(terminal: Terminal) -> str:
    """What a terminal was sent beside the display: it scrolls by above that."""
    sequences = rb"\x1b7.*?\x1b8|\x1b\[J|\x1bD|\x1bM|\x1b\[[\d;]*m"
    text = re.sub(sequences, b"", terminal.written)
    assert b"\x1b" not in text
    return text.decode().replace("\r\n", "\n")


def assert_in_order(terminal: Terminal) -> None:
    """The terminal is as it was before the display, and the cursor below that."""
    screen = terminal.screen
    assert not screen.cursor.hidden
    assert screen.margins in {None, (0, screen.lines - 1)}
    assert screen.cursor.x == 0
    assert not any(terminal.lines[screen.cursor.y :])


def test_the_display_is_on_standard_error_and_the_records_are_not(
    simulator: Simulator, config: Path
) -> None:
    with shown(config) as (terminal, output):
        terminal.wait_for(partial(is_shown, terminal))
        assert terminal.wait() == 0
        assert_in_order(terminal)
        assert "100% read" not in apart(terminal)
    synced = Synced([json.loads(line) for line in output.read_bytes().splitlines()])
    seen = Counter(
        "kore_sessions" if call.vendor == "kore" else f"avaamo_{call.endpoint}"
        for call in simulator.requests
    )
    for stream in STREAMS:
        truth = expected(simulator.world, stream, START, end_of(simulator.world))
        assert_same(synced.records[stream], truth)
        kind = "bots" if stream == "kore_sessions" else "agents"
        told = rf"{stream}, 2 of 2 {kind} ━+ 100% \d+ {len(truth):,} {seen[stream]:,}"
        assert any(re.fullmatch(told, line) for line in words(terminal))


def test_the_display_tells_of_each_bot_how_far_it_is(
    simulator: Simulator, config: Path
) -> None:
    bots = "|".join(simulator.world.bots)
    row = re.compile(rf"({bots}) [━╸╺]+ (\d+)% (\d+) ([\d,]+) (\d+)")
    with shown(config) as (terminal, _):

        def rows() -> list[list[int]]:
            found = map(row.fullmatch, words(terminal))
            return [
                [int(each) for each in match.groups()[1:]] for match in found if match
            ]

        terminal.wait_for(lambda: len(rows()) == 2 and rows()[1][1] > 2)
        for share, windows, emitted, requests in rows():
            assert share == windows * 100 // DAYS
            assert emitted == windows * 12
            assert requests >= windows
        assert "rows/s, about 0:00:" in terminal.text
        assert "left of kore_sessions" in terminal.text


def test_lines_of_the_log_and_of_a_target_are_whole(config: Path) -> None:
    """A target shares the terminal; what it has to say must not be lost."""
    said = [f"the target has stored {number} records" for number in range(10)]
    with shown(config) as (terminal, _):
        for line in said:
            terminal.wait_for_more()
            terminal.say(line)
        assert terminal.wait() == 0
        seen = [*terminal.history, *terminal.lines]
        assert [line for line in seen if line in said] == said
        assert sum(" windows " in line for line in seen) == 1
        log, _, display = apart(terminal).partition("\n\n")
    logged = [line for line in log.split("\n") if line not in said]
    assert len(logged) > 15
    whole = re.compile(r"\d{4}-\d\d-\d\d .* \| (INFO|WARNING) +\| [\w.-]+ +\| .*")
    assert all(map(whole.fullmatch, logged))
    assert "requests\n" in display


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_leaves_the_terminal_in_order(
    config: Path, signum: signal.Signals
) -> None:
    with shown(config) as (terminal, output):
        terminal.wait_for(partial(is_shown, terminal))
        terminal.process.send_signal(signum)
        began = time.monotonic()
        assert terminal.wait() == -signum
        assert time.monotonic() - began < SECONDS_TO_DIE
        assert_in_order(terminal)
        assert is_shown(terminal)
    *_, last = output.read_bytes().splitlines()
    assert json.loads(last)["type"] == "STATE"


def test_a_signal_while_a_target_reads_nothing_leaves_the_terminal_in_order(
    simulator: Simulator, tmp_path: Path
) -> None:
    config = written(tmp_path, config_for(simulator))
    with on_terminal([TAP, "--config", config], subprocess.PIPE) as terminal:
        terminal.wait_for(partial(is_shown, terminal))
        terminal.wait_for(lambda: terminal.text.count("0:00:02"))
        terminal.process.send_signal(signal.SIGTERM)
        began = time.monotonic()
        assert terminal.wait() == -signal.SIGTERM
        assert time.monotonic() - began < SECONDS_TO_DIE
        assert_in_order(terminal)


def test_a_target_that_dies_leaves_the_terminal_in_order(config: Path) -> None:
    with on_terminal([TAP, "--config", config], subprocess.PIPE) as terminal:
        terminal.wait_for(partial(is_shown, terminal))
        cast("IO[bytes]", terminal.process.stdout).close()
        assert terminal.wait() > 0
        assert_in_order(terminal)
        assert "Traceback" not in apart(terminal)


def test_who_waits_for_a_budget_is_shown(simulator: Simulator, tmp_path: Path) -> None:
    settings = config_for(simulator, window_days=1, kore_requests_per_minute=5)
    bot = simulator.world.bots[0]
    config = written(tmp_path, settings | {"kore_bot_ids": [bot]})
    waiting = re.compile(rf"waiting \d\d s for budget: Kore.ai, bot {bot}")
    with shown(config) as (terminal, _):
        terminal.wait_for(lambda: any(map(waiting.fullmatch, terminal.lines)))


def test_a_hundred_bots_leave_half_of_the_screen_to_others(tmp_path: Path) -> None:
    world = World(bots=MANY, days=6, sessions_per_day=4)
    with Simulator(world) as simulator:
        simulator.faults.rules.append(Rule(latency(0.05)))
        config = written(tmp_path, config_for(simulator, window_days=2))
        with shown(config) as (terminal, _):
            terminal.wait_for(lambda: re.search(r"and 9\d more", terminal.text))
            top = next(
                n for n, line in enumerate(terminal.lines) if " windows " in line
            )
            assert top >= 12
            assert terminal.wait() == 0
        assert "kore_sessions, 100 of 100 bots" in terminal.text


def test_a_terminal_may_change_its_size(config: Path) -> None:
    with shown(config) as (terminal, _):
        terminal.wait_for(partial(is_shown, terminal))
        for columns, lines in ((120, 40), (60, 16), (40, 10), (80, 24)):
            terminal.resize(columns, lines)
            has_room = columns >= 60
            terminal.wait_for(lambda: is_apart(terminal) is has_room)  # noqa: B023 -- is called at once
        assert terminal.wait() == 0
        assert_in_order(terminal)


@pytest.mark.parametrize(
    "options",
    [
        {"TERM": "dumb"},
        {"TERM": ""},
        {"columns": 40},
        {"lines": 10},
        {"columns": 0, "lines": 0},
    ],
)
def test_a_terminal_without_room_gets_the_log(
    simulator: Simulator, tmp_path: Path, options: dict[str, Any]
) -> None:
    with shown(written(tmp_path, config_for(simulator)), **options) as (terminal, _):
        assert terminal.wait() == 0
    assert b"\x1b" not in terminal.written
    assert terminal.written.count(b": 100% read, 2 of 2 ") == len(STREAMS)


def test_records_on_the_terminal_are_not_mixed_with_a_display(
    simulator: Simulator, tmp_path: Path
) -> None:
    day = {"end_date": "2026-03-02"}  # a terminal is slow to draw
    config = written(tmp_path, config_for(simulator) | day)
    with on_terminal([TAP, "--config", config]) as terminal:
        assert terminal.wait() == 0
    assert b"\x1b" not in terminal.written


@pytest.mark.parametrize("argument", ["--test", "--test=schema", "--discover"])
def test_what_is_no_sync_has_no_display(
    simulator: Simulator, tmp_path: Path, argument: str
) -> None:
    with shown(written(tmp_path, config_for(simulator)), argument) as (terminal, _):
        assert terminal.wait() == 0
    assert b"\x1b" not in terminal.written


def test_airbyte_has_no_display(simulator: Simulator, tmp_path: Path) -> None:
    config = written(tmp_path, config_for(simulator))
    catalog = tmp_path / "catalog.json"
    wanted = {
        "stream": {"name": "avaamo_usage", "json_schema": {}},
        "sync_mode": "full_refresh",
        "destination_sync_mode": "overwrite",
    }
    catalog.write_text(json.dumps({"streams": [wanted]}))
    command: list[str | Path] = [SOURCE, "read", "--config", config]
    command += ["--catalog", catalog]
    with on_terminal(command, subprocess.DEVNULL) as terminal:
        assert terminal.wait() == 0
    assert not terminal.written


def test_the_screen_in_the_documents_is_that_of_today(tmp_path: Path) -> None:
    screens.assert_documented("progress", screens.progress(tmp_path))


def test_colors_can_be_forgone(config: Path) -> None:
    colored = re.compile(rb"\x1b\[[\d;]*3\d")
    for options, has_colors in (({}, True), ({"NO_COLOR": "1"}, False)):
        with shown(config, **options) as (terminal, _):
            terminal.wait_for(partial(is_shown, terminal))
            assert bool(colored.search(terminal.written)) is has_colors


def test_nothing_is_loaded_for_a_display_that_is_not_shown(
    simulator: Simulator, tmp_path: Path
) -> None:
    config = written(tmp_path, config_for(simulator))
    tap = [sys.executable, "-X", "importtime", "-m", "tap_botsessions"]
    done = subprocess.run(  # noqa: S603 -- ours
        [*tap, "--config", config], capture_output=True, check=True
    )
    assert b" tap_botsessions.reports.summaries\n" in done.stderr
    assert b" rich" not in done.stderr
