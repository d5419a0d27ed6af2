"""From a vendor's JSON to typed records: columns, conversions, what has no column."""

from __future__ import annotations

import json
import math
import re
import sys
from collections.abc import Callable, Collection, Iterable, Mapping, Sequence
from datetime import datetime  # noqa: TC003 -- typing reads it in a NamedTuple
from functools import lru_cache
from typing import TYPE_CHECKING, Any, NamedTuple

import msgspec

from tap_botsessions.engine.errors import RecordError
from tap_botsessions.engine.windows import parse_instant, to_rfc3339

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Json

Convert = Callable[[Any], Any]
Columns = Mapping[str, tuple[str, Convert]]
"""A stream's columns by the vendor's field name: the column's name, its conversion.

A conversion takes any JSON value but null, and raises TypeError or ValueError where the
value does not fit the column.
"""

Derived = Mapping[str, Callable[[Mapping[str, Any]], Any]]
"""Columns that are made of a record's others, by name."""

ADDITIONAL_FIELDS = "additional_fields"

_NUMBER: msgspec.json.Decoder[int | float] = msgspec.json.Decoder(int | float)

_UNSTORABLE = re.compile("[\0\ud800-\udfff]")


class Row(NamedTuple):
    """A record on its way to the target.

    Attributes:
        key: What distinguishes it from every other record of the same list.
        time: Its place in the bot's history.
        record: What is emitted.
        bot: The bot's id.
        is_filtered: Whether it came from a list that the vendor filtered as the
            settings ask for; if not, it has yet to be compared with them.
    """

    key: tuple[str, ...]
    time: datetime
    record: dict[str, Any]
    bot: str
    is_filtered: bool = True


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
    if type(value) in {bool, int} and value in {0, 1}:
        return bool(value)
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
    return _instant(value) if type(value) is str else to_rfc3339(parse_instant(value))


@lru_cache(maxsize=1 << 10)
def _instant(value: str) -> str:
    """Likewise, of a text: a record often has the same one twice."""
    return to_rfc3339(parse_instant(value))


def written(value: object) -> str:
    """A string as it came; any other JSON as it is written."""
    return value if isinstance(value, str) else _written(value)


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


def listed(body: Mapping[str, Any], records: str, count: str) -> tuple[list[Any], int]:
    """What is on a page of a list, and how many records the vendor counts in it.

    Null is none, as some servers write an empty list. If more than none are counted
    then, that is the count all the same: what does not add up must show.

    Args:
        body: The decoded body.
        records: The field of the records.
        count: The field of their number, which may be missing beside null alone.
    """
    raws = elements(body[records])
    total = body.get(count) if body[records] is None else body[count]
    return raws, 0 if total is None and not raws else integer(total)


def elements(value: object) -> list[Any]:
    """An array as it came; null is an empty one."""
    return [] if value is None else sequence(value)


def texts(value: object) -> list[str]:
    """An array of strings; a single one makes an array of one."""
    return [text(item) for item in (value if isinstance(value, list) else [value])]


AS_IS: dict[Convert, frozenset[type]] = {
    boolean: frozenset({bool, type(None)}),
    mapping: frozenset({dict, type(None)}),
    number: frozenset({float, int, type(None)}),
    sequence: frozenset({list, type(None)}),
    text: frozenset({str, type(None)}),
}
"""The types whose values a conversion leaves as they are; they are most values.

Of integers, this holds of those that a float can be as large as.
"""

MAX_DEPTH = 100
"""How many levels deep a field may be: writers and targets go into it recursively."""


def shape(raw: Mapping[str, Any], columns: Columns) -> dict[str, Any]:
    """Give a vendor's object the columns of its stream, as `shape_all` does."""
    [record] = shape_all([raw], columns)
    return record


