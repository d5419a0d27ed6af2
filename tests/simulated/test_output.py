"""The output of the tap: its quick way writes the same as the SDK's own."""

from __future__ import annotations

import gzip
import json
from io import BytesIO
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

import pytest
from singer_sdk.exceptions import ConfigValidationError
from typing_extensions import override

from simulator import Simulator, World
from tap_botsessions.singer.writer import PieceWriter
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, config_for, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from pathlib import Path

    from singer_sdk.helpers.types import Record

FLAT: dict[str, Any] = {"flattening_enabled": True, "flattening_max_depth": 1}
BATCH = {
    "encoding": {"format": "jsonl", "compression": "gzip"},
    "storage": {"root": "file://batches"},
}


@pytest.fixture(scope="module")
def served() -> Iterator[Simulator]:
    world = World(sessions_per_day=6, days=5, kore_version="mixed", hostile_text=True)
    with Simulator(world) as running:
        yield running


def run(
    simulator: Simulator,
    catalog: dict[str, Any] | None = None,
    state: dict[str, Any] | None = None,
    **settings: Any,
) -> Synced:
    """Run the tap as its command line does, with a catalog and a state if given."""
    file = BytesIO()
    TapBotsessions(
        config=config_for(simulator, **settings),
        catalog=catalog,
        state=state,
        message_writer=PieceWriter(1 << 16, file),
    ).sync_all()
    return Synced([json.loads(line) for line in file.getvalue().splitlines()])


def catalog_of(simulator: Simulator) -> dict[str, Any]:
    """The catalog, as a file would hold it, with all streams selected."""
    catalog = TapBotsessions(config=config_for(simulator)).catalog_dict
    found: dict[str, Any] = json.loads(json.dumps(catalog))
    return found


def select(catalog: dict[str, Any], stream: str, *path: str, selected: bool) -> None:
    """Select or deselect a stream, or a field of it."""
    breadcrumb = [step for name in path for step in ("properties", name)]
    [entry] = [each for each in catalog["streams"] if each["tap_stream_id"] == stream]
    for metadata in entry["metadata"]:
        if metadata["breadcrumb"] == breadcrumb:
            metadata["metadata"]["selected"] = selected
            return
    entry["metadata"].append(
        {"breadcrumb": breadcrumb, "metadata": {"selected": selected}}
    )


def truth(simulator: Simulator, stream: Any) -> dict[tuple[str, ...], dict[str, Any]]:
    world = simulator.world
    return expected(world, stream, world.start, end_of(world))


class Counting(PieceWriter):
    """Counts the records that come in the quick way."""

    records = 0

    @override
    def write_records(self, stream: str, records: Sequence[Record]) -> None:
        self.records += len(records)
        super().write_records(stream, records)


class Overwhelmed(PieceWriter):
    """Can write no record."""

    @override
    def write_records(self, stream: str, records: Sequence[Record]) -> None:
        raise RecursionError


def test_the_quick_way_writes_the_same_as_the_sdk(served: Simulator) -> None:
    quick = run(served)
    slow = sync(served)
    assert [m["type"] for m in quick.messages].count("RECORD") == len(slow.all_records)
    for stream, records in slow.records.items():
        assert_same(quick.records[stream], records)
    shapes = [
        {(m["type"], *m) for m in synced.messages if m["type"] == "RECORD"}
        for synced in (quick, slow)
    ]
    assert shapes[0] == shapes[1]
    assert quick.state == slow.state
    writer = Counting(1 << 16, BytesIO())
    TapBotsessions(config=config_for(served), message_writer=writer).sync_all()
    assert writer.records == len(slow.all_records)


def test_a_stream_and_a_field_that_are_not_selected_stay_away(
    served: Simulator,
) -> None:
    catalog = catalog_of(served)
    select(catalog, "avaamo_usage", selected=False)
    select(catalog, "avaamo_messages", "content", selected=False)
    select(catalog, "avaamo_messages", "user", "first_name", selected=False)
    synced = run(served, catalog)
    assert "avaamo_usage" not in synced.records
    assert_same(
        synced.records["avaamo_messages"],
        {
            key: {
                **{name: value for name, value in record.items() if name != "content"},
                "user": {
                    name: value
                    for name, value in record["user"].items()
                    if name != "first_name"
                },
            }
            for key, record in truth(served, "avaamo_messages").items()
        },
    )
    assert_same(synced.records["kore_sessions"], truth(served, "kore_sessions"))


def test_stream_maps_apply(served: Simulator) -> None:
    maps = {
        "avaamo_messages": {"content": None, "channel": "channel_name.upper()"},
        "kore_sessions": {"user_id": "md5(user_id)", "__alias__": "sessions"},
        "avaamo_sessions": "__NULL__",
    }
    synced = run(served, stream_maps=maps)
    names = {name for name, _ in synced.all_records}
    mapped = {"avaamo_sessions", "kore_sessions"}
    assert names == set(STREAMS) - mapped | {"sessions"}
    for name, record in synced.all_records:
        if name == "avaamo_messages":
            assert "content" not in record
            assert record["channel"] == record["channel_name"].upper()
        if name == "sessions":
            assert len(record["user_id"]) == 32


