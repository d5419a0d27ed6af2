"""Whatever settings, states and catalogs hold: the tap reads, or says why not."""

from __future__ import annotations

import json
import os
import re
import socket
from dataclasses import dataclass
from datetime import UTC, date, datetime
from functools import partial
from io import BytesIO
from typing import TYPE_CHECKING, Any
from unittest import mock

import hypothesis
import pytest
from click.testing import CliRunner
from hypothesis import strategies as st

from simulator import App, Rule, Simulator, World
from simulator import streams as table
from simulator.faults import status
from tap_botsessions.airbyte.messages import AirbyteWriter
from tap_botsessions.airbyte.source import SettingsError, Source
from tap_botsessions.config.documents import check_state, without_fractions
from tap_botsessions.config.inputs import load
from tap_botsessions.engine.options import Limits
from tap_botsessions.tap import TapBotsessions
from tests.conftest import config_for, end_of, sync
from tests.junk import (
    EMAIL,
    INSTANTS,
    PLAIN,
    SECRET,
    TOKEN,
    damaged,
    replaced,
    spoilt,
    tried,
    written,
)
from tests.sound import (
    Log,
    Messages,
    assert_discreet,
    assert_sound,
    strict,
    undisturbed,
)
from tests.truth import STREAMS, expected, key_of
from tests.unit.test_environment import variables
from tests.unit.test_settings import CONTRACT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

    from hypothesis.strategies import DrawFn


Json = dict[str, Any]

# Secrets are as short as they are drawn.
pytestmark = pytest.mark.filterwarnings("ignore::jwt.InsecureKeyLengthWarning")

MOST_REQUESTS = 60
"""A run is refused more, lest it read years of seconds as it is told to."""

AGENT, BOT = "201", "st-1"


@dataclass
class Ended:
    """What came of a run of the command line.

    Attributes:
        code: The exit code.
        out: What it wrote.
        errors: The errors that it told.
    """

    code: int
    out: bytes
    errors: list[str]

    @property
    def messages(self) -> Messages:
        """What it wrote, line by line."""
        return strict(self.out)

    @property
    def state(self) -> Json:
        """The last state."""
        states = [each["value"] for each in self.messages if each["type"] == "STATE"]
        return states[-1] if states else {}

    def keys(self, stream: str) -> list[tuple[str, ...]]:
        """The keys of a stream's records as they came."""
        return [
            key_of(stream, each["record"])
            for each in self.messages
            if each["type"] == "RECORD" and each["stream"] == stream
        ]

    def is_refused(self, what: str) -> bool:
        """Whether a file was refused, by an error that names it, before any output."""
        is_refused = " ".join(self.errors).startswith(f"Error: {what}: ")
        assert not (is_refused and self.out)
        return is_refused

    def is_complete(self, stream: str) -> bool:
        """Whether nothing is said to be missing of a stream."""
        vendor = stream.partition("_")[0]
        return not any(
            error.startswith((f"incomplete: {stream}", f"incomplete: {vendor}, all"))
            for error in self.errors
        )


@dataclass(frozen=True)
class Workshop:
    """A folder to run the tap in, and a simulator for it to read."""

    folder: Path
    simulator: Simulator

    @property
    def config(self) -> Json:
        """Settings by which all can be read."""
        return config_for(self.simulator)

    def write(self, name: str, content: bytes) -> str:
        """Write a file; give its path."""
        path = self.folder / name
        path.write_bytes(content)
        return str(path)

    def owed(self, stream: str, since: datetime) -> set[tuple[str, ...]]:
        """The keys of what there is in a stream from an instant on."""
        world = self.simulator.world
        start = min(max(since, world.start), end_of(world))
        return {*expected(world, stream, start, end_of(world))}

    def run(
        self, *arguments: str, environment: Mapping[str, str] | None = None
    ) -> Ended:
        """Run the command line in this process, and hold what it tells."""
        self.simulator.requests.clear()
        self.simulator.faults.rules[:] = [Rule(status(403), after=MOST_REQUESTS)]
        command = TapBotsessions.get_singer_command()
        with (
            undisturbed(),
            mock.patch.dict(os.environ, environment or {}),
            Log() as log,
        ):
            result = CliRunner().invoke(command, arguments)
        if result.exception and not isinstance(result.exception, SystemExit):
            raise result.exception
        errors = [*log.errors, *result.stderr.splitlines()]
        assert_discreet([*log.lines, *errors])
        assert result.exit_code in {0, 1}
        if not {*arguments} & {"--check", "--plan"}:  # they tell it where they print
            assert (result.exit_code == 0) == (errors == [])
        return Ended(result.exit_code, result.stdout_bytes, errors)


