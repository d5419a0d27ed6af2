"""The settings: their names, types, defaults, bounds and descriptions.

This is the one place that says so. README.md, meltano.yml and `--about` are made from
it or held against it by tests.
"""

from __future__ import annotations

from collections.abc import Mapping
from importlib import metadata
from typing import Any

from singer_sdk import typing as th

Config = Mapping[str, Any]

AVAAMO = (
    th.Property(
        "avaamo_base_url",
        th.StringType,
        title="Avaamo base URL",
        description="The Avaamo instance, as in the address of its dashboard.",
        examples=["https://c0.avaamo.com"],
    ),
    th.Property(
        "avaamo_access_token",
        th.StringType,
        secret=True,
        title="Avaamo access token",
        description=(
            "Access token of a user with at least view permission on the agents "
            "(Settings > Users)."
        ),
    ),
    th.Property(
        "avaamo_agent_ids",
        th.ArrayType(th.CustomType({"type": ["string", "integer"]})),
        title="Avaamo agent ids",
        description="The agents to read; the id is in the agent's URL.",
        examples=[["201", "202"]],
    ),
    th.Property(
        "avaamo_utc_offset",
        th.IntegerType(minimum=-86_399, maximum=86_399),
        default=0,
        title="Avaamo UTC offset",
        description=(
            "Seconds east of UTC at which a day of avaamo_usage begins, such as 19800 "
            "for India."
        ),
    ),
    th.Property(
        "avaamo_page_size",
        th.IntegerType(minimum=1, maximum=100),
        default=100,
        title="Avaamo page size",
        description="Records asked for in one request.",
    ),
    th.Property(
        "avaamo_requests_per_minute",
        th.IntegerType(minimum=1),
        default=50,
        title="Avaamo requests per minute",
        description="The account's budget, over all agents.",
    ),
)

KORE = (
    th.Property(
        "kore_base_url",
        th.StringType,
        default="https://bots.kore.ai",
        title="Kore.ai base URL",
        description="The Kore.ai host, with or without a scheme.",
        examples=["https://bots.kore.ai", "https://de-platform.kore.ai"],
    ),
    th.Property(
        "kore_client_id",
        th.StringType,
        title="Kore.ai client id",
        description="Client id of the app with the Bot Sessions scope.",
    ),
    th.Property(
        "kore_client_secret",
        th.StringType,
        secret=True,
        title="Kore.ai client secret",
        description="Client secret of that app.",
    ),
    th.Property(
        "kore_bot_ids",
        th.ArrayType(th.StringType),
        title="Kore.ai bot ids",
        description=(
            "The bots to read, from each bot's general settings. Without it, those in "
            "kore_bot_credentials."
        ),
        examples=[["st-00000000-0000-5000-8000-000000000000"]],
    ),
    th.Property(
        "kore_bot_credentials",
        th.ArrayType(
            th.ObjectType(
                th.Property("bot_id", th.StringType, required=True),
                th.Property("client_id", th.StringType, required=True),
                th.Property("client_secret", th.StringType, required=True, secret=True),
                additional_properties=False,
            )
        ),
        secret=True,
        title="Kore.ai bot credentials",
        description=(
            "Credentials for bots whose app is their own, in place of kore_client_id "
            "and kore_client_secret."
        ),
    ),
    th.Property(
        "kore_api",
        th.StringType,
        allowed_values=["bot", "account", "stream"],
        default="bot",
        title="Kore.ai API",
        description=(
            "bot: an app of the bot itself. account: an app of the Admin Console, "
            "which reads the sessions of the whole account and keeps those of the "
            "bots listed. stream: the legacy path."
        ),
    ),
    th.Property(
        "kore_jwt_algorithm",
        th.StringType,
        allowed_values=["HS256", "HS512"],
        default="HS256",
        title="Kore.ai JWT algorithm",
        description="How the app was set up to have its tokens signed.",
    ),
    th.Property(
        "kore_containment_types",
        th.ArrayType(
            th.StringType(allowed_values=["dropOff", "selfService", "agent"]),
        ),
        title="Kore.ai containment types",
        description="Only sessions of these containment types; all if not given.",
    ),
    th.Property(
        "kore_session_type",
        th.StringType,
        allowed_values=["interactive", "non-interactive"],
        title="Kore.ai session type",
        description="Only sessions of this type.",
    ),
    th.Property(
        "kore_user_id",
        th.StringType,
        title="Kore.ai user id",
        description="Only sessions of this user.",
    ),
    th.Property(
        "kore_tags",
        th.ObjectType(additional_properties=True),
        title="Kore.ai tags",
        description="Only sessions with these tags, in the form that the API takes.",
        examples=[{"and": [{"name": "plan", "values": ["gold"], "type": "user"}]}],
    ),
    th.Property(
        "kore_session_ids",
        th.ArrayType(th.StringType),
        title="Kore.ai session ids",
        description=(
            "Only these sessions, whenever they were: no window is read, no other "
            "filter applies, and the bookmark stays."
        ),
    ),
    th.Property(
        "kore_page_size",
        th.IntegerType(minimum=1, maximum=10_000),
        default=1000,
        title="Kore.ai page size",
        description="Sessions asked for in one request.",
    ),
    th.Property(
        "kore_requests_per_minute",
        th.IntegerType(minimum=1),
        default=60,
        title="Kore.ai requests per minute",
        description="The budget of each bot.",
    ),
    th.Property(
        "kore_requests_per_hour",
        th.IntegerType(minimum=1),
        default=1800,
        title="Kore.ai requests per hour",
        description="The budget of each bot.",
    ),
    th.Property(
        "kore_open_session_days",
        th.NumberType(minimum=0, maximum=36_500),
        default=14,
        title="Kore.ai open session days",
        description=(
            "For how many days a session that was read while open is followed; 0: not."
        ),
    ),
)

