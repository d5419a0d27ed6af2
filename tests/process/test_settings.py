"""The settings: the contract, what is accepted, and how every mistake is told."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from copy import deepcopy
from dataclasses import dataclass
from decimal import Decimal
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import dotenv
import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigValidationError

from simulator.streams import STREAMS as TABLE
from tap_botsessions.config.settings import (
    SCHEMA,
    agent_ids,
    avaamo_configured,
    base_url,
    bot_credentials,
    kore_configured,
    secrets,
    user_agent,
)
from tap_botsessions.config.validation import given_in_vain, meant, problems, usable
from tap_botsessions.tap import TapBotsessions
from tests.conftest import config_for
from tests.truth import STREAMS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from hypothesis.strategies import SearchStrategy

    from simulator import Simulator

Config = dict[str, Any]

EXECUTABLE = Path(sys.executable).parent / "tap-botsessions"

HIDDEN = "hunter2"
"""A part of every secret below."""

# Hosts that no name server knows, so that nothing leaves this machine.
AVAAMO: Config = {
    "avaamo_base_url": "https://avaamo.invalid",
    "avaamo_access_token": "hunter2-of-avaamo",
    "avaamo_agent_ids": ["201"],
}
KORE: Config = {
    "kore_base_url": "https://kore.invalid",
    "kore_client_id": "cs-1",
    "kore_client_secret": "hunter2-of-kore",
    "kore_bot_ids": ["st-1"],
}
BOTH: Config = {"start_date": "2026-05-01", **AVAAMO, **KORE}
BATCH: Config = {
    "encoding": {"format": "jsonl", "compression": "gzip"},
    "storage": {"root": "file:///tmp"},
}
OWN: Config = {
    "bot_id": "st-2",
    "client_id": "cs-2",
    "client_secret": "hunter2-of-a-bot",
}

# The contract: the type or types, the default, and whatever else the schema says.
STRING, NUMBER, INTEGER = ["string"], ["number"], ["integer"]
CONTRACT: dict[str, tuple[list[str], Any, Config]] = {
    "start_date": (STRING, None, {"format": "date-time"}),
    "end_date": (STRING, None, {"format": "date-time"}),
    "window_days": (NUMBER, 6, {"exclusiveMinimum": 0, "maximum": 6}),
    "lookback_hours": (NUMBER, 1, {"minimum": 0, "maximum": 876_000}),
    "max_concurrent_requests": (INTEGER, 8, {"minimum": 1, "maximum": 64}),
    "request_timeout_seconds": (
        NUMBER,
        60,
        {"exclusiveMinimum": 0, "maximum": 3600},
    ),
    "max_retries": (INTEGER, 8, {"minimum": 0}),
    "user_agent": (STRING, None, {}),
    "ca_bundle": (STRING, None, {}),
    "avaamo_base_url": (STRING, None, {}),
    "avaamo_access_token": (STRING, None, {"secret": True, "writeOnly": True}),
    "avaamo_agent_ids": (["array"], None, {"items": {"type": ["string", "integer"]}}),
    "avaamo_utc_offset": (INTEGER, 0, {"minimum": -86_399, "maximum": 86_399}),
    "avaamo_page_size": (INTEGER, 100, {"minimum": 1, "maximum": 100}),
    "avaamo_requests_per_minute": (INTEGER, 50, {"minimum": 1}),
    "kore_base_url": (STRING, "https://bots.kore.ai", {}),
    "kore_client_id": (STRING, None, {}),
    "kore_client_secret": (STRING, None, {"secret": True, "writeOnly": True}),
    "kore_bot_ids": (["array"], None, {"items": {"type": STRING}}),
    "kore_bot_credentials": (
        ["array"],
        None,
        {
            "secret": True,
            "writeOnly": True,
            "items": {
                "type": "object",
                "properties": {
                    "bot_id": {"type": STRING},
                    "client_id": {"type": STRING},
                    "client_secret": {
                        "type": STRING,
                        "secret": True,
                        "writeOnly": True,
                    },
                },
                "required": ["bot_id", "client_id", "client_secret"],
                "additionalProperties": False,
            },
        },
    ),
    "kore_api": (STRING, "bot", {"enum": ["bot", "account", "stream"]}),
    "kore_jwt_algorithm": (STRING, "HS256", {"enum": ["HS256", "HS512"]}),
    "kore_containment_types": (
        ["array"],
        None,
        {"items": {"type": STRING, "enum": ["dropOff", "selfService", "agent"]}},
    ),
    "kore_session_type": (
        STRING,
        None,
        {"enum": ["interactive", "non-interactive"]},
    ),
    "kore_user_id": (STRING, None, {}),
    "kore_tags": (["object"], None, {"properties": {}, "additionalProperties": True}),
    "kore_session_ids": (["array"], None, {"items": {"type": STRING}}),
    "kore_page_size": (INTEGER, 1000, {"minimum": 1, "maximum": 10_000}),
    "kore_requests_per_minute": (INTEGER, 60, {"minimum": 1}),
    "kore_requests_per_hour": (INTEGER, 1800, {"minimum": 1}),
    "kore_open_session_days": (NUMBER, 14, {"minimum": 0, "maximum": 36_500}),
    "personal_data": (STRING, "keep", {"enum": ["keep", "hash", "drop"]}),
    "personal_data_texts": (STRING, "drop", {"enum": ["drop", "keep"]}),
    "personal_data_key": (
        STRING,
        None,
        {"secret": True, "writeOnly": True, "minLength": 16},
    ),
}
DEFAULTS = {
    name: default for name, (_, default, _) in CONTRACT.items() if default is not None
}


def without(config: Config, *names: str) -> Config:
    return {name: value for name, value in config.items() if name not in names}


def told(config: Config) -> list[str]:
    """The lines that a configuration is refused with, if it is."""
    return problems(meant(config, SCHEMA), SCHEMA)


# The contract


def test_the_settings_are_those_of_the_contract() -> None:
    prose = {"type", "default", "title", "description", "examples"}
    settings = {
        name: (
            [kind for kind in setting["type"] if kind != "null"],
            setting.get("default"),
            without(setting, *prose),
        )
        for name, setting in SCHEMA["properties"].items()
    }
    assert settings == CONTRACT
    assert SCHEMA["required"] == ["start_date"]


def test_every_setting_has_a_title_and_a_description() -> None:
    assert all(
        setting["title"] and setting["description"].endswith(".")
        for setting in SCHEMA["properties"].values()
    )


def test_every_setting_but_the_required_one_may_be_null() -> None:
    nullable = {
        name
        for name, setting in SCHEMA["properties"].items()
        if "null" in setting["type"]
    }
    assert nullable == CONTRACT.keys() - {"start_date"}


def test_defaults_are_filled_in() -> None:
    config: Config = {"start_date": "2026-05-01", **AVAAMO}
    assert usable(config, SCHEMA) == {**DEFAULTS, **config}
    assert "window_days" not in config


def test_the_default_user_agent_names_the_version() -> None:
    version = metadata.version("tap-botsessions")
    assert user_agent({}) == f"tap-botsessions/{version}"
    assert user_agent({"user_agent": "reporting/3"}) == "reporting/3"


# What the settings mean


def test_an_agent_is_read_once_whether_its_id_is_a_number_or_a_string() -> None:
    config = {"avaamo_agent_ids": [202, "201", "202", 201, "203"]}
    assert agent_ids(config) == ["202", "201", "203"]


@pytest.mark.parametrize(
    ("config", "credentials"),
    [
        (KORE, {"st-1": ("cs-1", "hunter2-of-kore")}),
        ({"kore_bot_credentials": [OWN]}, {"st-2": ("cs-2", "hunter2-of-a-bot")}),
        (
            {**KORE, "kore_bot_ids": ["st-1", "st-2"], "kore_bot_credentials": [OWN]},
            {
                "st-1": ("cs-1", "hunter2-of-kore"),
                "st-2": ("cs-2", "hunter2-of-a-bot"),
            },
        ),
        (
            {**KORE, "kore_bot_credentials": [OWN]},
            {"st-1": ("cs-1", "hunter2-of-kore")},
        ),
        ({"kore_bot_ids": ["st-1", "st-1"]}, {"st-1": ("", "")}),
        ({}, {}),
    ],
    ids=["shared", "own", "own before shared", "unlisted", "none", "nothing"],
)
def test_a_bot_has_its_own_credentials_or_the_shared_ones(
    config: Config, credentials: dict[str, tuple[str, str]]
) -> None:
    assert bot_credentials(config) == credentials


@pytest.mark.parametrize(
    ("config", "avaamo", "kore"),
    [
        ({}, False, False),
        (AVAAMO, True, False),
        ({"avaamo_access_token": ""}, False, False),
        (without(AVAAMO, "avaamo_access_token"), False, False),
        (KORE, False, True),
        (without(KORE, "kore_client_id"), False, False),
        (without(KORE, "kore_client_secret"), False, False),
        ({"kore_bot_credentials": [OWN]}, False, True),
        ({"kore_bot_credentials": []}, False, False),
        (BOTH, True, True),
    ],
)
def test_a_vendor_is_configured_when_its_credentials_are(
    config: Config,
    avaamo: bool,  # noqa: FBT001 -- a column of the table above
    kore: bool,  # noqa: FBT001 -- likewise
) -> None:
    assert (avaamo_configured(config), kore_configured(config)) == (avaamo, kore)


def test_every_secret_is_known_as_one() -> None:
    config = {**BOTH, "kore_bot_credentials": [OWN]}
    assert sorted(secrets(config)) == [
        "hunter2-of-a-bot",
        "hunter2-of-avaamo",
        "hunter2-of-kore",
    ]
    assert secrets({"avaamo_access_token": ""}) == []


@pytest.mark.parametrize(
    ("value", "url"),
    [
        ("bots.kore.ai", "https://bots.kore.ai"),
        ("bots.kore.ai/", "https://bots.kore.ai"),
        ("https://bots.kore.ai", "https://bots.kore.ai"),
        ("https://bots.kore.ai/xo/", "https://bots.kore.ai/xo"),
        ("localhost:8080", "https://localhost:8080"),
        ("http://localhost:8080", "http://localhost:8080"),
    ],
)
def test_a_base_url_is_completed(value: str, url: str) -> None:
    assert base_url(value) == url


# What is accepted


@pytest.mark.parametrize(
    "settings",
    [
        {},
        {"avaamo_agent_ids": [201, "202"]},
        {"avaamo_base_url": "avaamo.invalid"},
        {"avaamo_base_url": "https://avaamo.invalid:8443/api/"},
        {"avaamo_base_url": "http://127.0.0.1"},
        {"avaamo_base_url": "http://127.0.0.1:8080"},
        {"avaamo_base_url": "http://127.9.9.9"},
        {"avaamo_base_url": "http://localhost"},
        {"avaamo_base_url": "http://LOCALHOST:8080"},
        {"avaamo_base_url": "http://[::1]:8080"},
        {"avaamo_base_url": "https://[2001:db8::1]"},
        {"kore_base_url": "kore.invalid"},
        {"kore_base_url": "https://kore.invalid"},
        {"kore_base_url": "http://localhost:8080"},
        {"start_date": "2026-05-01T12:30:15.250+05:30"},
        {"end_date": ""},
        {"end_date": "2026-05-01T00:00:01Z"},
        {"start_date": "2026-05-01T00:00:00+02:00", "end_date": "2026-05-01"},
        {"window_days": 6},
        {"window_days": 0.001},
        {"window_days": "2.5"},
        {"avaamo_page_size": "10"},
        {"avaamo_page_size": 10.0},
        {"kore_tags": '{"and": []}'},
        {"kore_base_url": ""},
        {"kore_api": ""},
        {"window_days": ""},
        {"start_date": "1970-01-01"},
        {"end_date": "2999-12-31T23:59:59Z"},
        {"batch_config": BATCH},
        {"lookback_hours": 0},
        {"avaamo_page_size": 1},
        {"avaamo_page_size": 100},
        {"avaamo_utc_offset": -86_399},
        {"kore_page_size": 10_000},
        {"kore_open_session_days": 0},
        {"max_retries": 0},
        {"max_concurrent_requests": 64},
        {"kore_api": "account", "kore_jwt_algorithm": "HS512"},
        {"kore_containment_types": ["dropOff", "agent"]},
        {"kore_tags": {"and": [{"name": "plan", "values": ["gold"]}]}},
        {"kore_session_ids": []},
        {"kore_bot_ids": None, "kore_bot_credentials": [OWN]},
        {"user_agent": "reporting/3 (nightly)"},
    ],
)
def test_what_is_right_is_accepted(settings: Config) -> None:
    assert told({**BOTH, **settings}) == []


@pytest.mark.parametrize(
    "config",
    [
        AVAAMO,
        KORE,
        {"kore_bot_credentials": [OWN]},
        {"kore_bot_ids": ["st-2"], "kore_bot_credentials": [OWN]},
    ],
    ids=["avaamo", "kore", "bot", "listed bot"],
)
def test_one_vendor_is_enough(config: Config) -> None:
    assert told({"start_date": "2026-05-01", **config}) == []


# What is wrong, and how it is told


@pytest.mark.parametrize(
    ("settings", "place", "said"),
    [
        # The range
        ({"start_date": "yesterday"}, "start_date", "is no date-time"),
        ({"start_date": "2026-02-30"}, "start_date", "is no date-time"),
        ({"start_date": "0001-01-01T00:00:00+05:00"}, "start_date", "is no date-time"),
        ({"start_date": 20_260_501}, "start_date", "must be of type string"),
        ({"start_date": ""}, "start_date", "is missing"),
        ({"start_date": "1969-12-31T23:59:59Z"}, "start_date", "years 1970 to 2999"),
        ({"start_date": "0001-01-01T00:00:00Z"}, "start_date", "years 1970 to 2999"),
        ({"start_date": "9999-12-31T23:59:59Z"}, "start_date", "years 1970 to 2999"),
        ({"end_date": "3000-01-01"}, "end_date", "years 1970 to 2999"),
        ({"end_date": "2026-13-01"}, "end_date", "is no date-time"),
        ({"end_date": "2026-05-01"}, "end_date", "must be later than start_date"),
        ({"end_date": "2025-05-01"}, "end_date", "must be later than start_date"),
        (
            {"end_date": "2026-05-01T02:00:00+02:00"},
            "end_date",
            "must be later than start_date",
        ),
        # Numbers
        ({"window_days": 9}, "window_days", "is 9, but must be at most 6"),
        ({"window_days": 0}, "window_days", "is 0, but must be more than 0"),
        ({"window_days": -1}, "window_days", "is -1, but must be more than 0"),
        ({"window_days": "9"}, "window_days", "is 9, but must be at most 6"),
        ({"window_days": Decimal("9.5")}, "window_days", "is 9.5, but must be at"),
        ({"window_days": "a week"}, "window_days", "must be of type number"),
        ({"window_days": True}, "window_days", "must be of type number"),
        ({"window_days": "nan"}, "window_days", "must be of type number"),
        ({"window_days": "NaN"}, "window_days", "must hold finite numbers"),
        ({"window_days": float("nan")}, "window_days", "must hold finite numbers"),
        ({"kore_tags": {"a": [float("inf")]}}, "kore_tags", "must hold finite numbers"),
        ({"kore_tags": "[" * 100_000}, "kore_tags", "must be of type object"),
        ({"lookback_hours": -1}, "lookback_hours", "is -1, but must be at least 0"),
        ({"lookback_hours": [1]}, "lookback_hours", "must be of type number"),
        ({"avaamo_page_size": 0}, "avaamo_page_size", "must be at least 1"),
        ({"avaamo_page_size": 101}, "avaamo_page_size", "must be at most 100"),
        ({"avaamo_page_size": 10.5}, "avaamo_page_size", "must be of type integer"),
        ({"avaamo_page_size": "10.5"}, "avaamo_page_size", "be of type integer"),
        ({"kore_page_size": 0}, "kore_page_size", "must be at least 1"),
        ({"kore_page_size": 10_001}, "kore_page_size", "must be at most 10000"),
        ({"avaamo_utc_offset": 86_400}, "avaamo_utc_offset", "must be at most 86399"),
        (
            {"max_concurrent_requests": 65},
            "max_concurrent_requests",
            "must be at most 64",
        ),
        (
            {"request_timeout_seconds": 0},
            "request_timeout_seconds",
            "must be more than 0",
        ),
        ({"max_retries": -1}, "max_retries", "must be at least 0"),
        # Choices
        ({"kore_api": "v2"}, "kore_api", "must be one of bot, account, stream"),
        ({"kore_jwt_algorithm": "none"}, "kore_jwt_algorithm", "one of HS256, HS512"),
        (
            {"kore_containment_types": ["agent", "human"]},
            "kore_containment_types[1]",
            "must be one of dropOff, selfService, agent",
        ),
        ({"kore_session_type": "any"}, "kore_session_type", "must be one of"),
        # URLs
        (
            {"avaamo_base_url": "http://avaamo.invalid"},
            "avaamo_base_url",
            "the credentials would travel readable to avaamo.invalid",
        ),
        (
            {"kore_base_url": "HTTP://kore.invalid"},
            "kore_base_url",
            "must begin with https://",
        ),
        (
            {"kore_base_url": "http://localhost.kore.invalid"},
            "kore_base_url",
            "must begin with https://",
        ),
        (
            {"kore_base_url": "http://127.0.0.1.kore.invalid"},
            "kore_base_url",
            "must begin with https://",
        ),
        (
            {"avaamo_base_url": "http://0.0.0.0"},
            "avaamo_base_url",
            "must begin with https://",
        ),
        (
            {"avaamo_base_url": "ftp://avaamo.invalid"},
            "avaamo_base_url",
            "must begin with https://, not ftp://",
        ),
        (
            {"avaamo_base_url": "https://ada:hunter2@avaamo.invalid"},
            "avaamo_base_url",
            "and nothing else",
        ),
        (
            {"kore_base_url": "ada:hunter2@kore.invalid"},
            "kore_base_url",
            "and nothing else",
        ),
        (
            {"avaamo_base_url": "http://localhost@avaamo.invalid"},
            "avaamo_base_url",
            "and nothing else",
        ),
        (
            {"avaamo_base_url": "https://avaamo.invalid?key=hunter2"},
            "avaamo_base_url",
            "and nothing else",
        ),
        (
            {"avaamo_base_url": "https://avaamo.invalid#hunter2"},
            "avaamo_base_url",
            "and nothing else",
        ),
        ({"avaamo_base_url": "https://a.invalid/?"}, "avaamo_base_url", "nothing else"),
        ({"avaamo_base_url": "https://a.invalid/#"}, "avaamo_base_url", "nothing else"),
        ({"kore_base_url": "kore.invalid?#"}, "kore_base_url", "nothing else"),
        ({"avaamo_base_url": "https://"}, "avaamo_base_url", "is not a URL"),
        ({"avaamo_base_url": "https://[::1"}, "avaamo_base_url", "is not a URL"),
        ({"avaamo_base_url": "https://a.invalid:x"}, "avaamo_base_url", "is not a URL"),
        ({"kore_base_url": "kore .invalid"}, "kore_base_url", "is not a URL"),
        ({"kore_base_url": "kore.invalid\n"}, "kore_base_url", "is not a URL"),
        ({"kore_base_url": ["kore.invalid"]}, "kore_base_url", "be of type string"),
        # Ids
        ({"avaamo_agent_ids": []}, "avaamo_agent_ids", "is empty"),
        ({"avaamo_agent_ids": "201"}, "avaamo_agent_ids", "must be of type array"),
        (
            {"avaamo_agent_ids": [201, None]},
            "avaamo_agent_ids[1]",
            "must be of type string or integer",
        ),
        ({"avaamo_agent_ids": [" "]}, "avaamo_agent_ids[0]", "is blank"),
        ({"kore_bot_ids": []}, "kore_bot_ids", "is empty"),
        ({"kore_bot_ids": ["st-1", ""]}, "kore_bot_ids[1]", "is blank"),
        ({"kore_bot_ids": ["\ud83d"]}, "kore_bot_ids", "whole characters only"),
        ({"kore_bot_ids": [1]}, "kore_bot_ids[0]", "must be of type string"),
        ({"kore_session_ids": [""]}, "kore_session_ids[0]", "is blank"),
        ({"kore_session_ids": ["s\u2028"]}, "kore_session_ids[0]", "can't be shown"),
        ({"avaamo_agent_ids": ["2\n"]}, "avaamo_agent_ids[0]", "can't be shown"),
        ({"kore_tags": "gold"}, "kore_tags", "must be of type object"),
        # Credentials
        ({"avaamo_access_token": ""}, "avaamo_access_token", "is missing"),
        (
            {"avaamo_access_token": ["hunter2"]},
            "avaamo_access_token",
            "must be of type string",
        ),
        ({"avaamo_access_token": "hunter2\n"}, "avaamo_access_token", "HTTP header"),
        ({"avaamo_access_token": "hunter2\0"}, "avaamo_access_token", "HTTP header"),
        ({"avaamo_access_token": " hunter2"}, "avaamo_access_token", "white space"),
        ({"avaamo_access_token": "hunter2é"}, "avaamo_access_token", "HTTP header"),
        ({"user_agent": "reporting\r\nX: 1"}, "user_agent", "HTTP header"),
        ({"kore_client_secret": ""}, "kore_client_secret", "is missing"),
        ({"kore_client_id": ""}, "kore_client_id", "is missing"),
        ({"kore_client_secret": 7}, "kore_client_secret", "must be of type string"),
        ({"kore_client_id": " "}, "kore_client_id", "is blank"),
        ({"kore_client_secret": "\t"}, "kore_client_secret", "is blank"),
        (
            {"kore_client_secret": "hunter2\ud83d"},
            "kore_client_secret",
            "must hold finite numbers and whole characters only",
        ),
        (
            {"kore_bot_credentials": [{**OWN, "client_secret": ""}]},
            "kore_bot_credentials[0]['client_secret']",
            "is blank",
        ),
        (
            {"kore_bot_credentials": [OWN, {**OWN, "bot_id": " "}]},
            "kore_bot_credentials[1]['bot_id']",
            "is blank",
        ),
        (
            {"kore_bot_credentials": {"st-2": "hunter2"}},
            "kore_bot_credentials",
            "must be of type array",
        ),
        (
            {"kore_bot_credentials": ["hunter2"]},
            "kore_bot_credentials[0]",
            "must be of type object",
        ),
        (
            {"kore_bot_credentials": [OWN, without(OWN, "bot_id")]},
            "kore_bot_credentials[1]['bot_id']",
            "is missing",
        ),
        (
            {"kore_bot_credentials": [{**OWN, "client_secret": ["hunter2"]}]},
            "kore_bot_credentials[0]['client_secret']",
            "must be of type string",
        ),
        (
            {"kore_bot_credentials": [{**OWN, "secret": "hunter2"}]},
            "kore_bot_credentials[0]",
            "is not as the schema asks",
        ),
        # The SDK's own settings
        ({"batch_config": {"a": 1}}, "batch_config", "is not as the SDK asks"),
        (
            {"batch_config": {**BATCH, "encoding": {"format": "jsonl", "a": 1}}},
            "batch_config",
            "is not as the SDK asks",
        ),
        ({"batch_config": {**BATCH, "encoding": {}}}, "batch_config", "'format'"),
    ],
)
def test_a_mistake_is_told_in_one_line_that_names_the_setting(
    settings: Config, place: str, said: str
) -> None:
    (line,) = told({**BOTH, **settings})
    assert line.startswith(f"{place}: ")
    assert said in line
    assert HIDDEN not in line
    assert "\n" not in line


def test_each_missing_part_of_a_bots_credentials_is_told_once() -> None:
    assert told({**BOTH, "kore_bot_credentials": [{"bot_id": "st-2"}]}) == [
        "kore_bot_credentials[0]['client_id']: is missing",
        "kore_bot_credentials[0]['client_secret']: is missing",
    ]


@pytest.mark.parametrize(
    ("missing", "said"),
    [
        ("start_date", "start_date: is missing"),
        ("avaamo_base_url", "avaamo_base_url: is missing"),
        ("avaamo_access_token", "avaamo_access_token: is missing"),
        ("avaamo_agent_ids", "avaamo_agent_ids: is empty"),
        ("kore_client_id", "kore_client_id: is missing"),
        ("kore_client_secret", "kore_client_secret: is missing"),
        ("kore_bot_ids", "kore_bot_ids: is empty"),
    ],
)
def test_what_is_missing_is_told(missing: str, said: str) -> None:
    (line,) = told(without(BOTH, missing))
    assert line.startswith(said)


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        ({"avaamo_agent_ids": [201]}, "avaamo_access_token: is missing"),
        ({"kore_client_id": "cs-1"}, "kore_client_secret: is missing"),
        ({"kore_client_secret": "hunter2"}, "kore_client_id: is missing"),
        ({"kore_bot_ids": ["st-1"]}, "kore_client_id: is missing, with"),
        (
            {"kore_bot_ids": ["st-1"], "kore_bot_credentials": ["hunter2"]},
            "kore_bot_credentials[0]: must be of type object",
        ),
        (
            {
                "kore_bot_ids": ["st-1"],
                "kore_bot_credentials": [without(OWN, "client_id")],
            },
            "kore_bot_credentials[0]['client_id']: is missing",
        ),
    ],
)
def test_half_a_vendor_is_told_by_what_it_lacks(settings: Config, said: str) -> None:
    (line,) = told({"start_date": "2026-05-01", **settings})
    assert line.startswith(said)
    assert HIDDEN not in line


def test_a_bot_without_credentials_is_told_by_its_id() -> None:
    config = {
        **without(BOTH, "kore_client_id", "kore_client_secret"),
        "kore_bot_ids": ["st-1", "st-2"],
        "kore_bot_credentials": [OWN],
    }
    (line,) = told(config)
    assert line.startswith("kore_client_id: is missing")
    assert "for the bot st-1," in line


@pytest.mark.parametrize(
    "settings", [{}, {"avaamo_base_url": "https://avaamo.invalid"}]
)
def test_a_configuration_of_neither_vendor_is_refused(settings: Config) -> None:
    (line,) = told({"start_date": "2026-05-01", **settings})
    assert line.startswith("nothing is configured: give avaamo_access_token with")


VALUES: SearchStrategy[Any] = st.recursive(
    st.booleans()
    | st.integers()
    | st.floats()
    | st.decimals(allow_nan=False)
    | st.text("a0 .-:/@[]?#%\\\n\0é\ud83d")
    | st.sampled_from(["", "nan", "http://", "https://[", "2026-05-01"])
    | st.sampled_from([OWN, without(OWN, "bot_id")]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*OWN]), inner),
    max_leaves=6,
)
SECRETS = st.recursive(
    st.sampled_from([HIDDEN, f"{HIDDEN}\n"]),
    lambda inner: st.lists(inner) | st.dictionaries(st.sampled_from([*OWN]), inner),
    max_leaves=4,
)


@hypothesis.settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    st.dictionaries(st.sampled_from([*CONTRACT]), VALUES),
    st.dictionaries(
        st.sampled_from(
            ["avaamo_access_token", "kore_client_secret", "kore_bot_credentials"]
        ),
        SECRETS,
    ),
)
def test_no_value_breaks_the_check_and_no_secret_is_told(
    settings: Config, hidden: Config
) -> None:
    lines = told({**BOTH, **settings, **hidden})
    assert not any(HIDDEN in line for line in lines)


# Settings that do not exist


@pytest.mark.parametrize(
    ("name", "hint"),
    [
        ("windw_days", "; did you mean window_days?"),
        ("avaamo_acces_token", "; did you mean avaamo_access_token?"),
        ("kore_bot_id", "; did you mean kore_bot_ids?"),
        ("colour", ""),
    ],
)
def test_a_setting_that_does_not_exist_is_named(name: str, hint: str) -> None:
    (line,) = given_in_vain({**BOTH, name: HIDDEN}, SCHEMA)
    assert line == f"{name}: there is no such setting, so it has no effect{hint}"


def test_a_setting_that_does_not_exist_is_named_in_one_line() -> None:
    (line,) = given_in_vain({"col\n\ud83d\0our": 1}, SCHEMA)
    assert line == "col our: there is no such setting, so it has no effect"


def test_a_setting_that_exists_is_not_named() -> None:
    assert list(given_in_vain(dict.fromkeys(CONTRACT), SCHEMA)) == []


@pytest.mark.parametrize(
    ("listed", "told"),
    [
        (["st-1"], ["kore_bot_credentials: st-2 is not in kore_bot_ids, so not read"]),
        (["st-1", "st-2"], []),
        ([], []),
        (None, []),
    ],
)
def test_a_bot_whose_credentials_are_given_in_vain_is_named(
    listed: list[str] | None, told: list[str]
) -> None:
    own = [
        {"bot_id": bot, "client_id": "cs", "client_secret": HIDDEN}
        for bot in ("st-1", "st-2")
    ]
    config = {"kore_bot_ids": listed, "kore_bot_credentials": own}
    assert list(given_in_vain(config, SCHEMA)) == told
    assert list(given_in_vain({**config, "kore_bot_credentials": 7}, SCHEMA)) == []


# Null


def test_null_means_the_default() -> None:
    nulls = dict.fromkeys(CONTRACT.keys() - BOTH.keys())
    tap = TapBotsessions(config={**nulls, **BOTH, "kore_base_url": None})
    assert tap.config == {**DEFAULTS, **without(BOTH, "kore_base_url")}


def test_null_is_no_start_date() -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config={**BOTH, "start_date": None})
    assert refusal.value.errors == ["start_date: is missing"]


@pytest.mark.parametrize("nothing", [None, ""])
def test_nothing_is_what_a_setting_without_a_value_means(nothing: str | None) -> None:
    config = {**BOTH, "kore_base_url": nothing, "window_days": nothing}
    assert (
        TapBotsessions(config=config).config["kore_base_url"] == "https://bots.kore.ai"
    )
    assert TapBotsessions(config=config).config["window_days"] == 6


@pytest.mark.parametrize(
    ("given", "read"),
    [
        ({"window_days": Decimal("2.5")}, {"window_days": 2.5}),
        ({"lookback_hours": Decimal("2.0")}, {"lookback_hours": 2}),
        ({"avaamo_page_size": Decimal("10.0")}, {"avaamo_page_size": 10}),
        ({"avaamo_page_size": 10.0}, {"avaamo_page_size": 10}),
        (
            {"kore_tags": {"and": [{"values": [Decimal("1.5"), Decimal("2.0")]}]}},
            {"kore_tags": {"and": [{"values": [1.5, 2]}]}},
        ),
    ],
)
def test_numbers_are_read_as_whole_if_they_are(given: Config, read: Config) -> None:
    config = TapBotsessions(config={**BOTH, **given}).config
    assert config == {**DEFAULTS, **BOTH, **read}
    assert {type(config[name]) for name in given} == {type(read[name]) for name in read}
    assert "Decimal" not in repr(config)


# States

PARTITION: Config = {
    "context": {"agent_id": "201"},
    "replication_key": "timetoken",
    "replication_key_value": 1_777_593_600,
}


@pytest.mark.parametrize(
    ("state", "kept"),
    [
        ({}, {}),
        ({"bookmarks": {}}, {}),
        ({"bookmarks": {"avaamo_sessions": {}}}, {}),
        (
            {"bookmarks": {"avaamo_sessions": {"partitions": [PARTITION]}}},
            {"bookmarks": {"avaamo_sessions": {"partitions": [PARTITION]}}},
        ),
    ],
)
def test_a_state_as_the_tap_wrote_it_is_accepted(state: Config, kept: Config) -> None:
    assert TapBotsessions(config=dict(BOTH), state=deepcopy(state)).state == kept


def test_a_fraction_of_a_second_in_a_state_is_read_again() -> None:
    partition = {**PARTITION, "replication_key_value": 1_777_593_600.75}
    state = {"bookmarks": {"avaamo_sessions": {"partitions": [partition]}}}
    assert TapBotsessions(config=dict(BOTH), state=state).state == {
        "bookmarks": {"avaamo_sessions": {"partitions": [PARTITION]}}
    }


@pytest.mark.parametrize(
    "bookmarks",
    [
        None,
        3,
        [],
        {"avaamo_sessions": None},
        {"avaamo_sessions": [PARTITION]},
        {"avaamo_sessions": {"partitions": None}},
        {"avaamo_sessions": {"partitions": PARTITION}},
        {"avaamo_sessions": {"partitions": [3]}},
        {"avaamo_sessions": {"partitions": [{"agent_id": "201"}]}},
        {"avaamo_sessions": {"partitions": [{"context": "201"}]}},
        {"avaamo_sessions": {"partitions": [{"context": {"agent_id": 201}}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "progress_markers": 3}]}},
        {"avaamo_sessions": {"progress_markers": None}},
        {"avaamo_sessions": {"partitions": [PARTITION, {**PARTITION, "a": 1}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "a": float("inf")}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "a": [float("nan")]}]}},
        {"avaamo_sessions": {"partitions": [{**PARTITION, "a": "\ud83d"}]}},
    ],
)
def test_a_state_of_another_form_is_refused(bookmarks: object) -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config=dict(BOTH), state={"bookmarks": bookmarks})
    (line,) = refusal.value.errors
    assert line.startswith("state: must be as the tap wrote it, {")


@pytest.mark.parametrize(
    "state", [{"foo": 1}, {"type": "STATE", "value": {"bookmarks": {}}}]
)
def test_a_state_without_bookmarks_is_refused(state: Config) -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config=dict(BOTH), state=state)
    (line,) = refusal.value.errors
    assert line.startswith('state: must be as the tap wrote it, {"bookmarks": ')
    assert line.endswith("; bookmarks: is missing")


# Settings from the environment


def variables(settings: Mapping[str, str]) -> dict[str, str]:
    return {f"TAP_BOTSESSIONS_{name.upper()}": settings[name] for name in settings}


def texts_of(config: Config) -> dict[str, str]:
    """A configuration as the environment holds it: strings plain, the rest as JSON."""
    return {
        name: value if isinstance(value, str) else json.dumps(value)
        for name, value in config.items()
    }


def read_environment(
    monkeypatch: pytest.MonkeyPatch, settings: dict[str, str]
) -> Mapping[str, Any]:
    """What the tap makes of both vendors' settings and these in the environment."""
    for name, value in variables({**texts_of(BOTH), **settings}).items():
        monkeypatch.setenv(name, value)
    file = {"kore_base_url": KORE["kore_base_url"]}
    return TapBotsessions(config=file, parse_env_config=True).config


