"""The parts of README.md and meltano.yml that say what the code says.

`python -m tests.docs` writes them anew; a test holds them against the code.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import yaml

from tap_botsessions.settings import SCHEMA
from tap_botsessions.tap import TapBotsessions

Write = Callable[[str], str]
ROOT = Path(__file__).parents[1]


def settings_table() -> str:
    """The settings as a Markdown table."""
    rows = [
        f"| `{name}` | {kind_of(setting)} | {default_of(name, setting)} | "
        f"{setting['description']} |"
        for name, setting in SCHEMA["properties"].items()
    ]
    header = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*header, *rows])


def types_of(setting: dict[str, Any]) -> list[str]:
    """The types of a setting, that it may be missing aside."""
    types = setting["type"]
    types = [types] if isinstance(types, str) else types
    return [kind for kind in types if kind != "null"]


def kind_of(setting: dict[str, Any]) -> str:
    """The type of a setting in words, with its bounds."""
    [kind] = types_of(setting)
    if "enum" in setting:
        return ", ".join(f"`{value}`" for value in setting["enum"] if value)
    words = {"date-time": "date-time"}.get(setting.get("format", ""), kind)
    low = setting.get("minimum", setting.get("exclusiveMinimum"))
    high = setting.get("maximum")
    if low is not None and high is not None:
        words += f", {'> ' if 'exclusiveMinimum' in setting else ''}{low} to {high}"
    elif low is not None:
        words += f", at least {low}"
    return f"{words}, secret" if setting.get("secret") else words


def default_of(name: str, setting: dict[str, Any]) -> str:
    """The default of a setting, or whether it must be given."""
    if "default" in setting:
        return f"`{setting['default']}`"
    return "required" if name in SCHEMA["required"] else ""


def meltano_settings() -> list[dict[str, Any]]:
    """The settings as meltano.yml has them."""
    return [
        {
            "name": name,
            "kind": meltano_kind(setting),
            "label": setting["title"],
            "description": setting["description"],
            **({"sensitive": True} if setting.get("secret") else {}),
            **({"options": meltano_options(setting)} if "enum" in setting else {}),
        }
        for name, setting in SCHEMA["properties"].items()
    ]


def meltano_kind(setting: dict[str, Any]) -> str:
    """The kind that Meltano has for a setting."""
    if "enum" in setting:
        return "options"
    if setting.get("format") == "date-time":
        return "date_iso8601"
    [kind] = types_of(setting)
    return {"number": "decimal"}.get(kind, kind)


def meltano_options(setting: dict[str, Any]) -> list[dict[str, str]]:
    """The values of a setting that has a few, as Meltano has them."""
    return [{"label": value, "value": value} for value in setting["enum"] if value]


def fields_table() -> str:
    """The fields of the vendors, and the columns that hold them."""
    lines = []
    for stream in TapBotsessions(validate_config=False).streams.values():
        columns = ", ".join(f"`{name}`" for name in stream.schema["properties"])
        lines.append(f"- `{stream.name}`: {columns}")
    return "\n".join(lines)


def rewritten(text: str, name: str, content: str, comment: str) -> str:
    """A text with the part between two comments replaced."""
    begin, end = (comment.format(f"{name}: {place}") for place in ("begin", "end"))
    pattern = re.compile(rf"({re.escape(begin)}\n).*?([ ]*{re.escape(end)})", re.DOTALL)
    found, count = pattern.subn(lambda match: f"{match[1]}{content}\n{match[2]}", text)
    if count != 1:
        msg = f"there must be one part named {name}"
        raise ValueError(msg)
    return found


def readme(text: str) -> str:
    """README.md as it must be."""
    text = rewritten(text, "settings", settings_table(), "<!-- {} -->")
    return rewritten(text, "fields", fields_table(), "<!-- {} -->")


def meltano(text: str) -> str:
    """meltano.yml as it must be."""
    listed = yaml.safe_dump(meltano_settings(), sort_keys=False, width=1000)
    indented = "\n".join(f"        {line}" for line in listed.splitlines())
    return rewritten(text, "settings", indented, "# {}")


if __name__ == "__main__":
    for file, write in (("README.md", readme), ("meltano.yml", meltano)):
        path = ROOT / file
        path.write_text(write(path.read_text()))
