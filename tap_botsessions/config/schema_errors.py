"""What JSON schemas find wrong, in words that repeat no secret."""

from __future__ import annotations

import difflib
import json
from typing import TYPE_CHECKING, Any

from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    from jsonschema import ValidationError

    from tap_botsessions.engine.options import Json

_LONGEST = 40
"""Characters of a value that is shown."""

_BOUNDS = {
    "exclusiveMinimum": "must be more than {}",
    "maximum": "must be at most {}",
    "minimum": "must be at least {}",
}


def without_bare_nulls(schema: Json) -> Json:
    """A schema of the SDK's without the word "null" where a schema has to be."""
    if isinstance(schema, dict):
        return {
            name: [without_bare_nulls(each) for each in part if each != "null"]
            if name == "anyOf"
            else without_bare_nulls(part)
            for name, part in schema.items()
        }
    return schema


def errors_in(value: object, schema: dict[str, Any]) -> list[ValidationError]:
    """All that a schema finds wrong with a value."""
    return list(DEFAULT_JSONSCHEMA_VALIDATOR(schema).iter_errors(value))


def lines_on(value: object, schema: dict[str, Any]) -> list[str]:
    """A line for each mistake that a schema finds, which begins with its place."""
    found = errors_in(value, schema)
    # An error on what is missing has no place of its own, so it names all there is.
    return list(dict.fromkeys(line for error in found for line in _lines(error)))


def place(*path: str | int) -> str:
    """Where something is, as in `kore_bot_credentials[0]['bot_id']`."""
    first, *rest = path or ("configuration",)
    return f"{first}{''.join(f'[{step!r}]' for step in rest)}"


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The known name that is most like one that is not, as a question, if any is."""
    close = difflib.get_close_matches(name, known, n=1)
    return f"; did you mean {close[0]}?" if close else ""


def _lines(error: ValidationError) -> Iterator[str]:
    """Say what an error is; its own message would repeat a secret's value."""
    required: Any = error.validator_value
    present: Any = error.instance
    if error.validator == "required":
        for name in required:
            if name not in present:
                yield f"{place(*error.path, name)}: is missing"
        return
    if error.validator == "additionalProperties":
        known: Any = error.schema
        for name in sorted(present.keys() - known["properties"].keys()):
            hint = did_you_mean(name, known["properties"])
            yield f"{place(*error.path, name)}: there is no such key{hint}"
        return
    where, given = place(*error.path), _shown(error)
    if error.validator in _BOUNDS:
        bound = _BOUNDS[error.validator].format(required)
        yield f"{where}: is {error.instance}, but {bound}"
    elif error.validator == "minLength":
        yield f"{where}: must have at least {required} characters"
    elif error.validator == "type":
        kinds = [required] if isinstance(required, str) else required
        wanted = " or ".join(kind for kind in kinds if kind != "null")
        yield f"{where}: must be of type {wanted}{given}{_as_a_list(error)}"
    elif error.validator == "enum":
        allowed = ", ".join(str(value) for value in required)
        yield f"{where}: must be one of {allowed}{given}"
    else:
        yield f"{where}: is not as the schema asks ({error.validator})"


def _shown(error: ValidationError) -> str:
    """The value that is wrong, unless it may be a secret or is long."""
    value, schema = error.instance, error.schema
    is_plain = isinstance(value, str | int | float | bool)
    is_secret = isinstance(schema, dict) and schema.get("secret", False)
    if len(error.path) != 1 or not is_plain or is_secret:
        return ""
    shown = json.dumps(value, ensure_ascii=False)
    return f", not {shown}" if len(shown) <= _LONGEST else ""


def _as_a_list(error: ValidationError) -> str:
    """How to write a list that came as text with commas, as people do at first."""
    kinds: Any = error.validator_value
    text = str(error.instance)
    if "array" not in kinds or not _shown(error) or set(text) & set("[]{}"):
        return ""
    items = [part.strip() for part in text.split(",")]
    return f"; write {json.dumps(items, ensure_ascii=False)}"
