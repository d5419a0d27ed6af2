"""The settings that have target-postgres load fast lose no row and change no text.

Each test loads the same in both ways, as the target comes and fast. Kills are tried
with the pipelines of the documents: `test_readme`, `test_backfill`, `test_meltano`.
"""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import psycopg
import pytest
import yaml
from psycopg import sql

from demo.postgres import run_postgres
from demo.run import FAST, address_of
from simulator import Simulator, World
from tests.conftest import Records, Synced, end_of, sync
from tests.docs import ROOT
from tests.readme import blocks
from tests.schemas import columns, form_of
from tests.tables import read_table, table_names
from tests.truth import KEYS, OPTIONAL, STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

    from demo.postgres import Server

WAYS: dict[str, dict[str, Any]] = {"plain": {}, "fast": FAST}

TEXTS = [
    "", " ", "\\", "\\\\", "\\N", "\\.", "\\t", "\\n", "\\x41", "\\101", "ends in \\",
    "NULL", "null", "\t", "\n", "\r", "\r\n", "a\tb\nc\rd", "\b\f\v", "\x01\x1b\x7f",
    "'", '"', '""', "it's \"so\"", ",", "{}", "{a,b}", "{NULL}", "(1,2)", "[]", "$1",
    "%s", ":name", "--", "/*", ";", "\u0085\u2028", "\ufeff", "\ufffd", "e\u0301", "😀",
    "\u202e", "long " * 20_000,
]  # fmt: skip
"""What COPY, arrays, JSON or SQL might take for something else than text."""

EVERY = (*STREAMS, *OPTIONAL)

Message = dict[str, Any]

WORLD: Message = {"sessions_per_day": 12, "days": 5, "hostile_text": True}


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with run_postgres("Asia/Kolkata") as running:
        yield running


@pytest.fixture(scope="module")
def synced() -> Synced:
    """What the tap writes."""
    with Simulator(World(**WORLD)) as simulator:
        return sync(simulator, None, EVERY)


def load(
    server: Server,
    way: str,
    schema: str,
    messages: list[Message],
    folder: Path,
    **settings: Any,
) -> subprocess.CompletedProcess[str]:
    """Give the target messages, in one of the two ways."""
    address = {"sqlalchemy_url": address_of(server), "default_target_schema": schema}
    config = folder / "target.json"
    config.write_text(json.dumps(address | WAYS[way] | settings))
    return subprocess.run(  # noqa: S603 -- of this environment
        [Path(sys.executable).with_name("target-postgres"), "--config", config],
        input="".join(f"{json.dumps(message)}\n" for message in messages),
        capture_output=True,
        text=True,
        check=False,
    )


def tables(server: Server, schema: str) -> Records:
    """All that is in the tables."""
    path = f"-c search_path={schema}"
    with psycopg.connect(server.dsn, options=path) as connection:
        names = table_names(connection) & set(EVERY)
        return {name: read_table(connection, name) for name in names}


def hostile(stream: str, record: Message, number: int, text: str) -> Message:
    """A record whose texts are others, in keys, arrays and objects as well."""
    forms = {name: form_of(column) for name, column in columns(stream).items()}
    texts: Message = {
        "string": text,
        "strings": [text, "", text],
        "json": {text: text, "nested": [{"a": text}, None]},
    }
    changed = {name: texts.get(form, record[name]) for name, form in forms.items()}
    for name, column in columns(stream).items():
        if forms[name] == "json" and "object" not in column["type"]:
            changed[name] = [changed[name], text]
    keys = [name for name in KEYS[stream] if forms[name] == "string"]
    return changed | dict.fromkeys(keys, f"{text[:200]}{number}")


def hostile_messages(synced: Synced, texts: list[str]) -> list[Message]:
    """The tap's schemas, and a record of each stream for each text."""
    found: list[Message] = []
    for stream in EVERY:
        [schema, *_] = [
            message
            for message in synced.messages
            if message["type"] == "SCHEMA" and message["stream"] == stream
        ]
        record = next(iter(synced.records[stream].values()))
        found.append(schema)
        found += [
            {
                "type": "RECORD",
                "stream": stream,
                "record": hostile(stream, record, number, text),
            }
            for number, text in enumerate(texts)
        ]
    return found


def records(messages: list[Message]) -> Records:
    """The records among messages, the last one of each key."""
    return Synced([each for each in messages if each["type"] == "RECORD"]).records


def differing(server: Server, stream: str, one: str, other: str) -> int:
    """How many rows of a schema another lacks, to the byte: but 1.0 is 1.

    What the target adds does not count; SQL's NULL is not JSON's.
    """
    names = sql.SQL(", ").join(map(sql.Identifier, columns(stream)))
    query = sql.SQL("SELECT {0} FROM {1} EXCEPT ALL SELECT {0} FROM {2}").format(
        names, sql.Identifier(one, stream), sql.Identifier(other, stream)
    )
    with psycopg.connect(server.dsn) as connection:
        return len(connection.execute(query).fetchall())


