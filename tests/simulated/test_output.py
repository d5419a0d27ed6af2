"""What leaves the tap: the quicker way writes what the SDK's own would."""

from __future__ import annotations

import json
from io import BytesIO
from typing import TYPE_CHECKING, Any

import pytest

from simulator import Simulator, World
from tap_botsessions.singer.writer import PieceWriter
from tap_botsessions.tap import TapBotsessions
from tests.conftest import Synced, config_for, end_of, sync
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture(scope="module")
def served() -> Iterator[Simulator]:
    world = World(sessions_per_day=6, days=5, kore_version="mixed", hostile_text=True)
    with Simulator(world) as running:
        yield running


def run(
    simulator: Simulator, catalog: dict[str, Any] | None = None, **settings: Any
) -> Synced:
    """Run the tap as its command line does, with a catalog if there is one."""
    file = BytesIO()
    config = config_for(simulator, **settings)
    TapBotsessions(
        config=config, catalog=catalog, message_writer=PieceWriter(1 << 16, file)
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


def test_the_quicker_way_writes_what_the_sdk_would(
    served: Simulator, monkeypatch: pytest.MonkeyPatch
) -> None:
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
    written: list[int] = []
    monkeypatch.setattr(
        PieceWriter,
        "write_records",
        lambda _, __, records: written.append(len(records)),
    )
    TapBotsessions(config=config_for(served)).sync_all()
    assert sum(written) == len(slow.all_records)


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
    expected = {
        key for key in truth(served, "kore_sessions") if key[0] in set(others)
    }
    assert synced.records["kore_sessions"].keys() == expected
    assert synced.bookmarks["kore_sessions", first] is None
    assert all(synced.bookmarks["kore_sessions", bot] for bot in others)


def nested(levels: int) -> Any:
    """Objects within objects."""
    value: Any = "bottom"
    for _ in range(levels):
        value = {"in": value}
    return value


@pytest.mark.parametrize("levels", [900, 985, 5000])
def test_a_record_that_is_nested_too_deeply_fails_its_bot_alone(
    served: Simulator, levels: int
) -> None:
    """The bot fails, or the record came: how deep is too deep is the libraries' say."""
    first, *others = served.world.bots
    deep = Rule(in_every_record("sessions", x=nested(levels)), vendor="kore", bot=first)
    served.faults.rules = [deep]
    writer = io.BytesIO()
    tap = TapBotsessions(
        config=config_for(served, max_retries=0),
        message_writer=PieceWriter(1 << 16, writer),
    )
    for name, stream in tap.streams.items():
        stream.selected = name == "kore_sessions"
    tap.sync_all()
    assert deep.fired
    lines = [json.loads(line) for line in writer.getvalue().splitlines()]
    bots = Counter(
        line["record"]["bot_id"] for line in lines if line["type"] == "RECORD"
    )
    wanted = Counter(bot for bot, _ in truth(served, "kore_sessions"))
    failed = {failure.label for failure in tap.run.failures}
    assert failed in ({f"kore_sessions, bot {first}"}, set())
    assert {bot: bots[bot] for bot in others} == {bot: wanted[bot] for bot in others}
    assert bots[first] == (0 if failed else wanted[first])


def test_flattening_applies(served: Simulator) -> None:
    synced = run(served, flattening_enabled=True, flattening_max_depth=1)
    flat = synced.records["avaamo_messages"]
    for key, record in truth(served, "avaamo_messages").items():
        assert "user" not in flat[key]
        assert flat[key]["user__first_name"] == record["user"].get("first_name")
        assert flat[key].get("user__layer_id") == record["user"].get("layer_id")


def test_a_full_table_sync_reads_all_and_leaves_the_state(served: Simulator) -> None:
    catalog = catalog_of(served)
    for entry in catalog["streams"]:
        entry["replication_method"] = "FULL_TABLE"
    synced = run(served, catalog)
    assert_same(synced.records["kore_sessions"], truth(served, "kore_sessions"))
    assert set(synced.bookmarks.values()) == {None}
