"""What is told of a run while it goes on: by the log, and on a terminal."""

from __future__ import annotations

import json
import logging
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import IO, TYPE_CHECKING, Any, cast

import pytest
from typing_extensions import override

from simulator import Rule, Simulator, World
from simulator.faults import latency, status
from simulator.streams import STREAMS as TABLE
from simulator.streams import served_by
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.reader import Taken
from tap_botsessions.engine.scheduler import Job
from tap_botsessions.engine.windows import Window
from tap_botsessions.reports.progress import StreamProgress
from tap_botsessions.reports.summaries import MOST_BOTS, Summaries
from tap_botsessions.singer.stream import BotStream
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, config_for, end_of, sync
from tests.process.test_kill import SECONDS_TO_DIE, SIGNALS
from tests.terminal import on_terminal
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from tests.terminal import Terminal

TAP = Path(sys.executable).with_name("tap-botsessions")
SOURCE = TAP.with_name("source-botsessions")
START = datetime(2026, 3, 1, tzinfo=UTC)
DAY = timedelta(days=1)
MANY = tuple(f"st-0a1b2c3d-{n:04}-5000-8000-{n:012}" for n in range(1, 101))
"""Ids as long as Kore.ai's are."""


# What is known, held against what the simulator saw and what the audit trail says.


@dataclass
class Run:
    """A run of the tap in this process.

    Attributes:
        tap: The tap, after the run.
        synced: What it wrote.
        requests: The requests that the simulator saw, by endpoint and bot.
    """

    tap: TapBotsessions
    synced: Synced
    requests: Counter[tuple[str, str | None]]

    def progress(self, stream: str) -> StreamProgress:
        """How far a stream is."""
        found = self.tap.streams[stream]
        assert isinstance(found, BotStream)
        return found.progress


def run(
    simulator: Simulator, state: dict[str, Any] | None = None, **settings: Any
) -> Run:
    simulator.requests.clear()
    synced = Synced()
    tap = TapBotsessions(
        config=config_for(simulator, **settings), state=state, message_writer=synced
    )
    tap.streams["sync_windows"].selected = True
    tap.sync_all()
    seen = Counter((call.endpoint, call.bot) for call in simulator.requests)
    return Run(tap, synced, seen)


def assert_true(found: Run) -> None:
    """What is known of each bot is what has happened."""
    audit = [row for name, row in found.synced.all_records if name == "sync_windows"]
    for stream in STREAMS:
        progress = found.progress(stream)
        assert progress.is_over
        for bot in progress.bots:
            windows = [
                row for row in audit if (row["stream"], row["bot"]) == (stream, bot.bot)
            ]
            assert bot.requests == found.requests[TABLE[stream].endpoint, bot.bot]
            assert bot.rows == sum(row["rows_emitted"] for row in windows)
            assert bot.windows == sum(
                row["window_start"] is not None for row in windows
            )


def test_what_is_known_of_a_run_is_what_has_happened(simulator: Simulator) -> None:
    found = run(simulator, window_days=3)
    assert_true(found)
    for stream in STREAMS:
        progress = found.progress(stream)
        assert progress.share == 1
        assert not progress.under_way
        assert progress.seconds_left == 0
        rows = expected(simulator.world, stream, START, end_of(simulator.world))
        assert sum(bot.rows for bot in progress.bots) == len(rows)
        assert not any(bot.repeated or bot.has_failed for bot in progress.bots)


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"lookback_hours": 0},
        {"kore_containment_types": ["agent"]},
        {"kore_session_ids": ["no such session"]},
    ],
)
def test_a_run_that_goes_on_is_known_as_well(
    simulator: Simulator, settings: dict[str, Any]
) -> None:
    """One that reads open sessions by their ids, or no time at all."""
    world = simulator.world
    middle = (START + 10 * DAY).isoformat()
    state = sync(simulator, end_date=middle).state
    for end in (middle, end_of(world).isoformat()):
        found = run(simulator, state, end_date=end, **settings)
        assert_true(found)
        for stream in STREAMS:
            assert found.progress(stream).share == 1
            assert not found.progress(stream).under_way