@pytest.mark.parametrize(
    "maps",
    [
        {"kore_sessions": {"user_id": "sha256(user_id)"}},
        {"kore_sessions": "__NULL__"},
        {"kore_*": {"additional_fields": "__NULL__"}},
        {"visits": {"__source__": "kore_sessions", "user_id": "__NULL__"}},
        {"sync_windows": {"requests": "__NULL__"}},
        {"*": {"additional_fields": "__NULL__"}},
    ],
)
@pytest.mark.parametrize("settings", [{}, {"batch_config": BATCH}])
def test_a_map_of_a_stream_that_is_not_selected_is_left_out(
    served: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    maps: dict[str, Any],
    settings: dict[str, Any],
) -> None:
    monkeypatch.chdir(tmp_path)
    catalog = catalog_of(served)
    select(catalog, "kore_sessions", selected=False)
    synced = run(served, catalog, stream_maps=maps, **settings)
    assert {each["stream"] for each in synced.messages if "stream" in each} == (
        set(STREAMS) - {"kore_sessions"}
    )


def test_a_map_makes_a_stream_of_one_that_is_selected(served: Simulator) -> None:
    """It has a name of its own, which no catalog selects."""
    catalog = catalog_of(served)
    select(catalog, "avaamo_sessions", selected=False)
    maps = {
        "visits": {"__source__": "kore_sessions", "user_id": "__NULL__"},
        "avaamo_sessions": {"__source__": "kore_sessions", "tags": "__NULL__"},
    }
    synced = run(served, catalog, stream_maps=maps)
    sessions = truth(served, "kore_sessions").values()
    names = [name for name, _ in synced.all_records]
    assert names.count("visits") == names.count("kore_sessions") == len(sessions)
    assert names.count("avaamo_sessions") == len(sessions)


def test_a_wrong_map_of_a_stream_that_is_selected_is_refused(
    served: Simulator,
) -> None:
    maps = {"kore_sessions": {"bot_id": "__NULL__"}}
    with pytest.raises(ConfigValidationError) as refusal:
        run(served, stream_maps=maps)
    [line] = refusal.value.errors
    assert "Removing key property 'bot_id' is not permitted" in line


@pytest.mark.parametrize(
    ("expression", "said"),
    [
        ("int(user_id)", "ValueError"),
        ("record['colour']", "KeyError"),
        ("colour + 1", "NameNotDefined, Failed to evaluate simpleeval expressions col"),
    ],
)
def test_a_stream_map_that_fails_on_records_fails_their_bots(
    served: Simulator, expression: str, said: str
) -> None:
    synced = sync(served, stream_maps={"kore_sessions": {"x": expression}})
    assert {failure.label for failure in synced.failures} == {
        f"kore_sessions, bot {bot}" for bot in served.world.bots
    }
    said = f"stream_maps: an expression fails on a record ({said}"
    users = [record["user_id"] for record in truth(served, "kore_sessions").values()]
    for failure in synced.failures:
        assert str(failure.error).startswith(said)
        assert not any(user in str(failure.error) for user in users)
    read = {stream: mark is not None for (stream, _), mark in synced.bookmarks.items()}
    assert read["avaamo_sessions"]
    assert not read["kore_sessions"]


@pytest.mark.parametrize("api", ["bot", "account"])
def test_a_stream_map_that_fails_on_one_bots_records_fails_no_other(
    served: Simulator, api: str
) -> None:
    first, *others = served.world.bots
    expression = f"1 / int(bot_id != '{first}')"
    synced = sync(
        served,
        streams=("kore_sessions",),
        stream_maps={"kore_sessions": {"x": expression}},
        kore_api=api,
    )
    [failure] = synced.failures
    assert failure.label == f"kore_sessions, bot {first}"
    assert "ZeroDivisionError" in str(failure.error)
    expected = {key for key in truth(served, "kore_sessions") if key[0] in set(others)}
    assert synced.records["kore_sessions"].keys() == expected
    assert synced.bookmarks["kore_sessions", first] is None
    assert all(synced.bookmarks["kore_sessions", bot] for bot in others)


def test_a_record_that_is_nested_too_deeply_to_be_written_fails_its_bot(
    served: Simulator,
) -> None:
    tap = TapBotsessions(
        config=config_for(served), message_writer=Overwhelmed(1 << 16, BytesIO())
    )
    tap.sync_all()
    streams = {failure.label.partition(",")[0] for failure in tap.run.failures}
    assert streams == set(STREAMS)
    assert {str(failure.error) for failure in tap.run.failures} == {
        "a record can't be written (RecursionError)"
    }