def loopback_only(host: str | bytes | None, *arguments: Any, **more: Any) -> Any:
    """Look up addresses of this machine, and no others."""
    if host == "127.0.0.1":
        return LOOK_UP(host, *arguments, **more)
    raise socket.gaierror


LOOK_UP = socket.getaddrinfo


@pytest.fixture(scope="module")
def workshop(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Workshop]:
    world = World(
        days=2,
        sessions_per_day=4,
        agents=(AGENT,),
        bots=(BOT,),
        open_fraction=0.3,
        avaamo_token=TOKEN,
        app=App("cs-1", SECRET),
    )
    folder = tmp_path_factory.mktemp("workshop")
    with Simulator(world) as simulator, pytest.MonkeyPatch.context() as patch:
        patch.chdir(folder)
        patch.setattr(socket, "getaddrinfo", loopback_only)
        patch.setattr("tap_botsessions.engine.pacing.Budget.try_acquire", lambda _: 0.0)
        patch.setattr(TapBotsessions, "limits", Limits(max_pause=-1.0))
        yield Workshop(folder, simulator)


# Settings

TAGS = {"and": [{"name": "plan", "values": ["gold"]}]}
OWN = {"bot_id": BOT, "client_id": "cs-1", "client_secret": SECRET}
ALLOWED: dict[str, list[Any]] = {
    "start_date": ["1970-01-01", "2999-12-31", "2026-03-02T00:00:00.5+14:00"],
    "end_date": ["2026-03-02T00:00:00Z", "2999-12-31T23:59:59-14:00"],
    "window_days": [1e-9, 0.1, 6],
    "lookback_hours": [0, 0.5, 876_000],
    "max_concurrent_requests": [1, 64],
    "request_timeout_seconds": [1e-9, 3600],
    "max_retries": [0, 10**12],
    "user_agent": ["reporting/3"],
    "avaamo_agent_ids": [[201, "201"], ["..", "%2e", "a/b?c#d", "é"]],
    "avaamo_utc_offset": [-86_399, 19_800, 86_399],
    "avaamo_page_size": [1],
    "avaamo_requests_per_minute": [1, 10**12],
    "kore_bot_ids": [["st-1", "st-1"], ["..", "%2e", "a/b?c#d", "é"]],
    "kore_bot_credentials": [[OWN]],
    "kore_api": ["account", "stream"],
    "kore_jwt_algorithm": ["HS512"],
    "kore_containment_types": [["agent"], ["agent", "selfService", "agent"]],
    "kore_session_type": ["interactive"],
    "kore_user_id": ["u\u2028"],
    "kore_tags": [{}, TAGS],
    "kore_session_ids": [["s-1"], ["s"] * 99, ["s 1/\u2028"]],
    "kore_page_size": [1],
    "kore_requests_per_minute": [1, 10**12],
    "kore_requests_per_hour": [1, 10**12],
    "kore_open_session_days": [0, 1e-9, 36_500],
    "personal_data": ["hash", "drop"],
    "flattening_enabled": [True],
    "flattening_max_depth": [0, 1, 10**12],
    "stream_map_config": [{"a": 1}],
    "batch_config": [
        {
            "encoding": {"format": "jsonl", "compression": "gzip"},
            "storage": {"root": "file:///nowhere"},
        }
    ],
}
"""Settings that are right, to the edge."""

