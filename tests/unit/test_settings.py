"""The settings: the contract, valid ones are accepted, each mistake is reported."""

from __future__ import annotations

from decimal import Decimal
from importlib import metadata
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import HealthCheck, given
from hypothesis import strategies as st
from singer_sdk.exceptions import ConfigValidationError

from tap_botsessions.config.settings import SCHEMA, secrets
from tap_botsessions.config.validation import (
    coerce,
    problems,
    unused_settings,
    with_defaults,
)
from tap_botsessions.engine.options import base_url, user_agent
from tap_botsessions.tap import TapBotsessions
from tap_botsessions.vendors.avaamo.account import agent_ids
from tap_botsessions.vendors.avaamo.account import is_configured as avaamo_configured
from tap_botsessions.vendors.kore.account import bot_credentials
from tap_botsessions.vendors.kore.account import is_configured as kore_configured

if TYPE_CHECKING:
    from hypothesis.strategies import SearchStrategy


from typing import TYPE_CHECKING

Config = dict[str, Any]


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
TYPES = [
    *("successintent", "failintent", "successtask", "failtask"),
    *("performance", "unhandledutterance"),
]
CONTRACT: dict[str, tuple[list[str], Any, Config]] = {
    "start_date": (STRING, None, {"format": "date-time"}),
    "end_date": (STRING, None, {"format": "date-time"}),
    "window_days": (NUMBER, 6, {"exclusiveMinimum": 0, "maximum": 6}),
    "lookback_hours": (NUMBER, 1, {"minimum": 0, "maximum": 876_000}),
    "sweep_days": (NUMBER, 30, {"minimum": 0, "maximum": 36_500}),
    "sweep_hours": (NUMBER, 24, {"minimum": 0, "maximum": 876_000}),
    "sweep_full_every": (INTEGER, 7, {"minimum": 1}),
    "max_concurrent_requests": (INTEGER, 8, {"minimum": 1, "maximum": 64}),
    "request_timeout_seconds": (
        NUMBER,
        60,
        {"exclusiveMinimum": 0, "maximum": 3600},
    ),
    "max_retries": (INTEGER, 8, {"minimum": 0}),
    "accept_gaps_after_days": (NUMBER, None, {"minimum": 0}),
    "outage_minutes": (NUMBER, 10, {"minimum": 0, "maximum": 1440}),
    "user_agent": (STRING, None, {}),
    "ca_bundle": (STRING, None, {}),
    "avaamo_base_url": (STRING, None, {}),
    "avaamo_access_token": (STRING, None, {"secret": True, "writeOnly": True}),
    "avaamo_agent_ids": (["array"], None, {"items": {"type": ["string", "integer"]}}),
    "avaamo_agent_tokens": (
        ["array"],
        None,
        {
            "secret": True,
            "writeOnly": True,
            "items": {
                "type": "object",
                "properties": {
                    "agent_id": {"type": ["string", "integer"]},
                    "token": {"type": STRING, "secret": True, "writeOnly": True},
                },
                "required": ["agent_id", "token"],
                "additionalProperties": False,
            },
        },
    ),
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
    "kore_messages_api": (STRING, "v2", {"enum": ["v2", "v1"]}),
    "kore_messages_page_size": (INTEGER, 10_000, {"minimum": 1, "maximum": 10_000}),
    "kore_analytics_types": (
        ["array"],
        None,
        {"items": {"type": STRING, "enum": TYPES}},
    ),
    "kore_budget_per_api": (["boolean"], False, {}),
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


def refusals(config: Config) -> list[str]:
    """The lines that a configuration is refused with, if it is."""
    return problems(coerce(config, SCHEMA), SCHEMA)


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
    assert with_defaults(config, SCHEMA) == {**DEFAULTS, **config}
    assert "window_days" not in config


def test_the_default_user_agent_names_the_version() -> None:
    version = metadata.version("tap-botsessions")
    assert user_agent({}) == f"tap-botsessions/{version}"
    assert user_agent({"user_agent": "reporting/3"}) == "reporting/3"


# Meaning


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
    assert secrets({"avaamo_access_token": ""}) == ()


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


# Valid settings


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
        {"outage_minutes": 0},
        {"max_concurrent_requests": 64},
        {"kore_api": "account", "kore_jwt_algorithm": "HS512"},
        {"kore_containment_types": ["dropOff", "agent"]},
        {"kore_tags": {"and": [{"name": "plan", "values": ["gold"]}]}},
        {"kore_session_ids": []},
        {"kore_bot_ids": None, "kore_bot_credentials": [OWN]},
        {"user_agent": "reporting/3 (nightly)"},
    ],
)
def test_valid_settings_are_accepted(settings: Config) -> None:
    assert refusals({**BOTH, **settings}) == []


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
    assert refusals({"start_date": "2026-05-01", **config}) == []


