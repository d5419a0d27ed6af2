"""The repository's meltano.yml as a project, with vendors and a database to itself."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg

from tests.conftest import end_of
from tests.docs import ROOT
from tests.tables import read_table
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.postgres import Server
    from simulator import Simulator

SCRIPTS = Path(sys.executable).parent
PIPELINE = "tap-botsessions", "target-postgres"
STATE_ID = "demo:tap-botsessions-to-target-postgres"
SCHEMA = "botsessions"
PATIENCE = 120.0
"""Seconds after which a command counts as hung."""


def prepare(folder: Path) -> None:
    """Make a project, with Meltano's own database, which takes a while."""
    committed = (ROOT / "meltano.yml").read_text()
    folder.mkdir()
    (folder / "meltano.yml").write_text(uninstalled(committed))
    subprocess.run(  # noqa: S603 -- Meltano
        [SCRIPTS / "meltano", "state", "list"],
        cwd=folder,
        env=environment(),
        check=True,
        capture_output=True,
    )


def uninstalled(definition: str) -> str:
    """A meltano.yml without `pip_url`: its plugins are run from PATH, as they are."""
    changed, count = re.subn(r"\n +pip_url: .*", "", definition)
    assert count == definition.count("executable: ")
    return changed


def environment() -> dict[str, str]:
    """The environment of this process, without the settings of other projects."""
    kept = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("MELTANO_", "TAP_", "TARGET_"))
    }
    return {**kept, "PATH": f"{SCRIPTS}:{kept['PATH']}", "no_proxy": "127.0.0.1"}


@dataclass(frozen=True)
class Project:
    """A project whose environment `demo` has its addresses in the test.

    Attributes:
        folder: Where it is.
        simulator: Both vendors.
        server: Where its database is.
        outside: What takes the place of the internet.
    """

    folder: Path
    simulator: Simulator
    server: Server
    outside: str

    @property
    def database(self) -> str:
        """The URL of its database."""
        server = self.server
        return f"{server.user}@{server.host}:{server.port}/{server.database}"

    @property
    def environment(self) -> dict[str, str]:
        """What differs from the file, and what must make no difference."""
        return {
            **environment(),
            "TAP_BOTSESSIONS_AVAAMO_BASE_URL": self.simulator.url,
            "TAP_BOTSESSIONS_KORE_BASE_URL": self.simulator.url,
            "TAP_BOTSESSIONS_END_DATE": end_of(self.simulator.world).isoformat(),
            "TARGET_POSTGRES_SQLALCHEMY_URL": f"postgresql+psycopg://{self.database}",
            "http_proxy": self.outside,
            "https_proxy": self.outside,
            "PGTZ": "America/New_York",
        }

    def meltano(self, *arguments: str, **settings: str) -> tuple[str, str]:
        """Run Meltano, to a good end.

        Args:
            arguments: Its arguments.
            settings: More environment variables.

        Returns:
            Its standard output and its log.
        """
        with self.start(*arguments, **settings) as process:
            output, log = process.communicate(timeout=PATIENCE)
        assert process.returncode == 0, log
        return output, log

    @contextmanager
    def start(
        self, *arguments: str, **settings: str
    ) -> Iterator[subprocess.Popen[str]]:
        """Run Meltano in a process group of its own, for the block at most."""
        with subprocess.Popen(  # noqa: S603 -- Meltano
            [SCRIPTS / "meltano", *arguments],
            cwd=self.folder,
            env={**self.environment, **settings},
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            start_new_session=True,
        ) as process:
            try:
                yield process
            finally:
                process.kill()

    def connect(self) -> psycopg.Connection[Any]:
        """Connect to the database, where the tables are."""
        return psycopg.connect(self.server.dsn, options=f"-c search_path={SCHEMA}")

    def assert_whole(self) -> None:
        """Hold every column of every row against the simulator's truth."""
        world = self.simulator.world
        with self.connect() as connection:
            for stream in STREAMS:
                truth = expected(world, stream, world.start, end_of(world))
                assert_same(read_table(connection, stream), truth)