URLS = [
    "https://a..b",
    f"https://{'a' * 64}.example",
    "https://xn--a",
    "https://[v1.x]",
    "https://a%zz",
    "https://*",
    "https://127.0.0.1:0",
    "http://127.0.0.1:1\\@x",
    "http://localhost:8080/\u2028",
    f"https://{EMAIL}",
]
EXPRESSIONS = [
    "int(user_id)",
    "nope",
    "1/0",
    "record['x']",
    "datetime",
    "md5",
    "user_id",
    "10**10**10",
    "(\n",
    "'a' * 99",
    "fake",
    None,
]
MAPS = st.dictionaries(
    st.sampled_from(["kore_sessions", "avaamo_usage", "*"]),
    st.dictionaries(
        st.sampled_from(["x", "__filter__", "session_lang", "__alias__"]),
        st.sampled_from(EXPRESSIONS),
        min_size=1,
        max_size=2,
    ),
    min_size=1,
    max_size=2,
)


@st.composite
def configurations(draw: DrawFn, workshop: Workshop) -> Json:
    """Settings of which most are right, and often all."""
    config = workshop.config | {"personal_data_key": SECRET}
    for name in draw(st.lists(st.sampled_from([*ALLOWED]), max_size=4)):
        config[name] = draw(st.sampled_from(ALLOWED[name]))
    match draw(st.integers(0, 5)):
        case 0:
            config["kore_base_url"] = draw(st.sampled_from(URLS))
        case 1 | 2:
            config["stream_maps"] = draw(MAPS)
        case 3:
            names = [*CONTRACT, *ALLOWED, "stream_maps", "colour"]
            for name in draw(st.lists(st.sampled_from(names), max_size=3)):
                config[name] = draw(
                    spoilt(config.get(name), most=2, junk=PLAIN) | PLAIN
                )
    batch = config.get("batch_config")
    if isinstance(batch, dict) and isinstance(batch.get("storage"), dict):
        root = {"root": workshop.folder.as_uri()}
        config["batch_config"] = {**batch, "storage": batch["storage"] | root}
    return config


def as_text(value: Any) -> str:
    """A setting as the environment can hold it."""
    text = value if isinstance(value, str) else written(value).decode(errors="replace")
    return text.replace("\0", "").encode(errors="replace").decode()


WAYS = ["file", "file", "file", "torn file", "environment", ".env", "both"]


@st.composite
def handed_in(
    draw: DrawFn, workshop: Workshop, config: Json
) -> tuple[list[str], dict[str, str]]:
    """Settings in a file, in the environment or in an .env file.

    Returns:
        The command line's arguments, and the environment's variables.
    """
    dotenv = workshop.folder / ".env"
    dotenv.unlink(missing_ok=True)
    way = draw(st.sampled_from(WAYS))
    if "file" in way:
        content = written(config)
        content = draw(damaged(content)) if "torn" in way else content
        return ["--config", workshop.write("config.json", content)], {}
    texts = variables({name: as_text(value) for name, value in config.items()})
    if way == "environment":
        return ["--config=ENV"], texts
    if way == "both":
        there = {name: texts[name] for name in [*texts][::2]}
        others = written({name: config[name] for name in [*config][1::2]})
        file = workshop.write("others.json", others)
        return ["--config=ENV", "--config", file], there
    lines = "\n".join(f"{name}='{text}'" for name, text in texts.items())
    workshop.write(".env", draw(damaged(lines.encode())))
    return ["--config=ENV"], {}


KNOWN = re.compile(
    rf"({'|'.join([*CONTRACT, *ALLOWED, 'stream_maps', 'colour'])}"
    r"|nothing is configured|configuration|Config validation|\.env"
    r"|TAP_BOTSESSIONS_LOGLEVEL|incomplete: |Error: )"
)
"""What an error begins with."""

SINGER: list[list[str]] = [[], ["--test"], ["--test=schema"]]
COMMANDS = [*SINGER, [], [], [], ["--discover"], ["--check"], ["--plan"]]


