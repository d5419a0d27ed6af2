"""The output of the Airbyte source: whole lines, and secrets masked."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest
from airbyte_protocol.models import (
    AirbyteMessage,
    Level,
)

from tap_botsessions.airbyte.catalog import NO_CURSOR, Wanted, singer_state
from tap_botsessions.airbyte.messages import AirbyteLog, AirbyteWriter
from tap_botsessions.engine.masking import Mask

if TYPE_CHECKING:
    from collections.abc import Sequence


def test_secrets_are_masked_in_the_log() -> None:
    file = BytesIO()
    writer = AirbyteWriter(file)
    writer.masked = Mask(["the-token"])
    AirbyteLog(writer).handle(
        logging.makeLogRecord({"msg": "sent the-token", "levelname": "WARNING"})
    )
    [message] = parsed(file.getvalue().splitlines())
    assert message.log
    assert (message.log.level, message.log.message) == (Level.WARN, "sent [secret]")


def test_a_thread_that_logs_does_not_tear_what_is_written() -> None:
    """Its lines wait for the next message."""
    file = BytesIO()
    writer = AirbyteWriter(file)
    log = AirbyteLog(writer)
    with ThreadPoolExecutor(4) as threads:
        for number in range(200):
            said = {"msg": str(number), "levelname": "ERROR"}
            threads.submit(log.handle, logging.makeLogRecord(said))
            writer.write_records("kore_sessions", [{"bot_id": "st-1"}] * 50)
    writer.flush()
    messages = parsed(file.getvalue().splitlines())
    assert len([each for each in messages if each.log]) == 200
    assert len([each for each in messages if each.record]) == 10_000


def parsed(lines: Sequence[bytes]) -> list[AirbyteMessage]:
    return [AirbyteMessage.model_validate_json(line) for line in lines]


EMPTY: list[Any] = [
    [],
    {},
    None,
    [{}],
    [{"type": "LEGACY"}],
    [{"type": "LEGACY", "data": None}],
    [{"type": "LEGACY", "data": {}}],
    [{"type": "GLOBAL"}],
    [{"type": "GLOBAL", "global": None}],
    [{"type": "GLOBAL", "global": {"stream_states": []}}],
    [{"type": "GLOBAL", "global": {"shared_state": {}, "stream_states": None}}],
    [
        {
            "type": "GLOBAL",
            "global": {
                "shared_state": None,
                "stream_states": [
                    {"stream_descriptor": {"name": "kore_sessions"}},
                    {
                        "stream_descriptor": {"name": "avaamo_usage"},
                        "stream_state": NO_CURSOR,
                    },
                ],
            },
        }
    ],
    [{"type": "STREAM", "stream": {"stream_descriptor": {"name": "kore_sessions"}}}],
]


@pytest.mark.parametrize("states", EMPTY)
def test_an_empty_state_of_any_type_is_none(states: Any) -> None:
    """What comes on a first run, as the platform does not know the type yet."""
    names = ("kore_sessions", "avaamo_usage")
    all_wanted = [Wanted(name, set(), is_incremental=True) for name in names]
    assert singer_state(states, all_wanted) == {}


def test_an_empty_state_takes_none_from_another_stream() -> None:
    state = {"partitions": [{"context": {"bot_id": "st-1"}}]}
    stream = {"stream_descriptor": {"name": "kore_sessions"}, "stream_state": state}
    states = [{"type": "LEGACY", "data": {}}, {"type": "STREAM", "stream": stream}]
    wanted = Wanted("kore_sessions", set(), is_incremental=True)
    assert singer_state(states, [wanted]) == {"bookmarks": {"kore_sessions": state}}
