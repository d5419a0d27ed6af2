"""PyAirbyte reads into DuckDB, by the code that the README shows."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hang, hook, status
from tests.conftest import config_for, end_of
from tests.external.airbyte.session import SOURCE, Job, Session, started, variables
from tests.pins import environment
from tests.readme import blocks
from tests.truth import OPTIONAL, STREAMS, assert_same

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

ALL_AT_ONCE, ONE_BY_ONE = blocks("source-botsessions", "python")


@pytest.fixture(scope="module")
def session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Session]:
    """A session for all tests that don't kill it."""
    with started(tmp_path_factory.mktemp("pyairbyte") / "home") as running:
        yield running


@pytest.fixture
def job(tmp_path: Path, session: Session) -> Iterator[Job]:
    """A job whose simulator stands somewhere in its data, in the midst of a day."""
    world = World(sessions_per_day=12, days=12, open_fraction=0.3, hostile_text=True)
    world.now = (world.start + timedelta(days=5.4)).timestamp()
    with Simulator(world) as simulator:
        job = Job(tmp_path, simulator)
        yield job
        session.settle(job)


def forward(world: World, days: float) -> None:
    """Move the clock."""
    world.now += days * 86_400


def test_the_tables_hold_the_truth_after_a_first_and_a_second_read(
    session: Session, job: Job
) -> None:
    world = job.simulator.world
    first = session.run(job, ALL_AT_ONCE)
    job.assert_whole(first)
    assert first.read == first.count() > 500
    world.add_late("avaamo_messages", "201", end_of(world) - timedelta(minutes=30))
    forward(world, 3)
    second = session.run(job, ALL_AT_ONCE)
    job.assert_whole(second)
    new = second.count() - first.count()
    assert new > 100
    # What is read again is the last hour, the day, and sessions that were open.
    assert new < second.read < new + 100


def test_the_streams_that_have_to_be_selected_are_loaded_as_well(
    session: Session, job: Job
) -> None:
    [first, *_] = [line for line in ALL_AT_ONCE.splitlines() if "avaamo_usage" in line]
    script = ALL_AT_ONCE.replace(first, f"    {json.dumps(OPTIONAL)}")
    found = session.run(job, script)
    assert found.error is None
    for stream in OPTIONAL:
        assert_same(found.rows(stream), job.truth(stream))


def test_a_stream_that_fails_keeps_what_it_has_and_the_others_go_on(
    session: Session, job: Job
) -> None:
    first = session.run(job, ALL_AT_ONCE)
    old = job.truth("avaamo_messages")
    forward(job.simulator.world, 1)
    job.simulator.faults.rules.append(Rule(status(403), endpoint="messages", bot="202"))

    failed = session.run(job, ALL_AT_ONCE)
    assert failed.error is not None
    assert "AirbyteConnectorFailedError" in failed.error
    assert (failed.tables, failed.states) == (first.tables, first.states)

    partly = session.run(
        job, ALL_AT_ONCE.replace("result = source.read(cache)", ONE_BY_ONE)
    )
    assert partly.error is None
    for stream in STREAMS:
        truth = old if stream == "avaamo_messages" else job.truth(stream)
        assert_same(partly.rows(stream), truth)
        assert (partly.states[stream] == first.states[stream]) == (truth is old)

    job.simulator.faults.rules.clear()
    job.assert_whole(session.run(job, ALL_AT_ONCE))
    assert "ERROR: avaamo_messages, agent 202: " in session.told()


def stop_kore(simulator: Simulator) -> Rule:
    """Have Kore.ai answer no more once a read has begun: it comes last.

    Returns:
        The rule, which tells when it came to that.
    """
    rules = simulator.faults.rules
    rule = Rule(hang(), vendor="kore")
    begun = hook(partial(rules.append, rule))
    rules.append(Rule(begun, endpoint="messages", times=1))
    return rule


def test_a_source_that_is_told_to_end_keeps_what_it_has_read(
    session: Session, job: Job
) -> None:
    """PyAirbyte takes a process that died of SIGTERM for one that went well."""
    rule = stop_kore(job.simulator)
    session.begin(job, ALL_AT_ONCE)
    session.wait_for(lambda: rule.fired > 0)
    os.kill(job.pid, signal.SIGTERM)
    partly = session.answer()
    assert partly.error is None
    for stream in STREAMS:
        truth = {} if stream == "kore_sessions" else job.truth(stream)
        assert_same(partly.rows(stream), truth)

    job.simulator.faults.rules.clear()
    rest = session.run(job, ALL_AT_ONCE)
    job.assert_whole(rest)
    new = len(rest.rows("kore_sessions"))
    assert new <= rest.read < new + 50


def test_a_source_that_is_killed_is_read_again(session: Session, job: Job) -> None:
    rule = stop_kore(job.simulator)
    session.begin(job, ALL_AT_ONCE)
    session.wait_for(lambda: rule.fired > 0)
    os.kill(job.pid, signal.SIGKILL)
    nothing = session.answer()
    assert nothing.error is not None
    assert nothing.count() == 0 == len(nothing.states)
    job.simulator.faults.rules.clear()
    job.assert_whole(session.run(job, ALL_AT_ONCE))


def test_a_read_whose_pyairbyte_is_killed_ends_and_can_be_made_again(
    tmp_path: Path, session: Session, job: Job
) -> None:
    rule = stop_kore(job.simulator)
    with started(tmp_path / "home") as doomed:
        doomed.begin(job, ALL_AT_ONCE, request_timeout_seconds=1)
        doomed.wait_for(lambda: rule.fired > 0)
        doomed.process.kill()
    assert job.is_reading
    job.simulator.faults.rules.clear()
    session.wait_for(lambda: not job.is_reading)
    job.assert_whole(session.run(job, ALL_AT_ONCE))


def test_a_wrong_token_fails_the_check_and_is_shown_nowhere(
    session: Session, job: Job
) -> None:
    wrong = "made-up-token-that-is-wrong"
    answer = session.run(job, ALL_AT_ONCE, avaamo_access_token=wrong)
    assert answer.error is not None
    assert "avaamo_access_token" in answer.error
    world = job.simulator.world
    shown = answer.error + session.told()
    for secret in (wrong, world.avaamo_token, world.app.client_secret):
        assert secret not in shown


def test_pyab_validates_the_source(tmp_path: Path, job: Job) -> None:
    pyab = environment("airbyte") / "pyab"
    config = job.write("config.json", json.dumps(config_for(job.simulator)))
    done = subprocess.run(  # noqa: S603 -- our own source
        [pyab, "validate", f"--connector={SOURCE}", f"--config={config}"],
        capture_output=True,
        text=True,
        env=variables(tmp_path) | {"PATH": os.defpath},
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert "Connection check succeeded" in done.stderr