@tried(200)
@hypothesis.given(data=st.data())
def test_any_settings_are_used_or_told_of(
    workshop: Workshop, data: st.DataObject
) -> None:
    config = data.draw(configurations(workshop))
    arguments, environment = data.draw(handed_in(workshop, config))
    command = data.draw(st.sampled_from(COMMANDS))
    ended = workshop.run(*arguments, *command, environment=environment)
    if command in SINGER and "stream_maps" not in config:
        assert_sound(ended.messages)
    assert [error for error in ended.errors if not KNOWN.match(error)] == []


# States

MIDDLE = datetime(2026, 3, 2, tzinfo=UTC)
BOOKMARKS = (
    INSTANTS
    | st.datetimes(datetime(2026, 2, 27), datetime(2026, 3, 5)).map(  # noqa: DTZ001 -- any
        datetime.isoformat
    )
    | st.dates(date(2026, 2, 27), date(2026, 3, 5)).map(date.isoformat)
    | st.integers(1_772_300_000, 1_772_600_000)
    | st.floats(1_772_300_000, 1_772_600_000)
)
"""What looks like a bookmark of one stream or another."""

FOREIGN: list[Json] = [
    {"bookmarks": {"users": {"replication_key_value": "2026-03-02"}}},
    {"currently_syncing": "users", "bookmarks": {"users": {"id": 7}}},
    {"bookmarks": {"users": {"partitions": [{"context": {"id": "7"}}]}}},
    {"bookmarks": {"kore_sessions": {"start_time": "2026-03-02T00:00:00Z"}}},
    {"bookmarks": {"avaamo_sessions": {"starting_replication_value": "x"}}},
    {"avaamo_sessions": "2026-03-02"},
    {"completed": {"singer_state": {"bookmarks": {}}}},
]
"""States as other taps, older SDKs and Meltano write them."""


@pytest.fixture(scope="module")
def half_read(workshop: Workshop) -> Json:
    """The state after the first day."""
    workshop.simulator.faults.rules.clear()
    return dict(sync(workshop.simulator, end_date=MIDDLE.isoformat()).state)


@tried(200)
@hypothesis.given(data=st.data())
def test_any_state_is_gone_on_from_or_told_of(
    workshop: Workshop, half_read: Json, data: st.DataObject
) -> None:
    state = data.draw(
        st.one_of(
            spoilt(half_read, junk=PLAIN | BOOKMARKS),
            st.sampled_from(STREAMS).flatmap(
                lambda stream: replaced(
                    half_read,
                    ("bookmarks", stream, "partitions", 0, "replication_key_value"),
                    BOOKMARKS | PLAIN,
                )
            ),
            st.sampled_from(FOREIGN).flatmap(partial(spoilt, junk=PLAIN)),
            PLAIN,
        )
    )
    content = data.draw(st.just(written(state)) | damaged(written(state)))
    offset = data.draw(st.sampled_from([0, 0, 19_800, -18_000]))
    config = workshop.config | {"avaamo_utc_offset": offset}
    arguments = [
        "--config",
        workshop.write("config.json", written(config)),
        "--state",
        workshop.write("state.json", content),
    ]
    if data.draw(st.integers(0, 4)) == 0:
        workshop.run(*arguments, "--plan")
        return
    ended = workshop.run(*arguments)
    assert_sound(ended.messages)
    assert check_state(ended.state) == []
    if ended.is_refused("state"):
        return
    before = without_fractions(json.loads(content))
    for stream in STREAMS:
        if not ended.is_complete(stream):
            assert bookmark(ended.state, stream) == bookmark(before, stream)
        elif stream != "avaamo_usage" or not offset:
            owed = workshop.owed(stream, claimed(before, stream))
            assert owed <= set(ended.keys(stream))


def bookmark(state: Json, stream: str) -> Json:
    """The part of a state that holds the bookmark of the one bot of a stream."""
    bot = {"bot_id": BOT} if stream == "kore_sessions" else {"agent_id": AGENT}
    partitions = state.get("bookmarks", {}).get(stream, {}).get("partitions", [])
    [found] = [each for each in partitions if each["context"] == bot] or [{}]
    return {
        name: found.get(name) for name in ("replication_key", "replication_key_value")
    }


