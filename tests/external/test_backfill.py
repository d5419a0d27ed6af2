"""The recipe for a backfill, as it stands in README.md and `examples/`."""

from __future__ import annotations

import fcntl
import json
import os
import signal
import subprocess
import sys
from collections import defaultdict
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import pytest

from demo.pipe import sync as load
from demo.postgres import run_postgres
from demo.run import connect, target_config
from simulator import Call, Rule, Simulator, World
from simulator.faults import hook
from tests.conftest import Records, config_for, sync
from tests.docs import ROOT
from tests.readme import blocks
from tests.tables import read_table, table_names
from tests.truth import STREAMS, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from demo.postgres import Server

SCRIPTS = Path(sys.executable).parent
[RECIPE] = blocks("Backfills", "bash")
OLDER_RECIPE = RECIPE.replace("2025-{01,04,07,10} 2026", "2024-11 2025")
KILLS: tuple[tuple[str, Literal["avaamo", "kore"], int], ...] = (
    ("tap-botsessions", "kore", 50),
    ("target-postgres", "avaamo", 300),
)
"""A program, whose it is, and at which request it is killed: in the second quarter."""
OLDEST = datetime(2024, 11, 1, tzinfo=UTC)
YEAR = datetime(2025, 1, 1, tzinfo=UTC)
MEETING = datetime(2026, 1, 1, tzinfo=UTC)
"""Where the recipe's backfill ends and the nightly runs begin."""
FIRST_NIGHT = datetime(2026, 1, 16, tzinfo=UTC)
LATER_NIGHT = datetime(2026, 2, 5, tzinfo=UTC)

TARGET = f"""#!/usr/bin/env bash
# Keeps what leaves the tap of a shard beside the states of that shard.
shard=$(dirname "$(readlink "/proc/$$/fd/1")")
tee "$shard/left.$$" | {SCRIPTS}/target-postgres "$@"
"""


class Warehouse:
    """A warehouse with its pipelines: a nightly one, and backfills by the recipe.

    Attributes:
        simulator: The vendors.
        server: Where the tables are.
        folder: Where the recipe is run.
        killed: The shards of which a program was killed.
    """

    def __init__(self, simulator: Simulator, server: Server, folder: Path) -> None:
        """Lay out what the recipe takes for granted."""
        self.simulator = simulator
        self.server = server
        self.folder = folder
        self.killed: list[Path] = []
        (folder / "nightly").mkdir()
        (folder / "examples").symlink_to(ROOT / "examples")
        (folder / "bin").mkdir()
        (folder / "bin" / "target-postgres").write_text(TARGET)
        (folder / "bin" / "target-postgres").chmod(0o755)
        self._write("target", target_config(server))
        # One request after another, so that those before a kill have been emitted.
        config = config_for(simulator, max_concurrent_requests=1)
        for name, other in ("avaamo", "kore_"), ("kore", "avaamo_"):
            of_vendor = {
                key: config[key] for key in config if not key.startswith(other)
            }
            self._write(name, of_vendor)

    def _write(self, name: str, config: dict[str, Any]) -> None:
        (self.folder / f"{name}.json").write_text(json.dumps(config))

    def run_nightly(self, now: datetime) -> bytes:
        """Run the nightly pipeline when the vendors' clocks stand at an instant.

        Returns:
            Its state.
        """
        self.simulator.world.now = now.timestamp()
        settings = {"start_date": MEETING.isoformat(), "lookback_hours": 24}
        config = config_for(self.simulator, **settings)
        load(self.folder / "nightly", config, target_config(self.server))
        return self.nightly_state

    @property
    def nightly_state(self) -> bytes:
        """The state of the nightly pipeline."""
        return (self.folder / "nightly" / "state.json").read_bytes()

    def run(self, recipe: str) -> int:
        """Run commands as the README has them.

        Returns:
            Their exit code.
        """
        path = f"{self.folder / 'bin'}:{SCRIPTS}:{os.environ['PATH']}"
        return subprocess.run(  # noqa: S603 -- the README's
            ["/usr/bin/env", "bash", "-c", recipe],
            cwd=self.folder,
            env={**os.environ, "PATH": path, "no_proxy": "127.0.0.1"},
            check=False,
        ).returncode

    def kill(self, program: str, lane: str) -> None:
        """Kill a program of the shard of a lane that is under way."""
        for process in Path("/proc").glob("[0-9]*"):
            with suppress(OSError):  # it is gone meanwhile
                command = (process / "cmdline").read_text()
                shard = (process / "fd" / "2").readlink().parent  # where its log is
                if f"{SCRIPTS / program}\0" in command and shard in self.lane(lane):
                    os.kill(int(process.name), signal.SIGKILL)
                    self.killed.append(shard)

    def lane(self, name: str) -> list[Path]:
        """The folders of a lane's shards."""
        return list(self.folder.glob(f"backfill/{name}/*"))

    def left(self, lane: str) -> dict[Path, list[tuple[str, ...]]]:
        """Stream and key of all that left the taps, by the shard."""
        return {shard: list(left(shard)) for shard in self.lane(lane)}

    def tables(self) -> Records:
        """All rows, by table and key, as the tap emitted them."""
        with connect(self.server) as connection:
            names = table_names(connection) & set(STREAMS)
            return {name: read_table(connection, name) for name in names}


