"""The command line: every mistake ends in a line, discovery, --test and --about."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass
from typing import TYPE_CHECKING

import pytest

from tap_botsessions.config.settings import SCHEMA
from tests import programs
from tests.conftest import config_for
from tests.truth import discovered
from tests.unit.test_environment import texts_of, variables
from tests.unit.test_settings import (
    AVAAMO,
    BOTH,
    CONTRACT,
    HIDDEN,
    KORE,
    OWN,
    Config,
    without,
)
from tests.unit.test_states import PARTITION

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path
    from subprocess import CompletedProcess

    from simulator import Simulator


@dataclass(frozen=True)
class CommandLine:
    """The tap's command line, run in a directory of its own."""

    directory: Path

    def write(self, name: str, content: object) -> str:
        """Write a file, text as it is and anything else as JSON; give its path."""
        text = content if isinstance(content, str) else json.dumps(content)
        path = self.directory / name
        path.write_text(text, encoding="utf-8")
        return str(path)

    def run(
        self,
        *arguments: str,
        config: object = None,
        loglevel: str = "DEBUG",
        environment: Mapping[str, str] | None = None,
    ) -> CompletedProcess[str]:
        """Run the tap with a configuration file and further arguments."""
        if config is not None:
            arguments = ("--config", self.write("config.json", config), *arguments)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TAP_BOTSESSIONS_")
        }
        return programs.run(
            programs.TAP,
            *arguments,
            environment={**clean, "LOGLEVEL": loglevel, **(environment or {})},
            folder=self.directory,
        )


@pytest.fixture
def tap(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def errors_of(run: CompletedProcess[str]) -> list[str]:
    """The lines that a run was refused with, which must be all that it shows."""
    assert run.returncode == 1
    assert run.stdout == ""
    assert "Traceback" not in run.stderr
    assert HIDDEN not in run.stderr
    logged = [line.split(" | ") for line in run.stderr.splitlines()]
    return [
        fields[-1]
        for fields in logged
        if fields[0].startswith("Error: ") or fields[1:2] == ["ERROR   "]
    ]


@pytest.mark.parametrize(
    ("config", "said"),
    [
        ({"start_date": "2026-05-01"}, "nothing is configured: "),
        ({**BOTH, "end_date": "2026-04-01"}, "end_date: must be later"),
        ({**BOTH, "start_date": "yesterday"}, "start_date: is no date-time"),
        (without(BOTH, "avaamo_access_token"), "avaamo_access_token: is missing"),
        ({**BOTH, "window_days": 9}, "window_days: is 9, but must be at most 6"),
        (
            {**BOTH, "avaamo_base_url": "http://avaamo.invalid"},
            "avaamo_base_url: must begin with https://",
        ),
        (
            {**BOTH, "kore_base_url": "https://ada:hunter2@kore.invalid"},
            "kore_base_url: must be a scheme, a host",
        ),
        (
            {**BOTH, "avaamo_access_token": {"value": "hunter2"}},
            "avaamo_access_token: must be of type string",
        ),
        (
            {**BOTH, "avaamo_access_token": "hunter2\nhunter2"},
            "avaamo_access_token: holds characters",
        ),
        (
            {**BOTH, "kore_bot_credentials": [{**OWN, "client_id": ["hunter2"]}]},
            "kore_bot_credentials[0]['client_id']: must be of type string",
        ),
    ],
)
def test_a_mistake_ends_the_run_with_its_line(
    tap: CommandLine, config: Config, said: str
) -> None:
    line, end = errors_of(tap.run(config=config))
    assert line.startswith(said)
    assert end == "Config validation failed"


@pytest.mark.parametrize("loglevel", ["INFO", "DEBUG"])
def test_all_mistakes_are_told_at_once(tap: CommandLine, loglevel: str) -> None:
    config = {
        "start_date": "yesterday",
        "window_days": 9,
        "avaamo_access_token": "hunter2\n",
        "kore_base_url": "ftp://kore.invalid",
        "kore_client_secret": "hunter2",
        "kore_page_size": 10_001,
        "kore_api": "v2",
    }
    *lines, end = errors_of(tap.run(config=config, loglevel=loglevel))
    assert sorted(line.split(": ")[0] for line in lines) == [
        "avaamo_access_token",
        "avaamo_agent_ids",
        "avaamo_base_url",
        "kore_api",
        "kore_base_url",
        "kore_client_id",
        "kore_page_size",
        "start_date",
        "window_days",
    ]
    assert end == "Config validation failed"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"window_days": 2.5, "kore_api": "v2"}, "kore_api: must be one of"),
        ({"kore_bot_credentials": [{**OWN, "client_secret": ""}]}, "kore_bot_cred"),
        ({"batch_config": {"a": 1}}, "batch_config: is not as the SDK asks"),
        ({"stream_maps": {"avaamo_sessions": {"x": "(("}}}, "stream_maps: Failed to"),
        (
            {"stream_maps": {"avaamo_sessions": {"__filter__": "(("}}},
            "stream_maps: Failed to",
        ),
        ({"stream_maps": {"__else__": 3}}, "stream_maps['__else__']: is not as the"),
        (
            {"stream_maps": {"avaamo_sessions": {"x": "(\n"}}},
            "stream_maps: Failed to parse expression ( .",
        ),
    ],
)
@pytest.mark.parametrize("arguments", [[], ["--test"]], ids=["run", "test"])
def test_what_used_to_end_in_a_traceback_ends_in_a_line(
    tap: CommandLine, arguments: list[str], settings: Config, said: str
) -> None:
    line, *_ = errors_of(tap.run(*arguments, config={**BOTH, **settings}))
    assert line.removeprefix("Error: ").startswith(said)