@pytest.mark.parametrize(
    ("name", "written", "value"),
    [
        ("start_date", "2026-05-02T00:00:00Z", "2026-05-02T00:00:00Z"),
        ("kore_user_id", "7", "7"),
        ("kore_page_size", "250", 250),
        ("avaamo_utc_offset", "-18000", -18_000),
        ("window_days", "2.5", 2.5),
        ("lookback_hours", "0", 0),
        ("kore_page_size", "250.0", 250),
        ("kore_page_size", "", 1000),
        ("kore_page_size", "null", 1000),
        ("window_days", "", 6),
        ("kore_base_url", "", "https://kore.invalid"),
        ("avaamo_agent_ids", '["201", "202"]', ["201", "202"]),
        ("avaamo_agent_ids", "[201, 202]", [201, 202]),
        ("kore_bot_ids", '["st-1"]', ["st-1"]),
        ("kore_containment_types", '["agent"]', ["agent"]),
        ("kore_tags", '{"and": [{"name": "plan"}]}', {"and": [{"name": "plan"}]}),
        ("kore_bot_credentials", json.dumps([OWN]), [OWN]),
    ],
)
def test_a_setting_of_every_type_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str, value: object
) -> None:
    config = read_environment(monkeypatch, {name: written})
    assert config == {**DEFAULTS, **BOTH, name: value}
    assert type(config[name]) is type(value)


