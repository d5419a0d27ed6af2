"""meltano.yml and meltano-hub.yml define what is there, in the form that is asked."""

from __future__ import annotations

import json
import subprocess
import sys
from importlib.resources import files
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema import Draft202012Validator
from singer_sdk.exceptions import ConfigValidationError

from demo import sandbox
from simulator import World
from tap_botsessions.tap import TapBotsessions
from tests.definitions import GROUPS
from tests.docs import ROOT

Definition = dict[str, Any]

GIVEN: Definition = {
    "start_date": "2026-01-01T00:00:00Z",
    "avaamo_base_url": "https://c0.avaamo.com",
    "avaamo_access_token": "made-up",
    "avaamo_agent_ids": ["201"],
    "kore_client_id": "made-up",
    "kore_client_secret": "made-up",
    "kore_bot_ids": ["st-1"],
    "kore_bot_credentials": [
        {"bot_id": "st-1", "client_id": "made-up", "client_secret": "made-up"}
    ],
}


@pytest.fixture(scope="module")
def project() -> Definition:
    definition: Definition = yaml.safe_load((ROOT / "meltano.yml").read_text())
    return definition


def plugin(project: Definition, kind: str, name: str) -> Definition:
    [found] = [each for each in project["plugins"][kind] if each["name"] == name]
    definition: Definition = found
    return definition


def test_the_project_fits_meltanos_schema(project: Definition) -> None:
    schema = json.loads((files("meltano.schemas") / "meltano.schema.json").read_text())
    assert [
        error.message for error in Draft202012Validator(schema).iter_errors(project)
    ] == []


def test_the_hub_gets_the_settings_of_the_project(project: Definition) -> None:
    hub = yaml.safe_load((ROOT / "meltano-hub.yml").read_text())
    extractor = plugin(project, "extractors", "tap-botsessions")
    settings = {each["name"]: each for each in extractor.pop("settings")}
    assert {each["name"]: each for each in hub["settings"]} == settings
    del extractor["pip_url"], extractor["metadata"]  # the project's own
    assert extractor.items() <= hub.items()


@pytest.mark.parametrize("names", GROUPS.values(), ids=GROUPS)
def test_a_group_of_settings_is_enough_and_nothing_less(names: tuple[str, ...]) -> None:
    config = {name: GIVEN[name] for name in ("start_date", *names)}
    TapBotsessions(config=config)
    for name in config:
        less = {key: value for key, value in config.items() if key != name}
        with pytest.raises(ConfigValidationError):
            TapBotsessions(config=less)


def test_the_loader_has_settings_of_the_targets(project: Definition) -> None:
    about = subprocess.run(  # noqa: S603 -- the target
        [Path(sys.executable).with_name("target-postgres"), "--about", "--format=json"],
        capture_output=True,
        check=True,
    )
    known = json.loads(about.stdout)["settings"]["properties"]
    loader = plugin(project, "loaders", "target-postgres")
    for setting in loader["settings"]:
        assert setting.get("value") == known[setting["name"]].get("default")


def test_the_demo_reads_and_writes_where_the_sandbox_is(project: Definition) -> None:
    [demo] = [each for each in project["environments"] if each["name"] == "demo"]
    plugins = demo["config"]["plugins"]
    [tap], [target] = plugins["extractors"], plugins["loaders"]
    world = World()
    vendors = f"http://127.0.0.1:{sandbox.SIMULATOR_PORT}"
    assert (
        tap["config"].items()
        >= {
            "start_date": "2026-03-01T00:00:00Z",
            "end_date": "2026-03-21T00:00:00Z",
            "avaamo_base_url": vendors,
            "avaamo_access_token": world.avaamo_token,
            "avaamo_agent_ids": list(world.agents),
            "kore_base_url": vendors,
            "kore_client_id": world.app.client_id,
            "kore_client_secret": world.app.client_secret,
            "kore_bot_ids": list(world.bots),
        }.items()
    )
    server = f"postgres@127.0.0.1:{sandbox.POSTGRES_PORT}/postgres"
    assert target["config"] == {"sqlalchemy_url": f"postgresql+psycopg://{server}"}