def test_every_text_arrives_as_it_is(
    server: Server, synced: Synced, tmp_path: Path
) -> None:
    """In a column, a key, an array and in JSON; in both ways the rows are equal."""
    messages = hostile_messages(synced, TEXTS)
    for way in WAYS:
        done = load(server, way, f"texts_{way}", messages, tmp_path)
        assert done.returncode == 0, done.stderr
        found = tables(server, f"texts_{way}")
        for stream, truth in records(messages).items():
            assert len(truth) == len(TEXTS)
            assert_same(found[stream], truth)
    for stream in EVERY:
        assert differing(server, stream, "texts_plain", "texts_fast") == 0
        assert differing(server, stream, "texts_fast", "texts_plain") == 0


def test_a_record_that_comes_again_is_the_last_one_that_came(
    server: Server, synced: Synced, tmp_path: Path
) -> None:
    """Within a batch, in a later one and in a later run; from texts to nulls, too."""
    before = hostile_messages(synced, [*TEXTS, "\\N", "comes again"])
    after = hostile_messages(synced, [*reversed(TEXTS), "\\N", "comes again"])
    emptied = [
        {**message, "record": emptied_of(message["stream"], message["record"])}
        for message in before
        if message["type"] == "RECORD"
    ]
    for way in WAYS:
        schema = f"again_{way}"
        for messages in before + before[1:] + before, after + emptied, after:
            done = load(server, way, schema, messages, tmp_path)
            assert done.returncode == 0, done.stderr
        found = tables(server, schema)
        for stream, truth in records(before + after + emptied + after).items():
            assert_same(found[stream], truth)


def emptied_of(stream: str, record: Message) -> Message:
    """A record with nulls wherever they may be."""
    kept = {*KEYS[stream], *(("timetoken",) if "timetoken" in record else ())}
    required = {
        name for name, column in columns(stream).items() if "null" not in column["type"]
    }
    return {
        name: value if name in kept | required else None
        for name, value in record.items()
    }


def test_both_ways_hold_the_truth_and_the_same_state(
    server: Server, synced: Synced, tmp_path: Path
) -> None:
    """In batches that get full on the way."""
    world = World(**WORLD)
    for way in WAYS:
        schema = f"truth_{way}"
        done = load(server, way, schema, synced.messages, tmp_path, batch_size_rows=50)
        assert done.returncode == 0, done.stderr
        assert json.loads(done.stdout.splitlines()[-1]) == synced.state
        found = tables(server, schema)
        for stream in EVERY:
            truth = expected(world, stream, world.start, end_of(world))
            assert_same(found[stream], truth)


@pytest.mark.parametrize(
    ("column", "value"),
    [
        ("kore_sessions.is_developer", "?"),
        ("kore_sessions.start_time", "yesterday"),
        ("kore_sessions.no_of_messages_exchanged", 1.5),
        ("kore_sessions.no_of_messages_exchanged", "many"),
        ("kore_sessions.bot_id", None),
        ("avaamo_messages.content", "\0"),
        ("avaamo_messages.user", {"first_name": "\0"}),
        ("avaamo_messages.timetoken", "soon"),
        ("avaamo_usage.date", "2026-02-30"),
    ],
)
def test_what_is_no_value_of_its_column_is_refused_either_way(
    server: Server, synced: Synced, tmp_path: Path, column: str, value: Any
) -> None:
    """By the database if not by the target: no row is stored, and no state told."""
    stream, name = column.split(".")
    messages = hostile_messages(synced, ["one", "two"])
    messages = [message for message in messages if message["stream"] == stream]
    messages[-1]["record"][name] = value
    for way in WAYS:
        schema = f"refused_{way}_{name}"
        state = {"type": "STATE", "value": {"bookmarks": {}}}
        done = load(server, way, schema, [*messages, state], tmp_path)
        assert done.returncode != 0
        assert done.stdout == ""
        assert tables(server, schema) == {stream: {}}


@pytest.mark.parametrize(
    ("wrong", "stored"),
    [
        ({"channel": 7}, {"channel": "7"}),
        ({"session_lang": "en"}, {"session_lang": ["e", "n"]}),
    ],
)
def test_some_values_of_a_wrong_type_are_refused_by_validation_alone(
    server: Server, synced: Synced, tmp_path: Path, wrong: Message, stored: Message
) -> None:
    """The tap emits none: `test_targets` holds all of its records to the schemas."""
    messages = [
        message
        for message in hostile_messages(synced, ["one"])
        if message["stream"] == "kore_sessions"
    ]
    messages[-1]["record"] |= wrong
    [column] = wrong
    for way, is_taken in ("plain", False), ("fast", True):
        done = load(server, way, f"{column}_{way}", messages, tmp_path)
        assert (done.returncode == 0) is is_taken
    [row] = tables(server, f"{column}_fast")["kore_sessions"].values()
    assert row.items() >= stored.items()


def test_all_that_is_told_of_the_target_has_these_settings() -> None:
    target = json.loads(blocks("A pipeline into PostgreSQL", "json")[-1])
    project = yaml.safe_load((ROOT / "meltano.yml").read_text())
    loaders = {each["name"]: each for each in project["plugins"]["loaders"]}
    loader = loaders["target-postgres"]
    assert target.items() >= FAST.items()
    assert loader["config"].items() >= FAST.items()
    assert {each["name"] for each in loader["settings"]} >= FAST.keys()
