"""The sandbox: both ends of a pipeline, until it is stopped."""

from __future__ import annotations

import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import IO, TYPE_CHECKING, cast

import psycopg
import pytest
import requests

from demo.postgres import free_port
from tests.docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

ELSEWHERE = """
import sys
from demo import sandbox, stopping
sandbox.SIMULATOR_PORT, sandbox.POSTGRES_PORT = {ports}
stopping.stop_on_signals()
sys.exit(sandbox.main())
"""


@contextmanager
def running(*ports: int) -> Iterator[tuple[subprocess.Popen[str], list[str]]]:
    """Run it at ports that are free, and read what it says where it is."""
    with subprocess.Popen(  # noqa: S603 -- the program above
        [sys.executable, "-c", ELSEWHERE.format(ports=ports)],
        cwd=ROOT,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            lines = [cast("IO[str]", process.stdout).readline() for _ in range(3)]
            yield process, lines
        finally:
            process.kill()


@pytest.mark.parametrize(
    ("signum", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)]
)
def test_serves_both_until_it_is_stopped(signum: signal.Signals, code: int) -> None:
    with running(free_port(), free_port()) as (process, lines):
        vendors, server = (line.split()[-1] for line in lines[:2])
        summary = requests.get(f"{vendors}/_simulator/", timeout=30).json()
        assert summary["url"] == vendors
        with psycopg.connect(server) as connection:
            assert connection.execute("SHOW timezone").fetchone() == ("Europe/Paris",)
        process.send_signal(signum)
        output, _ = process.communicate(timeout=30)
        assert output == "Stopped. Nothing is left running.\n"
        assert process.returncode == code
    with pytest.raises(psycopg.OperationalError):
        psycopg.connect(server)


def test_says_that_a_port_is_taken() -> None:
    with running(free_port(), free_port()) as (_, lines):
        taken = int(lines[0].rpartition(":")[2])
        with running(taken, free_port()) as (process, said):
            assert "✗" in said[0]
            assert str(taken) in "".join(said)
            assert process.wait(timeout=30) == 1
