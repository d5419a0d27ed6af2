"""Personal data is kept, hashed or dropped as the settings ask, before all else."""

from __future__ import annotations

import hashlib
import hmac
import json
import logging
from typing import TYPE_CHECKING, Any

import pytest
from singer_sdk.exceptions import ConfigValidationError

from simulator import Simulator, World
from tap_botsessions.engine.personal import hashed
from tap_botsessions.tap import TapBotsessions
from tests.conftest import config_for, end_of
from tests.conftest import sync as sync_streams
from tests.schemas import columns
from tests.truth import OPTIONAL, expected
from tests.truth import STREAMS as SELECTED

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.conftest import Synced

KEY = "a key that nobody knows"
HASH: dict[str, Any] = {"personal_data": "hash", "personal_data_key": KEY}
DROP: dict[str, Any] = {"personal_data": "drop", "personal_data_key": KEY}


STREAMS = (*SELECTED, *OPTIONAL)


def sync(simulator: Simulator, **settings: Any) -> Synced:
    """All streams, those included that are not read by default."""
    return sync_streams(simulator, streams=STREAMS, **settings)


@pytest.fixture(scope="module")
def served() -> Iterator[Simulator]:
    world = World(sessions_per_day=8, days=4, kore_version="mixed", hostile_text=True)
    with Simulator(world) as running:
        yield running


def truth(simulator: Simulator, stream: Any) -> list[dict[str, Any]]:
    world = simulator.world
    return list(expected(world, stream, world.start, end_of(world)).values())


def strings(value: object) -> Iterator[str]:
    """Every string in a value, and every number as text."""
    if isinstance(value, dict):
        for item in value.values():
            yield from strings(item)
    elif isinstance(value, list):
        for item in value:
            yield from strings(item)
    elif value is not None and not isinstance(value, bool):
        yield str(value)


PERSONAL = {
    stream: {
        name
        for name, column in columns(stream).items()
        if column.get("x-personal", "other") != "other"
    }
    for stream in STREAMS
}
"""The personal columns, but for those in which the vendor may say anything."""


def test_the_personal_columns_are_those_that_were_named() -> None:
    assert PERSONAL["avaamo_messages"] == {"content", "user"}
    assert PERSONAL["avaamo_sessions"] == {"layer_id", "first_name", "last_name"}
    assert PERSONAL["avaamo_usage"] == set()
    assert PERSONAL["kore_sessions"] == {"user_id", "tags"}


def personal_strings(simulator: Simulator) -> set[str]:
    """Every name, user id, text and tag that the simulator knows.

    Without those that are figures elsewhere, such as a tag whose value is 7.
    """
    found: set[str] = set()
    elsewhere = {""}
    for stream, personal in PERSONAL.items():
        for record in truth(simulator, stream):
            for name, value in record.items():
                (found if name in personal else elsewhere).update(strings(value))
    return found - elsewhere


def column(synced: Synced, stream: str, name: str) -> list[Any]:
    """The values of a column, in an order that does not hang on when they came."""
    return sorted((record[name] for record in synced.records[stream].values()), key=str)


