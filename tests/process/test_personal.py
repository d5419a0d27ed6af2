"""Personal data in files of batches, in the states and in the log of a process."""

from __future__ import annotations

import gzip
import json
from typing import TYPE_CHECKING

import pytest

from simulator import Simulator, World
from tests import programs
from tests.conftest import config_for
from tests.simulated.test_personal import HASH, personal_strings

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


@pytest.fixture(scope="module")
def served() -> Iterator[Simulator]:
    world = World(sessions_per_day=20, days=6, kore_version="mixed", hostile_text=True)
    with Simulator(world) as running:
        yield running


def test_batch_files_and_states_hold_no_original(
    served: Simulator, tmp_path: Path
) -> None:
    files = tmp_path / "files"
    files.mkdir()
    batches = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": files.as_uri()},
    }
    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(served, **HASH, batch_config=batches)))
    done = programs.run(programs.TAP, "--config", config)
    assert done.returncode == 0
    texts = [gzip.decompress(each.read_bytes()).decode() for each in files.iterdir()]
    assert texts
    everything = "".join([*texts, done.stdout, done.stderr])
    telling = {each for each in personal_strings(served) if len(each) > 12}
    assert telling
    assert not [each for each in telling if each in everything]
