"""Standard output that is slow, full or gone, of both programs."""

from __future__ import annotations

import fcntl
import json
import os
import subprocess
import sys
import time
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hang, latency
from tests.conftest import config_for, end_of
from tests.truth import STREAMS, expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PROGRAMS = ["tap-botsessions", "source-botsessions"]
PATIENCE = 30.0
"""Seconds after which something that must come about counts as missing."""

Line = list[str | Path]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """More than a pipe holds."""
    with Simulator(World(sessions_per_day=30)) as running:
        yield running


@pytest.fixture(params=PROGRAMS)
def line(
    request: pytest.FixtureRequest, simulator: Simulator, tmp_path: Path
) -> Iterator[Line]:
    """The command line of a program that reads all streams."""
    program = Path(sys.executable).with_name(request.param)
    config = tmp_path / "config.json"
    settings: dict[str, Any] = {"window_days": 1, "request_timeout_seconds": 3600}
    config.write_text(json.dumps(config_for(simulator, **settings)))
    files: Sequence[str | Path] = ["--config", config]
    if request.param == "tap-botsessions":
        yield [program, *files]
        return
    catalog = tmp_path / "catalog.json"
    streams = [
        {
            "stream": {"name": name, "json_schema": {"properties": {}}},
            "sync_mode": "incremental",
            "destination_sync_mode": "append",
        }
        for name in STREAMS
    ]
    catalog.write_text(json.dumps({"streams": streams}))
    yield [program, "read", *files, "--catalog", catalog]


def slowly(descriptor: int) -> bytes:
    """All that comes through a small pipe, taken in by and by."""
    fcntl.fcntl(descriptor, fcntl.F_SETPIPE_SZ, 4096)
    pieces = []
    while piece := os.read(descriptor, 4096):
        pieces.append(piece)
        time.sleep(0.0005)
    return b"".join(pieces)


@pytest.mark.parametrize("unbuffered", ["", "1"])
def test_one_that_was_left_non_blocking_gets_every_record(
    line: Line, simulator: Simulator, unbuffered: str
) -> None:
    reading, writing = os.pipe()
    os.set_blocking(writing, False)
    with subprocess.Popen(  # noqa: S603 -- ours
        line,
        stdout=writing,
        stderr=subprocess.DEVNULL,
        env={**os.environ, "PYTHONUNBUFFERED": unbuffered},
    ) as process:
        os.close(writing)
        output = slowly(reading)
        os.close(reading)
    assert process.returncode == 0
    messages = [json.loads(each) for each in output.splitlines()]
    world = simulator.world
    for name in STREAMS:
        found = [
            message["type"] == "RECORD" and name in str(message)[:150]
            for message in messages
        ]
        assert sum(found) == len(expected(world, name, world.start, end_of(world)))


def test_one_that_is_full_is_told_without_a_traceback(line: Line) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(  # noqa: S603 -- ours
            line, stdout=full, stderr=subprocess.PIPE, text=True, check=False
        )
    assert done.returncode == 1
    last = done.stderr.splitlines()[-1]
    assert last == (
        "Error: standard output can't be written ([Errno 28] No space left on device); "
        "when it can, run again with the last state"
    )
    assert "unhandled" not in done.stderr
    assert "Traceback" not in done.stderr


def test_none_at_all_is_told_without_a_traceback(line: Line) -> None:
    done = subprocess.run(  # noqa: S603 -- ours
        ["/bin/sh", "-c", 'exec "$@" >&-', "sh", *line],
        stderr=subprocess.PIPE,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "Bad file descriptor" in done.stderr
    assert "Traceback" not in done.stderr


def test_one_that_is_gone_ends_a_run_whose_requests_hang(
    line: Line, simulator: Simulator
) -> None:
    simulator.faults.rules += [Rule(hang(), bot="202", after=1), Rule(latency(0.1))]
    with subprocess.Popen(  # noqa: S603 -- ours
        line, stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout
        assert process.stderr
        process.stdout.readline()
        process.stdout.close()
        told = process.stderr.read()
        assert process.wait(PATIENCE) == 1
    assert b"Traceback" not in told
    last = told.splitlines()[-1].decode()
    assert last == (
        "Error: standard output was closed (the target ended); run again with the last "
        "state; the target's log may say why"
    )
    assert told.count(b"standard output") == 1
    assert b"unhandled" not in told
    assert b"ERROR" not in told
