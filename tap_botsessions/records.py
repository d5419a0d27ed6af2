"""From a vendor's JSON to typed records: columns, conversions, what has no column."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Mapping
from datetime import datetime  # noqa: TC003 -- typing reads it in a NamedTuple
from typing import Any, NamedTuple

import msgspec

from tap_botsessions.errors import RecordError
from tap_botsessions.windows import parse_instant, to_rfc3339

Convert = Callable[[Any], Any]
Columns = Mapping[str, tuple[str, Convert]]
"""A stream's columns by the vendor's field name: the column's name, its conversion.

A conversion takes any JSON value but null, and raises TypeError or ValueError where the
value does not fit the column.
"""

ADDITIONAL_FIELDS = "additional_fields"

_NUMBER: msgspec.json.Decoder[int | float] = msgspec.json.Decoder(int | float)

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Row(NamedTuple):
    """A record on its way to the target.

    Attributes:
        key: What tells it from every other record of the same bot.
        time: Its place in the bot's history.
        record: What is emitted.
    """

    key: tuple[str, ...]
    time: datetime
    record: dict[str, Any]


def text(value: object) -> str:
    """A string; numbers and booleans as JSON writes them."""
    if isinstance(value, str):
        return value
    if isinstance(value, int | float):
        return json.dumps(value)
    raise TypeError


def number(value: object) -> int | float:
    """A finite number, no larger than a float can be; JSON's numbers in strings too."""
    if isinstance(value, str):
        value = _NUMBER.decode(value)
    if isinstance(value, bool) or not isinstance(value, int | float):
        raise TypeError
    if abs(value) <= sys.float_info.max:
        return value
    raise ValueError


def integer(value: object) -> int:
    """An integer of 64 bits; `3.0` and `"3"` are read as 3."""
    value = number(value)
    whole = int(value)
    if whole != value or not -(2**63) <= whole < 2**63:
        raise ValueError
    return whole


def boolean(value: object) -> bool:
    """A boolean; 0 and 1, as numbers or in strings, and `"true"` and `"false"` too."""
    known = {"0": False, "1": True, "false": False, "true": True}
    try:
        return known[text(value).lower()]
    except KeyError as error:
        raise ValueError from error


def instant(value: object) -> str:
    """An RFC 3339 date-time in UTC that ends in `Z`.

    Args:
        value: A date-time or UNIX epoch seconds.
    """
    return to_rfc3339(parse_instant(value))


def mapping(value: object) -> dict[str, Any]:
    """An object as it came."""
    if not isinstance(value, dict):
        raise TypeError
    return value


def sequence(value: object) -> list[Any]:
    """An array as it came."""
    if not isinstance(value, list):
        raise TypeError
    return value


def texts(value: object) -> list[str]:
    """An array of strings; a single one makes an array of one."""
    return [text(item) for item in (value if isinstance(value, list) else [value])]


AS_IS: dict[Convert, frozenset[type]] = {
    boolean: frozenset({bool}),
    mapping: frozenset({dict}),
    number: frozenset({float}),  # an integer may be too large
    sequence: frozenset({list}),
    text: frozenset({str}),
}
"""The types whose values a conversion leaves as they are; they are most values."""


def shape(raw: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """Give a vendor's object the columns of its stream.

    Args:
        raw: The object as the vendor sent it.
        columns: The stream's columns.

    Returns:
        Every column, null where the vendor sent nothing, and `additional_fields`: under
        the vendor's names, what has no column or does not fit its column; null if
        there is nothing.
    """
    record: dict[str, Any] = {}
    additional: dict[str, Any] = {}
    if not raw.keys() <= columns.keys():
        additional = {name: raw[name] for name in raw if name not in columns}
    for name, (column, convert) in columns.items():
        value = raw.get(name)
        if value is not None and type(value) not in AS_IS.get(convert, ()):
            try:
                value = convert(value)
            except (TypeError, ValueError):
                additional[name] = value
                value = None
        record[column] = value
    record[ADDITIONAL_FIELDS] = additional or None
    return record


def require(record: Mapping[str, Any], stream: str, **fields: str) -> None:
    """Hold a record against what it can't be without.

    Args:
        record: A shaped record.
        stream: The stream's name, for the error.
        **fields: The vendor's field name of each column that must not be null.

    Raises:
        RecordError: One is null.
    """
    for column, field in fields.items():
        if record[column] is None:
            state = (
                "no usable value"
                if field in (record[ADDITIONAL_FIELDS] or {})
                else "nothing"
            )
            msg = (
                f"a record of {stream} has {state} in the field '{field}', without "
                f"which it can be neither told apart nor placed in time; the window "
                f"is not emitted, so that no record is lost in silence"
            )
            raise RecordError(msg)


def decode(body: bytes) -> Any:  # noqa: ANN401 -- JSON can be anything
    """Read a JSON body and clean what no database takes from its strings.

    NUL characters and lone surrogates, which PostgreSQL refuses, become U+FFFD, and so
    does what is not UTF-8. NaN and infinities, also those that are written as a number
    which is too large for a float, become null.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        if b"\\u0000" not in body:
            return msgspec.json.decode(body)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        pass  # the standard library's reader is the more lenient one
    try:
        decoded = json.loads(
            body.decode(errors="replace"),
            parse_float=_finite,
            parse_constant=_finite,
        )
        return _cleaned(decoded)
    except RecursionError as error:
        msg = "nested too deeply"
        raise ValueError(msg) from error


def _finite(written: str) -> float | None:
    value = float(written)
    return value if math.isfinite(value) else None


def _cleaned(value: Any) -> Any:  # noqa: ANN401 -- JSON can be anything
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