@pytest.mark.usefixtures("impatient")
def test_requests_that_are_repeated_are_counted(simulator: Simulator) -> None:
    simulator.faults.rules.append(Rule(status(503), endpoint="sessions", every=3))
    found = run(simulator)
    assert_true(found)
    repeated = sum(bot.repeated for bot in found.progress("avaamo_sessions").bots)
    assert repeated == simulator.faults.rules[0].fired > 0


def test_a_bot_that_fails_is_known_to(simulator: Simulator) -> None:
    simulator.faults.rules.append(
        Rule(status(403), endpoint="messages", bot="202", after=3)
    )
    found = run(simulator, window_days=2)
    assert_true(found)
    progress = found.progress("avaamo_messages")
    good, bad = progress.bots
    assert good.share == 1
    assert not good.has_failed
    assert bad.has_failed
    assert 0 < bad.share < 1
    assert 0.5 < progress.share < 1
    assert progress.counted == "1 of 2 agents, 1 failed"


def test_a_stream_that_is_put_aside_is_known_to_be(simulator: Simulator) -> None:
    maps = {"avaamo_messages": {"content": "1 / 0"}}
    progress = run(simulator, stream_maps=maps).progress("avaamo_messages")
    assert progress.counted == "0 of 2 agents, 2 failed"
    assert progress.share < 1


# How long it still takes, by a clock of our own.


@dataclass
class Clock:
    """The clock that all look at."""

    now: float = 1_000_020.0

    def monotonic(self) -> float:
        return self.now

    def monotonic_ns(self) -> int:
        return round(self.now * 1e9)

    def time(self) -> float:
        return self.now


@pytest.fixture
def clock(monkeypatch: pytest.MonkeyPatch) -> Clock:
    clock = Clock()
    for module in ("budget", "progress", "summaries"):
        monkeypatch.setattr(f"tap_botsessions.{module}.time", clock)
    return clock


def job(bot: str, days: float) -> Job:
    """A bot of which so many days are to be read."""
    spans = [Window(START, START + days * DAY)]
    return Job(bot, cast("Any", None), spans, DAY)


def read(progress: StreamProgress, bot: str, day: int, requests: int = 1) -> None:
    """Have a day of a bot be read, of ten rows."""
    for _ in range(requests):
        progress.asked(bot, 0)
    progress.read(bot, Taken(Window(START, START + day * DAY), []), 10)


@pytest.fixture
def two(clock: Clock) -> Iterator[StreamProgress]:
    """Two bots, of ten days and of two."""
    progress = StreamProgress("kore_sessions", "bot", ["long", "short"])
    with progress.reading():
        progress.expect(job("long", 10), Budget("The long one", 60))
        progress.expect(job("short", 2), Budget("The short one", 60))
        clock.now += 60
        yield progress


def test_at_first_nobody_knows_how_long_it_takes(two: StreamProgress) -> None:
    assert two.seconds_left is None
    assert two.share == 0


def test_what_is_left_takes_as_long_as_what_was_read(
    two: StreamProgress, clock: Clock
) -> None:
    read(two, "long", 3)
    read(two, "short", 1)
    assert two.share == pytest.approx(4 / 12)
    # Of two requests one brought three days, one a day: 7/3 and 1 more at 30 s each.
    assert two.seconds_left == pytest.approx(100)
    read(two, "short", 2)
    assert [bot.bot for bot in two.under_way] == ["long"]
    clock.now += 30
    assert two.seconds_left == pytest.approx(70)


def test_a_bot_of_which_nothing_was_read_is_like_the_others(
    two: StreamProgress,
) -> None:
    read(two, "long", 5, requests=10)
    # 10 requests in 60 s for 5 days, so 14 for the 7 days that are left.
    assert two.seconds_left == pytest.approx(84)


def test_the_wait_for_a_budget_belongs_to_what_it_was_spent_on(
    two: StreamProgress,
) -> None:
    read(two, "long", 5)
    read(two, "short", 2)
    budget = two.bots[0].budget
    assert budget is not None
    assert two.waiting == ""
    budget.pause("minute", 60)
    assert two.seconds_left == pytest.approx(60 + (60 + 60) / 2)
    assert two.waiting == "waiting 60 s for budget: The long one"


