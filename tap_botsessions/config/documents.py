"""The files beside the settings: the state and the catalog, and what form they have."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from tap_botsessions.config.inputs import is_json
from tap_botsessions.config.schema_errors import lines_on

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Json

_LIKE_A_STATE = (
    'must be as the tap wrote it, {"bookmarks": {"kore_sessions": {"partitions": '
    '[{"context": {"bot_id": "..."}, ...}, ...]}}}; '
)
_LIKE_A_CATALOG = "must be as --discover writes it; "
_FULL = "FULL_TABLE"
_NO_JSON = "a number in it is infinite, or text is torn"

_STATE: dict[str, Any] = {
    "type": "object",
    "required": ["bookmarks"],
    "properties": {
        "bookmarks": {
            "type": "object",
            "additionalProperties": {
                "type": "object",
                "properties": {
                    "progress_markers": {"type": "object"},
                    "partitions": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["context"],
                            "properties": {
                                "progress_markers": {"type": "object"},
                                "context": {
                                    "type": "object",
                                    "additionalProperties": {"type": "string"},
                                },
                            },
                        },
                    },
                },
            },
        },
    },
}

_CATALOG: dict[str, Any] = {
    "type": "object",
    "required": ["streams"],
    "properties": {
        "streams": {
            "type": "array",
            "items": {
                "type": "object",
                "required": ["tap_stream_id"],
                "properties": {
                    "tap_stream_id": {"type": "string"},
                    "stream": {"type": ["string", "null"]},
                    "key_properties": {"$ref": "#/$defs/names"},
                    "replication_method": {"type": ["string", "null"]},
                    "schema": {"$ref": "#/$defs/schema"},
                    "metadata": {
                        "type": "array",
                        "items": {
                            "type": "object",
                            "required": ["breadcrumb", "metadata"],
                            "properties": {
                                "breadcrumb": {
                                    "type": "array",
                                    "items": {"type": "string"},
                                },
                                "metadata": {
                                    "type": "object",
                                    "properties": {
                                        "table-key-properties": {
                                            "$ref": "#/$defs/names"
                                        },
                                        "forced-replication-method": {
                                            "type": ["string", "null"]
                                        },
                                        "replication-method": {
                                            "type": ["string", "null"]
                                        },
                                    },
                                },
                            },
                        },
                    },
                },
            },
        },
    },
    "$defs": {
        "names": {"type": ["array", "null"], "items": {"type": "string"}},
        "schema": {
            "type": "object",
            "properties": {
                "type": {
                    "type": ["string", "array"],
                    "items": {"type": "string"},
                },
                "properties": {
                    "type": "object",
                    "additionalProperties": {"$ref": "#/$defs/schema"},
                },
                "items": {"$ref": "#/$defs/schema"},
            },
        },
    },
}


def check_state(state: dict[str, Any]) -> list[str]:
    """A line for each way in which a state is not as the tap wrote it."""
    if not state:
        return []
    if not is_json(state):
        return [f"state: {_LIKE_A_STATE}{_NO_JSON}"]
    problems = lines_on(state, _STATE) or _repeated(state["bookmarks"])
    return [f"state: {_LIKE_A_STATE}{problem}" for problem in problems]


def check_catalog(catalog: dict[str, Any]) -> list[str]:
    """A line for each way in which a catalog is not as the tap wrote it."""
    if not is_json(catalog):
        return [f"catalog: {_LIKE_A_CATALOG}{_NO_JSON}"]
    problems = lines_on(catalog, _CATALOG) or _renamed(catalog["streams"])
    return [f"catalog: {_LIKE_A_CATALOG}{problem}" for problem in problems]


def with_full_tables(catalog: dict[str, Any]) -> dict[str, Any]:
    """A catalog with FULL_TABLE at the top of each entry that has it anywhere.

    The Singer specification has it in the metadata, where people put it. The SDK takes
    the INCREMENTAL that --discover wrote at the top, and knows one of the two names.
    """
    streams = [
        entry | {"replication_method": _FULL} if _is_full(entry) else entry
        for entry in catalog["streams"]
    ]
    return {**catalog, "streams": streams}


def _is_full(entry: dict[str, Any]) -> bool:
    roots = [
        each["metadata"] for each in entry.get("metadata", ()) if not each["breadcrumb"]
    ]
    methods = [entry.get("replication_method")] + [
        root.get(name)
        for root in roots
        for name in ("replication-method", "forced-replication-method")
    ]
    return _FULL in {(method or "").upper() for method in methods}


def without_fractions(state: Json) -> Json:
    """The state with each time token floored to a whole second, and so read again.

    Targets made with the SDK fail to write out a state that holds a fraction.
    """
    if isinstance(state, float):
        return math.floor(state)
    if isinstance(state, dict):
        return {name: without_fractions(value) for name, value in state.items()}
    if isinstance(state, list):
        return [without_fractions(value) for value in state]
    return state


def _renamed(streams: list[dict[str, Any]]) -> list[str]:
    """The streams that go by two names: the SDK would look for the wrong one."""
    return [
        f"streams[{index}]['stream']: must be the same as its tap_stream_id"
        for index, stream in enumerate(streams)
        if stream.get("stream") not in {None, stream["tap_stream_id"]}
    ]


def _repeated(bookmarks: dict[str, Any]) -> list[str]:
    """The streams in which a bot has two bookmarks: which one holds can't be told."""
    return [
        f"bookmarks[{name!r}]['partitions']: one context is there twice"
        for name, stream in bookmarks.items()
        if _has_twice([part["context"] for part in stream.get("partitions", ())])
    ]


def _has_twice(contexts: list[dict[str, str]]) -> bool:
    return len({frozenset(context.items()) for context in contexts}) < len(contexts)