EVERY: dict[str, Any] = {
    **BOTH,
    "end_date": "2026-06-01T00:00:00Z",
    "window_days": 2.5,
    "lookback_hours": 36,
    "max_concurrent_requests": 3,
    "request_timeout_seconds": 7.5,
    "max_retries": 0,
    "user_agent": 'it\'s "mine" # all of it',
    "ca_bundle": certifi.where(),
    "avaamo_utc_offset": -18_000,
    "avaamo_page_size": 20,
    "avaamo_requests_per_minute": 10,
    "kore_bot_credentials": [OWN],
    "kore_api": "account",
    "kore_jwt_algorithm": "HS512",
    "kore_containment_types": ["agent"],
    "kore_session_type": "interactive",
    "kore_user_id": "u 7",
    "kore_tags": {"and": [{"name": "plan", "values": ["gold"]}]},
    "kore_session_ids": ["a", "b"],
    "kore_page_size": 250,
    "kore_requests_per_minute": 6,
    "kore_requests_per_hour": 60,
    "kore_open_session_days": 3,
    "personal_data": "hash",
    "personal_data_texts": "keep",
    "personal_data_key": "sixteen or $more",
}


@pytest.mark.parametrize("is_file", [False, True], ids=["variables", ".env"])
def test_every_setting_is_read_from_the_environment_and_from_a_file_of_it(
    tmp_path: Path, *, is_file: bool
) -> None:
    assert EVERY.keys() == SCHEMA["properties"].keys()
    environment = variables(texts_of(EVERY))
    if is_file:
        for name, value in environment.items():
            dotenv.set_key(tmp_path / ".env", name, value)
    show = (
        "import json; from tap_botsessions.tap import TapBotsessions as T;"
        "print(json.dumps(dict(T(parse_env_config=True).config)))"
    )
    done = subprocess.run(  # noqa: S603 -- the tap itself
        [sys.executable, "-c", show],
        capture_output=True,
        check=True,
        cwd=tmp_path,
        env={} if is_file else environment,
    )
    assert json.loads(done.stdout) == EVERY


