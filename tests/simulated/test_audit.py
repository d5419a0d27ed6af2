"""The audit trail lists every window that was read, and proves completeness."""

from __future__ import annotations

from collections import defaultdict
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Rule, Simulator
from simulator.faults import status, wrong_total
from tests.conftest import Synced, Tap, config_for, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Sequence

ALL = (*STREAMS, "sync_windows")


def audited(
    simulator: Simulator,
    state: dict[str, Any] | None = None,
    streams: Sequence[str] = STREAMS,
    **settings: Any,
) -> Synced:
    """Run the tap with a catalog that selects the audit trail and these streams."""
    config = config_for(simulator, **settings)
    catalog = Tap(config=config).catalog
    for entry in catalog.streams:
        entry.metadata.root.selected = entry.tap_stream_id in {*streams, "sync_windows"}
    synced = Synced()
    tap = Tap(config=config, state=state, catalog=catalog, message_writer=synced)
    tap.sync_all()
    for stream in tap.selected_streams:
        stream.sweep()
    synced.failures = tap.run.failures
    return synced


def windows(synced: Synced) -> dict[tuple[str, str], list[dict[str, Any]]]:
    """The windows of each stream's bots, as they came."""
    found = defaultdict(list)
    for name, record in synced.all_records:
        if name == "sync_windows":
            found[record["stream"], record["bot"]].append(record)
    return found


def test_it_is_there_if_it_is_selected_only(simulator: Simulator) -> None:
    assert {name for name, _ in sync(simulator).all_records} == set(STREAMS)
    assert {name for name, _ in audited(simulator).all_records} == set(ALL)


def test_a_replication_key_in_the_catalog_makes_no_difference(
    simulator: Simulator,
) -> None:
    """As a rule for all streams might give it one."""
    config = config_for(simulator)
    catalog = Tap(config=config).catalog
    entry = catalog["sync_windows"]
    entry.replication_key = "no_such_column"
    entry.metadata.root.selected = True
    synced = Synced()
    Tap(config=config, catalog=catalog, message_writer=synced).sync_all()
    assert windows(synced)
    assert synced.failures == []


def test_windows_follow_each_other_over_the_whole_range(simulator: Simulator) -> None:
    world = simulator.world
    found = windows(audited(simulator))
    bots = {(stream, bot) for stream in STREAMS for bot in world.bots_of(stream)}
    assert found.keys() == bots
    for read in found.values():
        starts = [record["window_start"] for record in read]
        ends = [record["window_end"] for record in read]
        assert starts[1:] == ends[:-1]
        assert starts[0] == "2026-03-01T00:00:00Z"
        assert ends[-1] == "2026-03-09T00:00:00Z"


def test_its_figures_are_those_of_the_records_and_requests(
    simulator: Simulator,
) -> None:
    synced = audited(simulator, window_days=2)
    for (stream, bot), read in windows(synced).items():
        keys = [key for key in synced.keys(stream) if key[0] == bot]
        assert sum(record["rows_emitted"] for record in read) == len(keys)
        assert sum(record["rows_distinct"] for record in read) == len(keys)
        for record in read:
            assert record["rows_received"] == record["rows_expected"]
            assert record["rows_received"] >= record["rows_distinct"]
            assert record["times_read"] == 1
            assert record["seconds"] > 0
    trail = list(synced.records["sync_windows"].values())
    assert sum(record["requests"] for record in trail) == len(simulator.requests)
    assert [record["number"] for record in trail] == [*range(1, len(trail) + 1)]
    assert len({record["run_id"] for record in trail}) == 1
    assert synced.messages[-1]["type"] == "STATE"


@pytest.mark.parametrize("expression", ["1 / 0", "no_such_column"])
def test_a_stream_map_that_fails_on_it_fails_no_other_stream(
    simulator: Simulator, expression: str
) -> None:
    synced = audited(simulator, None, stream_maps={"sync_windows": {"odd": expression}})
    labels = [failure.label for failure in synced.failures]
    assert labels == ["sync_windows"]
    for stream in STREAMS:
        truth = expected(
            simulator.world, stream, simulator.world.start, end_of(simulator.world)
        )
        assert_same(synced.records[stream], truth)


@pytest.mark.usefixtures("impatient")
def test_repeated_requests_and_repeated_readings_are_counted(
    simulator: Simulator,
) -> None:
    simulator.faults.rules = [
        Rule(status(503), endpoint="messages", bot="201", times=2),
        Rule(wrong_total(1), endpoint="messages", bot="202", times=1),
    ]
    found = windows(audited(simulator, None, ["avaamo_messages"], window_days=6))
    repeated, reread = (found["avaamo_messages", bot] for bot in ("201", "202"))
    assert sum(record["requests"] for record in repeated) == 2 + sum(
        -(-record["rows_received"] // 100) for record in repeated
    )
    assert {record["times_read"] for record in repeated} == {1}
    assert sorted(record["times_read"] for record in reread)[-2:] == [1, 2]


def test_the_audit_record_of_a_window_comes_before_its_state(
    simulator: Simulator,
) -> None:
    last_end: dict[str, str] = {}
    synced = audited(simulator, None, ["kore_sessions"], window_days=3)
    for message in synced.messages:
        if message.get("stream") == "sync_windows" and message["type"] == "RECORD":
            last_end[message["record"]["bot"]] = message["record"]["window_end"]
        if message["type"] == "STATE":
            state = message["value"]["bookmarks"].get("kore_sessions", {})
            for partition in state.get("partitions", []):
                bookmark = partition.get("replication_key_value")
                assert bookmark == last_end.get(partition["context"]["bot_id"])


def test_open_sessions_that_are_read_by_their_ids_are_in_the_audit_trail(
    simulator: Simulator,
) -> None:
    world = simulator.world
    whole = world.now
    world.now -= 5 * 86_400
    first = audited(simulator, end_date=end_of(world).isoformat())
    followed = [
        name
        for partition in first.state["bookmarks"]["kore_sessions"]["partitions"]
        for name in partition.get("open_sessions", {})
    ]
    world.now = whole
    second = audited(simulator, first.state, lookback_hours=0)
    by_id = [
        record
        for (stream, _), read in windows(second).items()
        for record in read
        if stream == "kore_sessions" and record["window_start"] is None
    ]
    assert sum(record["rows_expected"] for record in by_id) == len(followed) > 0
    assert all(record["window_end"] is None for record in by_id)
