"""Settings from the environment."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

import certifi
import pytest
from singer_sdk.exceptions import ConfigValidationError

from tap_botsessions.tap import TapBotsessions
from tests.unit.test_settings import BOTH, DEFAULTS, HIDDEN, KORE, OWN, Config

if TYPE_CHECKING:
    from collections.abc import Mapping


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
    """The settings of a tap with both vendors configured and these variables."""
    for name, value in variables({**texts_of(BOTH), **settings}).items():
        monkeypatch.setenv(name, value)
    file = {"kore_base_url": KORE["kore_base_url"]}
    return TapBotsessions(config=file, parse_env_config=True).config


TOKENS = [{"agent_id": "201", "token": "hunter2-of-an-agent"}]


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
        ("kore_budget_per_api", "true", True),
        ("avaamo_agent_tokens", json.dumps(TOKENS), TOKENS),
    ],
)
def test_a_setting_of_every_type_is_read_from_the_environment(
    monkeypatch: pytest.MonkeyPatch, name: str, written: str, value: object
) -> None:
    config = read_environment(monkeypatch, {name: written})
    assert config == {**DEFAULTS, **BOTH, name: value}
    assert type(config[name]) is type(value)


EVERY: dict[str, Any] = {
    "avaamo_agent_tokens": TOKENS,
    "kore_messages_api": "v1",
    "kore_messages_page_size": 50,
    "kore_analytics_types": ["failtask"],
    "kore_budget_per_api": True,
    **BOTH,
    "end_date": "2026-06-01T00:00:00Z",
    "window_days": 2.5,
    "lookback_hours": 36,
    "sweep_days": 45,
    "sweep_hours": 12.5,
    "sweep_full_every": 3,
    "max_concurrent_requests": 3,
    "request_timeout_seconds": 7.5,
    "max_retries": 0,
    "outage_minutes": 1.5,
    "accept_gaps_after_days": 0.5,
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


@pytest.mark.parametrize(
    ("name", "written", "line"),
    [
        ("window_days", "9", "window_days: is 9, but must be at most 6"),
        ("window_days", "abc", 'window_days: must be of type number, not "abc"'),
        ("window_days", "nan", 'window_days: must be of type number, not "nan"'),
        ("kore_page_size", "abc", 'kore_page_size: must be of type integer, not "abc"'),
        ("kore_page_size", "2.5", "kore_page_size: must be of type integer, not 2.5"),
        ("start_date", "", "start_date: is missing"),
        (
            "avaamo_agent_ids",
            "[201",
            'avaamo_agent_ids: must be of type array, not "[201"',
        ),
        ("kore_bot_credentials", "[x", "kore_bot_credentials: must be of type array"),
        ("kore_tags", "{x", 'kore_tags: must be of type object, not "{x"'),
        ("kore_page_size", "0", "kore_page_size: is 0, but must be at least 1"),
        ("kore_tags", "[]", "kore_tags: must be of type object"),
        ("kore_api", "v2", 'kore_api: must be one of bot, account, stream, not "v2"'),
        ("kore_bot_ids", "[1]", "kore_bot_ids[0]: must be of type string"),
        (
            "kore_bot_credentials",
            '{"st-2": "hunter2"}',
            "kore_bot_credentials: must be of type array",
        ),
    ],
)
def test_a_mistake_in_the_environment_is_reported(
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


def test_an_invalid_log_level_is_reported_without_a_command_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("LOGLEVEL", "loud")
    with pytest.raises(ConfigValidationError) as refusal:
        TapBotsessions(config=dict(BOTH))
    (line,) = refusal.value.errors
    assert line.startswith("TAP_BOTSESSIONS_LOGLEVEL or LOGLEVEL: must be one of CRIT")
