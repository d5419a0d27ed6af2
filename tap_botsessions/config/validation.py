"""All that is wrong with a configuration, told in one go and before any request."""

from __future__ import annotations

import copy
import difflib
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk.helpers._batch import BatchConfig

from tap_botsessions.config.inputs import is_json, load, one_line, plain
from tap_botsessions.config.schema_errors import errors_in, lines_on, place
from tap_botsessions.config.settings import (
    Config,
    avaamo_configured,
    base_url,
    bot_credentials,
    given,
    kore_configured,
)
from tap_botsessions.engine.windows import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import datetime

    from tap_botsessions.config.inputs import Json

_YEARS = range(1970, 3000)
"""What a run may span, far from where the arithmetic of instants ends."""

_NEVER_BLANK = (
    "avaamo_agent_ids",
    "kore_bot_credentials",
    "kore_bot_ids",
    "kore_client_id",
    "kore_client_secret",
    "kore_session_ids",
    "personal_data_key",
)


def meant(config: Config, schema: dict[str, Any]) -> dict[str, Any]:
    """The settings as they are meant.

    Numbers are plain. A string is read as JSON if the setting is of another type, as
    all that comes from the environment is a string. What is null or empty is not given.
    """
    settings = schema["properties"]
    read = {
        name: _meant(value, settings.get(name, {})) for name, value in config.items()
    }
    return {name: value for name, value in read.items() if value not in (None, "")}


def problems(config: Config, schema: dict[str, Any]) -> list[str]:
    """Find what is wrong.

    Args:
        config: The settings as they are meant.
        schema: The JSON schema of all settings, the SDK's own included.

    Returns:
        A line for each mistake, which names the setting, but not the value of a secret.
    """
    readable = usable(config, schema)
    return [
        *lines_on(config, schema),
        *_unwritable_lines(config),
        *_vendor_lines(config),
        *_text_lines(readable),
        *_url_lines(readable),
        *_file_lines(readable),
        *_range_lines(readable),
        *_personal_lines(readable),
        *_batch_lines(readable),
    ]


def usable(config: Config, schema: dict[str, Any]) -> dict[str, Any]:
    """The settings that are as the schema asks, and the defaults of all others."""
    unusable = {error.path[0] for error in errors_in(config, schema) if error.path}
    defaults = {
        name: setting["default"]
        for name, setting in schema["properties"].items()
        if "default" in setting
    }
    given_ones = {name: config[name] for name in config if name not in unusable}
    return {**defaults, **given_ones}


def given_in_vain(config: Config, schema: dict[str, Any]) -> Iterator[str]:
    """Tell of what has no effect: settings that don't exist, bots that aren't read."""
    known = schema["properties"]
    for name in sorted(config.keys() - known.keys()):
        close = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {close[0]}?" if close else ""
        line = f"{name}: there is no such setting, so it has no effect{hint}"
        yield one_line(line)
    listed, own = config.get("kore_bot_ids"), config.get("kore_bot_credentials")
    if not isinstance(listed, list) or not isinstance(own, list):
        return
    for entry in own if listed else ():
        bot = entry.get("bot_id") if isinstance(entry, dict) else None
        if isinstance(bot, str) and bot not in listed:
            line = f"kore_bot_credentials: {bot} is not in kore_bot_ids, so not read"
            yield one_line(line)


def _meant(value: Json, setting: dict[str, Any]) -> Json:
    if isinstance(value, str) and "string" not in setting.get("type", "string"):
        try:
            value = load(value)
        except ValueError:
            return value  # the schema has the words for it
    return plain(value)


def _unwritable_lines(config: Config) -> Iterator[str]:
    for name, value in config.items():
        if not is_json(value):
            yield f"{name}: must hold finite numbers and whole characters only"


def _vendor_lines(config: Config) -> Iterator[str]:
    """What a vendor that is configured, wholly or in part, still lacks."""
    yield from _avaamo_lines(config)
    yield from _kore_lines(config)
    named = ("avaamo_agent_ids", "kore_bot_ids", "kore_client_id", "kore_client_secret")
    if (
        not avaamo_configured(config)
        and not kore_configured(config)
        and not any(given(config, name) for name in named)
    ):
        yield (
            "nothing is configured: give avaamo_access_token with avaamo_base_url and "
            "avaamo_agent_ids, or kore_client_id and kore_client_secret with "
            "kore_bot_ids, or both"
        )


def _avaamo_lines(config: Config) -> Iterator[str]:
    if avaamo_configured(config):
        if not given(config, "avaamo_base_url"):
            yield "avaamo_base_url: is missing; it is the instance that you log in to"
        if not given(config, "avaamo_agent_ids"):
            yield "avaamo_agent_ids: is empty; list at least one agent"
    elif given(config, "avaamo_agent_ids"):
        yield "avaamo_access_token: is missing, while avaamo_agent_ids is given"