@pytest.mark.parametrize("settings", [HASH, DROP], ids=["hash", "drop"])
def test_no_original_is_in_anything_that_is_written(
    served: Simulator, settings: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    personal = personal_strings(served)
    assert len(personal) > 150
    synced = sync(served, **settings)
    written = set(strings(synced.messages))
    assert not personal & written
    text = json.dumps(synced.messages, ensure_ascii=False) + caplog.text
    # A word may be part of another, such as a tag's "id": these are not.
    telling = {each for each in personal if len(each) > 8 or " " in each}
    assert not [each for each in telling if each in text]
    assert len(synced.all_records) == len(sync(served).all_records)
    for stream in STREAMS:
        assert len(synced.records[stream]) == len(truth(served, stream))


def test_hashes_are_those_of_hmac_sha256_and_join_streams(served: Simulator) -> None:
    synced = sync(served, **HASH)
    original = {each["layer_id"] for each in truth(served, "avaamo_sessions")}
    writers = [each["user"] for each in truth(served, "avaamo_messages")]
    assert {
        hmac.new(KEY.encode(), each.encode(), hashlib.sha256).hexdigest()
        for each in original
    } == set(column(synced, "avaamo_sessions", "layer_id"))
    joined = [each for each in writers if each.get("layer_id") in original]
    sessions = set(column(synced, "avaamo_sessions", "layer_id"))
    users = column(synced, "avaamo_messages", "user")
    assert len(joined) == len(
        [each for each in users if each.get("layer_id") in sessions]
    )
    assert joined


def test_hashed_users_of_kore_join_all_of_its_streams(served: Simulator) -> None:
    records = sync(served, **HASH).records
    sessions = {
        each["session_id"]: each["user_id"]
        for each in records["kore_sessions"].values()
    }
    for stream in ("kore_messages", "kore_feedback", "kore_analytics"):
        found = [
            (each["user_id"], sessions[each["session_id"]])
            for each in records[stream].values()
            if each["session_id"] in sessions
        ]
        assert len(found) > 20
        assert all(one == other for one, other in found)


def test_columns_that_are_not_personal_stay(served: Simulator) -> None:
    kept = sync(served)
    for settings in (HASH, DROP):
        synced = sync(served, **settings)
        for stream, schema in schemas(served).items():
            names = [name for name, at in schema.items() if "x-personal" not in at]
            for name in names:
                assert column(synced, stream, name) == column(kept, stream, name)


def test_personal_columns_are_of_a_known_kind(served: Simulator) -> None:
    kinds = {"id", "name", "other", "tags", "text"}
    for schema in schemas(served).values():
        assert {field.get("x-personal", "id") for field in schema.values()} <= kinds
        assert schema["additional_fields"]["x-personal"] == "other"


def schemas(simulator: Simulator) -> dict[str, dict[str, Any]]:
    tap = TapBotsessions(config=config_for(simulator))
    return {name: tap.streams[name].schema["properties"] for name in STREAMS}


def test_texts_are_dropped_unless_they_are_to_be_kept(served: Simulator) -> None:
    assert set(column(sync(served, **HASH), "avaamo_messages", "content")) == {None}
    kept = sync(served, **HASH, personal_data_texts="keep")
    contents = [each["content"] for each in truth(served, "avaamo_messages")]
    assert sorted(column(kept, "avaamo_messages", "content")) == sorted(contents)
    dropped = sync(served, **DROP, personal_data_texts="keep")
    assert set(column(dropped, "avaamo_messages", "content")) == {None}


def test_dropped_columns_are_null_but_for_a_part_of_a_key(served: Simulator) -> None:
    synced = sync(served, **DROP)
    for stream, schema in schemas(served).items():
        for name, field in schema.items():
            if "x-personal" in field and name != "layer_id":
                assert set(column(synced, stream, name)) <= {None}
    layers = column(synced, "avaamo_sessions", "layer_id")
    assert {len(layer) for layer in layers} == {64}


def test_fields_that_are_new_or_do_not_fit_are_personal(served: Simulator) -> None:
    """An e-mail address that a vendor begins to send is not to slip through."""
    tap = TapBotsessions(config=config_for(served, **HASH))
    stream: Any = tap.streams["kore_sessions"]
    raw = {
        "sessionId": "s-1",
        "start_time": "2026-03-01T00:00:00Z",
        "userId": {"mail": "ana@example.com"},
        "phone": "+49 30 1234567",
    }
    [row], _ = stream.source.rows(["st-1"], [raw])
    assert row.record["user_id"] is None
    assert row.record["additional_fields"] == {
        "userId": {"mail": hashed(KEY.encode(), "ana@example.com")},
        "phone": hashed(KEY.encode(), "+49 30 1234567"),
    }


@pytest.mark.parametrize("mode", ["hash", "drop"])
def test_a_key_is_needed_and_must_be_long(served: Simulator, mode: str) -> None:
    for key, said in (
        (None, f"personal_data_key: is missing, while personal_data is {mode}"),
        ("short", "personal_data_key: must have at least 16 characters"),
        (" " * 20, "personal_data_key: is blank"),
    ):
        with pytest.raises(ConfigValidationError) as refusal:
            sync(served, personal_data=mode, personal_data_key=key)
        assert said in refusal.value.errors
