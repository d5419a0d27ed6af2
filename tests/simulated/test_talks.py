"""What was said and understood: the streams that are read where a catalog asks."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

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
    assert len(truth) > 50
    assert_same(found.records[stream], truth)