@pytest.mark.parametrize("name", ["LOGLEVEL", "TAP_BOTSESSIONS_LOGLEVEL"])
def test_a_level_of_the_log_that_is_none_ends_in_a_line(
    tap: CommandLine, name: str
) -> None:
    (line,) = errors_of(tap.run(config=BOTH, environment={name: "loud"}))
    assert "TAP_BOTSESSIONS_LOGLEVEL, LOGLEVEL or SINGER_SDK_LOG_CONFIG: " in line


def test_a_misspelling_that_leads_to_a_refusal_is_named_too(tap: CommandLine) -> None:
    config = {**without(BOTH, "avaamo_access_token"), "avaamo_acces_token": HIDDEN}
    run = tap.run(config=config)
    line, _ = errors_of(run)
    assert line.startswith("avaamo_access_token: is missing")
    assert "did you mean avaamo_access_token?" in run.stderr


def test_a_connection_test_tells_of_mistakes_too(tap: CommandLine) -> None:
    config = {**BOTH, "window_days": 9}
    (line,) = errors_of(tap.run("--test", config=config))
    assert line == "Error: window_days: is 9, but must be at most 6"


def test_a_mistake_in_the_environment_ends_the_run_with_its_line(
    tap: CommandLine,
) -> None:
    settings = {**texts_of(BOTH), "avaamo_access_token": "hunter2\n"}
    run = tap.run("--config=ENV", environment=variables(settings))
    line, _ = errors_of(run)
    assert line.startswith("avaamo_access_token: holds characters")


@pytest.mark.parametrize(
    "content",
    ['{"avaamo_access_token": "hunter2', '{"avaamo_access_token": "hunter2"} x', ""],
    ids=["torn", "followed", "empty"],
)
def test_a_config_file_that_is_no_json_is_named(tap: CommandLine, content: str) -> None:
    (line,) = errors_of(tap.run(config=content))
    assert line.startswith("Error: --config: ")
    assert str(tap.directory / "config.json") in line


@pytest.mark.parametrize(
    "content",
    [
        "[1]",
        "3",
        "null",
        "[]",
        '[["start_date", "hunter2"]]',
        "[" * 100_000,
        f'{{"kore_tags": {"[" * 101 + "]" * 101}}}',
    ],
    ids=["array", "number", "null", "none", "pairs", "torn nest", "nest"],
)
@pytest.mark.parametrize("arguments", [[], ["--discover"], ["--test"]])
def test_a_config_file_that_is_no_plain_object_is_named(
    tap: CommandLine, arguments: list[str], content: str
) -> None:
    (line,) = errors_of(tap.run(*arguments, config=content))
    assert line.startswith("Error: --config: ")
    assert str(tap.directory / "config.json") in line


def test_a_config_file_that_is_missing_is_named(tap: CommandLine) -> None:
    (line,) = errors_of(tap.run("--config", "nowhere.json"))
    assert line == "Error: --config: nowhere.json is not found"


@pytest.mark.parametrize(
    ("option", "content", "said"),
    [
        ("state", '{"hunter2": {', "can't be read"),
        ("state", ["hunter2"], "it is no JSON object"),
        ("state", "[" * 100_000, "nested too deeply"),
        ("state", {"foo": 1}, "bookmarks: is missing"),
        (
            "state",
            {"bookmarks": {"avaamo_usage": {"partitions": [PARTITION, PARTITION]}}},
            "one context is there twice",
        ),
        ("state", {"bookmarks": {"avaamo_sessions": 3}}, "must be as the tap wrote it"),
        ("catalog", '{"hunter2": [', "can't be read"),
        ("catalog", ["hunter2"], "it is no JSON object"),
        ("catalog", {}, "streams: is missing"),
        ("catalog", {"streams": 3}, "streams: must be of type array"),
        ("catalog", {"streams": None}, "streams: must be of type array"),
        ("catalog", {"streams": [3]}, "streams[0]: must be of type object"),
        ("catalog", {"streams": [], "a": "\ud83d"}, "a number in it is infinite, or t"),
        ("catalog", {"streams": [{}]}, "streams[0]['tap_stream_id']: is missing"),
        (
            "catalog",
            {"streams": [{"tap_stream_id": "avaamo_sessions", "schema": 3}]},
            "streams[0]['schema']: must be of type object",
        ),
        (
            "catalog",
            {"streams": [{"tap_stream_id": "avaamo_sessions", "metadata": [3]}]},
            "streams[0]['metadata'][0]: must be of type object",
        ),
        (
            "catalog",
            {"streams": [{"tap_stream_id": "avaamo_sessions", "stream": "sessions"}]},
            "streams[0]['stream']: must be the same as its tap_stream_id",
        ),
    ],
)
def test_a_file_that_is_not_the_taps_own_is_refused(
    tap: CommandLine, option: str, content: object, said: str
) -> None:
    path = tap.write("other.json", content)
    [line] = errors_of(tap.run(f"--{option}", path, config=BOTH))
    assert line.startswith(f"Error: {option}: ")
    assert said in line