def claimed(state: Json, stream: str) -> datetime:
    """Up to which instant a state says that the bot of a stream has been read."""
    mark = bookmark(state, stream)
    value = mark["replication_key_value"]
    if (
        mark["replication_key"] != table.STREAMS[stream].replication_key
        or value is None
    ):
        return datetime.min.replace(tzinfo=UTC)
    if stream == "avaamo_usage":
        value = date.fromisoformat(str(value)).isoformat()
    if isinstance(value, str):
        instant = datetime.fromisoformat(value)
        return instant if instant.tzinfo else instant.replace(tzinfo=UTC)
    return datetime.fromtimestamp(value, UTC)


# Catalogs


@pytest.fixture(scope="module")
def discovered(workshop: Workshop) -> Json:
    """The catalog, as a file would hold it, without what nothing depends on."""
    catalog = TapBotsessions(config=workshop.config).catalog_dict
    found: Json = json.loads(json.dumps(catalog))
    for entry in found["streams"]:
        for column in entry["schema"]["properties"].values():
            column.pop("description", None)
    return found


METADATA = st.dictionaries(
    st.sampled_from(
        [
            "selected",
            "selected-by-default",
            "inclusion",
            "forced-replication-method",
            "replication-key",
            "valid-replication-keys",
            "table-key-properties",
            "schema-name",
        ]
    ),
    PLAIN | st.sampled_from(["FULL_TABLE", "automatic", "unsupported", ["date"]]),
)


@tried(200)
@hypothesis.given(data=st.data())
def test_any_catalog_is_followed_or_told_of(
    workshop: Workshop, discovered: Json, data: st.DataObject
) -> None:
    place = data.draw(st.integers(0, len(discovered["streams"]) - 1))
    entries = [*discovered["streams"]]
    root = len(entries[place]["metadata"]) - 1
    entries[place] = data.draw(
        spoilt(entries[place], most=1, junk=PLAIN)
        | replaced(entries[place], ("metadata", root, "metadata"), METADATA)
    )
    catalog = data.draw(st.sampled_from([{"streams": entries}] * 3 + [discovered]))
    catalog = data.draw(st.just(catalog) | spoilt(catalog, most=1, junk=PLAIN) | PLAIN)
    content = data.draw(st.just(written(catalog)) | damaged(written(catalog)))
    ended = workshop.run(
        "--config",
        workshop.write("config.json", written(workshop.config)),
        "--catalog",
        workshop.write("catalog.json", content),
    )
    if ended.is_refused("catalog"):
        return
    entries = json.loads(content)["streams"]
    names = [entry["tap_stream_id"] for entry in entries]
    for entry in discovered["streams"]:
        name = entry["tap_stream_id"]
        if name in STREAMS and entry in entries and names.count(name) == 1:
            assert ended.is_complete(name)
            assert {*ended.keys(name)} == workshop.owed(
                name, workshop.simulator.world.start
            )


# Airbyte's files


@dataclass
class Told:
    """What the Airbyte source told.

    Attributes:
        is_well: Whether it says that all went well.
        messages: Its messages.
        refusal: Why it did not begin, if so.
    """

    is_well: bool
    messages: Messages
    refusal: str = ""

    def of(self, kind: str) -> list[Json]:
        """The messages of a kind."""
        name = kind.lower()
        return [each[name] for each in self.messages if each["type"] == kind]

    @property
    def errors(self) -> list[Json]:
        """The errors."""
        return [each["error"] for each in self.of("TRACE") if each["type"] == "ERROR"]

    def ended(self, stream: str) -> str:
        """How a stream ended."""
        [*_, last] = [
            each["stream_status"]["status"]
            for each in self.of("TRACE")
            if each["type"] == "STREAM_STATUS"
            and each["stream_status"]["stream_descriptor"]["name"] == stream
        ] or [""]
        return str(last)