def test_who_waits_for_a_budget_and_how_long(two: StreamProgress, clock: Clock) -> None:
    long, short = (cast("Budget", bot.budget) for bot in two.bots)
    long.pause("hour", 61)
    assert two.waiting == "waiting 61 s for budget: The long one"
    short.pause("minute", 90)
    assert two.waiting == "waiting up to 90 s for the budgets of 2 bots"
    clock.now += 70
    assert two.waiting == "waiting 20 s for budget: The short one"
    two.give_up(["short"])
    assert two.waiting == ""


# The log.


@dataclass(eq=False)
class Log(logging.Handler):
    """Keeps the lines of a logger of its own, with when each came."""

    clock: Clock
    lines: list[tuple[float, str]] = field(default_factory=list)

    def __post_init__(self) -> None:
        """Make the logger."""
        super().__init__()
        self.begin = self.clock.now
        self.logger = logging.Logger("log")  # noqa: LOG001 -- nobody else's
        self.logger.addHandler(self)

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append((self.clock.now - self.begin, record.getMessage()))

    @property
    def times(self) -> list[int]:
        """When lines came, in seconds."""
        return sorted({round(when) for when, _ in self.lines})


def test_the_log_is_told_each_half_a_minute_and_in_the_end(
    two: StreamProgress, clock: Clock
) -> None:
    log = Log(clock)
    summaries = Summaries(two, log.logger)
    with summaries.telling():
        for _ in range(1000):
            clock.now += 0.1
            summaries.heed()
        read(two, "short", 2)
        clock.now += 5
    assert log.times == [30, 60, 90, 105]
    assert "\n".join(line for when, line in log.lines if when > 100) == (
        "kore_sessions: 16% read, 1 of 2 bots, 10 rows, 1 request in 0:02:45, "
        "about 0:13:45 left\n"
        "kore_sessions, bot long: 0% read, 0 rows, 0 requests\n"
        "kore_sessions, bot short: 100% read, 10 rows, 1 request, "
        "up to 2026-03-03T00:00:00Z"
    )


def test_the_log_is_told_of_bots_that_are_under_way_and_of_all_in_the_end(
    two: StreamProgress, clock: Clock
) -> None:
    read(two, "short", 2)
    log = Log(clock)
    summaries = Summaries(two, log.logger)
    with summaries.telling():
        clock.now += 30
        summaries.heed()
        assert not any("bot short" in line for _, line in log.lines)
    assert any("bot short" in line for _, line in log.lines)


def test_after_a_long_silence_the_log_is_told_once(
    two: StreamProgress, clock: Clock
) -> None:
    """The target may not have taken anything in for a while."""
    log = Log(clock)
    summaries = Summaries(two, log.logger)
    with suppress(ZeroDivisionError), summaries.telling():
        clock.now += 300
        for _ in range(25):
            summaries.heed()
            clock.now += 1
        raise ZeroDivisionError
    assert log.times == [300]


def test_many_bots_do_not_flood_the_log(clock: Clock) -> None:
    """Those that need a look come first."""
    progress = StreamProgress("kore_sessions", "bot", MANY)
    log = Log(clock)
    with progress.reading():
        for place, bot in enumerate(MANY):
            progress.expect(job(bot, 10), Budget(bot, 60))
            read(progress, bot, 1 + place % 9)
        progress.give_up([MANY[70]])
        with Summaries(progress, log.logger).telling():
            pass
    first, worst, *_, others = [line for _, line in log.lines]
    assert len(log.lines) == 1 + MOST_BOTS + 1
    assert first.startswith("kore_sessions: 49% read, 0 of 100 bots, 1 failed, ")
    assert worst.startswith(f"kore_sessions, bot {MANY[70]}: failed, 80% read, ")
    assert others == "kore_sessions, 90 other bots: 900 rows, 90 requests"


SUMMARY = re.compile(r"(\w+), \w+ (\S+): 100% read, ([\d,]+) rows?, ([\d,]+) requests?")