def test_a_misspelt_setting_is_named_in_a_warning(tap: CommandLine) -> None:
    run = tap.run("--discover", config={**BOTH, "windw_days": "hunter2"})
    assert run.returncode == 0
    (line,) = [line for line in run.stderr.splitlines() if "WARNING" in line]
    assert line.endswith(
        "windw_days: there is no such setting, so it has no effect; "
        "did you mean window_days?"
    )
    assert HIDDEN not in run.stdout + run.stderr


@pytest.mark.parametrize(
    ("config", "vendors"),
    [
        (BOTH, ["avaamo", "kore"]),
        (AVAAMO, ["avaamo"]),
        (without(KORE, "kore_bot_ids"), ["kore"]),
        ({"kore_bot_credentials": [OWN]}, ["kore"]),
        ({}, ["avaamo", "kore"]),
        (None, ["avaamo", "kore"]),
    ],
    ids=["both", "avaamo", "kore", "bot", "neither", "no file"],
)
def test_the_streams_of_the_vendors_configured_or_else_all_are_discovered(
    tap: CommandLine, config: Config | None, vendors: list[str]
) -> None:
    run = tap.run("--discover", config=config)
    assert run.returncode == 0
    found = [stream["tap_stream_id"] for stream in json.loads(run.stdout)["streams"]]
    assert found == discovered(*vendors)
    assert HIDDEN not in run.stdout + run.stderr


@pytest.mark.parametrize(
    "settings",
    [
        {"kore_jwt_algorithm": 3},
        {"request_timeout_seconds": 0},
        {"kore_requests_per_minute": "many"},
        {"kore_base_url": ""},
        {"kore_bot_ids": [3], "start_date": "yesterday", "batch_config": {"a": 1}},
        {"stream_maps": {"kore_sessions": {"x": "(("}}},
        {"avaamo_agent_ids": ["201"], "windw_days": 2.5},
    ],
)
def test_streams_are_discovered_whatever_else_is_wrong(
    tap: CommandLine, settings: Config
) -> None:
    run = tap.run("--discover", config={**KORE, **settings})
    assert run.returncode == 0
    found = [stream["tap_stream_id"] for stream in json.loads(run.stdout)["streams"]]
    assert found == discovered("kore")


@pytest.fixture
def simulated(simulator: Simulator) -> Config:
    return config_for(simulator)


def test_a_connection_test_emits_a_record_of_each_stream(
    tap: CommandLine, simulated: Config
) -> None:
    run = tap.run("--test", config=simulated, loglevel="WARNING")
    assert run.returncode == 0
    assert run.stderr == ""
    messages = [json.loads(line) for line in run.stdout.splitlines()]
    assert [(message["type"], message["stream"]) for message in messages] == [
        (kind, stream)
        for stream in [
            "avaamo_messages",
            "avaamo_sessions",
            "avaamo_usage",
            "kore_sessions",
        ]
        for kind in ["SCHEMA", "RECORD"]
    ]


def test_a_connection_test_of_the_schemas_makes_no_request(tap: CommandLine) -> None:
    run = tap.run("--test=schema", config=BOTH)
    assert run.returncode == 0
    assert [json.loads(line)["type"] for line in run.stdout.splitlines()] == [
        "SCHEMA"
    ] * len(discovered("avaamo", "kore"))


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"avaamo_access_token": "hunter2"}, "avaamo_messages, agent "),
        ({"kore_client_secret": "hunter2" * 8}, "kore_sessions, bot "),
    ],
)
def test_a_connection_test_with_a_wrong_credential_ends_in_one_line(
    tap: CommandLine, simulated: Config, settings: Config, said: str
) -> None:
    run = tap.run("--test", config={**simulated, **settings}, loglevel="WARNING")
    assert run.returncode == 1
    (line,) = run.stderr.splitlines()
    assert line.startswith(f"Error: {said}")
    assert "401" in line
    assert HIDDEN not in line


@pytest.mark.parametrize("form", [[], ["--format", "markdown"]], ids=["text", "md"])
def test_about_names_every_setting_without_any_configuration(
    tap: CommandLine, form: list[str]
) -> None:
    run = tap.run("--about", *form)
    assert run.returncode == 0
    assert [name for name in CONTRACT if name not in run.stdout] == []


def test_about_as_json_holds_the_schema(tap: CommandLine) -> None:
    run = tap.run("--about", "--format", "json")
    assert run.returncode == 0
    settings = json.loads(run.stdout)["settings"]["properties"]
    assert {name: settings[name] for name in CONTRACT} == SCHEMA["properties"]
