"""States that are handed in."""

from __future__ import annotations

from copy import deepcopy

import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_botsessions.tap import TapBotsessions
from tests.unit.test_settings import BOTH, Config

PARTITION: Config = {
    "context": {"agent_id": "201"},
    "replication_key": "timetoken",
    "replication_key_value": 1_777_593_600,
}


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ({}, {}),
        ({"bookmarks": {}}, {}),
        ({"bookmarks": {"avaamo_sessions": {}}}, {}),
        (
            {"bookmarks": {"avaamo_sessions": {"partitions": [PARTITION]}}},
            {"bookmarks": {"avaamo_sessions": {"partitions": [PARTITION]}}},
        ),
    ],
)
def test_a_state_as_the_tap_wrote_it_is_accepted(state: Config, kept: Config) -> None:
    assert TapBotsessions(config=dict(BOTH), state=deepcopy(state)).state == kept


def test_a_fraction_of_a_second_in_a_state_is_read_again() -> None:
    partition = {**PARTITION, "replication_key_value": 1_777_593_600.75}
    state = {"bookmarks": {"avaamo_sessions": {"partitions": [partition]}}}
    assert TapBotsessions(config=dict(BOTH), state=state).state == {
        "bookmarks": {"avaamo_sessions": {"partitions": [PARTITION]}}
    }


@pytest.mark.parametrize(
    "bookmarks",
    [
        None,
        3,
        [],
        {"avaamo_sessions": None},
        {"avaamo_sessions": [PARTITION]},
        {"avaamo_sessions": {"partitions": None}},
        {"avaamo_sessions": {"partitions": PARTITION}},
        {"avaamo_sessions": {"partitions": [3]}},
        {"avaamo_sessions": {"partitions": [{"agent_id": "201"}]}},
        {"avaamo_sessions": {"partitions": [{"context": "201"}]}},
        {"avaamo_sessions": {"partitions": [{"context": {"agent_id": 201}}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "progress_markers": 3}]}},
        {"avaamo_sessions": {"progress_markers": None}},
        {"avaamo_sessions": {"partitions": [PARTITION, {**PARTITION, "a": 1}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "a": float("inf")}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "a": [float("nan")]}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "a": "\ud83d"}]}},
    ],
)
def test_a_state_of_another_form_is_refused(bookmarks: object) -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config=dict(BOTH), state={"bookmarks": bookmarks})
    (line,) = refusal.value.errors
    assert line.startswith("state: must be as the tap wrote it, {")


@pytest.mark.parametrize(
    "state", [{"foo": 1}, {"type": "STATE", "value": {"bookmarks": {}}}]
)
def test_a_state_without_bookmarks_is_refused(state: Config) -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config=dict(BOTH), state=state)
    (line,) = refusal.value.errors
    assert line.startswith('state: must be as the tap wrote it, {"bookmarks": ')
    assert line.endswith("; bookmarks: is missing")


@pytest.mark.parametrize(
    "value", [True, 7.5, [7], {"a": 7}, "x", "9999-12-31", 10**400]
)
def test_a_bookmark_of_another_type_does_not_break_the_reading_of_a_state(
    value: object,
) -> None:
    partition = {**PARTITION, "replication_key_value": value}
    state = {"bookmarks": {"avaamo_sessions": {"partitions": [partition]}}}
    tap = TapBotsessions(config=dict(BOTH), state=state)
    assert tap.state["bookmarks"].keys() == {"avaamo_sessions"}