def test_without_a_terminal_the_log_has_each_window_and_each_bot(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    found = run(simulator, window_days=3)
    audit = [row for name, row in found.synced.all_records if name == "sync_windows"]
    debug = [each for each in caplog.records if each.levelno == logging.DEBUG]
    windows = [each.getMessage() for each in debug if ": read " in each.getMessage()]
    for line, row in zip(windows, audit, strict=True):
        assert f" {row['bot']}: read {row['window_start']} to " in line
        assert f": {row['rows_emitted']} rows, {row['requests']} requests, " in line

    info = [
        each.getMessage() for each in caplog.records if each.levelno == logging.INFO
    ]
    told = [match.groups() for line in info if (match := SUMMARY.match(line))]
    assert sorted(told) == sorted(
        (stream, bot.bot, f"{bot.rows:,}", f"{bot.requests:,}")
        for stream in STREAMS
        for bot in found.progress(stream).bots
    )


def announced(caplog: pytest.LogCaptureFixture, stream: str) -> list[str]:
    """What the log says is going to be read of a stream, in the latest run."""
    lines = [each.getMessage() for each in caplog.records]
    return [line for line in lines if re.match(f"{stream}, .*: reading ", line)]


def test_bots_that_are_read_alike_are_announced_in_a_line(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    state = run(simulator, end_date="2026-03-05T00:00:00Z").synced.state
    first = "2026-03-01T00:00:00Z"
    line = f"avaamo_messages, agents 201, 202: reading {first} to 2026-03-05T00:00:00Z"
    assert announced(caplog, "avaamo_messages") == [line]
    del state["bookmarks"]["avaamo_messages"]["partitions"][0]
    caplog.clear()
    run(simulator, state, end_date="2026-03-05T00:00:00Z")
    ranges = {
        "201": f"{first} to 2026-03-05T00:00:00Z",
        "202": "2026-03-04T23:00:00Z to 2026-03-05T00:00:00Z",
    }
    assert announced(caplog, "avaamo_messages") == [
        f"avaamo_messages, agent {agent}: reading {span}"
        for agent, span in ranges.items()
    ]


def test_many_bots_are_announced_by_their_number(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    many = [str(number) for number in range(MOST_BOTS + 1)]
    run(simulator, avaamo_agent_ids=many, end_date="2026-03-02T00:00:00Z")
    assert announced(caplog, "avaamo_usage") == [
        "avaamo_usage, 11 agents: reading 2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z"
    ]


def test_sessions_asked_for_by_their_ids_are_announced_as_such(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run(simulator, kore_session_ids=["no such session"])
    [line] = announced(caplog, "kore_sessions")
    assert line.endswith(": reading sessions by their ids")


def test_a_try_is_told_of_by_no_summary(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tap = TapBotsessions(config=config_for(simulator), message_writer=Synced())
    tap.try_out()
    assert "% read" not in caplog.text


# The terminal.


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
    """Whether the display is there, and only what is above it scrolls."""
    margins = terminal.screen.margins
    shown = [n for n, line in enumerate(terminal.lines) if " windows " in line]
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
        served_by(call.vendor, call.endpoint).name for call in simulator.requests
    )
    for stream in STREAMS:
        truth = expected(simulator.world, stream, START, end_of(simulator.world))
        assert_same(synced.records[stream], truth)
        kind = TABLE[stream].bot_key.removesuffix("_id") + "s"
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

        terminal.wait_for(lambda: len(rows()) == 2 and rows()[1][1] > 5)
        for share, windows, emitted, requests in rows():
            assert share == windows * 100 // 20
            assert emitted == windows * 12
            assert requests >= windows
        assert "rows/s, about 0:00:" in terminal.text
        assert "left of kore_sessions" in terminal.text


def test_lines_of_the_log_and_of_a_target_are_whole(config: Path) -> None:
    """A target shares the terminal; what it has to say must not be lost."""
    said = [f"the target has stored {number} records" for number in range(20)]
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
    settings = config_for(simulator, window_days=1, kore_requests_per_minute=10)
    bot = simulator.world.bots[0]
    config = written(tmp_path, settings | {"kore_bot_ids": [bot]})
    waiting = re.compile(rf"waiting \d\d s for budget: Kore.ai, bot {bot}")
    with shown(config) as (terminal, _):
        terminal.wait_for(lambda: any(map(waiting.fullmatch, terminal.lines)))


def test_a_hundred_bots_leave_half_of_the_screen_to_others(tmp_path: Path) -> None:
    with Simulator(World(bots=MANY, sessions_per_day=4)) as simulator:
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
    config = written(tmp_path, config_for(simulator))
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
