"""The form that Airbyte shows for the settings."""

from __future__ import annotations

from typing import Any

from tap_botsessions.config.settings import SCHEMA
from tap_botsessions.vendors import VENDORS

_GROUPS = {
    "range": "What to read",
    **{vendor.prefix: vendor.name for vendor in VENDORS},
    "reading": "How to read",
    "personal": "Personal data",
}
_SAME = (
    "title",
    "description",
    "default",
    "examples",
    "format",
    "minLength",
    "minimum",
    "maximum",
    "exclusiveMinimum",
)


def spec() -> dict[str, Any]:
    """The connector's specification, as the protocol's ConnectorSpecification."""
    settings = SCHEMA["properties"]
    return {
        "supportsIncremental": True,
        "supported_destination_sync_modes": [],
        "connectionSpecification": {
            "$schema": "http://json-schema.org/draft-07/schema#",
            "title": "Chatbot sessions of Avaamo and Kore.ai",
            "type": "object",
            "required": SCHEMA["required"],
            "additionalProperties": True,
            "groups": [{"id": name, "title": title} for name, title in _GROUPS.items()],
            "properties": {
                name: {
                    **_field(settings[name]),
                    "group": _group(name),
                    "order": order,
                }
                for order, name in enumerate(sorted(settings, key=_place))
            },
        },
    }


def _group(name: str) -> str:
    if name in {"start_date", "end_date"}:
        return "range"
    vendor, *_ = name.split("_")
    return vendor if vendor in _GROUPS else "reading"


def _place(name: str) -> int:
    """Where a setting's group stands; within it the settings' own order is kept."""
    return list(_GROUPS).index(_group(name))


def _field(setting: dict[str, Any]) -> dict[str, Any]:
    """A setting as the form can show it: of one type, and never a map of anything."""
    kind = _kind(setting)
    field = {"type": kind, **{name: setting[name] for name in _SAME if name in setting}}
    if "enum" in setting:
        field["enum"] = [value for value in setting["enum"] if value is not None]
    if kind == "array":
        field["items"] = _field(setting["items"])
    elif kind == "object" and setting.get("properties"):
        field["properties"] = {
            name: {**_field(part), "title": name.replace("_", " ").capitalize()}
            for name, part in setting["properties"].items()
        }
        field["required"] = list(setting["properties"])
    elif kind == "object":
        # It has no fields that could be shown; the tap reads JSON from a string, too.
        field |= {"type": "string", "multiline": True}
        field["description"] += " As JSON."
        field.pop("examples", None)
    if setting.get("secret") and kind == "string":
        field["airbyte_secret"] = True
    return field


def _kind(setting: dict[str, Any]) -> str:
    types: str | list[str] = setting["type"]
    types = [types] if isinstance(types, str) else types
    return next(kind for kind in types if kind != "null")