def test_flattening_applies(served: Simulator) -> None:
    synced = run(served, flattening_enabled=True, flattening_max_depth=1)
    flat = synced.records["avaamo_messages"]
    for key, record in truth(served, "avaamo_messages").items():
        assert "user" not in flat[key]
        assert flat[key]["user__first_name"] == record["user"].get("first_name")
        assert flat[key].get("user__layer_id") == record["user"].get("layer_id")


ADDED = {"department": "Sales", "seats": [1, {"a": None}], "desk": {"floor": 3}}


@pytest.fixture
def growing(served: Simulator, monkeypatch: pytest.MonkeyPatch) -> Simulator:
    """A simulator whose messages have users with fields that are new."""
    user = {"first_name": "Ada", "layer_id": "u-1", **ADDED}
    monkeypatch.setattr(served.options, "extra_fields", {"user": user})
    return served


@pytest.mark.parametrize("settings", [{}, {"batch_config": BATCH}])
@pytest.mark.parametrize("depth", [1, 2, 9])
def test_flattening_leaves_no_field_out_of_the_schema(
    growing: Simulator,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    settings: dict[str, Any],
    depth: int,
) -> None:
    """SQL targets drop what stands in a RECORD and not in its SCHEMA."""
    monkeypatch.chdir(tmp_path)
    synced = run(
        growing, flattening_enabled=True, flattening_max_depth=depth, **settings
    )
    synced.messages += in_files(synced.messages)
    declared = {
        each["stream"]: each["schema"]["properties"].keys()
        for each in synced.messages
        if each["type"] == "SCHEMA"
    }
    for stream, record in synced.all_records:
        assert record.keys() <= declared[stream]
    messages = synced.records["avaamo_messages"]
    assert messages.keys() == truth(growing, "avaamo_messages").keys()
    for record in messages.values():
        assert json.loads(record["additional_fields"])["user"] == ADDED


def in_files(messages: list[dict[str, Any]]) -> list[dict[str, Any]]:
    """The records in the files of BATCH messages, as messages of their own."""
    return [
        {"type": "RECORD", "stream": message["stream"], "record": json.loads(line)}
        for message in messages
        for file in message.get("manifest", ())
        for line in gzip.open(urlsplit(file).path)
    ]


def test_a_flattening_without_a_depth_is_refused(served: Simulator) -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        run(served, flattening_enabled=True)
    [line] = refusal.value.errors
    assert line.startswith("flattening_max_depth is required")


def test_a_map_before_flattening_sees_the_user_whole(growing: Simulator) -> None:
    mapped = {"department": "user['department']", "content": "__NULL__"}
    synced = run(growing, stream_maps={"avaamo_messages": mapped}, **FLAT)
    for record in synced.records["avaamo_messages"].values():
        assert record["department"] == "Sales"
        assert json.loads(record["additional_fields"])["user"] == ADDED


@pytest.mark.parametrize("column", ["user", "additional_fields"])
def test_what_a_map_takes_away_before_flattening_is_gone(
    growing: Simulator, column: str
) -> None:
    maps = {"avaamo_messages": {column: "__NULL__"}}
    synced = run(growing, stream_maps=maps, **FLAT)
    for record in synced.records["avaamo_messages"].values():
        assert record.get("additional_fields") is None
        assert "Sales" not in str(record)


def test_without_flattening_a_user_stays_whole(growing: Simulator) -> None:
    synced = run(growing)
    for record in synced.records["avaamo_messages"].values():
        assert record["user"].items() >= ADDED.items()
        assert record["additional_fields"] is None


def at_the_top(entry: dict[str, Any], method: str) -> None:
    entry["replication_method"] = method


def chosen(entry: dict[str, Any], method: str) -> None:
    root(entry)["replication-method"] = method


def forced(entry: dict[str, Any], method: str) -> None:
    root(entry)["forced-replication-method"] = method


def root(entry: dict[str, Any]) -> dict[str, Any]:
    [found] = [each for each in entry["metadata"] if each["breadcrumb"] == []]
    metadata: dict[str, Any] = found["metadata"]
    return metadata


@pytest.mark.parametrize("place", [at_the_top, chosen, forced])
def test_a_full_table_sync_reads_all_and_leaves_the_state(
    served: Simulator, place: Callable[[dict[str, Any], str], None]
) -> None:
    """The specification has the method in the metadata; --discover writes the top."""
    done = run(served).state
    catalog = catalog_of(served)
    for entry in catalog["streams"]:
        place(entry, "FULL_TABLE")
    synced = run(served, catalog, done)
    for stream in STREAMS:
        assert_same(synced.records[stream], truth(served, stream))
    assert synced.state == done


@pytest.mark.parametrize("place", [at_the_top, chosen, forced])
def test_an_incremental_sync_goes_on_from_the_state(
    served: Simulator, place: Callable[[dict[str, Any], str], None]
) -> None:
    catalog = catalog_of(served)
    for entry in catalog["streams"]:
        place(entry, "INCREMENTAL")
    synced = run(served, catalog, run(served).state, lookback_hours=0)
    assert not synced.records["kore_sessions"]
