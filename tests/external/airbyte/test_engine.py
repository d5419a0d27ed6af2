"""The images are built as an engine builds them, and run as one runs them.

Each run is process 1 of its own, of the image's user, who can write nothing.
"""

from __future__ import annotations

import json
import signal
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_protocol.models import AirbyteMessage, Status

from simulator import Rule, Simulator, World
from simulator.faults import hang
from simulator.streams import WHOLE
from tests.conftest import Records, config_for, end_of
from tests.external.airbyte import engine
from tests.external.airbyte.engine import FILES, PATIENCE, Image
from tests.external.airbyte.test_image import DAY, METADATA, configured, states
from tests.truth import OPTIONAL, STREAMS, assert_same, expected, key_of
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path


def built(target: str) -> Iterator[Image]:
    try:
        with engine.built(target) as image:
            yield image
    except engine.UnavailableError as error:
        pytest.skip(str(error))


@pytest.fixture(scope="module")
def source() -> Iterator[Image]:
    """The Airbyte source."""
    yield from built("source")


@pytest.fixture(scope="module")
def tap() -> Iterator[Image]:
    """The tap by itself."""
    yield from built("tap")


@pytest.fixture
def files(tmp_path: Path) -> Path:
    """A folder that any user may read."""
    tmp_path.chmod(0o755)
    return tmp_path


def on_the_platform(
    image: Image, folder: Path, arguments: str, **files: Any
) -> list[AirbyteMessage]:
    """Run a command as Airbyte's platform does, to a good end.

    Args:
        image: The image.
        folder: Where the files are.
        arguments: What follows the entry point.
        files: What the files hold.
    """
    for name, content in files.items():
        (folder / f"{name}.json").write_text(json.dumps(content))
    platform = "/bin/sh", "-c", f'eval "$AIRBYTE_ENTRYPOINT {arguments}"'
    with image.started(folder, *platform) as run:
        code, lines, log = run.ended()
    assert (code, log) == (0, "")
    return [AirbyteMessage.model_validate_json(line) for line in lines]


def given(*names: str) -> str:
    """The options that name files."""
    return " ".join(f"--{name} {FILES}/{name}.json" for name in names)


def of_airbyte(messages: Iterable[AirbyteMessage]) -> Records:
    """The records of Airbyte's messages, each of which is there once."""
    return by_key(
        (message.record.stream, message.record.data)
        for message in messages
        if message.record
    )


def by_key(records: Iterable[tuple[str, dict[str, Any]]]) -> Records:
    found: Records = {stream: {} for stream in (*STREAMS, *OPTIONAL)}
    for stream, record in records:
        found[stream][key_of(stream, record)] = record
    return found


def assert_whole(
    found: Records, world: World, streams: Sequence[str] = STREAMS
) -> None:
    """All that the vendors have is there, as it is."""
    for stream in streams:
        assert_same(found[stream], expected(world, stream, world.start, end_of(world)))


def test_the_image_says_what_it_is(source: Image, tap: Image) -> None:
    assert (
        source.config["Labels"].items()
        >= {
            "io.airbyte.name": METADATA["dockerRepository"],
            "io.airbyte.version": METADATA["dockerImageTag"],
        }.items()
    )
    assert source.config["Entrypoint"] == [source.variables["AIRBYTE_ENTRYPOINT"]]
    assert source.config["User"] == tap.config["User"] == "1000"


def test_nothing_can_be_written(source: Image, files: Path) -> None:
    """By this user, or by any: what the tests below show rests on it."""
    tries = "id -u; cat /proc/self/comm; for f in / /tmp /mnt /opt; do touch $f/x; done"
    with source.started(files, "/bin/sh", "-c", tries) as run:
        code, lines, log = run.ended()
    assert code != 0
    assert lines == [b"1000", b"cat"]
    assert log.count("Read-only file system") == 4


def test_the_platform_reads_all_and_goes_on(source: Image, files: Path) -> None:
    world = World(sessions_per_day=12, days=4, hostile_text=True, open_fraction=0)
    world.now -= DAY
    with Simulator(world) as simulator:
        config = config_for(simulator, lookback_hours=24)
        spec = on_the_platform(source, files, "spec")
        assert [bool(message.spec) for message in spec] == [True]
        checked = on_the_platform(
            source, files, f"check {given('config')}", config=config
        )
        [status] = [each.connectionStatus for each in checked if each.connectionStatus]
        assert status.status == Status.SUCCEEDED
        catalog = configured(
            on_the_platform(source, files, f"discover {given('config')}")
        )
        read = f"read {given('config', 'catalog')}"
        first = on_the_platform(source, files, read, catalog=catalog)
        every = (*STREAMS, *OPTIONAL)
        assert_whole(of_airbyte(first), world, every)
        world.now += DAY
        second = on_the_platform(
            source,
            files,
            f"{read} {given('state')}",
            config=config_for(simulator, lookback_hours=24),
            state=states(first),
        )
        found = of_airbyte(first)
        for stream, records in of_airbyte(second).items():
            is_further = len(records) < len(found[stream])
            assert is_further or stream in WHOLE, "it did not go on"
            found[stream] |= records
        assert_whole(found, world, every)


def test_the_tap_reads_all(tap: Image, files: Path) -> None:
    world = World(sessions_per_day=12, days=4, hostile_text=True)
    with Simulator(world) as simulator:
        (files / "config.json").write_text(json.dumps(config_for(simulator)))
        arguments = "--config", FILES / "config.json"
        with tap.started(files, *tap.config["Entrypoint"], *arguments) as run:
            code, lines, log = run.ended()
    assert code == 0, log
    assert_whole(by_key(records_of(map(json.loads, lines))), world)


def records_of(
    messages: Iterable[dict[str, Any]],
) -> Iterator[tuple[str, dict[str, Any]]]:
    for message in messages:
        if message["type"] == "RECORD":
            yield message["stream"], message["record"]


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_process_1_with_its_state(
    tap: Image, files: Path, signum: signal.Signals
) -> None:
    """Which a container's stop sends; a process 1 can't die of it, so it exits."""
    world = World(sessions_per_day=6, days=8)
    with Simulator(world) as simulator:
        (files / "config.json").write_text(json.dumps(config_for(simulator)))
        command = [*tap.config["Entrypoint"], "--config", FILES / "config.json"]
        rule = Rule(hang(), endpoint="getSessions")
        simulator.faults.rules.append(rule)
        with tap.started(files, *command) as run:
            wait_until_fired(rule)
            run.signal(signum)
            code, lines, log = run.ended()
        assert code == 128 + signum, log
        assert "Traceback" not in log
        messages = [*map(json.loads, lines)]
        found = by_key(records_of(messages))
        *_, last = (at for at, each in enumerate(messages) if each["type"] == "STATE")
        assert not [*records_of(messages[last:])]
        assert found["avaamo_messages"]
        assert not found["kore_sessions"]

        simulator.faults.rules.clear()
        simulator.requests.clear()
        (files / "state.json").write_text(json.dumps(messages[last]["value"]))
        with tap.started(files, *command, "--state", FILES / "state.json") as run:
            code, lines, log = run.ended()
        assert code == 0, log
        more = by_key(records_of(map(json.loads, lines)))
        assert len(more["avaamo_messages"]) < len(found["avaamo_messages"])
        for stream, records in more.items():
            found[stream] |= records
        assert_whole(found, world)


def wait_until_fired(rule: Rule) -> None:
    wait_until(lambda: rule.fired > 0, PATIENCE)
