"""From a vendor's JSON to typed records, of which nothing is lost."""

from __future__ import annotations

import json
import re
import sys
from datetime import datetime
from typing import TYPE_CHECKING, Any

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator, FormatChecker

from tap_botsessions.engine.errors import RecordError
from tap_botsessions.engine.records import (
    ADDITIONAL_FIELDS,
    MAX_DEPTH,
    Columns,
    Convert,
    boolean,
    decode,
    instant,
    integer,
    listed,
    mapping,
    number,
    require,
    sequence,
    shape,
    shape_all,
    text,
    texts,
)
from tap_botsessions.engine.schemas import load_schema
from tap_botsessions.vendors.avaamo.streams import AvaamoMessages, AvaamoSessions, user
from tap_botsessions.vendors.avaamo.usage import AvaamoUsage
from tap_botsessions.vendors.kore.sessions import KoreSessions

if TYPE_CHECKING:
    from collections.abc import Iterator

COLUMNS: Columns = {
    "sessionId": ("session_id", text),
    "startTime": ("start_time", instant),
    "score": ("score", number),
    "count": ("count", integer),
    "isDeveloper": ("is_developer", boolean),
    "tags": ("tags", mapping),
    "stats": ("stats", sequence),
    "lang": ("lang", texts),
}
NOTHING = {
    "session_id": None,
    "start_time": None,
    "score": None,
    "count": None,
    "is_developer": None,
    "tags": None,
    "stats": None,
    "lang": None,
    "additional_fields": None,
}
NAN, INFINITY = float("nan"), float("inf")

UNTIMED = settings(
    max_examples=60, deadline=None, suppress_health_check=[HealthCheck.too_slow]
)
"""Properties hold on a busy machine too."""

FORMATS = FormatChecker(["date"])


@FORMATS.checks("date-time", raises=ValueError)
def is_instant(value: object) -> bool:
    """Whether a string is an instant in UTC."""
    if isinstance(value, str):
        datetime.fromisoformat(value)
        return value.endswith("Z")
    return True


UNSTORABLE = re.compile("[\0\ud800-\udfff]")

STORABLE = 'aA0"\\/{}[],:\b\n\x1f\x7fé\u2028\ufffd\uffff\U0001f600'
TEXT = st.text(f"{STORABLE}\0\ud83d\udbff\ude00\udfff")
CLEAN_TEXT = st.text(STORABLE)
LIKELY = st.sampled_from(
    ["", "0", "1", "true", "7", "7.5", "nan", "1e400", "2026-05-01", "\0", "\ud83d"]
)
SCALARS = st.none() | st.booleans() | st.integers() | st.floats() | TEXT | LIKELY
VALUES = st.recursive(
    SCALARS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXT, inner),
    max_leaves=8,
)
FINITE = st.floats(allow_nan=False, allow_infinity=False)
CLEAN_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | FINITE | CLEAN_TEXT,
    lambda inner: st.lists(inner) | st.dictionaries(CLEAN_TEXT, inner),
    max_leaves=8,
)
OBJECTS = st.dictionaries(
    st.sampled_from([*COLUMNS, *NOTHING]) | TEXT, VALUES, max_size=8
)


