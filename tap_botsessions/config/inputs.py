"""What comes from outside this process: JSON in files, and environment variables."""

from __future__ import annotations

import json
import logging
import os
from decimal import Decimal
from pathlib import Path
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Json

_DEEPEST = 100
"""So many levels of JSON are read; no setting, state or catalog has as many."""


def load(text: str) -> Json:
    """Read JSON.

    Raises:
        ValueError: It is not JSON, or nested too deeply; the message quotes none of it.
    """
    msg = "nested too deeply"
    try:
        value = json.loads(text)
    except RecursionError as error:
        raise ValueError(msg) from error
    if not _is_flat(value, _DEEPEST):
        raise ValueError(msg)
    return value


def load_object(text: str) -> dict[str, Any]:
    """Read a JSON object.

    Raises:
        ValueError: It is something else; the message quotes none of it.
    """
    value = load(text)
    if not isinstance(value, dict):
        msg = "it is no JSON object"
        raise ValueError(msg)  # noqa: TRY004 -- as all else that is wrong with a file
    return value


def read_object(path: str) -> dict[str, Any]:
    """Read a file that holds a JSON object.

    Raises:
        OSError: It can't be read.
        ValueError: It holds something else; the message quotes none of it.
    """
    return load_object(Path(path).read_text(encoding="utf-8"))


def plain(value: Json) -> Json:
    """The same JSON with each number as an int if it is whole, or else as a float."""
    if isinstance(value, float | Decimal):
        number = float(value)
        return int(number) if number.is_integer() else number
    if isinstance(value, dict):
        return {name: plain(item) for name, item in value.items()}
    if isinstance(value, list):
        return [plain(item) for item in value]
    return value


def is_json(value: object) -> bool:
    """Whether a value can be written as JSON, so that any reader can read it again."""
    try:
        json.dumps(value, allow_nan=False, ensure_ascii=False).encode()
    except (RecursionError, TypeError, ValueError):
        return False
    return True


def environment(prefix: str) -> dict[str, str]:
    """The settings that environment variables give, those that do not exist included.

    An empty variable gives nothing. The SDK reads the level of its log from one, and
    Meltano sets some that begin with an underscore after the prefix.
    """
    variables = {
        name.removeprefix(prefix): value
        for name, value in os.environ.items()
        if name.startswith(prefix) and value
    }
    return {
        name.lower(): value
        for name, value in variables.items()
        if name != "LOGLEVEL" and not name.startswith("_")
    }


def one_line(text: str) -> str:
    """A text as a line of the log: what breaks lines, or can't be shown, is blank."""
    shown = "".join(each if each.isprintable() else " " for each in text)
    return " ".join(shown.split())


def log_level_lines(prefix: str) -> list[str]:
    """A line if the variables from which the SDK takes the log's level hold none."""
    level = os.environ.get(f"{prefix}LOGLEVEL") or os.environ.get("LOGLEVEL")
    levels = logging.getLevelNamesMapping()
    if level is None or level.upper() in levels:
        return []
    return [f"{prefix}LOGLEVEL or LOGLEVEL: must be one of {', '.join(levels)}"]


def _is_flat(value: object, levels: int) -> bool:
    items = (
        value.values()
        if isinstance(value, dict)
        else value
        if isinstance(value, list)
        else ()
    )
    return levels > 0 and all(_is_flat(item, levels - 1) for item in items)
