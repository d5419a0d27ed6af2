"""The README's recipes do what they say, as they stand there."""

from __future__ import annotations

import gzip
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pytest
import yaml

from demo.pipe import sync
from demo.postgres import run_postgres
from demo.run import connect, target_config
from demo.truth import differences
from simulator import Simulator, World
from tests.conftest import Synced, config_for, end_of
from tests.pipelines import SCRIPTS, environment, prepare
from tests.readme import blocks
from tests.truth import STREAMS, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Records

Record = dict[str, Any]
Change = Callable[[str, Record], Record]

TAP = Path(sys.executable).with_name("tap-botsessions")
PSEUDONYMS, NO_TEXTS, DESELECTED, FLAT, BATCH = map(
    json.loads, blocks("Recipes", "json")
)
[IN_MELTANO] = map(yaml.safe_load, blocks("Recipes", "yaml"))
SEED: str = PSEUDONYMS["stream_map_config"]["hash_seed"]


@pytest.fixture(scope="module")
def simulator() -> Iterator[Simulator]:
    world = World(sessions_per_day=6, days=5, kore_version="mixed", hostile_text=True)
    with Simulator(world) as running:
        yield running


def truth(simulator: Simulator) -> Records:
    """Every record, by stream and key, as it is without a recipe."""
    world = simulator.world
    return {
        stream: expected(world, stream, world.start, end_of(world))
        for stream in STREAMS
    }


def run(
    simulator: Simulator,
    folder: Path,
    recipe: Record,
    *arguments: str,
    **environment: str,
) -> Records:
    """Run the tap's command line in a folder.

    Returns:
        The records that it wrote, in messages or in files.
    """
    done = execute(simulator, folder, recipe, *arguments, **environment)
    assert done.returncode == 0, done.stderr
    assert SEED not in done.stderr
    messages = [json.loads(line) for line in done.stdout.splitlines()]
    types = {message["type"] for message in messages}
    assert types == {
        "SCHEMA",
        "BATCH" if "batch_config" in recipe else "RECORD",
        "STATE",
    }
    return Synced(messages + list(in_files(messages))).records


def execute(
    simulator: Simulator,
    folder: Path,
    recipe: Record,
    *arguments: str,
    **environment: str,
) -> subprocess.CompletedProcess[str]:
    """Run the tap's command line in a folder, however it ends."""
    config = config_for(simulator) | recipe
    (folder / "config.json").write_text(json.dumps(config))
    return subprocess.run(  # noqa: S603 -- ours
        [TAP, "--config=config.json", *arguments],
        cwd=folder,
        env=os.environ | environment,
        capture_output=True,
        text=True,
        check=False,
    )


def in_files(messages: list[Record]) -> Iterator[Record]:
    """The records in the files of BATCH messages, as messages of their own."""
    for message in messages:
        for file in message.get("manifest", []):
            with gzip.open(urlparse(file).path, "rt") as lines:
                for line in lines:
                    record = json.loads(line)
                    yield {**message, "type": "RECORD", "record": record}


def assert_changed(found: Records, truth: Records, change: Change) -> None:
    """Every record is there, changed in the way that a recipe says."""
    for stream in STREAMS:
        records = [change(stream, record) for record in truth[stream].values()]
        assert_same(
            found[stream], {key_of(stream, record): record for record in records}
        )


def without(record: Record, *names: str) -> Record:
    """A record without some of its fields."""
    return {name: value for name, value in record.items() if name not in names}


@pytest.fixture(params=[{}, BATCH], ids=["records", "batches"])
def way(request: pytest.FixtureRequest) -> Record:
    """Either way in which records leave; a recipe holds for both."""
    settings: Record = request.param
    return settings


def pseudonym(user: str | None) -> str | None:
    return sha256(f"{SEED}{user}".encode()).hexdigest() if user else None


def pseudonymous(stream: str, record: Record) -> Record:
    match stream:
        case "avaamo_sessions":
            named = record | {"layer_id": pseudonym(record["layer_id"])}
            return without(named, "first_name", "last_name")
        case "avaamo_messages":
            user = record["user"].get("layer_id")
            return without(record, "user") | {"user_id": pseudonym(user)}
        case "kore_sessions":
            return record | {"user_id": pseudonym(record["user_id"])}
    return record


@pytest.mark.parametrize("is_secret", [False, True], ids=["config", "environment"])
def test_users_are_pseudonyms(
    simulator: Simulator, tmp_path: Path, way: Record, *, is_secret: bool
) -> None:
    if is_secret:
        seed = json.dumps(PSEUDONYMS["stream_map_config"])
        found = run(
            simulator,
            tmp_path,
            without(PSEUDONYMS, "stream_map_config") | way,
            "--config=ENV",
            TAP_BOTSESSIONS_STREAM_MAP_CONFIG=seed,
        )
    else:
        found = run(simulator, tmp_path, PSEUDONYMS | way)
    assert_changed(found, truth(simulator), pseudonymous)


def textless(stream: str, record: Record) -> Record:
    return without(record, "content") if stream == "avaamo_messages" else record


def test_no_message_texts_come(
    simulator: Simulator, tmp_path: Path, way: Record
) -> None:
    found = run(simulator, tmp_path, NO_TEXTS | way)
    assert_changed(found, truth(simulator), textless)


def test_no_message_texts_come_that_the_catalog_leaves_out(
    simulator: Simulator, tmp_path: Path, way: Record
) -> None:
    catalog = discovered(simulator, tmp_path)
    select(catalog, "avaamo_messages", DESELECTED)
    select(catalog, "avaamo_usage", DESELECTED | {"breadcrumb": []})
    (tmp_path / "catalog.json").write_text(json.dumps(catalog))
    found = run(simulator, tmp_path, way, "--catalog=catalog.json")
    whole = truth(simulator) | {"avaamo_usage": {}}
    assert_changed(found, whole, textless)


