"""The tap as Meltano and its Hub define a plugin, made from what the code says."""

from __future__ import annotations

import copy
import re
import sys
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any

import yaml

from tap_botsessions.tap import TapBotsessions

if TYPE_CHECKING:
    from collections.abc import Iterator

Definition = dict[str, Any]

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text())["project"]

GROUPS = {
    "Avaamo": ("avaamo_base_url", "avaamo_access_token", "avaamo_agent_ids"),
    "Kore.ai": ("kore_client_id", "kore_client_secret", "kore_bot_ids"),
    "Kore.ai, bots with apps of their own": ("kore_bot_credentials",),
}
"""What must be given beside `start_date`: one of these, or more."""

REPOSITORY = "https://git.example.com/tap-botsessions"
"""A placeholder: no one can have this address."""

KEYWORDS = ("api", "chatbot", "conversational_ai", "meltano_sdk")


def plugin(pip_url: str) -> Definition:
    """The extractor as meltano.yml has it, in the order in which Meltano writes."""
    return {
        "name": TapBotsessions.name,
        "namespace": TapBotsessions.name.replace("-", "_"),
        "label": "Avaamo and Kore.ai",
        "pip_url": pip_url,
        "executable": TapBotsessions.name,
        "description": PROJECT["description"],
        "capabilities": sorted(each.value for each in TapBotsessions.capabilities),
        "settings_group_validation": [
            ["start_date", *names] for names in GROUPS.values()
        ],
        "settings": list(settings()),
        # Meltano selects all streams unless it is told.
        "metadata": {
            name: {"selected": False}
            for name, stream in TapBotsessions(validate_config=False).streams.items()
            if not stream.selected_by_default
        },
    }


def hub() -> Definition:
    """The extractor as the Meltano Hub has it, in its order."""
    definition = plugin(pip_url=f"git+{REPOSITORY}.git")
    return definition | {
        "domain_url": "https://avaamo.ai",
        "keywords": list(KEYWORDS),
        "maintenance_status": "beta",
        "quality": "unknown",
        "repo": REPOSITORY,
        "settings": sorted(definition["settings"], key=lambda each: each["name"]),
        "settings_preamble": preamble(),
        "supported_python_versions": [
            version
            for each in PROJECT["classifiers"]
            for version in re.findall(r"Python :: (3\.\d+)", each)
        ],
        "variant": "example",
    }


def in_short() -> str:
    """The extractor to be copied: without words, a line for each setting."""
    definition = plugin(pip_url=f"git+{REPOSITORY}.git")
    names = [{**each} for each in definition.pop("settings")]
    for each in names:
        del each["label"], each["description"]
    head = dump({"plugins": {"extractors": [definition]}})
    lines = [f"    - {dump(each, flow=True)}" for each in names]
    return "\n".join([head, "    settings:", *lines])


def dump(value: object, *, sort_keys: bool = False, flow: bool = False) -> str:
    """YAML as Meltano writes it, or with braces."""
    written = yaml.safe_dump(
        value, sort_keys=sort_keys, default_flow_style=flow, width=sys.maxsize
    )
    return written.rstrip()


def preamble() -> str:
    """What to give, for people."""
    vendors = [
        f"- {vendor}: {', '.join(f'`{name}`' for name in names)}"
        for vendor, names in GROUPS.items()
    ]
    return "\n".join(["Beside `start_date`, give one of these or more:", "", *vendors])


def settings() -> Iterator[Definition]:
    """Every setting, the SDK's own included."""
    schema = copy.deepcopy(TapBotsessions.config_jsonschema)
    TapBotsessions.append_builtin_config(schema)
    # It needs an extra of the SDK's that the tap does not bring.
    del schema["properties"]["faker_config"]
    for name, setting in schema["properties"].items():
        if name == "batch_config":
            yield from nested(name, setting)
        else:
            yield one(name, setting)


def nested(name: str, setting: dict[str, Any]) -> Iterator[Definition]:
    """The settings in an object, each with its path as the name."""
    for key, inner in setting["properties"].items():
        path = f"{name}.{key}"
        yield from nested(path, inner) if "properties" in inner else [one(path, inner)]


def one(name: str, setting: dict[str, Any]) -> Definition:
    """A setting."""
    choices = [value for value in setting.get("enum", ()) if value is not None]
    details = {
        "name": name,
        "kind": "options" if choices else kind_of(setting),
        "value": setting.get("default"),
        "label": setting["title"],
        "description": setting["description"],
        "sensitive": setting.get("secret"),
        "options": [{"label": value, "value": value} for value in choices] or None,
    }
    return {key: value for key, value in details.items() if value is not None}


def kind_of(setting: dict[str, Any]) -> str:
    """The kind of a setting that takes any value of its type."""
    if setting.get("format") == "date-time":
        return "date_iso8601"
    [kind] = types_of(setting)
    # Not `decimal`: Meltano 4.4 can't write one that comes from the environment. The
    # tap reads a number from a string, too.
    return {"number": "string"}.get(kind, kind)


def types_of(setting: dict[str, Any]) -> list[str]:
    """The types of a setting, that it may be missing aside."""
    types = setting["type"]
    types = [types] if isinstance(types, str) else types
    return [kind for kind in types if kind != "null"]
