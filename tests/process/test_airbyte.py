"""source-botsessions: the commands, as the Airbyte protocol has them."""

from __future__ import annotations

import json
import signal
from collections import defaultdict
from datetime import UTC, datetime, timedelta
from subprocess import DEVNULL, PIPE
from typing import IO, TYPE_CHECKING, Any

import pytest
from airbyte_protocol.models import (
    AirbyteStreamStatus,
    ConfiguredAirbyteCatalog,
    FailureType,
    Status,
)
from singer_sdk.typing import DEFAULT_JSONSCHEMA_VALIDATOR

from simulator import Rule, Simulator
from simulator.faults import latency, status, wrong_total
from simulator.streams import STREAMS as TABLE
from tap_botsessions.config.settings import SCHEMA
from tests import programs
from tests.conftest import config_for, end_of
from tests.docs import ROOT
from tests.programs import SOURCE, started
from tests.simulated.test_airbyte import Told, assert_truth
from tests.truth import KEYS, OPTIONAL, STREAMS, assert_same, discovered, expected
from tests.unit.test_airbyte import parsed

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from simulator.faults import Effect

RELEASED = ROOT / "tests" / "released"


def run(folder: Path, command: str, **files: Any) -> Told:
    """Run a command with files that hold these, and parse every line."""
    done = programs.run(*command_line(folder, command, **files))
    assert done.stderr == ""
    return Told(parsed(done.stdout.encode().splitlines()), done.returncode)


def command_line(folder: Path, command: str, **files: Any) -> list[str | Path]:
    """The command line, its files written."""
    line: list[str | Path] = [SOURCE, command]
    for name, content in files.items():
        file = folder / f"{name}.json"
        file.write_text(json.dumps(content))
        line += [f"--{name}", file]
    return line


def catalog(
    folder: Path,
    config: dict[str, Any],
    mode: str = "incremental",
    streams: Sequence[str] = STREAMS,
) -> dict[str, Any]:
    """Configure the streams that discovery finds, in the order that is given."""
    [found] = [
        each.catalog
        for each in run(folder, "discover", config=config).messages
        if each.catalog
    ]
    by_name = {each.name: json.loads(each.model_dump_json()) for each in found.streams}
    configured = {
        "streams": [
            {
                "stream": by_name[name],
                "sync_mode": mode,
                "destination_sync_mode": "append",
            }
            for name in streams
        ]
    }
    ConfiguredAirbyteCatalog.model_validate(configured)
    return configured


@pytest.fixture
def config(simulator: Simulator) -> dict[str, Any]:
    return config_for(simulator)


def test_the_form_shows_every_setting_once_and_of_one_type(tmp_path: Path) -> None:
    [message] = run(tmp_path, "spec").messages
    assert message.spec
    form = message.spec.connectionSpecification
    DEFAULT_JSONSCHEMA_VALIDATOR.check_schema(form)
    fields = form["properties"]
    assert set(fields) == set(SCHEMA["properties"])
    assert [field["order"] for field in fields.values()] == list(range(len(fields)))
    groups = {group["id"] for group in form["groups"]}
    assert {field["group"] for field in fields.values()} == groups
    assert form["required"] == ["start_date"]
    for field in fields.values():
        assert isinstance(field["type"], str)
        assert field["title"]
        assert field["description"]
        # The form can show an object only by its fields.
        assert field["type"] != "object" or field["properties"]
        assert field["type"] != "array" or isinstance(field["items"]["type"], str)
    secret = {name for name, field in fields.items() if field.get("airbyte_secret")}
    assert secret == {
        "avaamo_access_token",
        "kore_client_secret",
        "personal_data_key",
    }
    own = fields["kore_bot_credentials"]["items"]["properties"]
    assert [name for name in own if own[name].get("airbyte_secret")] == [
        "client_secret"
    ]


