"""The progress of a run while it goes on, and its summaries in the log."""

from __future__ import annotations

import logging
import re
from collections import Counter
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator
from simulator.faults import status
from tap_botsessions.engine.listing import MAX_LISTED
from tap_botsessions.singer.stream import SingerStream
from tests.conftest import Synced, Tap, config_for, end_of, sync
from tests.truth import STREAMS, expected
from tests.unit.test_progress import DAY, START

if TYPE_CHECKING:
    from tap_botsessions.reports.progress import StreamProgress

# Progress, compared with the simulator's requests and the audit trail.


@dataclass
class Run:
    """A run of the tap in this process.

    Attributes:
        tap: The tap, after the run.
        synced: Its output.
        requests: The requests that the simulator saw, by endpoint and bot.
    """

    tap: Tap
    synced: Synced
    requests: Counter[tuple[str, str | None]]

    def progress(self, stream: str) -> StreamProgress:
        """How far a stream is."""
        found = self.tap.streams[stream]
        assert isinstance(found, SingerStream)
        return found.reading.progress


def run(
    simulator: Simulator, state: dict[str, Any] | None = None, **settings: Any
) -> Run:
    simulator.requests.clear()
    synced = Synced()
    tap = Tap(
        config=config_for(simulator, **settings), state=state, message_writer=synced
    )
    tap.streams["sync_windows"].selected = True
    tap.sync_all()
    seen = Counter((call.endpoint, call.bot) for call in simulator.requests)
    return Run(tap, synced, seen)


def assert_true(found: Run) -> None:
    """The progress of each bot equals its requests and its audit trail."""
    audit = [row for name, row in found.synced.all_records if name == "sync_windows"]
    for stream in STREAMS:
        progress = found.progress(stream)
        endpoint = stream.partition("_")[2]
        endpoint = "getSessions" if stream == "kore_sessions" else endpoint
        assert progress.is_over
        for bot in progress.bots:
            windows = [
                row for row in audit if (row["stream"], row["bot"]) == (stream, bot.bot)
            ]
            assert bot.requests == found.requests[endpoint, bot.bot]
            assert bot.rows == sum(row["rows_emitted"] for row in windows)
            assert bot.windows == sum(
                row["window_start"] is not None for row in windows
            )


def test_progress_equals_requests_and_audit_trail(simulator: Simulator) -> None:
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
def test_progress_is_right_in_a_run_that_goes_on_from_a_state(
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


def test_the_progress_of_a_bot_that_fails_says_so(simulator: Simulator) -> None:
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


def test_the_progress_of_a_stream_that_fails_says_so(simulator: Simulator) -> None:
    maps = {"avaamo_messages": {"content": "1 / 0"}}
    progress = run(simulator, stream_maps=maps).progress("avaamo_messages")
    assert progress.counted == "0 of 2 agents, 2 failed"
    assert progress.share < 1


# The log.


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
    summaries = [match.groups() for line in info if (match := SUMMARY.match(line))]
    assert sorted(summaries) == sorted(
        (stream, bot.bot, f"{bot.rows:,}", f"{bot.requests:,}")
        for stream in STREAMS
        for bot in found.progress(stream).bots
    )


def announced(caplog: pytest.LogCaptureFixture, stream: str) -> list[str]:
    """The lines of the log that announce the reading of a stream."""
    lines = [each.getMessage() for each in caplog.records]
    return [line for line in lines if re.match(f"{stream}, .*: reading ", line)]


def test_bots_with_the_same_range_are_announced_in_one_line(
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
    many = [str(number) for number in range(MAX_LISTED + 1)]
    run(simulator, avaamo_agent_ids=many, end_date="2026-03-02T00:00:00Z")
    assert announced(caplog, "avaamo_usage") == [
        "avaamo_usage, 11 agents: reading 2026-03-01T00:00:00Z to 2026-03-02T00:00:00Z"
    ]


def test_sessions_read_by_their_ids_are_announced_as_such(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    run(simulator, kore_session_ids=["no such session"])
    [line] = announced(caplog, "kore_sessions")
    assert line.endswith(": reading sessions by their ids")


def test_a_connection_test_logs_no_summary(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.INFO)
    tap = Tap(config=config_for(simulator), message_writer=Synced())
    tap.try_out()
    assert "% read" not in caplog.text