def left(shard: Path) -> Iterator[tuple[str, ...]]:
    """Stream and key of all that left the tap of a shard."""
    for file in shard.glob("left.*"):
        for line in file.read_text().split("\n")[:-1]:
            message = json.loads(line)
            if message["type"] == "RECORD":
                yield message["stream"], *key_of(message["stream"], message["record"])


def assert_history(warehouse: Warehouse, start: datetime, end: datetime) -> None:
    """The tables hold a span of the vendors' history, and nothing else."""
    found, world = warehouse.tables(), warehouse.simulator.world
    for stream in STREAMS:
        assert_same(found[stream], expected(world, stream, start, end))


@pytest.fixture
def warehouse(tmp_path: Path) -> Iterator[Warehouse]:
    """A year of history and more, with sessions that stay open for up to 14 days."""
    world = World(
        start=OLDEST,
        days=(LATER_NIGHT - OLDEST).days,
        now=FIRST_NIGHT.timestamp(),
        sessions_per_day=0.7,
        messages_per_session=2,
        open_fraction=0.3,
        late_fraction=0.1,
        equal_sessions=0.05,
    )
    with Simulator(world) as simulator, run_postgres("Asia/Kolkata") as server:
        yield Warehouse(simulator, server, tmp_path)


def assert_apart(left: dict[Path, list[tuple[str, ...]]], killed: list[Path]) -> None:
    """No key has left two shards, nor one shard twice that was not killed."""
    shards_of = defaultdict(set)
    for shard, keys in left.items():
        assert len(keys) == len(set(keys)) or shard in killed
        for key in keys:
            shards_of[key].add(shard)
    assert all(len(shards) == 1 for shards in shards_of.values())
    assert len(left) == 4  # quarters


def windows(calls: Iterable[Call]) -> set[tuple[str | None, str]]:
    """The windows of Kore.ai's that were asked for, by bot and start."""
    return {
        (call.bot, call.body["dateFrom"])
        for call in calls
        if call.vendor == "kore" and "dateFrom" in call.body
    }


def run_shard(folder: Path, until: str) -> subprocess.CompletedProcess[str]:
    """Run a shard whose tap writes the state that it was given, and nothing else."""
    tap = folder / "bin" / "tap-botsessions"
    tap.parent.mkdir()
    tap.write_text('#!/usr/bin/env bash\ncat -- "${@: -1}"\n')
    tap.chmod(0o755)
    return subprocess.run(  # noqa: S603 -- the script that is tested
        [ROOT / "examples" / "shard.sh", "kore.json", "2025-01-01T00:00:00Z", until],
        cwd=folder,
        env={"PATH": f"{tap.parent}:{os.environ['PATH']}", "TARGET": "cat"},
        capture_output=True,
        check=False,
        text=True,
    )


@pytest.mark.parametrize(
    ("said", "known", "taken"),
    [
        (None, None, "{}"),
        ("", None, "{}"),
        ('{"a": ', None, "{}"),
        ('{"a": 1}\n{"b": 2}\n', None, '{"b": 2}'),
        ('{"a": 1}\n{"b": ', None, '{"a": 1}'),
        ('{"a": 1}\n', '{"z": 0}', '{"a": 1}'),
        ('{"a": ', '{"z": 0}', '{"z": 0}'),
    ],
)
def test_a_shard_goes_on_from_the_last_state_that_is_whole(
    tmp_path: Path, said: str | None, known: str | None, taken: str
) -> None:
    """Of what the target said in the last run, or else of what was known before."""
    until = "2025-02-01T00:00:00Z"
    shard = tmp_path / "backfill" / "kore" / f"2025-01-01T00:00:00Z--{until}"
    shard.mkdir(parents=True)
    for name, text in ("states", said), ("state.json", known):
        if text is not None:
            (shard / name).write_text(text)
    done = run_shard(tmp_path, until)
    assert (done.returncode, done.stderr) == (0, "")
    assert (shard / "states").read_text().strip() == taken


