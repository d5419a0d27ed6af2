"""Ended between any two messages and started again, the tap loses nothing."""

from __future__ import annotations

import gzip
import json
from collections import defaultdict
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

import pytest
from typing_extensions import override

from simulator import Simulator, World
from tests.conftest import Records, Synced, Tap, config_for, end_of, sync
from tests.truth import STREAMS, assert_same, expected, key_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from singer_sdk.singerlib.encoding.simple import Message

FINE: dict[str, Any] = {"window_days": 1, "lookback_hours": 0}
"""Many windows, each of which is read once."""


@dataclass
class Target:
    """Keeps the records that came before a state, and that state; nothing else.

    Attributes:
        records: Those that it keeps, by stream and key.
        state: The last state.
        again: How many records came that it had kept before.
    """

    records: Records = field(default_factory=lambda: defaultdict(dict))
    state: dict[str, Any] | None = None
    again: int = 0

    def take(self, messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
        """Take the output of a run.

        Returns:
            The records that it does not keep: those that no state came after.
        """
        pending: list[tuple[str, dict[str, Any]]] = []
        for message in messages:
            if message["type"] == "STATE":
                self._keep(pending, message["value"])
                pending = []
            elif message["type"] == "BATCH":
                pending += batched(message)
            elif message["type"] == "RECORD":
                pending.append((message["stream"], message["record"]))
        return [{"stream": stream, **record} for stream, record in pending]

    def _keep(
        self, records: list[tuple[str, dict[str, Any]]], state: dict[str, Any]
    ) -> None:
        for stream, record in records:
            key = key_of(stream, record)
            self.again += key in self.records[stream]
            self.records[stream][key] = record
        self.state = state


def batched(message: Mapping[str, Any]) -> list[tuple[str, dict[str, Any]]]:
    """The records in the files that a BATCH message names."""
    return [
        (message["stream"], json.loads(line))
        for url in message["manifest"]
        for line in gzip.open(urlparse(url).path)
    ]


def assert_whole(records: Records, world: World) -> None:
    """All that the world shows is there, as it is."""
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(records[stream], truth)


def assert_of_one_window(records: list[dict[str, Any]], width: timedelta) -> None:
    """Records are of one bot, and their times lie within the width of a window."""
    bots = {(r["stream"], r.get("agent_id", r.get("bot_id"))) for r in records}
    assert len(bots) <= 1
    times = [time_of(record) for record in records]
    assert not times or max(times) - min(times) <= width


def time_of(record: Mapping[str, Any]) -> datetime:
    """Its place in the history of its bot."""
    return datetime.fromisoformat(record.get("created_at") or record["start_time"])


@pytest.fixture
def world() -> World:
    """Little, but of every stream, and with sessions that stay open."""
    return World(days=7, sessions_per_day=4, messages_per_session=2)


@pytest.fixture
def simulator(world: World) -> Iterator[Simulator]:
    with Simulator(world) as running:
        yield running


class EndedError(BrokenPipeError):
    """Nobody reads the output any more."""


@dataclass
class Ending(Synced):
    """Takes so many messages, and then no more."""

    left: int = 0

    @override
    def write_message(self, message: Message) -> None:
        if not self.left:
            raise EndedError
        self.left -= 1
        super().write_message(message)


@pytest.mark.parametrize("seed", range(5))
@pytest.mark.usefixtures("eager")
def test_a_stream_that_ends_again_and_again_loses_nothing(
    simulator: Simulator, world: World, seed: int
) -> None:
    """A run is cut again and again; the next one gets a little further, to the end."""
    random, target, cuts = Random(seed), Target(), 0
    config = config_for(simulator, **FINE)
    while True:
        ending = Ending(left=random.randrange(1, 30))
        tap = Tap(config=config, state=target.state, message_writer=ending)
        try:
            tap.sync_all()
        except EndedError:
            cuts += 1
            lost = target.take(ending.messages)
            assert_of_one_window(lost, timedelta(days=1))
        else:
            target.take(ending.messages)
            break
    assert cuts > 20
    assert_whole(target.records, world)
    assert target.again == 0


@pytest.mark.usefixtures("eager")
def test_a_stream_may_end_at_any_line_of_a_run(
    simulator: Simulator, world: World
) -> None:
    """Killed after every tenth line: the next run reads the lost records again."""
    whole = sync(simulator, **FINE)
    truth = {
        stream: expected(world, stream, world.start, end_of(world))
        for stream in STREAMS
    }
    rests: dict[str, Records] = {}
    for place in range(0, len(whole.messages) + 1, 10):
        target = Target()
        target.take(whole.messages[:place])
        state = json.dumps(target.state)
        if state not in rests:
            rests[state] = sync(simulator, json.loads(state), **FINE).records
        for stream in STREAMS:
            kept, rest = target.records[stream], rests[state][stream]
            assert not kept.keys() & rest.keys()
            assert_same(kept | rest, truth[stream])
    assert len(rests) > 20


def batches(folder: Path) -> dict[str, Any]:
    """Settings for BATCH mode, with files that hold a few windows each."""
    config = {
        "encoding": {"format": "jsonl", "compression": "gzip"},
        "storage": {"root": folder.as_uri(), "prefix": "x"},
        "batch_size": 20,
    }
    return FINE | {"batch_config": config}


def test_in_batch_mode_no_state_leaves_before_the_files_that_it_vouches_for(
    simulator: Simulator, world: World, tmp_path: Path
) -> None:
    messages = sync(simulator, **batches(tmp_path)).messages
    assert sum(message["type"] == "BATCH" for message in messages) > 10
    target = Target()
    target.take(messages)
    whole = target.records
    assert_whole(whole, world)
    for place, message in enumerate(messages):
        if message["type"] != "STATE":
            continue
        target = Target()
        target.take(messages[: place + 1])
        for (stream, bot), bookmark in Synced([message]).bookmarks.items():
            truth = whole[stream].items()
            before = instant(bookmark, world)
            assert target.records[stream].keys() >= {
                key
                for key, record in truth
                if key[0] == bot and time_of(record) < before
            }


def instant(bookmark: object, world: World) -> datetime:
    """The instant that a bookmark of any stream stands for."""
    if bookmark is None:
        return world.start
    if isinstance(bookmark, str):
        moment = datetime.fromisoformat(bookmark)
        return moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    assert isinstance(bookmark, int)
    return datetime.fromtimestamp(bookmark, UTC)


def test_in_batch_mode_a_state_follows_each_file_that_ends_a_window(
    simulator: Simulator, tmp_path: Path
) -> None:
    """So that a long run that is killed need not begin anew."""
    synced = sync(simulator, **batches(tmp_path))
    states = {json.dumps(state) for state in synced.states}
    assert len(states) > 10
