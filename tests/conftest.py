"""A simulator for each test, and the tap run against it."""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from singer_sdk.contrib.msgspec import MsgSpecWriter
from typing_extensions import override

from simulator import Simulator, World
from tap_botsessions.tap import TapBotsessions
from tests.truth import Keyed, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from singer_sdk.singerlib.encoding.simple import Message

    from tap_botsessions.engine.errors import Failure

Records = dict[str, Keyed]


class Tap(TapBotsessions):
    """The tap, with limits that a test may hand in."""


@dataclass
class Synced(MsgSpecWriter):
    """The messages that a run of the tap wrote, and its failures.

    Attributes:
        messages: All of it, decoded.
        failures: The bots that failed.
    """

    messages: list[dict[str, Any]] = field(default_factory=list)
    failures: list[Failure] = field(default_factory=list)

    @override
    def write_message(self, message: Message) -> None:
        self.messages.append(msgspec.json.decode(self.serialize_message(message)))

    @property
    def records(self) -> Records:
        """The records by stream and key."""
        found: Records = defaultdict(dict)
        for stream, record in self.all_records:
            found[stream][key_of(stream, record)] = record
        return found

    @property
    def all_records(self) -> list[tuple[str, dict[str, Any]]]:
        """The records as they came, each with its stream."""
        return [
            (message["stream"], message["record"])
            for message in self.messages
            if message["type"] == "RECORD"
        ]

    @property
    def states(self) -> list[dict[str, Any]]:
        """The states as they came."""
        return [
            message["value"] for message in self.messages if message["type"] == "STATE"
        ]

    @property
    def state(self) -> dict[str, Any]:
        """The last state."""
        return self.states[-1]

    @property
    def bookmarks(self) -> dict[tuple[str, str], Any]:
        """The final bookmark of each stream's bots."""
        return {
            (stream, next(iter(partition["context"].values()))): partition.get(
                "replication_key_value"
            )
            for stream, state in self.state["bookmarks"].items()
            for partition in state.get("partitions", ())
        }

    def keys(self, stream: str) -> list[tuple[str, ...]]:
        """The keys of a stream as they came, those that came twice included."""
        return [
            key_of(name, record) for name, record in self.all_records if name == stream
        ]


def config_for(simulator: Simulator, **settings: Any) -> dict[str, Any]:
    """A configuration that reads all that a simulator has up to its clock.

    No outage is waited for: most tests have a server fail to see what becomes of that.
    """
    world = simulator.world
    return {
        "avaamo_base_url": simulator.url,
        "avaamo_access_token": world.avaamo_token,
        "avaamo_agent_ids": list(world.agents),
        "avaamo_agent_tokens": [
            {"agent_id": agent, "token": world.agent_token(str(agent))}
            for agent in settings.get("avaamo_agent_ids") or world.agents
        ],
        "kore_base_url": simulator.url,
        "kore_client_id": world.app.client_id,
        "kore_client_secret": world.app.client_secret,
        "kore_jwt_algorithm": world.app.algorithm,
        "kore_bot_ids": list(world.bots),
        "avaamo_requests_per_minute": 100_000,
        "kore_requests_per_minute": 100_000,
        "kore_requests_per_hour": 1_000_000,
        "outage_minutes": 0,
        "start_date": world.start.isoformat(),
        "end_date": end_of(world).isoformat(),
        **settings,
    }


def end_of(world: World) -> datetime:
    """The instant at which a world's clock stands."""
    return datetime.fromtimestamp(world.now, UTC)


def sync(
    simulator: Simulator,
    state: dict[str, Any] | None = None,
    streams: tuple[str, ...] = (),
    **settings: Any,
) -> Synced:
    """Run the tap in this process, over the streams named or all."""
    synced = Synced()
    tap = Tap(
        config=config_for(simulator, **settings), state=state, message_writer=synced
    )
    for name, stream in tap.streams.items():
        stream.selected = name in streams if streams else stream.selected_by_default
    tap.sync_all()
    for stream in tap.selected_streams:
        stream.sweep()
    synced.failures = tap.run.failures
    return synced


@pytest.hookimpl(tryfirst=True)
def pytest_cmdline_main(config: pytest.Config) -> None:
    """Run files side by side, one on each core, unless the command line says how."""
    is_worker = hasattr(config, "workerinput")
    if not is_worker and config.getoption("numprocesses", default=0) is None:
        config.option.numprocesses = "auto"
        config.option.dist = "loadfile"
        config.option.loadscopereorder = False


@pytest.fixture(scope="session", autouse=True)
def _pinned_build() -> Iterator[None]:
    """Whatever builds the package in a test, it is done by what is pinned."""
    pins = Path(__file__).parent / "pins" / "build.txt"
    with pytest.MonkeyPatch.context() as to:
        to.setenv("UV_BUILD_CONSTRAINT", str(pins))
        yield


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Both vendors' APIs with a small world."""
    with Simulator(World(sessions_per_day=12)) as running:
        yield running


@pytest.fixture
def eager(monkeypatch: pytest.MonkeyPatch) -> None:
    """The state is written after each window."""
    hand_in(monkeypatch, max_rows_unvouched=0)


@pytest.fixture
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    """Retries follow without a pause."""
    hand_in(monkeypatch, max_backoff=0.0)


@pytest.fixture
def recent(monkeypatch: pytest.MonkeyPatch) -> None:
    """Sessions are read by their id alone, however old they are."""
    hand_in(monkeypatch, whole_by_id=timedelta(days=36_500))


def hand_in(monkeypatch: pytest.MonkeyPatch, **limits: Any) -> None:
    """Have `Tap` run with other limits."""
    monkeypatch.setattr(Tap, "limits", replace(Tap.limits, **limits))
