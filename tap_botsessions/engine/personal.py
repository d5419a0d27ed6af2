"""Personal data: kept, hashed or dropped, before anything else sees a record.

Which columns are personal is said by the schemas, as `x-personal` with the kind of
data: `name`, `id`, `text`, `tags`, or `other` for what a vendor may add.
"""

from __future__ import annotations

import hmac
from functools import partial
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

    from tap_botsessions.engine.options import Config, Json

KEYWORD = "x-personal"


class Personal:
    """What is done to the personal data of one stream."""

    def __init__(self, config: Config, schema: dict[str, Any]) -> None:
        """Prepare to protect records of a schema as a configuration asks."""
        self._changes = {
            name: change
            for name, column in schema["properties"].items()
            if KEYWORD in column and (change := _change(config, column))
        }

    def protect(self, records: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Change the personal columns of records, in place."""
        for name, change in self._changes.items():
            for record in records:
                record[name] = change(record[name])
        return records


def hashed(key: bytes, value: Json) -> Json:
    """The same JSON with HMAC-SHA256, in hexadecimal, of every string and number."""
    if isinstance(value, str):
        return hmac.digest(key, value.encode(), "sha256").hex()
    if isinstance(value, dict):
        return {name: hashed(key, item) for name, item in value.items()}
    if isinstance(value, list):
        return [hashed(key, item) for item in value]
    if value is None or isinstance(value, bool):
        return value
    return hashed(key, str(value))


def _change(config: Config, column: dict[str, Any]) -> Callable[[Any], Any] | None:
    mode = config["personal_data"]
    if mode != "keep" and column[KEYWORD] == "text":
        mode = config["personal_data_texts"] if mode == "hash" else "drop"
    if mode == "keep":
        return None
    # A part of a key is never null: two records could come to have the same one.
    if mode == "drop" and "null" in column["type"]:
        return _dropped
    return partial(hashed, (config.get("personal_data_key") or "").encode())


def _dropped(_: object) -> None:
    return None