def discovered(simulator: Simulator, folder: Path) -> Record:
    """What `--discover` prints."""
    (folder / "config.json").write_text(json.dumps(config_for(simulator)))
    output = subprocess.check_output(  # noqa: S603 -- ours
        [TAP, "--config=config.json", "--discover"], cwd=folder
    )
    catalog: Record = json.loads(output)
    return catalog


def select(catalog: Record, stream: str, entry: Record) -> None:
    """Put an entry's selection into the one of the stream's that has its breadcrumb."""
    [found] = (
        metadata
        for each in catalog["streams"]
        if each["tap_stream_id"] == stream
        for metadata in each["metadata"]
        if metadata["breadcrumb"] == entry["breadcrumb"]
    )
    found["metadata"] |= entry["metadata"]


def flat(_: str, record: Record) -> Record:
    """A record with its nested values as flattening has them."""
    user = record.get("user", {})
    return {
        name: json.dumps(value, separators=(",", ":"), ensure_ascii=False)
        if isinstance(value, dict | list)
        else value
        for name, value in without(record, "user").items()
    } | {f"user__{name}": value for name, value in user.items()}


def test_the_users_fields_are_columns(
    simulator: Simulator, tmp_path: Path, way: Record
) -> None:
    found = run(simulator, tmp_path, FLAT | way)
    assert_changed(found, truth(simulator), flat)


def test_recipes_go_together(simulator: Simulator, tmp_path: Path) -> None:
    maps = PSEUDONYMS["stream_maps"]
    merged = maps["avaamo_messages"] | NO_TEXTS["stream_maps"]["avaamo_messages"]
    together = PSEUDONYMS | {"stream_maps": maps | {"avaamo_messages": merged}}
    found = run(simulator, tmp_path, together | FLAT | BATCH)
    assert_changed(
        found,
        truth(simulator),
        lambda stream, record: flat(
            stream, textless(stream, pseudonymous(stream, record))
        ),
    )


@pytest.fixture(scope="module")
def prepared(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project of Meltano's, as the repository has it."""
    folder = tmp_path_factory.mktemp("meltano") / "project"
    prepare(folder)
    return folder


@dataclass(frozen=True)
class Project:
    """A project of Meltano's whose settings are all in its `meltano.yml`."""

    folder: Path
    simulator: Simulator

    def add(self, config: Record) -> None:
        """Put settings into what the file says of the tap."""
        file = self.folder / "meltano.yml"
        content = yaml.safe_load(file.read_text())
        [tap] = content["plugins"]["extractors"]
        tap["config"] = tap.get("config", {}) | config
        file.write_text(yaml.safe_dump(content))

    def invoke(self) -> Records:
        """Run the tap by Meltano."""
        done = subprocess.run(  # noqa: S603 -- Meltano
            [SCRIPTS / "meltano", "--no-environment", "invoke", "tap-botsessions"],
            cwd=self.folder,
            env=environment(),
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        messages = [json.loads(line) for line in done.stdout.splitlines()]
        return Synced(messages).records


@pytest.fixture
def project(prepared: Path, tmp_path: Path, simulator: Simulator) -> Project:
    folder = tmp_path / "project"
    shutil.copytree(prepared, folder)
    made = Project(folder, simulator)
    made.add(config_for(simulator))
    return made


def test_recipes_hold_in_a_meltano_yml(project: Project, simulator: Simulator) -> None:
    """Meltano leaves null out of the settings: what is meant by it comes in clear."""
    maps = PSEUDONYMS["stream_maps"]
    [tap] = IN_MELTANO["plugins"]["extractors"]
    assert tap["config"] == NO_TEXTS  # so that this is the one that is tried
    merged = maps["avaamo_messages"] | tap["config"]["stream_maps"]["avaamo_messages"]
    together = PSEUDONYMS | {"stream_maps": maps | {"avaamo_messages": merged}}
    project.add(together | FLAT)
    assert_changed(
        project.invoke(),
        truth(simulator),
        lambda stream, record: flat(
            stream, textless(stream, pseudonymous(stream, record))
        ),
    )


def test_no_recipe_has_a_null(project: Project, simulator: Simulator) -> None:
    """Which does nothing in a meltano.yml, as long as Meltano is what it is."""
    for recipe in (*map(json.loads, blocks("Recipes", "json")), IN_MELTANO):
        assert "null" not in json.dumps(recipe)
    project.add({"stream_maps": {"avaamo_messages": {"content": None}}})
    contents = {
        record["content"] for record in project.invoke()["avaamo_messages"].values()
    }
    assert contents == {
        record["content"] for record in truth(simulator)["avaamo_messages"].values()
    }


def test_files_are_loaded_by_target_postgres(
    simulator: Simulator, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    with run_postgres("Asia/Kolkata") as server:
        sync(tmp_path, config_for(simulator) | BATCH, target_config(server))
        with connect(server) as connection:
            assert differences(connection, simulator.world) == []
    assert list(Path("batches").glob("botsessions-*.json.gz"))


def test_batches_of_a_stream_that_is_made_into_several_are_refused(
    simulator: Simulator, tmp_path: Path
) -> None:
    """Their files would hold the records of all."""
    maps = {"users": {"__source__": "kore_sessions", "channel": None}}
    done = execute(simulator, tmp_path, BATCH | {"stream_maps": maps})
    assert done.returncode == 1
    assert "made of kore_sessions by __source__" in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""
