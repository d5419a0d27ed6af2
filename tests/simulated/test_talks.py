"""What was said and understood: the streams that are read where a catalog asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator.streams import LISTS, WHOLE
from tests.conftest import end_of, sync
from tests.truth import OPTIONAL, assert_same, expected

if TYPE_CHECKING:
    from simulator import Simulator


@pytest.mark.parametrize("stream", OPTIONAL)
def test_a_stream_is_complete(simulator: Simulator, stream: str) -> None:
    world = simulator.world
    found = sync(simulator, streams=(stream,))
    assert found.failures == []
    truth = expected(world, stream, world.start, end_of(world))
    assert len(truth) > 50 or stream in WHOLE
    assert_same(found.records[stream], truth)


BY_CHANNEL = ("kore_messages", "kore_analytics")


@pytest.mark.parametrize("kore_api", ["bot", "account"])
@pytest.mark.parametrize("stream", BY_CHANNEL)
def test_a_list_that_holds_one_channel_unless_told_is_read_by_channel(
    simulator: Simulator,
    caplog: pytest.LogCaptureFixture,
    stream: str,
    kore_api: str,
) -> None:
    world = simulator.world
    simulator.options.kore_default_channel = "rtm"
    found = sync(simulator, streams=(stream,), kore_api=kore_api)
    assert found.failures == []
    truth = expected(world, stream, world.start, end_of(world))
    assert {record["channel"] for record in truth.values()} == {"rtm", "sms"}
    assert_same(found.records[stream], truth)
    [warning] = [each for each in caplog.messages if "unless it is told" in each]
    assert warning.startswith(f"{stream}, ")


@pytest.mark.parametrize("stream", BY_CHANNEL)
def test_where_a_list_shows_other_channels_no_session_is_asked_for(
    simulator: Simulator, stream: str
) -> None:
    sync(simulator, streams=(stream,))
    assert {call.endpoint for call in simulator.requests} == {LISTS[stream].endpoint}