def _kore_lines(config: Config) -> Iterator[str]:
    has_id = given(config, "kore_client_id")
    has_secret = given(config, "kore_client_secret")
    if has_id and not has_secret:
        yield "kore_client_secret: is missing, while kore_client_id is given"
    if has_secret and not has_id:
        yield "kore_client_id: is missing, while kore_client_secret is given"
    if has_id and has_secret:
        if not given(config, "kore_bot_ids") and not given(
            config, "kore_bot_credentials"
        ):
            yield "kore_bot_ids: is empty; list at least one bot"
    elif not has_id and not has_secret and given(config, "kore_bot_ids"):
        yield from _bots_without_credentials(config)


def _bots_without_credentials(config: Config) -> Iterator[str]:
    try:
        credentials = bot_credentials(config)
    except (KeyError, TypeError, AttributeError):
        return  # the schema has said what is wrong with the list
    for bot, (client_id, _) in credentials.items():
        if not client_id:
            yield (
                f"kore_client_id: is missing, with kore_client_secret, for the bot "
                f"{bot}, which is not in kore_bot_credentials either"
            )


def _text_lines(config: Config) -> Iterator[str]:
    for name in _NEVER_BLANK:
        for where, text in _strings(config.get(name), name):
            if not text.strip():
                yield f"{where}: is blank"
            elif not text.isprintable() and "secret" not in where and is_json(text):
                yield f"{where}: holds characters that can't be shown"
    for name in ("avaamo_access_token", "user_agent"):
        value = config.get(name) or ""
        if not (value.isascii() and value.isprintable() and value.strip() == value):
            yield (
                f"{name}: holds characters that an HTTP header can't carry, or white "
                f"space around it"
            )


def _strings(value: object, *path: str | int) -> Iterator[tuple[str, str]]:
    """Every string in a setting, each with its place."""
    if isinstance(value, str):
        yield place(*path), value
    elif isinstance(value, dict):
        for name, item in value.items():
            yield from _strings(item, *path, name)
    elif isinstance(value, list):
        for index, item in enumerate(value):
            yield from _strings(item, *path, index)


def _url_lines(config: Config) -> Iterator[str]:
    for name in ("avaamo_base_url", "kore_base_url"):
        if given(config, name):
            problem = _url_problem(config[name])
            if problem:
                yield f"{name}: {problem}"


def _url_problem(value: str) -> str | None:
    try:
        url = urlsplit(base_url(value.strip()))
        host = url.hostname
        _ = url.port
    except ValueError:
        return "is not a URL"
    if not host or any(character.isspace() for character in value):
        return "is not a URL"
    if url.scheme not in {"http", "https"}:
        return f"must begin with https://, not {url.scheme}://"
    if url.username is not None or "?" in value or "#" in value:
        return "must be a scheme, a host and perhaps a path, and nothing else"
    if url.scheme == "http" and not _is_loopback(host):
        return (
            f"must begin with https://: over http:// the credentials would travel "
            f"readable to {host}"
        )
    return None


def _is_loopback(host: str) -> bool:
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return host == "localhost"


def _file_lines(config: Config) -> Iterator[str]:
    if given(config, "ca_bundle"):
        try:
            ssl.create_default_context(cafile=config["ca_bundle"])
        except (OSError, ValueError) as error:
            yield f"ca_bundle: can't be read as certificates in PEM ({error})"


def _range_lines(config: Config) -> Iterator[str]:
    instants: dict[str, datetime] = {}
    for name in ("start_date", "end_date"):
        if given(config, name):
            try:
                instants[name] = parse_instant(config[name])
            except ValueError:
                yield f"{name}: is no date-time, such as 2026-01-31T00:00:00Z"
    for name, instant in instants.items():
        if instant.year not in _YEARS:
            yield f"{name}: must lie in the years {_YEARS[0]} to {_YEARS[-1]}"
    match instants:
        case {"start_date": start, "end_date": end} if end <= start:
            yield "end_date: must be later than start_date"


def _personal_lines(config: Config) -> Iterator[str]:
    mode = config["personal_data"]
    if mode != "keep" and not given(config, "personal_data_key"):
        yield f"personal_data_key: is missing, while personal_data is {mode}"


def _batch_lines(config: Config) -> Iterator[str]:
    batch_config = copy.deepcopy(config.get("batch_config"))  # the SDK takes it apart
    if batch_config:
        try:
            BatchConfig.from_dict(batch_config)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            yield f"batch_config: is not as the SDK asks ({error})"
