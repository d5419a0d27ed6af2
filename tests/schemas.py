"""The columns of streams, by their schemas."""

from __future__ import annotations

from functools import cache
from typing import TYPE_CHECKING, Any

from tap_botsessions.tap import TapBotsessions

if TYPE_CHECKING:
    from singer_sdk import Stream


def columns(stream: str) -> dict[str, dict[str, Any]]:
    """The columns of a stream, each with its schema."""
    found: dict[str, dict[str, Any]] = _streams()[stream].schema["properties"]
    return found


@cache
def _streams() -> dict[str, Stream]:
    return dict(TapBotsessions(validate_config=False).streams)


def form_of(column: dict[str, Any]) -> str:
    """What target-postgres goes by as it chooses a type for a column."""
    match [kind for kind in column["type"] if kind != "null"]:
        case ["string"]:
            return str(column.get("format", "string"))
        case ["array"] if "string" in column.get("items", {}).get("type", ()):
            return "strings"
        case ["integer" | "number" | "boolean" as kind]:
            return str(kind)
        case _:
            return "json"
