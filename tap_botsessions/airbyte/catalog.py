"""Catalogs and states, between Airbyte's form and Singer's."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

from tap_botsessions.config.inputs import is_json

if TYPE_CHECKING:
    from collections.abc import Iterable
    from collections.abc import Set as AbstractSet

    from tap_botsessions.singer.stream import SingerStream

NO_CURSOR = {"__ab_no_cursor_state_message": True}
"""The state of a stream that was read in full: there is nothing to go on from."""


class Wanted(NamedTuple):
    """What of a stream is wanted.

    Attributes:
        name: The stream's.
        fields: Those that its configured schema has; all of them if it has none.
        is_incremental: Whether to go on from its state.
    """

    name: str
    fields: AbstractSet[str]
    is_incremental: bool


def catalog(streams: Iterable[SingerStream]) -> dict[str, Any]:
    """The streams that there are, as the protocol's AirbyteCatalog."""
    return {"streams": [_listed(stream) for stream in streams]}


def _listed(stream: SingerStream) -> dict[str, Any]:
    modes = ["full_refresh", "incremental"]
    key = stream.replication_key
    return {
        "name": stream.name,
        "json_schema": _airbyte_schema(stream.schema),
        "supported_sync_modes": modes if key else modes[:1],
        "source_defined_cursor": True if key else None,
        "default_cursor_field": [key] if key else None,
        "source_defined_primary_key": [[key] for key in stream.primary_keys],
        "is_resumable": False,
    }


def wanted_by(configured: dict[str, Any]) -> list[Wanted]:
    """What a ConfiguredAirbyteCatalog wants."""
    return [_wanted(**each) for each in configured["streams"]]


def _wanted(stream: dict[str, Any], sync_mode: str, **_: object) -> Wanted:
    name = stream["name"]
    if not (isinstance(name, str) and is_json(name)):
        raise TypeError(name)
    fields = stream.get("json_schema", {}).get("properties", {})
    return Wanted(name, fields.keys(), sync_mode == "incremental")


def select(stream: SingerStream, wanted: Wanted) -> None:
    """Select a stream, with the fields that are wanted."""
    if wanted.fields:
        for name in stream.schema["properties"].keys() - wanted.fields:
            stream.metadata["properties", name].selected = False
    stream.selected = True


class StateError(ValueError):
    """A state is none of those that this source writes; the message says what to do."""


def singer_state(
    messages: list[dict[str, Any]], all_wanted: Iterable[Wanted]
) -> dict[str, Any]:
    """The tap's state, of the streams that are to go on from theirs.

    Args:
        messages: The states, one a stream, as this source wrote them. On a first run
            Airbyte may send none, or one of another type that is empty.
        all_wanted: What is wanted of each stream.

    Raises:
        StateError: There is a state of another type, and something in it.
    """
    states = {
        message["stream"]["stream_descriptor"]["name"]: message["stream"]
        for message in messages or ()
        if not _is_empty(message)
    }
    bookmarks = {
        wanted.name: states[wanted.name].get("stream_state")
        for wanted in all_wanted
        if wanted.is_incremental and wanted.name in states
    }
    resumed = {name: state for name, state in bookmarks.items() if _holds(state)}
    return {"bookmarks": resumed} if resumed else {}


def _is_empty(message: dict[str, Any]) -> bool:
    """Whether a message is of another type than STREAM, and holds no state.

    Raises:
        StateError: It is of another type, and holds one.
    """
    match message.get("type"):
        case "LEGACY":
            contents = [message.get("data")]
        case "GLOBAL":
            shared = message.get("global") or {}
            streams = shared.get("stream_states") or ()
            contents = [shared.get("shared_state")]
            contents += [each.get("stream_state") for each in streams]
        case _:
            return not message
    if any(map(_holds, contents)):
        msg = (
            f"is of the type {message['type']}, while this source writes and reads "
            f"states of the type STREAM alone; clear the state, and all is read again"
        )
        raise StateError(msg)
    return True


def _holds(state: dict[str, Any] | None) -> bool:
    """Whether there is something to go on from."""
    return bool(state) and not NO_CURSOR.keys() & (state or {}).keys()


def _airbyte_schema(schema: dict[str, Any]) -> dict[str, Any]:
    properties = {
        name: _airbyte_field(field) for name, field in schema["properties"].items()
    }
    return {"type": "object", "properties": properties}


def _airbyte_field(field: dict[str, Any]) -> dict[str, Any]:
    """A field as Airbyte's destinations take it: they have no column for two types."""
    if field.get("format") == "date-time":
        return {**field, "airbyte_type": "timestamp_with_timezone"}
    if {"array", "object"} <= set(field["type"]):
        return {**field, "type": [kind for kind in field["type"] if kind != "object"]}
    return field