def test_a_check_succeeds_with_one_request_for_each_bot(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    told = run(tmp_path, "check", config=config)
    assert status_of(told) == (Status.SUCCEEDED, "")
    world = simulator.world
    assert len(simulator.requests) == len(world.agents) + len(world.bots)


def status_of(told: Told) -> tuple[Status, str]:
    assert told.code == 0
    status = told.messages[-1].connectionStatus
    assert status
    return status.status, status.message or ""


@pytest.mark.parametrize(
    ("setting", "value", "said"),
    [
        ("avaamo_access_token", "wrong-token-0123456789", "check avaamo_access_token"),
        ("kore_client_secret", "wrong-secret-0123456789", "kore_client_secret"),
        ("avaamo_agent_ids", ["201", "9"], "agent 9: answered"),
        ("window_days", 9, "window_days: is 9, but must be at most 6"),
        ("avaamo_base_url", "http://example.com", "avaamo_base_url: must begin with"),
        ("start_date", None, "start_date: is missing"),
    ],
)
def test_a_check_says_which_setting_is_wrong(
    config: dict[str, Any], tmp_path: Path, setting: str, value: Any, said: str
) -> None:
    secret = config["kore_client_secret"], config["avaamo_access_token"], value
    outcome, message = status_of(
        run(tmp_path, "check", config=config | {setting: value})
    )
    assert outcome is Status.FAILED
    assert said in message
    assert not [part for part in secret if str(part) in message and part != 9]


def test_the_catalog_has_the_keys_and_types_of_each_stream(
    config: dict[str, Any], tmp_path: Path
) -> None:
    every = (*STREAMS, *OPTIONAL)
    found = catalog(tmp_path, config, streams=every)
    streams = [each["stream"] for each in found["streams"]]
    assert {each["name"]: each["source_defined_primary_key"] for each in streams} == {
        name: [[key] for key in KEYS[name]] for name in every
    }
    cursors = {each["name"]: each.get("default_cursor_field") for each in streams}
    assert cursors["kore_bots"] is None
    assert {name: cursors[name] for name in (*STREAMS, "kore_messages")} == {
        "avaamo_messages": ["timetoken"],
        "avaamo_sessions": ["timetoken"],
        "avaamo_usage": ["date"],
        "kore_messages": ["created_on"],
        "kore_sessions": ["start_time"],
    }
    for each in streams:
        schema = each["json_schema"]
        assert set(schema) == {"type", "properties"}
        times = {
            name
            for name, field in schema["properties"].items()
            if field.get("airbyte_type") == "timestamp_with_timezone"
        }
        assert times == {
            name
            for name, field in schema["properties"].items()
            if field.get("format") == "date-time"
        }
        assert times


def test_the_catalog_has_the_streams_of_the_vendors_that_are_configured(
    config: dict[str, Any], tmp_path: Path
) -> None:
    kore = {name: value for name, value in config.items() if "avaamo" not in name}
    [found] = [
        each.catalog
        for each in run(tmp_path, "discover", config=kore).messages
        if each.catalog
    ]
    assert [each.name for each in found.streams] == discovered("kore")[:-1]


def test_a_second_read_goes_on_from_the_first(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    world, whole = simulator.world, simulator.world.now
    world.now -= timedelta(days=5, hours=7).total_seconds()
    first_config = config | {"end_date": end_of(world).isoformat()}
    wanted = catalog(tmp_path, config)
    first = run(tmp_path, "read", config=first_config, catalog=wanted)
    assert first.code == 0
    assert_truth(first, world)
    world.now = whole
    second = run(tmp_path, "read", config=config, catalog=wanted, state=first.states)
    assert second.code == 0
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(first.records[stream] | second.records[stream], truth)
        assert 0 < len(second.records[stream]) < len(truth) / 2


def test_each_stream_tells_how_it_fares_and_counts_its_records(
    config: dict[str, Any], tmp_path: Path
) -> None:
    order = list(reversed(STREAMS))
    told = run(
        tmp_path,
        "read",
        config=config,
        catalog=catalog(tmp_path, config, streams=order),
    )
    counts: dict[str, float] = defaultdict(float)
    begun: list[str] = []
    for message in told.messages:
        if message.trace and message.trace.stream_status:
            status = message.trace.stream_status
            if status.status is AirbyteStreamStatus.STARTED:
                begun.append(status.stream_descriptor.name)
        if message.record:
            assert message.record.stream == begun[-1]
        if message.state:
            assert message.state.stream
            assert message.state.sourceStats
            assert message.state.stream.stream_descriptor.name == begun[-1]
            counts[begun[-1]] += message.state.sourceStats.recordCount or 0
    assert begun == order
    for stream in order:
        assert told.statuses(stream) == [
            AirbyteStreamStatus.STARTED,
            AirbyteStreamStatus.RUNNING,
            AirbyteStreamStatus.COMPLETE,
        ]
        assert counts[stream] == len(told.records[stream])


def test_a_full_refresh_reads_all_whatever_the_state(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    first = run(tmp_path, "read", config=config, catalog=catalog(tmp_path, config))
    again = run(
        tmp_path,
        "read",
        config=config,
        catalog=catalog(tmp_path, config, "full_refresh"),
        state=first.states,
    )
    assert_truth(again, simulator.world)
    blobs = [state["stream"]["stream_state"] for state in again.states]
    assert blobs == [{"__ab_no_cursor_state_message": True}] * len(STREAMS)
    then = run(
        tmp_path,
        "read",
        config=config,
        catalog=catalog(tmp_path, config),
        state=again.states,
    )
    assert_truth(then, simulator.world)


@pytest.mark.parametrize(
    ("effect", "outcome"),
    [
        (status(403), (FailureType.config_error, {"201"})),
        (status(503), (FailureType.transient_error, {"201"})),
        # What came is emitted, and read again in the next run.
        (wrong_total(3), (FailureType.transient_error, {"201", "202"})),
    ],
    ids=["refused", "out of order", "a wrong count"],
)
def test_a_bot_that_fails_leaves_its_stream_incomplete_and_the_others_whole(
    simulator: Simulator,
    config: dict[str, Any],
    tmp_path: Path,
    effect: Effect,
    outcome: tuple[FailureType, set[str]],
) -> None:
    failure_type, agents_read = outcome
    wanted = catalog(tmp_path, config)
    simulator.faults.rules = [Rule(effect, endpoint="messages", bot="202")]
    config["max_retries"] = 0
    told = run(tmp_path, "read", config=config, catalog=wanted)
    assert told.code == 1
    [(stream, kind, message)] = told.errors
    assert (stream, kind) == ("avaamo_messages", failure_type)
    assert "agent 202" in message
    assert told.statuses("avaamo_messages")[-1] is AirbyteStreamStatus.INCOMPLETE
    world = simulator.world
    assert_truth(told, world, [name for name in STREAMS if name != "avaamo_messages"])
    assert {key[0] for key in told.records["avaamo_messages"]} == agents_read
    simulator.faults.rules = []
    then = run(tmp_path, "read", config=config, catalog=wanted, state=told.states)
    assert then.code == 0
    truth = expected(world, "avaamo_messages", world.start, end_of(world))
    found = told.records["avaamo_messages"] | then.records["avaamo_messages"]
    assert_same(found, truth)
    read_again = [key for key in then.records["avaamo_messages"] if key[0] == "201"]
    assert len(read_again) < len(truth) / 20


def test_only_the_fields_of_the_configured_schema_are_written(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    wanted = catalog(tmp_path, config, streams=["avaamo_messages"])
    fields = wanted["streams"][0]["stream"]["json_schema"]["properties"]
    del fields["content"], fields["user"]
    told = run(tmp_path, "read", config=config, catalog=wanted)
    world = simulator.world
    truth = expected(world, "avaamo_messages", world.start, end_of(world))
    for record in truth.values():
        del record["content"], record["user"]
    assert_same(told.records["avaamo_messages"], truth)


def test_a_stream_that_is_not_there_does_not_stop_the_others(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    wanted = catalog(tmp_path, config)
    kore = {name: value for name, value in config.items() if "avaamo" not in name}
    told = run(tmp_path, "read", config=kore, catalog=wanted)
    assert told.code == 1
    of_avaamo = {name for name in STREAMS if TABLE[name].vendor == "avaamo"}
    assert {(name, kind) for name, kind, _ in told.errors} == {
        (name, FailureType.config_error) for name in of_avaamo
    }
    assert len(told.errors) == len(of_avaamo)
    assert_truth(told, simulator.world, ["kore_sessions"])


def test_a_stream_that_is_not_there_for_a_while_keeps_its_state(
    config: dict[str, Any], tmp_path: Path
) -> None:
    wanted = catalog(tmp_path, config)
    first = run(tmp_path, "read", config=config, catalog=wanted)
    kore = {name: value for name, value in config.items() if "avaamo" not in name}
    second = run(tmp_path, "read", config=kore, catalog=wanted, state=first.states)
    told = {state["stream"]["stream_descriptor"]["name"] for state in second.states}
    assert told == {"kore_sessions"}


@pytest.mark.parametrize("broken", ["config", "catalog", "state"])
@pytest.mark.parametrize("content", ["no object", [1], {"streams": 3}])
def test_what_cannot_be_read_is_told_as_an_error(
    config: dict[str, Any], tmp_path: Path, broken: str, content: Any
) -> None:
    files = {"config": config, "catalog": {"streams": []}, "state": []}
    told = run(tmp_path, "read", **files | {broken: content})
    assert told.code == 1
    [(stream, kind, message)] = told.errors
    assert (stream, kind) == (None, FailureType.config_error)
    assert message


def test_a_file_that_is_not_there_or_is_no_json_is_told_as_an_error(
    tmp_path: Path,
) -> None:
    torn = tmp_path / "torn.json"
    torn.write_text('{"avaamo_access_token": "abc')
    for path in (torn, tmp_path / "none.json"):
        done = programs.run(SOURCE, "check", "--config", path)
        assert done.returncode == 1
        [message] = parsed(done.stdout.encode().splitlines())
        assert message.trace
        assert message.trace.error
        assert path.name in message.trace.error.message
        assert "abc" not in message.trace.error.message


@pytest.mark.parametrize("signum", [signal.SIGTERM, signal.SIGINT, signal.SIGKILL])
def test_a_read_that_is_ended_goes_on_from_its_last_state(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path, signum: signal.Signals
) -> None:
    wanted = catalog(tmp_path, config)
    simulator.faults.rules = [Rule(latency(0.2))]
    settings = config | {"window_days": 1, "lookback_hours": 0}
    line = command_line(tmp_path, "read", config=settings, catalog=wanted)
    with started(*line, stdout=PIPE, stderr=DEVNULL) as process:
        assert process.stdout
        lines = list(until_states(process.stdout, 3))
        process.send_signal(signum)
        lines += process.stdout.read().splitlines(keepends=True)
        assert process.wait(programs.PATIENCE) == -signum
    whole = [each for each in lines if each.endswith(b"\n")]
    assert signum == signal.SIGKILL or whole == lines
    first = Told(parsed(whole), -signum)
    simulator.faults.rules = []
    then = run(tmp_path, "read", config=settings, catalog=wanted, state=first.states)
    assert then.code == 0
    world = simulator.world
    again = 0
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(first.records[stream] | then.records[stream], truth)
        again += len(first.records[stream].keys() & then.records[stream].keys())
    if signum != signal.SIGKILL:
        assert again == 0


def until_states(lines: IO[bytes], count: int) -> Iterator[bytes]:
    """Read lines until so many states came."""
    for line in lines:
        yield line
        count -= b'"type":"STATE"' in line
        if not count:
            return
    pytest.fail("it ended by itself")


def test_the_state_of_the_first_version_is_read(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    """The file is as version 0.1.0 wrote it; it is never to be written anew."""
    state = json.loads((RELEASED / "airbyte_state-0.1.0.json").read_text())
    wanted = catalog(tmp_path, config)
    told = run(tmp_path, "read", config=config, catalog=wanted, state=state)
    assert told.code == 0
    world = simulator.world
    since = datetime(2026, 3, 10, 23, tzinfo=UTC)
    read = {each["stream"]["stream_descriptor"]["name"] for each in state}
    assert len(read) == 4
    for stream in STREAMS:
        start = since if stream != "avaamo_usage" else datetime(2026, 3, 10, tzinfo=UTC)
        if stream not in read:  # it came with a later version
            start = world.start
        assert_same(told.records[stream], expected(world, stream, start, end_of(world)))
