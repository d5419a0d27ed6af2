"""The environment of a process."""

from __future__ import annotations

import json
import subprocess
import sys
from typing import TYPE_CHECKING

import dotenv
import pytest

from tap_botsessions.config.settings import (
    SCHEMA,
)
from tests.unit.test_environment import EVERY, texts_of, variables

if TYPE_CHECKING:
    from pathlib import Path


@pytest.mark.parametrize("is_file", [False, True], ids=["variables", ".env"])
def test_every_setting_is_read_from_the_environment_and_from_a_file_of_it(
    tmp_path: Path, *, is_file: bool
) -> None:
    assert EVERY.keys() == SCHEMA["properties"].keys()
    environment = variables(texts_of(EVERY))
    if is_file:
        for name, value in environment.items():
            dotenv.set_key(tmp_path / ".env", name, value)
    show = (
        "import json; from tap_botsessions.tap import TapBotsessions as T;"
        "print(json.dumps(dict(T(parse_env_config=True).config)))"
    )
    done = subprocess.run(  # noqa: S603 -- the tap itself
        [sys.executable, "-c", show],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={} if is_file else environment,
    )
    assert json.loads(done.stdout) == EVERY
