"""The image holds what it should, and runs as Airbyte's platform runs it."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter
from functools import partial
from importlib.metadata import distributions
from pathlib import Path
from tempfile import TemporaryDirectory
from threading import Thread
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import pytest
import yaml
from airbyte_protocol.models import AirbyteMessage, Status

from simulator import Simulator, World
from tests.conftest import config_for, end_of
from tests.definitions import PROJECT
from tests.docs import ROOT
from tests.external.airbyte.image import Image, built
from tests.external.airbyte.session import PEERS
from tests.pins import environment
from tests.truth import OPTIONAL, STREAMS, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

METADATA: dict[str, Any] = yaml.safe_load((ROOT / "metadata.yaml").read_text())["data"]
READ = "read --config config --catalog catalog"
DAY = 86_400

AS_USER = [
    "/usr/bin/setpriv", "--reuid=65534", "--regid=65534", "--clear-groups",
    "--inh-caps=-all,+dac_read_search", "--ambient-caps=-all,+dac_read_search",
    "--bounding-set=-all,+dac_read_search",
]  # fmt: skip
"""Has root become a user who may write nothing, yet read all: this Python may lie where
nobody else may look."""


@pytest.fixture(scope="module")
def image() -> Iterator[Image]:
    """The image, which takes seconds to make."""
    with built() as image:
        yield image


def run(image: Image, arguments: str, **files: Any) -> list[AirbyteMessage]:
    """Run a command as the platform does, with no PATH and no home.

    Args:
        image: The image.
        arguments: What follows the entry point.
        files: The files to name there, each of which can be read but once.
    """
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        for file, content in files.items():
            os.mkfifo(folder / file, 0o644)
            write = partial((folder / file).write_text, json.dumps(content))
            Thread(target=write, daemon=True).start()
        command = ["/bin/sh", "-c", f'eval "$AIRBYTE_ENTRYPOINT {arguments}"']
        done = subprocess.run(  # noqa: S603 -- our own program
            [*AS_USER, *command] if os.geteuid() == 0 else command,
            cwd=folder,
            env=image.variables | {"HOME": "/nonexistent"},
            capture_output=True,
            check=False,
        )
    assert (done.returncode, done.stderr) == (0, b"")
    lines = done.stdout.splitlines()
    return [AirbyteMessage.model_validate_json(line) for line in lines]


def configured(messages: list[AirbyteMessage]) -> dict[str, Any]:
    """All streams that are discovered, as a connection has them."""
    [catalog] = [message.catalog for message in messages if message.catalog]
    return {
        "streams": [
            {
                "stream": stream.model_dump(mode="json", exclude_none=True),
                "sync_mode": stream.supported_sync_modes[-1].value,
                "destination_sync_mode": "append_dedup",
            }
            for stream in catalog.streams
        ]
    }


def states(messages: list[AirbyteMessage]) -> list[dict[str, Any]]:
    """The last state of each stream."""
    last = {
        message.state.stream.stream_descriptor.name: message.state
        for message in messages
        if message.state and message.state.stream
    }
    return [state.model_dump(mode="json") for state in last.values()]


def counts(messages: list[AirbyteMessage]) -> Counter[str]:
    """How many records there are of each stream."""
    return Counter(message.record.stream for message in messages if message.record)


def truth(world: World) -> Counter[str]:
    """How many there must be, as the clock stands."""
    return Counter(
        {
            stream: len(expected(world, stream, world.start, end_of(world)))
            for stream in (*STREAMS, *OPTIONAL)
        }
    )


def test_the_image_runs_as_the_platform_runs_it(image: Image) -> None:
    made = set(image.root.rglob("*"))
    world = World(sessions_per_day=12, days=4)
    world.now -= DAY
    with Simulator(world) as simulator:
        config = config_for(simulator)
        assert [bool(message.spec) for message in run(image, "spec")] == [True]
        checked = run(image, "check --config config", config=config)
        [status] = [each.connectionStatus for each in checked if each.connectionStatus]
        assert status.status == Status.SUCCEEDED
        catalog = configured(run(image, "discover --config config", config=config))

        first = run(image, READ, config=config, catalog=catalog)
        assert counts(first) == truth(world)
        files = {"catalog": catalog, "state": states(first)}
        world.now += DAY
        config = config_for(simulator)
        second = run(image, f"{READ} --state state", config=config, **files)
        new = (truth(world) - counts(first)).total()
        assert 100 < new <= counts(second).total() < new + 50
    assert set(image.root.rglob("*")) == made


def test_the_image_holds_bytecode_and_none_of_airbytes_packages(image: Image) -> None:
    [packages] = image.root.glob("opt/source/lib/*/site-packages")
    names = {each.metadata["Name"] for each in distributions(path=[str(packages)])}
    assert PROJECT["name"] in names
    assert not any("airbyte" in name for name in names)
    compiled = {
        path.parents[1] / f"{path.name.partition('.')[0]}.py"
        for path in packages.rglob("*.pyc")
    }
    assert set(packages.rglob("*.py")) <= compiled
    assert sum(path.stat().st_size for path in packages.rglob("*")) < 80e6


def test_the_image_is_not_run_by_root(image: Image) -> None:
    assert int(image.user) > 0


def test_the_image_is_run_by_its_entry_point_or_by_the_variable(image: Image) -> None:
    assert image.entry_point == [image.variables["AIRBYTE_ENTRYPOINT"]]


def test_image_metadata_and_project_agree(image: Image) -> None:
    assert image.base == METADATA["connectorBuildOptions"]["baseImage"]
    assert image.labels == {
        "io.airbyte.name": METADATA["dockerRepository"],
        "io.airbyte.version": METADATA["dockerImageTag"],
    }
    assert METADATA["dockerImageTag"] == PROJECT["version"]


def test_docker_is_sent_what_the_image_takes_and_no_more(image: Image) -> None:
    lines = (ROOT / ".dockerignore").read_text().splitlines()
    assert {line[1:] for line in lines if line.startswith("!")} == image.copied


def test_the_metadata_are_as_airbytes_catalog_has_them() -> None:
    done = subprocess.run(  # noqa: S603 -- Airbyte's own models
        [environment("cdk") / "python", PEERS / "metadata.py", ROOT / "metadata.yaml"],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr


def test_the_icon_is_a_square_picture() -> None:
    icon = ET.parse(ROOT / METADATA["icon"]).getroot()  # noqa: S314 -- our own
    assert icon.tag == "{http://www.w3.org/2000/svg}svg"
    assert icon.get("width") == icon.get("height")
    assert icon.get("viewBox") == f"0 0 {icon.get('width')} {icon.get('height')}"
