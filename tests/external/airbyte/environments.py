"""Environments for what must not share one with the tap."""

from __future__ import annotations

import subprocess
import tomllib
from functools import cache
from pathlib import Path

from uv import find_uv_bin

ROOT = Path(__file__).parents[3]
PEERS = Path(__file__).with_name("peers")

PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())

PYAIRBYTE = "airbyte==0.71.3"
CDK = "airbyte-cdk[dev]==7.39.1,airbyte-connector-models==0.1.12"


@cache
def interpreter(requirements: str) -> Path:
    """The Python of an environment with some packages.

    uv makes the environment in its cache unless it is there, and takes none for whole
    that is not.
    """
    command = [
        find_uv_bin(), "tool", "run", "--quiet", "--isolated",
        "--exclude-newer", PROJECT["tool"]["uv"]["exclude-newer"],
        "--python", ">=3.11,<3.13",  # PyAirbyte runs on no later one
        "--with", requirements,
        "python", "-c", "import sys; print(sys.executable)",
    ]  # fmt: skip
    found = subprocess.run(  # noqa: S603 -- pinned packages
        command, stdout=subprocess.PIPE, text=True, check=True
    )
    return Path(found.stdout.strip())