def strings_of(value: object) -> Iterator[str]:
    """Every string in a JSON value, names included."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield name
            yield from strings_of(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings_of(item)


# Lists


@pytest.mark.parametrize(
    ("body", "found"),
    [
        ({"rows": [{}], "total": 3}, ([{}], 3)),
        ({"rows": [], "total": 0}, ([], 0)),
        ({"rows": [], "total": None}, ([], 0)),
        ({"rows": None, "total": 0}, ([], 0)),
        ({"rows": None, "total": None}, ([], 0)),
        ({"rows": None}, ([], 0)),
        ({"rows": None, "total": 3}, ([], 3)),
    ],
)
def test_null_is_an_empty_list(
    body: dict[str, Any], found: tuple[list[object], int]
) -> None:
    assert listed(body, "rows", "total") == found


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"total": 0},
        {"rows": []},
        {"rows": [{}]},
        {"rows": [{}], "total": None},
        {"rows": {}, "total": 0},
        {"rows": "", "total": 0},
        {"rows": None, "total": "none"},
    ],
)
def test_what_else_is_no_list_is_none(body: dict[str, Any]) -> None:
    with pytest.raises((KeyError, TypeError, ValueError)):
        listed(body, "rows", "total")


# Conversions


@pytest.mark.parametrize(
    ("convert", "value", "converted"),
    [
        (text, "Ada", "Ada"),
        (text, "", ""),
        (text, " Ada ", " Ada "),
        (text, 201, "201"),
        (text, 0, "0"),
        (text, 1.5, "1.5"),
        (text, 2**64, "18446744073709551616"),
        (text, True, "true"),
        (text, False, "false"),
        (number, 3, 3),
        (number, 0.25, 0.25),
        (number, -2, -2),
        (number, "0.25", 0.25),
        (number, "1e3", 1000.0),
        (number, " -2 ", -2),
        (number, "9007199254740993", 2**53 + 1),
        (number, 10**300, 10**300),
        (integer, 3, 3),
        (integer, 3.0, 3),
        (integer, "3", 3),
        (integer, "-3.0", -3),
        (integer, "9007199254740993", 2**53 + 1),
        (integer, "9223372036854775807", 2**63 - 1),
        (integer, 2**63 - 1, 2**63 - 1),
        (integer, -(2**63), -(2**63)),
        (boolean, True, True),
        (boolean, False, False),
        (boolean, 1, True),
        (boolean, 0, False),
        (boolean, "1", True),
        (boolean, "0", False),
        (boolean, "true", True),
        (boolean, "False", False),
        (instant, "2026-05-01T12:30:15Z", "2026-05-01T12:30:15Z"),
        (instant, "2026-05-01T12:30:15.250Z", "2026-05-01T12:30:15.250Z"),
        (instant, "2026-05-01t12:30:15z", "2026-05-01T12:30:15Z"),
        (instant, "2026-05-01T12:30:15+05:30", "2026-05-01T07:00:15Z"),
        (instant, "2026-05-01T22:30:15-02:00", "2026-05-02T00:30:15Z"),
        (instant, "2026-05-01T12:30:15", "2026-05-01T12:30:15Z"),
        (instant, "2026-05-01", "2026-05-01T00:00:00Z"),
        (instant, 1_777_593_600, "2026-05-01T00:00:00Z"),
        (instant, 1_777_593_600.25, "2026-05-01T00:00:00.250Z"),
        (mapping, {"a": [1]}, {"a": [1]}),
        (mapping, {}, {}),
        (sequence, [1, {"a": None}], [1, {"a": None}]),
        (sequence, [], []),
        (texts, ["en", "fr"], ["en", "fr"]),
        (texts, "en", ["en"]),
        (texts, 7, ["7"]),
        (texts, ["en", 7, True], ["en", "7", "true"]),
        (texts, [], []),
        (user, {"first_name": 7, "age": 7}, {"first_name": "7", "age": 7}),
        (user, {"layer_id": None, "tags": []}, {"layer_id": None, "tags": []}),
    ],
)
def test_a_value_that_fits_is_converted(
    convert: Convert, value: object, converted: object
) -> None:
    found = convert(value)
    assert found == converted
    assert type(found) is type(converted)


@pytest.mark.parametrize(
    ("convert", "value"),
    [
        (text, ["Ada"]),
        (text, {"name": "Ada"}),
        (number, ""),
        (number, "many"),
        (number, True),
        (number, "true"),
        (number, NAN),
        (number, INFINITY),
        (number, -INFINITY),
        (number, "nan"),
        (number, "-inf"),
        (number, "1e400"),
        (number, 10**400),
        (number, -(10**400)),
        (number, "9" * 400),
        (number, "9" * 5000),
        (number, "1_000"),
        (number, "\u0661"),
        (number, "+1"),
        (number, "007"),
        (number, '"1"'),
        (number, "[" * 100_000),
        (number, "\ud83d"),
        (number, []),
        (number, {}),
        (integer, ""),
        (integer, "many"),
        (integer, True),
        (integer, 3.5),
        (integer, "3.5"),
        (integer, NAN),
        (integer, INFINITY),
        (integer, "inf"),
        (integer, 2**63),
        (integer, float(2**63)),
        (integer, -(2**63) - 1),
        (integer, "9223372036854775808"),
        (integer, 10**400),
        (integer, [3]),
        (boolean, ""),
        (boolean, "yes"),
        (boolean, 2),
        (boolean, "2"),
        (boolean, -1),
        (boolean, 0.5),
        (boolean, NAN),
        (boolean, [True]),
        (boolean, {}),
        (instant, ""),
        (instant, "yesterday"),
        (instant, "2026-02-30T00:00:00Z"),
        (instant, "0001-01-01T00:00:00+01:00"),
        (instant, True),
        (instant, NAN),
        (instant, 1e18),
        (instant, ["2026-05-01"]),
        (mapping, []),
        (mapping, "{}"),
        (mapping, 1),
        (sequence, {}),
        (sequence, "[]"),
        (sequence, 1),
        (texts, {"en": 1}),
        (texts, ["en", None]),
        (texts, ["en", ["fr"]]),
        (user, {"first_name": ["Ada"]}),
        (user, {"first_name": "Ada", "layer_id": {}}),
    ],
)
def test_a_value_that_does_not_fit_is_refused(convert: Convert, value: object) -> None:
    with pytest.raises((TypeError, ValueError)):
        convert(value)


# Shape


def test_fields_become_columns() -> None:
    raw = {
        "sessionId": 17,
        "startTime": "2026-05-01T12:30:15+02:00",
        "score": "0.5",
        "count": 3.0,
        "isDeveloper": 0,
        "tags": {"plan": ["gold"]},
        "stats": [{"count": 1}],
        "lang": "en",
    }
    assert shape(raw, COLUMNS) == {
        "session_id": "17",
        "start_time": "2026-05-01T10:30:15Z",
        "score": 0.5,
        "count": 3,
        "is_developer": False,
        "tags": {"plan": ["gold"]},
        "stats": [{"count": 1}],
        "lang": ["en"],
        "additional_fields": None,
    }


@pytest.mark.parametrize("raw", [{}, dict.fromkeys(COLUMNS)], ids=["none", "null"])
def test_a_record_has_every_column_whatever_was_sent(raw: dict[str, Any]) -> None:
    assert shape(raw, COLUMNS) == NOTHING


@pytest.mark.parametrize(
    "unknown",
    [
        {"rating": 5},
        {"rating": None},
        {"rating": {"stars": [5]}, "mood": ""},
        {"session_id": "s-1"},
        {"additional_fields": {"a": 1}},
    ],
)
def test_a_field_without_a_column_is_kept_as_it_came(unknown: dict[str, Any]) -> None:
    assert shape({"sessionId": "s-17", **unknown}, COLUMNS) == {
        **NOTHING,
        "session_id": "s-17",
        "additional_fields": unknown,
    }


@pytest.mark.parametrize(
    "unfit",
    [
        {"startTime": ""},
        {"score": "high", "count": 2**63},
        {"count": -(10**400)},
        {"score": 10**400},
        {"score": -(10**400)},
        {"isDeveloper": "perhaps"},
        {"tags": "gold", "stats": {"count": 1}, "lang": ["en", None]},
        {"sessionId": ["s-17"]},
    ],
)
def test_a_value_that_does_not_fit_its_column_is_kept_as_it_came(
    unfit: dict[str, Any],
) -> None:
    assert shape(unfit, COLUMNS) == {**NOTHING, "additional_fields": unfit}


def test_a_shaped_object_is_left_as_it_was() -> None:
    raw = {"sessionId": 17, "score": "high", "rating": 5}
    shape(raw, COLUMNS)
    assert raw == {"sessionId": 17, "score": "high", "rating": 5}


@UNTIMED
@given(OBJECTS)
@example(dict.fromkeys(COLUMNS, "\0"))
@example({"\ud83d": {"\0": ["\udc00", "\ud83d\ude00"]}})
def test_a_shaped_record_can_be_written_and_stored(raw: dict[str, Any]) -> None:
    record = shape(decode(json.dumps(raw).encode()), COLUMNS)
    written = json.loads(msgspec.json.encode(record))
    assert not UNSTORABLE.search("".join(strings_of(written)))


@UNTIMED
@given(OBJECTS)
def test_a_shaped_record_keeps_every_value(sent: dict[str, Any]) -> None:
    raw = decode(json.dumps(sent).encode())
    record = shape(raw, COLUMNS)
    additional = record[ADDITIONAL_FIELDS] or {}
    for name, value in raw.items():
        column = COLUMNS[name][0] if name in COLUMNS else None
        if name in additional:
            assert additional[name] == value
            assert column is None or record[column] is None
        else:
            assert column is not None
            assert (record[column] is None) == (value is None)
    assert additional.keys() <= raw.keys()


# Required fields


def nested(levels: int, innermost: object = 1) -> Any:
    """Objects and arrays in each other, so many in all."""
    value = innermost
    for level in range(levels):
        value = {"a": value} if level % 2 else [value]
    return value


@pytest.mark.parametrize("field", ["tags", "stats", "unknown", "lang", "score"])
def test_what_is_nested_too_deeply_for_writers_is_kept_as_json(field: str) -> None:
    """The recursive ones of the SDK and of targets would fail the whole stream."""
    # The outermost of an even number is an object, that of an odd one an array.
    odd = 0 if field == "tags" else 1
    whole, deep = ({field: nested(levels)} for levels in (MAX_DEPTH - odd, 900 + odd))
    first, second, third = shape_all([whole, deep, {}], COLUMNS)
    assert json.dumps(whole[field]) in json.dumps(first)
    written = second[ADDITIONAL_FIELDS][field]
    assert json.loads(written) == deep[field]
    assert second.get(field) is None
    assert third == shape({}, COLUMNS)


HUGE = st.sampled_from([2**63, 2**64, 10**308, 2 * 10**308, -(10**309), 10**400])
DEEP = st.builds(nested, st.integers(90, 300), st.just(1))
ODD = st.one_of(
    VALUES.map(lambda value: decode(json.dumps(value).encode())),
    HUGE,
    HUGE.map(str),
    DEEP,
    st.lists(HUGE | DEEP, max_size=2),
    st.dictionaries(st.sampled_from(["first_name", "layer_id", "x"]), HUGE | DEEP),
    st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(
        ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00", "24:00"]
    ),
)
STREAM_COLUMNS: dict[str, Columns] = {
    stream.name: stream.columns
    for stream in (AvaamoSessions, AvaamoMessages, AvaamoUsage, KoreSessions)
}


def depth(value: object) -> int:
    """How many objects and arrays are in each other."""
    level, found = [value], 0
    while level := [each for each in level if isinstance(each, dict | list)]:
        found += 1
        level = [
            item
            for each in level
            for item in (each.values() if isinstance(each, dict) else each)
        ]
    return found


@UNTIMED
@given(st.data())
@pytest.mark.parametrize("stream", STREAM_COLUMNS)
def test_whatever_comes_a_column_holds_what_it_can_or_nothing(
    stream: str, data: st.DataObject
) -> None:
    """Of any JSON: no conversion fails but as it may, and nothing else gets through."""
    columns = STREAM_COLUMNS[stream]
    fields = st.sampled_from([*columns, "unknown"])
    raws = data.draw(st.lists(st.dictionaries(fields, ODD), min_size=1, max_size=4))
    properties = load_schema(stream)["properties"]
    for record in shape_all(raws, columns):
        for name, value in record.items():
            schema = {**properties[name], "type": [*properties[name]["type"], "null"]}
            validator = Draft202012Validator(schema, format_checker=FORMATS)
            assert validator.is_valid(value), (name, value)
            assert depth(value) <= MAX_DEPTH + 1
            if isinstance(value, int) and "number" in schema["type"]:
                assert abs(value) <= sys.float_info.max
        assert msgspec.json.encode(record)


def test_a_record_with_its_key_and_time_passes() -> None:
    record = shape({"sessionId": "", "startTime": 0}, COLUMNS)
    require(record, "sessions", session_id="sessionId", start_time="startTime")


@pytest.mark.parametrize(
    ("sent", "state"),
    [
        ({}, "nothing"),
        ({"startTime": None}, "nothing"),
        ({"rating": 5}, "nothing"),
        ({"startTime": "long ago"}, "no usable value"),
    ],
)
def test_the_error_of_a_record_without_its_time_names_stream_and_field(
    sent: dict[str, Any], state: str
) -> None:
    record = shape({"sessionId": "s-17", **sent}, COLUMNS)
    said = re.escape(f"record of sessions, bot b has {state} in the field 'startTime'")
    with pytest.raises(RecordError, match=said) as refusal:
        require(
            record, "sessions, bot b", session_id="sessionId", start_time="startTime"
        )
    assert "long ago" not in str(refusal.value)
    assert "s-17" not in str(refusal.value)


# Decoding


@pytest.mark.parametrize(
    ("body", "value"),
    [
        (rb'{"a":"x\u0000y"}', {"a": "x\ufffdy"}),
        (rb'{"a\u0000b":1}', {"a\ufffdb": 1}),
        (rb'{"a":"\ud83d"}', {"a": "\ufffd"}),
        (rb'{"a":"\uDE00\uD83D"}', {"a": "\ufffd\ufffd"}),
        (rb'{"\udc00":{"\ud800":["\udfff"]}}', {"\ufffd": {"\ufffd": ["\ufffd"]}}),
        (rb'{"a":"\ud83d\ude00"}', {"a": "\U0001f600"}),
        (rb'{"a":"\ud83d\ude00\ud83d\u0000"}', {"a": "\U0001f600\ufffd\ufffd"}),
        (rb'{"a":"\\u0000 \\ud83d"}', {"a": r"\u0000 \ud83d"}),
        (rb'{"a":"\u0001\u000a"}', {"a": "\x01\n"}),
        (b'{"a":"\xf0\x9f\x98\x80"}', {"a": "\U0001f600"}),
        (b'{"a":"x\xffy"}', {"a": "x\ufffdy"}),
        (b'{"a":"caf\xe9"}', {"a": "caf\ufffd"}),
        (b'{"a":"\xed\xa0\x80"}', {"a": "\ufffd\ufffd\ufffd"}),
        (b'{"a":NaN,"b":[Infinity,-Infinity]}', {"a": None, "b": [None, None]}),
        (rb'{"a":NaN,"b":"\u0000"}', {"a": None, "b": "\ufffd"}),
        (b'{"a":1e400,"b":[-1E400,1e308]}', {"a": None, "b": [None, 1e308]}),
        (rb'{"a":1e400,"b":"\u0000"}', {"a": None, "b": "\ufffd"}),
        (b'{"a":1,"a":2}', {"a": 2}),
        (b' {"a" : [1, 2.5, -3, true, null]}\n', {"a": [1, 2.5, -3, True, None]}),
        (b'{"a":18446744073709551616}', {"a": 2**64}),
        (b"[]", []),
        (b"null", None),
    ],
)
def test_a_body_is_read_and_cleaned(body: bytes, value: object) -> None:
    assert decode(body) == value


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b'{"a":',
        b'{"a":1',
        b'{"a":"\\u00',
        b'{"a":1}{"a":2}',
        b'{"a":1,}',
        b"<html>Bad gateway</html>",
        b"\xff\xfe",
        '{"a":1}'.encode("utf-16"),
        b'{"a":"raw\0"}',
    ],
)
def test_a_body_that_is_not_json_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match=r"\S"):
        decode(body)


@pytest.mark.parametrize(
    "body",
    [
        b"[" * 100_000,
        b"[" * 100_000 + b"]" * 100_000,
        b'{"a":' * 100_000 + b"1" + b"}" * 100_000,
        b"[" * 100_000 + rb'"\u0000"' + b"]" * 100_000,
    ],
    ids=["torn", "arrays", "objects", "to be cleaned"],
)
def test_a_body_that_is_nested_without_end_is_a_value_error(body: bytes) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(body)


@UNTIMED
@given(value=CLEAN_VALUES, escaped=st.booleans())
@example(value="\U0001f600", escaped=True)
@example(value="\U0001f600", escaped=False)
def test_a_clean_body_is_read_as_it_is(*, value: object, escaped: bool) -> None:
    assert decode(json.dumps(value, ensure_ascii=escaped).encode()) == value


@UNTIMED
@given(OBJECTS, st.data())
def test_a_torn_object_is_a_value_error(
    sent: dict[str, Any], data: st.DataObject
) -> None:
    body = json.dumps(sent).encode()
    with pytest.raises(ValueError, match=r"\S"):
        decode(body[: data.draw(st.integers(0, len(body) - 1))])


@UNTIMED
@given(OBJECTS, st.data())
def test_a_damaged_body_is_storable_or_a_value_error(
    sent: dict[str, Any], data: st.DataObject
) -> None:
    body = bytearray(json.dumps(sent).encode())
    body[data.draw(st.integers(0, len(body) - 1))] = data.draw(st.integers(0, 255))
    try:
        value = decode(bytes(body))
    except ValueError:
        return
    assert not UNSTORABLE.search("".join(strings_of(value)))