@pytest.mark.parametrize(
    ("name", "written", "line"),
    [
        ("window_days", "9", "window_days: is 9, but must be at most 6"),
        ("window_days", "abc", "window_days: must be of type number"),
        ("window_days", "nan", "window_days: must be of type number"),
        ("kore_page_size", "abc", "kore_page_size: must be of type integer"),
        ("kore_page_size", "2.5", "kore_page_size: must be of type integer"),
        ("start_date", "", "start_date: is missing"),
        ("avaamo_agent_ids", "[201", "avaamo_agent_ids: must be of type array"),
        ("kore_bot_credentials", "[x", "kore_bot_credentials: must be of type array"),
        ("kore_tags", "{x", "kore_tags: must be of type object"),
        ("kore_page_size", "0", "kore_page_size: is 0, but must be at least 1"),
        ("kore_tags", "[]", "kore_tags: must be of type object"),
        ("kore_api", "v2", "kore_api: must be one of bot, account, stream"),
        ("kore_bot_ids", "[1]", "kore_bot_ids[0]: must be of type string"),
        (
            "kore_bot_credentials",
            '{"st-2": "hunter2"}',
            "kore_bot_credentials: must be of type array",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_told(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str, line: str
) -> None:
    with pytest.raises(ConfigValidationError) as refusal:
        read_environment(monkeypatch, {name: written})
    assert refusal.value.errors == [line]


def test_a_misspelt_variable_is_named_and_others_are_not(
    monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level("WARNING")
    others = {"loglevel": "info", "_select": HIDDEN, "_load_schema": HIDDEN}
    read_environment(monkeypatch, {**others, "avaamo_acces_token": HIDDEN})
    (record,) = caplog.records
    said = "avaamo_acces_token: there is no such setting, so it has no effect; did you "
    assert record.getMessage() == f"{said}mean avaamo_access_token?"


@pytest.mark.parametrize("content", [b"A='\xff'", b"A=b\0c"], ids=["torn", "NUL"])
def test_a_dotenv_file_that_cannot_be_read_is_named(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, content: bytes
) -> None:
    monkeypatch.chdir(tmp_path)
    Path(".env").write_bytes(content)
    with pytest.raises(ConfigValidationError) as refusal:
        read_environment(monkeypatch, {})
    (line,) = refusal.value.errors
    assert line.startswith(".env: can't be read (")


def test_a_dotenv_file_is_read_where_the_tap_is_run(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("TAP_BOTSESSIONS_USER_AGENT", "to be put back afterwards")
    monkeypatch.delenv("TAP_BOTSESSIONS_USER_AGENT")
    Path(".env").write_text("TAP_BOTSESSIONS_USER_AGENT=reporting/3\n")
    assert read_environment(monkeypatch, {})["user_agent"] == "reporting/3"


# The command line


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
    ) -> subprocess.CompletedProcess[str]:
        """Run the tap with a configuration file and further arguments."""
        if config is not None:
            arguments = ("--config", self.write("config.json", config), *arguments)
        clean = {
            name: value
            for name, value in os.environ.items()
            if not name.startswith("TAP_BOTSESSIONS_")
        }
        return subprocess.run(  # noqa: S603 -- the tap itself
            [EXECUTABLE, *arguments],
            capture_output=True,
            check=False,
            cwd=self.directory,
            env={**clean, "LOGLEVEL": loglevel, **(environment or {})},
            text=True,
            timeout=60,
        )


@pytest.fixture
def tap(tmp_path: Path) -> CommandLine:
    return CommandLine(tmp_path)


def errors_of(run: subprocess.CompletedProcess[str]) -> list[str]:
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


def test_a_level_of_the_log_that_is_none_is_told_of_without_a_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGLEVEL", "loud")
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config=dict(BOTH))
    (line,) = refusal.value.errors
    assert line.startswith("TAP_BOTSESSIONS_LOGLEVEL or LOGLEVEL: must be one of CRIT")


def test_a_misspelling_that_leads_to_a_refusal_is_named_too(tap: CommandLine) -> None:
    config = {**without(BOTH, "avaamo_access_token"), "avaamo_acces_token": HIDDEN}
    run = tap.run(config=config)
    line, _ = errors_of(run)
    assert line.startswith("avaamo_access_token: is missing")
    assert "did you mean avaamo_access_token?" in run.stderr


@pytest.mark.parametrize(
    "value", [True, 7.5, [7], {"a": 7}, "x", "9999-12-31", 10**400]
)
def test_a_bookmark_of_another_type_does_not_break_the_reading_of_a_state(
    value: object,
) -> None:
    partition = {**PARTITION, "replication_key_value": value}
    state = {"bookmarks": {"avaamo_sessions": {"partitions": [partition]}}}
    tap = TapBotsessions(config=dict(BOTH), state=state)
    assert tap.state["bookmarks"].keys() == {"avaamo_sessions"}


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
    assert line.startswith("Error: --config: nowhere.json ")


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
    line, _ = errors_of(tap.run(f"--{option}", path, config=BOTH))
    assert line.startswith(f"{option}: ")
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


OF_AVAAMO, OF_KORE = (
    [name for name, stream in TABLE.items() if stream.vendor == vendor]
    for vendor in ("avaamo", "kore")
)


@pytest.mark.parametrize(
    ("config", "streams"),
    [
        (BOTH, [*OF_AVAAMO, *OF_KORE]),
        (AVAAMO, OF_AVAAMO),
        (without(KORE, "kore_bot_ids"), OF_KORE),
        ({"kore_bot_credentials": [OWN]}, OF_KORE),
        ({}, [*OF_AVAAMO, *OF_KORE]),
        (None, [*OF_AVAAMO, *OF_KORE]),
    ],
    ids=["both", "avaamo", "kore", "bot", "neither", "no file"],
)
def test_the_streams_of_the_vendors_configured_or_else_all_are_discovered(
    tap: CommandLine, config: Config | None, streams: list[str]
) -> None:
    run = tap.run("--discover", config=config)
    assert run.returncode == 0
    found = [stream["tap_stream_id"] for stream in json.loads(run.stdout)["streams"]]
    assert found == [*streams, "sync_windows"]
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
    assert found == [*OF_KORE, "sync_windows"]


# The connection test


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
        (kind, stream) for stream in STREAMS for kind in ["SCHEMA", "RECORD"]
    ]


def test_a_connection_test_of_the_schemas_makes_no_request(tap: CommandLine) -> None:
    run = tap.run("--test=schema", config=BOTH)
    assert run.returncode == 0
    assert [json.loads(line)["type"] for line in run.stdout.splitlines()] == [
        "SCHEMA"
    ] * 5


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