def test_a_shard_is_not_run_twice_at_once(tmp_path: Path) -> None:
    until = "2025-02-01T00:00:00Z"
    shard = tmp_path / "backfill" / "kore" / f"2025-01-01T00:00:00Z--{until}"
    shard.mkdir(parents=True)
    with (shard / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        refused = run_shard(tmp_path, until)
    folder = shard.relative_to(tmp_path)
    assert refused.returncode == 1
    assert refused.stderr == f"{folder}: another run goes on\n"
    assert not (shard / "states").exists()


def test_a_shard_that_is_not_past_is_refused(tmp_path: Path) -> None:
    """It would count as complete as soon as it has been read."""
    until = f"{datetime.now(UTC) + timedelta(days=1):%Y-%m-%d}T00:00:00Z"
    done = run_shard(tmp_path, until)
    assert done.returncode == 1
    assert done.stderr.startswith(f"{until} is not past")
    assert not (tmp_path / "backfill").exists()


def test_a_year_by_shards_and_the_nightly_runs_make_one_history(
    warehouse: Warehouse,
) -> None:
    simulator, kills = warehouse.simulator, warehouse.killed
    made: list[set[str]] = []
    rules = [Rule(hook(lambda: made.append(set(warehouse.tables()))), nth=1)]
    for program, lane, nth in KILLS:
        kill = partial(warehouse.kill, program, lane)
        rules.append(Rule(hook(kill), vendor=lane, nth=nth))
    simulator.faults.rules += rules

    # Killed and run again, it leaves no gap, and asks again for what no state said.
    assert warehouse.run(RECIPE) != 0
    assert made == [set(STREAMS)]
    assert len(kills) == len(KILLS)
    asked = windows(simulator.requests)
    simulator.requests.clear()
    assert warehouse.run(RECIPE) == 0
    assert asked & windows(simulator.requests)
    assert_history(warehouse, YEAR, MEETING)
    for lane in "avaamo", "kore":
        assert_apart(warehouse.left(lane), kills)
    simulator.requests.clear()
    assert warehouse.run(RECIPE) == 0
    assert not simulator.requests

    # The nightly runs begin where it ends; older history does not touch their state.
    state = warehouse.run_nightly(FIRST_NIGHT)
    assert warehouse.run(OLDER_RECIPE) == 0
    assert warehouse.nightly_state == state
    assert_history(warehouse, OLDEST, FIRST_NIGHT)

    # What was open in the first night is corrected in a later one.
    before = warehouse.tables()["kore_sessions"]
    warehouse.run_nightly(LATER_NIGHT)
    assert_history(warehouse, OLDEST, LATER_NIGHT)
    after = warehouse.tables()["kore_sessions"]
    was_open = [key for key in before if before[key]["session_status"] == "active"]
    assert sum(after[key] != before[key] for key in was_open) > 5


@pytest.mark.parametrize(
    ("border", "utc_offset", "days_in_both"),
    [
        ("2026-03-10T00:00:00Z", 0, 0),
        ("2026-03-10T00:00:00+05:30", 19_800, 0),
        ("2026-03-10T00:00:00Z", 19_800, 1),
        ("2026-03-10T12:34:56.789Z", 0, 1),
    ],
)
def test_shards_that_meet_at_midnight_have_nothing_in_common(
    simulator: Simulator, border: str, utc_offset: int, days_in_both: int
) -> None:
    """Else it is the border's day of avaamo_usage, whole and the same in both."""
    read = partial(sync, simulator, avaamo_utc_offset=utc_offset)
    whole = read().records
    one, other = read(end_date=border).records, read(start_date=border).records
    for stream in STREAMS:
        assert_same(one[stream] | other[stream], whole[stream])
        assert_same(other[stream] | one[stream], whole[stream])
        in_both = one[stream].keys() & other[stream].keys()
        agents = len(simulator.world.agents)
        assert len(in_both) == days_in_both * agents * (stream == "avaamo_usage")
