"""The Airbyte source in this process."""

from __future__ import annotations

import json
from collections import defaultdict
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING, Any, NoReturn

import pytest
from airbyte_protocol.models import (
    AirbyteMessage,
    AirbyteStreamStatus,
    FailureType,
)

from tap_botsessions.airbyte.messages import AirbyteWriter
from tap_botsessions.airbyte.source import SettingsError, Source
from tap_botsessions.vendors.avaamo.streams import AvaamoMessages
from tests.conftest import config_for, end_of
from tests.truth import STREAMS, Keyed, assert_same, expected, key_of
from tests.unit.test_airbyte import parsed

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator import Simulator, World

ALL = {
    "streams": [
        {"stream": {"name": name}, "sync_mode": "incremental"} for name in STREAMS
    ]
}


@pytest.fixture
def config(simulator: Simulator) -> dict[str, Any]:
    return config_for(simulator)


@pytest.mark.parametrize("name", [["kore_sessions"], {}, 3, None, "\ud83d"])
def test_a_stream_that_has_no_name_is_an_error(
    config: dict[str, Any], name: Any
) -> None:
    configured = {"streams": [{"stream": {"name": name}, "sync_mode": "full_refresh"}]}
    with pytest.raises(SettingsError, match="the catalog: is not as the Airbyte proto"):
        Source(AirbyteWriter(BytesIO())).read(config, configured, [])


def test_a_mistake_in_the_code_is_reported_without_secrets_and_stops_one_stream(
    simulator: Simulator, config: dict[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    token = config["avaamo_access_token"]

    def fail(*_: object) -> NoReturn:
        raise RuntimeError(token)

    monkeypatch.setattr(AvaamoMessages, "read", fail)
    file = BytesIO()
    assert not Source(AirbyteWriter(file)).read(config, ALL, [])
    told = Told(parsed(file.getvalue().splitlines()), 1)
    [(stream, kind, _)] = told.errors
    assert (stream, kind) == ("avaamo_messages", FailureType.system_error)
    assert token.encode() not in file.getvalue()
    assert_truth(told, simulator.world, STREAMS[1:])


@pytest.mark.parametrize(
    "states",
    [
        [{"type": "LEGACY", "data": {}}],
        [{"type": "GLOBAL", "global": {"shared_state": None, "stream_states": []}}],
    ],
)
def test_an_empty_state_is_none(
    simulator: Simulator, config: dict[str, Any], states: Any
) -> None:
    """Airbyte sends one of these on a first run, as the type is not known yet."""
    file = BytesIO()
    assert Source(AirbyteWriter(file)).read(config, ALL, states)
    told = Told(parsed(file.getvalue().splitlines()), 0)
    assert told.errors == []
    assert_truth(told, simulator.world, STREAMS)


STATE = {"partitions": [{"context": {"bot_id": "st-1"}}]}


@pytest.mark.parametrize(
    "state",
    [
        {"type": "LEGACY", "data": {"kore_sessions": STATE}},
        {"type": "GLOBAL", "global": {"shared_state": {"a": 1}, "stream_states": []}},
        {
            "type": "GLOBAL",
            "global": {
                "stream_states": [
                    {
                        "stream_descriptor": {"name": "kore_sessions"},
                        "stream_state": STATE,
                    }
                ]
            },
        },
    ],
)
def test_a_state_of_another_type_is_refused_by_its_type(
    config: dict[str, Any], state: dict[str, Any]
) -> None:
    """It would be read from the beginning otherwise, and nobody told."""
    said = f"the state: is of the type {state['type']}, while .* clear the state"
    with pytest.raises(SettingsError, match=said):
        Source(AirbyteWriter(BytesIO())).read(config, ALL, [state])


@pytest.mark.parametrize("states", [{"bookmarks": {"kore_sessions": STATE}}, 3, "x"])
def test_what_is_no_list_of_states_is_refused(
    config: dict[str, Any], states: Any
) -> None:
    with pytest.raises(SettingsError, match="the state: is not as the Airbyte proto"):
        Source(AirbyteWriter(BytesIO())).read(config, ALL, states)


def test_what_has_no_effect_is_told_once(
    config: dict[str, Any], caplog: pytest.LogCaptureFixture
) -> None:
    own = {"bot_id": "st-9", "client_id": "cs-9", "client_secret": "of-another-bot"}
    config |= {
        "colour": 1,
        "kore_bot_credentials": [own],
        "personal_data_key": "a-key-for-hashes-which-is-long",
    }
    assert Source(AirbyteWriter(BytesIO())).discover(config)
    told = [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]
    assert sorted(told) == [
        "colour: there is no such setting, so it has no effect",
        "kore_bot_credentials: st-9 is not in kore_bot_ids, so not read",
        "personal_data_key: has no effect, as personal_data is keep",
    ]


@dataclass
class Told:
    """The output of a command: its messages by the protocol's models, its exit code."""

    messages: list[AirbyteMessage]
    code: int

    @property
    def records(self) -> dict[str, Keyed]:
        """The records by stream and key."""
        found: dict[str, Keyed] = defaultdict(dict)
        for message in self.messages:
            if message.record:
                name, data = message.record.stream, message.record.data
                found[name][key_of(name, data)] = data
        return found

    @property
    def states(self) -> list[dict[str, Any]]:
        """The last state of each stream, as a platform hands them in again."""
        last = {
            message.state.stream.stream_descriptor.name: message.state
            for message in self.messages
            if message.state and message.state.stream
        }
        return [json.loads(each.model_dump_json()) for each in last.values()]

    def statuses(self, stream: str) -> list[AirbyteStreamStatus]:
        """The statuses of a stream."""
        return [
            message.trace.stream_status.status
            for message in self.messages
            if message.trace
            and message.trace.stream_status
            and message.trace.stream_status.stream_descriptor.name == stream
        ]

    @property
    def errors(self) -> list[tuple[str | None, FailureType | None, str]]:
        """The errors, each with its stream."""
        return [
            (
                error.stream_descriptor.name if error.stream_descriptor else None,
                error.failure_type,
                error.message,
            )
            for message in self.messages
            if message.trace and (error := message.trace.error)
        ]


def assert_truth(told: Told, world: World, streams: Sequence[Any] = STREAMS) -> None:
    for name in streams:
        truth = expected(world, name, world.start, end_of(world))
        assert_same(told.records[name], truth)