# Mistakes, and how they are reported


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
        (
            {"window_days": "a week"},
            "window_days",
            'must be of type number, not "a week"',
        ),
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
        ({"outage_minutes": -1}, "outage_minutes", "must be at least 0"),
        # Choices
        (
            {"kore_api": "v2"},
            "kore_api",
            'must be one of bot, account, stream, not "v2"',
        ),
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
        (
            {"avaamo_agent_ids": "201, 202"},
            "avaamo_agent_ids",
            'must be of type array, not "201, 202"; write ["201", "202"]',
        ),
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
        ({"kore_bot_ids": ["!x", 5]}, "kore_bot_ids[1]", "must be of type string"),
        ({"kore_session_ids": [""]}, "kore_session_ids[0]", "is blank"),
        ({"kore_session_ids": ["s\u2028"]}, "kore_session_ids[0]", "can't be shown"),
        ({"avaamo_agent_ids": ["2\n"]}, "avaamo_agent_ids[0]", "can't be shown"),
        ({"kore_tags": "gold"}, "kore_tags", "must be of type object"),
        # Credentials
        ({"avaamo_access_token": ""}, "avaamo_access_token", "is missing"),
        ({"avaamo_agent_ids": ["201", "*"]}, "avaamo_agent_ids", "no list of agents"),
        ({"kore_bot_ids": ["!st-1"]}, "kore_bot_ids", 'add "*" for all others'),
        (
            {
                "kore_bot_ids": ["*"],
                "kore_client_id": None,
                "kore_client_secret": None,
                "kore_bot_credentials": [OWN],
            },
            "kore_client_id",
            "Admin Console",
        ),
        (
            {"avaamo_access_token": ["hunter2"]},
            "avaamo_access_token",
            "must be of type string",
        ),
        ({"avaamo_access_token": "hunter2\n"}, "avaamo_access_token", "HTTP header"),
        (
            {"avaamo_agent_tokens": [{"agent_id": "201", "token": "hunter2 "}]},
            "avaamo_agent_tokens[0]['token']",
            "HTTP header",
        ),
        (
            {"avaamo_agent_tokens": [{"agent_id": "201", "token": " "}]},
            "avaamo_agent_tokens[0]['token']",
            "is blank",
        ),
        (
            {"avaamo_agent_tokens": [{"agent_id": "201"}]},
            "avaamo_agent_tokens[0]['token']",
            "is missing",
        ),
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
            "kore_bot_credentials[0]['secret']",
            "there is no such key",
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
def test_a_mistake_is_reported_in_one_line_that_names_the_setting(
    settings: Config, place: str, said: str
) -> None:
    (line,) = refusals({**BOTH, **settings})
    assert line.startswith(f"{place}: ")
    assert said in line
    assert HIDDEN not in line
    assert "\n" not in line


def test_each_missing_part_of_a_bots_credentials_is_reported_once() -> None:
    assert refusals({**BOTH, "kore_bot_credentials": [{"bot_id": "st-2"}]}) == [
        "kore_bot_credentials[0]['client_id']: is missing",
        "kore_bot_credentials[0]['client_secret']: is missing",
    ]


def test_each_unknown_key_of_a_bots_credentials_is_named_without_its_value() -> None:
    wrong = {"bot_id": "st-2", "clientid": HIDDEN, "client_secret": "s", "note": HIDDEN}
    place = "kore_bot_credentials[1]"
    assert refusals({**BOTH, "kore_bot_credentials": [OWN, wrong]}) == [
        f"{place}['client_id']: is missing",
        f"{place}['clientid']: there is no such key; did you mean client_id?",
        f"{place}['note']: there is no such key",
    ]


@pytest.mark.parametrize("mode", ["keep", "hash", "drop"])
@pytest.mark.parametrize(
    ("key", "said"),
    [
        (HIDDEN, "must have at least 16 characters"),
        (" ", "must have at least 16 characters"),
        (" " * 16, "is blank"),
        (7, "must be of type string"),
    ],
)
def test_a_key_of_personal_data_that_cannot_be_used_is_told_once(
    mode: str, key: object, said: str
) -> None:
    """And not as missing, too."""
    lines = refusals({**BOTH, "personal_data": mode, "personal_data_key": key})
    assert lines == [f"personal_data_key: {said}"]


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
def test_a_missing_setting_is_named(missing: str, said: str) -> None:
    (line,) = refusals(without(BOTH, missing))
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
def test_the_missing_half_of_a_vendors_credentials_is_named(
    settings: Config, said: str
) -> None:
    (line,) = refusals({"start_date": "2026-05-01", **settings})
    assert line.startswith(said)
    assert HIDDEN not in line


