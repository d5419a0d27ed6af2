"""Killed at any moment and started again, the tap loses nothing."""

from __future__ import annotations

import fcntl
import json
import signal
import subprocess
import time
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from random import Random
from typing import IO, TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hang, latency, status
from tests.conftest import config_for, sync
from tests.programs import TAP, started
from tests.simulated.test_kill import (
    FINE,
    Target,
    assert_of_one_window,
    assert_whole,
    batches,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from tests.programs import Process

PATIENCE = 30.0
"""Seconds after which something that must come about counts as missing."""

SECONDS_TO_DIE = 5.0
"""What the tap promises."""


MOST_IN_A_WINDOW = 9
"""Records of any bot on a day of the world below."""


def whole_lines(output: bytes) -> list[dict[str, Any]]:
    """The messages of the lines that are whole."""
    return [json.loads(line) for line in output.split(b"\n")[:-1]]


@pytest.fixture
def world() -> World:
    """Little, but of every stream, and with sessions that stay open."""
    return World(days=30, sessions_per_day=4, messages_per_session=2)


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    with Simulator(world) as running:
        yield running


@dataclass
class Running:
    """A run of the command line.

    Attributes:
        process: Its process.
        output: The file that it writes to, unless that is a pipe.
        log: The file of its log.
    """

    process: Process
    output: Path
    log: Path

    @property
    def pipe(self) -> IO[bytes]:
        """The pipe that it writes to."""
        assert self.process.stdout is not None
        return self.process.stdout

    def wait_for(self, what: Callable[[], object]) -> None:
        """Wait until something is the case."""
        deadline = time.monotonic() + PATIENCE
        while not what():
            assert self.process.poll() is None, self.log.read_text()
            assert time.monotonic() < deadline, self.log.read_text()
            time.sleep(0.005)

    def says(self, words: str) -> bool:
        """Whether some words are in the log."""
        return words in self.log.read_text()

    def die_of(self, signum: int) -> bytes:
        """Send a signal; the process must die of it, and in time.

        Returns:
            What it has written.
        """
        self.process.send_signal(signum)
        self.process.wait(SECONDS_TO_DIE)
        assert self.process.returncode == -signum
        assert "Traceback" not in self.log.read_text()
        return self.output.read_bytes()


@contextmanager
def running(
    simulator: Simulator,
    folder: Path,
    state: dict[str, Any] | None = None,
    *,
    piped: bool = False,
    **settings: Any,
) -> Iterator[Running]:
    """Start the command line; it is killed at the end if it is still there."""
    config, state_file, output, log = (
        folder / name for name in ("config", "state", "output", "log")
    )
    config.write_text(json.dumps(config_for(simulator, **settings)))
    state_file.write_text(json.dumps(state or {}))
    with (
        output.open("wb") as stdout,
        log.open("wb") as stderr,
        started(
            *(TAP, "--config", config, "--state", state_file),
            stdout=subprocess.PIPE if piped else stdout,
            stderr=stderr,
        ) as process,
    ):
        yield Running(process, output, log)


def reached(simulator: Simulator, requests: int) -> bool:
    """Whether so many requests have come."""
    return len(simulator.requests) >= requests


def test_what_a_process_read_more_than_two_seconds_ago_is_vouched_for(
    simulator: Simulator, tmp_path: Path
) -> None:
    simulator.faults.rules.append(Rule(latency(0.2)))
    with running(simulator, tmp_path, None, **FINE) as run:
        run.wait_for(partial(reached, simulator, 120))
        messages = whole_lines(run.die_of(signal.SIGKILL))
    states = [n for n, each in enumerate(messages) if each["type"] == "STATE"]
    assert states
    after = [
        datetime.fromisoformat(each["time_extracted"])
        for each in messages[states[-1] :]
        if each["type"] == "RECORD"
    ]
    assert not after or max(after) - min(after) < timedelta(seconds=2.5)


SIGNALS = [signal.SIGTERM, signal.SIGINT]


@pytest.mark.parametrize("signum", [signal.SIGKILL, *SIGNALS])
def test_a_process_that_is_killed_again_and_again_loses_nothing(
    simulator: Simulator, world: World, tmp_path: Path, signum: signal.Signals
) -> None:
    """A dozen kills at random moments, between two requests or in the midst of one."""
    random, target = Random(signum), Target()
    simulator.faults.rules.append(Rule(latency(0.003)))
    for kill in range(12):
        simulator.requests.clear()
        moment = random.randrange(1, 16)
        with running(simulator, tmp_path, target.state, **FINE) as run:
            run.wait_for(partial(reached, simulator, moment))
            time.sleep(random.uniform(0, 0.01))
            output = run.die_of(signum)
        lost = target.take(whole_lines(output))
        if signum != signal.SIGKILL:
            assert_of_one_window(lost, timedelta(days=1))
            assert target.again <= kill * MOST_IN_A_WINDOW
            assert not output or output.endswith(b"\n")
    with running(simulator, tmp_path, target.state, **FINE) as run:
        assert run.process.wait(PATIENCE) == 0
    target.take(whole_lines(run.output.read_bytes()))
    assert_whole(target.records, world)
    assert target.again <= (0 if signum == signal.SIGKILL else 12 * MOST_IN_A_WINDOW)


def assert_loses_nothing(simulator: Simulator, output: bytes) -> None:
    """A run that goes on from the last state makes it whole."""
    target = Target()
    target.take(whole_lines(output))
    simulator.faults.rules.clear()
    target.take(sync(simulator, target.state, **FINE).messages)
    assert_whole(target.records, simulator.world)
    assert target.again <= MOST_IN_A_WINDOW


@pytest.mark.parametrize("signum", SIGNALS)
@pytest.mark.parametrize("code", [429, 503])
def test_a_signal_ends_a_run_that_waits_to_ask_again(
    simulator: Simulator, tmp_path: Path, signum: signal.Signals, code: int
) -> None:
    refusal = status(code, headers={"Retry-After": "100"})
    simulator.faults.rules += [
        Rule(refusal, endpoint="messages", bot=agent, every=4)
        for agent in simulator.world.agents
    ]
    with running(simulator, tmp_path, **FINE) as run:
        run.wait_for(lambda: run.says("the next one in 100.0 s"))
        output = run.die_of(signum)
    assert output.endswith(b"\n")
    assert_loses_nothing(simulator, output)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_a_run_that_waits_for_its_budget(
    simulator: Simulator, tmp_path: Path, signum: signal.Signals
) -> None:
    settings = FINE | {"avaamo_requests_per_minute": 40}
    with running(simulator, tmp_path, **settings) as run:
        run.wait_for(lambda: run.says("for the budget of requests"))
        run.wait_for(partial(reached, simulator, 40))
        output = run.die_of(signum)
    assert len(simulator.requests) == 40
    assert output.endswith(b"\n")
    assert_loses_nothing(simulator, output)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_a_run_whose_requests_hang(
    simulator: Simulator, tmp_path: Path, signum: signal.Signals
) -> None:
    rule = Rule(hang(), endpoint="messages", after=2)  # which settle what follows
    simulator.faults.rules.append(rule)
    with running(simulator, tmp_path, **FINE) as run:
        run.wait_for(lambda: rule.fired == 8)
        output = run.die_of(signum)
    assert rule.fired == 8
    assert output.endswith(b"\n")
    assert_loses_nothing(simulator, output)


@pytest.mark.parametrize("signum", SIGNALS)
def test_a_signal_ends_a_run_whose_target_does_not_read(
    simulator: Simulator, tmp_path: Path, signum: signal.Signals
) -> None:
    with running(simulator, tmp_path, piped=True, **FINE) as run:
        fcntl.fcntl(run.pipe, fcntl.F_SETPIPE_SZ, 4096)
        start = run.pipe.read(1)
        time.sleep(1)
        run.die_of(signum)
        output = start + run.pipe.read()
    assert len(output) < 10_000
    assert_loses_nothing(simulator, output)


@pytest.mark.parametrize("kept", [0, 1, 1000, 30_000])
def test_a_target_that_dies_is_no_traceback(
    simulator: Simulator, tmp_path: Path, kept: int
) -> None:
    """Having read nothing, a byte, or something."""
    with running(simulator, tmp_path, piped=True, **FINE) as run:
        output = run.pipe.read(kept)
        run.pipe.close()
        assert run.process.wait(PATIENCE) > 0
    assert "Traceback" not in run.log.read_text()
    assert_loses_nothing(simulator, output)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM])
def test_in_batch_mode_a_kill_loses_nothing(
    simulator: Simulator, world: World, tmp_path: Path, signum: signal.Signals
) -> None:
    random, target = Random(1), Target()
    simulator.faults.rules.append(Rule(latency(0.003)))
    settings = batches(tmp_path)
    for _ in range(4):
        simulator.requests.clear()
        moment = random.randrange(1, 40)
        with running(simulator, tmp_path, target.state, **settings) as run:
            run.wait_for(partial(reached, simulator, moment))
            target.take(whole_lines(run.die_of(signum)))
    target.take(sync(simulator, target.state, **settings).messages)
    assert_whole(target.records, world)


@pytest.mark.parametrize("moment", [0.1, 0.2, 0.3, 0.4])
def test_ctrl_c_while_the_tap_starts_shows_no_traceback(
    tmp_path: Path, moment: float
) -> None:
    config = tmp_path / "config.json"
    config.write_text("{}")
    with subprocess.Popen(  # noqa: S603 -- ours
        [TAP, "--config", config], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        time.sleep(moment)
        process.send_signal(signal.SIGINT)
        _, told = process.communicate()
    assert b"Traceback" not in told
    assert process.returncode in {-signal.SIGINT, 1}
