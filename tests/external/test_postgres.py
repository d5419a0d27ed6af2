"""The demo's PostgreSQL: a real server that ends with whoever started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, LiteralString, NamedTuple

import psycopg
import pytest

from demo import postgres
from demo.postgres import Server, find_binaries, free_port, newest_first, run_postgres
from tests.docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

PARENT = """
import time
from demo.postgres import run_postgres
with run_postgres() as server:
    print(server.port, flush=True)
    time.sleep(60)
"""
KEEPER_WITH_PORTS = """
from demo import postgres
ports = iter({ports})
postgres.free_port = lambda: next(ports)
postgres.keep(postgres.find_binaries(), "UTC")
"""


class Traces(NamedTuple):
    """What a server must not leave behind."""

    directory: Path
    pid: int


def ask(server: Server, question: LiteralString) -> object:
    with psycopg.connect(server.dsn) as connection:
        (answer,) = connection.execute(question).fetchone() or [None]
    return answer


def traces_of(server: Server) -> Traces:
    data = Path(str(ask(server, "SHOW data_directory")))
    pid = (data / "postmaster.pid").read_text().split()[0]
    return Traces(data.parent, int(pid))


def remain(traces: Traces) -> bool:
    try:
        os.kill(traces.pid, 0)
    except ProcessLookupError:
        return traces.directory.exists()
    return True


def wait_until_gone(traces: Traces) -> None:
    deadline = time.monotonic() + 10
    while remain(traces) and time.monotonic() < deadline:
        time.sleep(0.05)
    assert not remain(traces)


@contextmanager
def python(code: str) -> Iterator[tuple[subprocess.Popen[str], Server]]:
    """Run a program that says its server's port."""
    with subprocess.Popen(  # noqa: S603 - the programs above
        [sys.executable, "-c", code],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout
        yield process, Server(int(process.stdout.readline()))
        process.communicate()


def hide_installations(monkeypatch: pytest.MonkeyPatch, path: Path) -> None:
    """Leave PATH as the only place where PostgreSQL can be."""
    monkeypatch.setattr(postgres, "WHEEL", "no_such_package")
    monkeypatch.setattr(postgres, "SYSTEM", path / "none")
    monkeypatch.setenv("PATH", str(path))


def test_answers() -> None:
    with run_postgres(timezone="Europe/Paris") as server:
        assert str(ask(server, "SELECT version()")).startswith("PostgreSQL ")
        assert ask(server, "SHOW timezone") == "Europe/Paris"
        assert ask(server, "SHOW server_encoding") == "UTF8"


def test_two_servers_at_once() -> None:
    with run_postgres() as one, run_postgres() as other:
        assert ask(one, "SHOW port") == str(one.port)
        assert ask(other, "SHOW port") == str(other.port)
        assert one.port != other.port


def test_leaves_nothing_behind() -> None:
    with run_postgres() as server:
        traces = traces_of(server)
        assert remain(traces)
    assert not remain(traces)


def test_leaves_nothing_behind_an_interrupt() -> None:
    with suppress(KeyboardInterrupt), run_postgres() as server:
        traces = traces_of(server)
        raise KeyboardInterrupt
    assert not remain(traces)


@pytest.mark.parametrize("signum", [signal.SIGKILL, signal.SIGTERM, signal.SIGINT])
def test_ends_with_its_parent(signum: signal.Signals) -> None:
    with python(PARENT) as (parent, server):
        traces = traces_of(server)
        parent.send_signal(signum)
        assert parent.wait() == -signum
        wait_until_gone(traces)


def test_takes_another_port_than_that_of_another_server() -> None:
    port = free_port()
    with run_postgres() as other:
        keeper = KEEPER_WITH_PORTS.format(ports=[other.port, port])
        with python(keeper) as (_, server):
            assert server.port == port
            assert traces_of(server) != traces_of(other)


def test_keeper_ignores_a_signal_to_stop() -> None:
    keeper = KEEPER_WITH_PORTS.format(ports=[free_port()])
    with python(keeper) as (process, server):
        process.terminate()
        traces = traces_of(server)
    assert not remain(traces)


def test_runs_from_a_folder_that_others_cannot_enter(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    for folder in find_binaries().parents[2].glob(f"{postgres.WHEEL}*"):
        shutil.copytree(folder, tmp_path / folder.name)
    tmp_path.chmod(0o700)
    monkeypatch.syspath_prepend(tmp_path)
    assert find_binaries().is_relative_to(tmp_path)
    with run_postgres() as server:
        assert ask(server, "SHOW timezone") == "UTC"


def test_prefers_the_newest_binaries() -> None:
    folders = [
        Path(f"/postgresql/{name}/bin") for name in ("9.6", "18", "15", "latest")
    ]
    names = [folder.parent.name for folder in newest_first(folders)]
    assert names == ["18", "15", "9.6", "latest"]


def test_finds_binaries_on_path(monkeypatch: pytest.MonkeyPatch) -> None:
    binaries = find_binaries()
    hide_installations(monkeypatch, path=binaries)
    assert find_binaries() == binaries


def test_says_that_there_is_no_postgresql(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    hide_installations(monkeypatch, path=tmp_path)
    with (
        pytest.raises(FileNotFoundError, match="No PostgreSQL in the package"),
        run_postgres(),
    ):
        pass


def test_says_why_the_server_does_not_start() -> None:
    with (
        pytest.raises(RuntimeError, match='invalid value for parameter "TimeZone"'),
        run_postgres(timezone="Mars/Olympus"),
    ):
        pass