def test_a_bot_without_credentials_is_named_by_its_id() -> None:
    config = {
        **without(BOTH, "kore_client_id", "kore_client_secret"),
        "kore_bot_ids": ["st-1", "st-2"],
        "kore_bot_credentials": [OWN],
    }
    (line,) = refusals(config)
    assert line.startswith("kore_client_id: is missing")
    assert "for the bot st-1," in line


@pytest.mark.parametrize(
    "settings", [{}, {"avaamo_base_url": "https://avaamo.invalid"}]
)
def test_a_configuration_of_neither_vendor_is_refused(settings: Config) -> None:
    (line,) = refusals({"start_date": "2026-05-01", **settings})
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
def test_no_value_breaks_the_check_and_no_secret_is_shown(
    settings: Config, hidden: Config
) -> None:
    lines = refusals({**BOTH, **settings, **hidden})
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
    (line,) = unused_settings({**BOTH, name: HIDDEN}, SCHEMA)
    assert line == f"{name}: there is no such setting, so it has no effect{hint}"


def test_a_setting_that_does_not_exist_is_named_in_one_line() -> None:
    (line,) = unused_settings({"col\n\ud83d\0our": 1}, SCHEMA)
    assert line == "col our: there is no such setting, so it has no effect"


def test_a_setting_that_exists_is_not_named() -> None:
    assert list(unused_settings(dict.fromkeys(CONTRACT), SCHEMA)) == []


@pytest.mark.parametrize(
    ("listed", "unused"),
    [
        (["st-1"], ["kore_bot_credentials: st-2 is not in kore_bot_ids, so not read"]),
        (["st-1", "st-2"], []),
        ([], []),
        (None, []),
    ],
)
def test_a_bot_whose_credentials_are_unused_is_named(
    listed: list[str] | None, unused: list[str]
) -> None:
    own = [
        {"bot_id": bot, "client_id": "cs", "client_secret": HIDDEN}
        for bot in ("st-1", "st-2")
    ]
    config = {"kore_bot_ids": listed, "kore_bot_credentials": own}
    assert list(unused_settings(config, SCHEMA)) == unused
    assert list(unused_settings({**config, "kore_bot_credentials": 7}, SCHEMA)) == []


NO_EFFECT = (
    "is empty, so it has no effect; null must be written as __NULL__ in meltano.yml, "
    "since Meltano leaves it out"
)


@pytest.mark.parametrize(
    ("maps", "told"),
    [
        ({}, [f"stream_maps: {NO_EFFECT}"]),
        (
            {"avaamo_messages": {}, "kore_sessions": {"tags": None}},
            [f"stream_maps, avaamo_messages: {NO_EFFECT}"],
        ),
        ({"avaamo_messages": None, "kore_sessions": "__NULL__"}, []),
        (None, []),
        (7, []),
    ],
)
def test_a_stream_map_of_which_nothing_is_left_is_named(
    maps: object, told: list[str]
) -> None:
    assert list(unused_settings({"stream_maps": maps}, WITH_MAPS)) == told


WITH_MAPS = {"properties": {**SCHEMA["properties"], "stream_maps": {}}}


@pytest.mark.parametrize(
    ("settings", "told"),
    [
        ({}, ["personal_data_key: has no effect, as personal_data is keep"]),
        (
            {"personal_data": "keep"},
            ["personal_data_key: has no effect, as personal_data is keep"],
        ),
        ({"personal_data": "hash"}, []),
        ({"personal_data": "drop"}, []),
    ],
)
def test_a_key_of_personal_data_that_is_kept_is_named(
    settings: Config, told: list[str]
) -> None:
    config = {"personal_data_key": HIDDEN, **settings}
    assert list(unused_settings(config, SCHEMA)) == told


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
def test_a_setting_without_a_value_counts_as_missing(nothing: str | None) -> None:
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


def test_no_setting_switches_the_verification_off() -> None:
    switches = {
        name
        for name, setting in SCHEMA["properties"].items()
        if "boolean" in setting["type"]
    }
    assert switches == {"kore_budget_per_api"}