READING = (
    th.Property(
        "start_date",
        th.DateTimeType,
        required=True,
        title="Start date",
        description="The earliest instant to read.",
        examples=["2026-01-01T00:00:00Z"],
    ),
    th.Property(
        "end_date",
        th.DateTimeType,
        title="End date",
        description=(
            "The instant to read up to, itself excluded; the moment at which the run "
            "began if not given or later than that."
        ),
        examples=["2026-02-01T00:00:00Z"],
    ),
    th.Property(
        "window_days",
        th.NumberType(exclusive_minimum=0, maximum=6),
        default=6,
        title="Window days",
        description="The widest span that is read and checked as a whole.",
    ),
    th.Property(
        "lookback_hours",
        th.NumberType(minimum=0, maximum=876_000),
        default=1,
        title="Lookback hours",
        description="How far each run steps back for records that arrived late.",
    ),
    th.Property(
        "max_concurrent_requests",
        th.IntegerType(minimum=1, maximum=64),
        default=8,
        title="Concurrent requests",
        description="Requests in flight at most, over all bots and both vendors.",
    ),
    th.Property(
        "request_timeout_seconds",
        th.NumberType(exclusive_minimum=0, maximum=3600),
        default=60,
        title="Request timeout",
        description=(
            "Seconds to wait for an answer to begin, and then to end, before the "
            "request is repeated."
        ),
    ),
    th.Property(
        "max_retries",
        th.IntegerType(minimum=0),
        default=8,
        title="Retries",
        description="How often one request is repeated before its bot is given up.",
    ),
    th.Property(
        "user_agent",
        th.StringType,
        title="User agent",
        description="The User-Agent header; name and version if not given.",
    ),
    th.Property(
        "ca_bundle",
        th.StringType,
        title="CA bundle",
        description=(
            "A file with the certificates, in PEM, of the authorities to trust instead "
            "of the public ones: for a private CA, or a proxy that looks into TLS."
        ),
        examples=["/etc/ssl/certs/company.pem"],
    ),
)

PERSONAL = (
    th.Property(
        "personal_data",
        th.StringType,
        allowed_values=["keep", "hash", "drop"],
        default="keep",
        title="Personal data",
        description=(
            "What becomes of names, user ids, message texts, tags and fields that are "
            "new. hash: HMAC-SHA256 under personal_data_key, the same for the same "
            "value in all streams; texts are dropped. drop: null, but for a user id "
            "that is part of a key, which is hashed."
        ),
    ),
    th.Property(
        "personal_data_texts",
        th.StringType,
        allowed_values=["drop", "keep"],
        default="drop",
        title="Message texts",
        description="What becomes of message texts where personal_data is hash.",
    ),
    th.Property(
        "personal_data_key",
        th.StringType(min_length=16),
        secret=True,
        title="Personal data key",
        description=(
            "The key of the hashes, needed for hash and drop. Under another key all "
            "hashes are others; who has it can find out whose hash one is."
        ),
    ),
)

SCHEMA: dict[str, Any] = th.PropertiesList(
    *READING, *AVAAMO, *KORE, *PERSONAL
).to_dict()


def given(config: Config, name: str) -> bool:
    """Whether a setting has a value; an empty string or list is none."""
    return config.get(name) not in (None, "", [])


def avaamo_configured(config: Config) -> bool:
    """Whether Avaamo's credentials are given."""
    return given(config, "avaamo_access_token")


def kore_configured(config: Config) -> bool:
    """Whether Kore.ai's credentials are given."""
    pair = given(config, "kore_client_id") and given(config, "kore_client_secret")
    return pair or given(config, "kore_bot_credentials")


def agent_ids(config: Config) -> list[str]:
    """The Avaamo agents to read, each once."""
    agents = config.get("avaamo_agent_ids") or ()
    return list(dict.fromkeys(str(agent) for agent in agents))


def bot_credentials(config: Config) -> dict[str, tuple[str, str]]:
    """The Kore.ai bots to read, each with its client id and client secret.

    A bot without credentials of its own has those of `kore_client_id` and
    `kore_client_secret`; if these are not given, they are empty.
    """
    own = {
        entry["bot_id"]: (entry["client_id"], entry["client_secret"])
        for entry in config.get("kore_bot_credentials") or ()
    }
    shared = (
        config.get("kore_client_id") or "",
        config.get("kore_client_secret") or "",
    )
    bots = config.get("kore_bot_ids") or own
    return {bot: own.get(bot, shared) for bot in bots}


def secrets(config: Config) -> list[str]:
    """Every secret in the configuration."""
    own = [entry["client_secret"] for entry in config.get("kore_bot_credentials") or ()]
    names = ("avaamo_access_token", "kore_client_secret", "personal_data_key")
    shared = [config[name] for name in names if given(config, name)]
    return [secret for secret in (*own, *shared) if secret]


def base_url(value: str) -> str:
    """A base URL in full: `https://` where no scheme is given, no slash at the end."""
    return (value if "://" in value else f"https://{value}").rstrip("/")


def user_agent(config: Config) -> str:
    """The User-Agent header."""
    version = metadata.version("tap-botsessions")
    return config.get("user_agent") or f"tap-botsessions/{version}"