def shape_all(
    raws: Sequence[Mapping[str, Any]],
    columns: Columns,
    left_out: frozenset[str] = frozenset(),
) -> list[dict[str, Any]]:
    """Give a vendor's objects the columns of their stream.

    It goes by columns, since in most of them no value has to be converted.

    Args:
        raws: The objects as the vendor sent them.
        columns: The stream's columns.
        left_out: Fields that are not read.

    Returns:
        For each, every column, null where the vendor sent nothing, and
        `additional_fields`: under the vendor's names, what has no column or does not
        fit its column, as JSON in a string where it is nested too deeply; null if
        there is nothing.
    """
    rows = [tuple(map(raw.get, columns)) for raw in raws]
    names = [name for name, _ in columns.values()]
    records = [dict(zip(names, row, strict=True)) for row in rows]
    fields = columns.keys() | left_out
    for raw, record in zip(raws, records, strict=True):
        record[ADDITIONAL_FIELDS] = (
            None
            if raw.keys() <= fields
            else {name: raw[name] for name in raw if name not in fields}
        )
    converted = zip(columns.items(), zip(*rows, strict=True), strict=False)
    for (field, (name, convert)), values in converted:
        types = set(map(type, values))
        if not (
            types <= AS_IS.get(convert, frozenset()) and _are_finite(types, values)
        ):
            for record in records:
                _convert(record, field, name, convert)
        if _is_deep(types, values):
            for record in records:
                if _is_deep({type(record[name])}, [record[name]]):
                    _move_out(record, field, name)
    for record in records:
        additional = record[ADDITIONAL_FIELDS]
        if additional and _is_deep({dict}, [additional]):
            record[ADDITIONAL_FIELDS] = {
                field: _written(value) if _is_deep({type(value)}, [value]) else value
                for field, value in additional.items()
            }
    return records


def derive(records: list[dict[str, Any]], derived: Derived) -> list[dict[str, Any]]:
    """Add the columns to records, in place, that are made of their others."""
    for name, make in derived.items():
        for record in records:
            record[name] = make(record)
    return records


def _are_finite(types: Collection[type], values: Iterable[Any]) -> bool:
    """Whether none of the values is an integer that no float can be as large as."""
    return int not in types or all(
        value is None or abs(value) <= sys.float_info.max for value in values
    )


def _is_deep(types: Collection[type], values: Iterable[Any]) -> bool:
    """Whether one of the values is nested too deeply; their types may rule it out."""
    if dict not in types and list not in types:
        return False
    level = [value for value in values if type(value) is dict or type(value) is list]
    for _ in range(MAX_DEPTH):
        level = [
            item
            for each in level
            for item in (each.values() if type(each) is dict else each)
            if type(item) is dict or type(item) is list
        ]
        if not level:
            return False
    return True


def _written(value: Json) -> str:
    return msgspec.json.encode(value).decode()


def _convert(record: dict[str, Any], field: str, name: str, convert: Convert) -> None:
    value = record[name]
    if value is not None:
        try:
            record[name] = convert(value)
        except (TypeError, ValueError):
            _move_out(record, field, name)


def _move_out(record: dict[str, Any], field: str, name: str) -> None:
    """Keep under the vendor's name what does not fit its column."""
    additional = record[ADDITIONAL_FIELDS] or {}
    record[ADDITIONAL_FIELDS] = {**additional, field: record[name]}
    record[name] = None


def require(record: Mapping[str, Any], stream: str, **fields: str) -> None:
    """Check that a record has what it can't be without.

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
                f"which it can be neither identified nor placed in time; the window "
                f"is not emitted, so that no record is lost in silence"
            )
            raise RecordError(msg)


def decode(body: bytes) -> Json:
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


def _cleaned(value: Json) -> Json:
    if isinstance(value, str):
        return _UNSTORABLE.sub("\ufffd", value)
    if isinstance(value, dict):
        return {_cleaned(name): _cleaned(item) for name, item in value.items()}
    if isinstance(value, list):
        return [_cleaned(item) for item in value]
    return value
