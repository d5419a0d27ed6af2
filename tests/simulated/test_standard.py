"""The SDK's standard tests, and own ones where those are hollow."""

from __future__ import annotations

import json
import os
import socket
from contextlib import suppress
from typing import TYPE_CHECKING

import pytest
from singer_sdk.singerlib import Catalog
from singer_sdk.testing import SuiteConfig, get_tap_test_class

from simulator import Simulator, World
from tap_botsessions.tap import TapBotsessions
from tests.conftest import config_for, sync
from tests.docs import ROOT
from tests.truth import KEYS, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator

CATALOG = ROOT / "tests" / "catalog.json"


def free_port() -> int:
    """A port that the system gives to nobody who leaves the choice to it.

    Other simulators do, and would be asked instead if they got it meanwhile.
    """
    for port in range(20_000 + os.getpid() % 10_000, 32_000):
        with suppress(OSError), socket.create_server(("127.0.0.1", port)):
            return port
    raise OSError


SIMULATOR = Simulator(World(sessions_per_day=20), port=free_port())
SIMULATOR.url = f"http://127.0.0.1:{SIMULATOR._address[1]}"  # noqa: SLF001 -- ours
"""It serves during the tests only, but the suite wants its address beforehand."""


@pytest.fixture(scope="module", autouse=True)
def _serving() -> Iterator[None]:
    with SIMULATOR:
        yield


def whole_catalog() -> Catalog:
    """The catalog with every stream selected, the audit trail too."""
    catalog = TapBotsessions(config=config_for(SIMULATOR)).catalog
    for entry in catalog.streams:
        entry.metadata.root.selected = True
    return catalog


TestTapBotsessions = get_tap_test_class(
    TapBotsessions,
    config=config_for(SIMULATOR),
    suite_config=SuiteConfig(max_records_limit=500),
    catalog=whole_catalog(),
)


def test_keys_are_unique_and_complete_in_every_stream() -> None:
    """The suite's own check compares generators, and so can't fail."""
    synced = sync(SIMULATOR)
    for stream in STREAMS:
        keys = synced.keys(stream)
        assert len(keys) == len(set(keys)) > 0
        assert all(None not in key for key in keys)


def test_the_final_state_holds_bookmarks_and_nothing_of_a_run_in_progress() -> None:
    """The suite looks for leftovers at a level where there are none."""
    names = {"context", "replication_key", "replication_key_value"}
    for stream, state in sync(SIMULATOR).state["bookmarks"].items():
        assert state.keys() == {"partitions"}
        for partition in state["partitions"]:
            followed = {"open_sessions"} if stream == "kore_sessions" else set()
            assert partition.keys() == names | followed


def test_the_catalog_is_the_one_that_was_released() -> None:
    """Change tests/catalog.json only on purpose: users' tables depend on it."""
    catalog = TapBotsessions(config=config_for(SIMULATOR)).catalog_dict
    assert json.loads(json.dumps(catalog)) == json.loads(CATALOG.read_text())


def test_the_catalog_has_the_keys_of_the_contract() -> None:
    catalog = Catalog.from_dict(json.loads(CATALOG.read_text()))
    assert {
        name: tuple(entry.key_properties or ()) for name, entry in catalog.items()
    } == KEYS
    for entry in catalog.values():
        properties = entry.schema.to_dict()["properties"]
        for name, field in properties.items():
            assert field["description"], f"{entry.tap_stream_id}.{name}"
            assert isinstance(field["type"], list)
            nullable = "null" in field["type"]
            assert not (nullable and name in (entry.key_properties or ()))