def read(workshop: Workshop, config: bytes, catalog: bytes, state: bytes) -> Told:
    """Have the Airbyte source read as its command line does, and hold what it tells."""
    workshop.simulator.requests.clear()
    out = BytesIO()
    with undisturbed(), Log() as log:
        try:
            files = [load(each.decode()) for each in (config, catalog, state)]
        except ValueError:
            return Told(is_well=False, messages=[], refusal="no JSON")
        try:
            is_well = Source(AirbyteWriter(out)).read(*files)
            refusal = ""
        except SettingsError as error:
            is_well, refusal = False, str(error)
    told = Told(is_well, strict(out.getvalue()), refusal)
    assert_discreet([*log.lines, *refusal.splitlines()])
    for each in told.errors:
        assert_discreet(each["message"].splitlines())
        assert each["failure_type"] != "system_error"
    assert is_well == (told.errors == [] and not refusal)
    return told


def check_and_discover(workshop: Workshop, config: bytes) -> None:
    """Have the Airbyte source check settings and discover by them."""
    workshop.simulator.requests.clear()
    out = BytesIO()
    with undisturbed(), Log() as log:
        try:
            source, settings = Source(AirbyteWriter(out)), load(config.decode())
            assert source.check(settings)
            assert source.discover(settings)
        except SettingsError as error:
            assert_discreet(str(error).splitlines())
        except ValueError:
            return
    assert_discreet(log.lines)
    told = strict(out.getvalue())
    [status] = [each for each in told if each["type"] == "CONNECTION_STATUS"]
    assert_discreet(status["connectionStatus"].get("message", "").splitlines())


@pytest.fixture(scope="module")
def configured(workshop: Workshop) -> Json:
    """A configured catalog of all streams."""
    streams = TapBotsessions(config=workshop.config).streams
    fields = streams["kore_sessions"].schema["properties"]
    return {
        "streams": [
            {
                "stream": {
                    "name": name,
                    "json_schema": {"properties": {field: {} for field in fields}}
                    if name == "kore_sessions"
                    else {},
                    "supported_sync_modes": ["full_refresh", "incremental"],
                },
                "sync_mode": "incremental",
                "destination_sync_mode": "append_dedup",
            }
            for name in STREAMS
        ]
    }


@pytest.fixture(scope="module")
def half_read_states(workshop: Workshop, configured: Json) -> list[Json]:
    """The states after the first day, as a platform hands them in again."""
    config = workshop.config | {"end_date": MIDDLE.isoformat()}
    told = read(workshop, written(config), written(configured), b"[]")
    return [
        *{
            each["stream"]["stream_descriptor"]["name"]: each
            for each in told.of("STATE")
        }.values()
    ]


CONFIGURED = {
    "name": ("streams", 0, "stream", "name"),
    "sync_mode": ("streams", 0, "sync_mode"),
}


@tried(200)
@hypothesis.given(data=st.data())
def test_any_files_of_airbytes_are_used_or_told_of(
    workshop: Workshop,
    configured: Json,
    half_read_states: list[Json],
    data: st.DataObject,
) -> None:
    right = workshop.config, configured, half_read_states
    which = data.draw(st.integers(0, 2))
    files = [written(each) for each in right]
    parts = [
        st.sampled_from([*workshop.config]).map(lambda name: (name,)),
        st.sampled_from(["name", "sync_mode"]).map(CONFIGURED.__getitem__),
        st.sampled_from(["stream_state", "stream_descriptor"]).map(
            lambda name: (3, "stream", name)
        ),
    ]
    place = data.draw(parts[which])
    junk = PLAIN | BOOKMARKS
    broken = data.draw(
        spoilt(right[which], junk=junk) | replaced(right[which], place, junk)
    )
    files[which] = data.draw(st.just(written(broken)) | damaged(written(broken)))
    told = read(workshop, *files)
    if not which:
        check_and_discover(workshop, files[0])
    for stream in STREAMS:
        if which and told.ended(stream) == "COMPLETE":
            streams = [each["stream"] for each in json.loads(files[2])]
            marks = {
                each["stream_descriptor"]["name"]: each.get("stream_state") or {}
                for each in streams
            }
            owed = workshop.owed(stream, claimed({"bookmarks": marks}, stream))
            records = told.of("RECORD")
            found = [each["data"] for each in records if each["stream"] == stream]
            assert owed <= {key_of(stream, record) for record in found}
