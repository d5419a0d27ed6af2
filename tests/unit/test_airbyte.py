"""What the Airbyte source writes, and what it masks."""

from __future__ import annotations

import logging
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from typing import TYPE_CHECKING

from airbyte_protocol.models import (
    AirbyteMessage,
    Level,
)

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
    """Its lines wait for what is written next."""
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
