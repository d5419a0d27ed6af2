"""The JSON schemas in the package: of streams' records, and of vendors' settings."""

from __future__ import annotations

from importlib import resources
from typing import Any

import msgspec


def load_schema(stream: str) -> dict[str, Any]:
    """The JSON schema of a stream's records."""
    return _load("tap_botsessions", "schemas", f"{stream}.json")


def load_settings(package: str) -> dict[str, dict[str, Any]]:
    """The JSON schema of each setting of a vendor, by name.

    Args:
        package: The vendor's package.
    """
    return _load(package, "settings.json")


def _load(package: str, *path: str) -> dict[str, Any]:
    file = resources.files(package).joinpath(*path)
    return msgspec.json.decode(file.read_bytes(), type=dict[str, Any])
