"""All that is wrong with a configuration, told in one go and before any request."""

from __future__ import annotations

import difflib
import ipaddress
import math
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk.plugin_base import JSONSchemaValidator

from tap_botsessions.settings import (
    Config,
    avaamo_configured,
    base_url,
    bot_credentials,
    given,
    kore_configured,
)
from tap_botsessions.windows import parse_instant

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from datetime import datetime

    from jsonschema import ValidationError

_REQUIREMENTS = {
    "exclusiveMinimum": "must be more than {}",
    "maximum": "must be at most {}",
    "minimum": "must be at least {}",
}


def complete(config: dict[str, Any], schema: dict[str, Any]) -> list[str]:
    """Fill in the defaults and find what is wrong.

    Args:
        config: The configuration as given. Missing settings get their defaults, and
            numbers that came as strings, as those from the environment do, are read.
        schema: The JSON schema of all settings, the SDK's own included.

    Returns:
        A line for each mistake, which names the setting, but not the value of a secret.
    """
    _read_numbers(config, schema)
    errors = list(JSONSchemaValidator(schema).iter_errors(config))
    readable = usable(config, schema)
    return [
        *(line for error in errors for line in _schema_lines(error)),
        *_vendor_lines(config),
        *_text_lines(readable),
        *_url_lines(readable),
        *_range_lines(readable),
    ]


def usable(config: Config, schema: dict[str, Any]) -> dict[str, Any]:
    """The settings that are of the type and in the bounds that the schema asks for."""
    errors = JSONSchemaValidator(schema).iter_errors(config)
    unusable = {error.path[0] for error in errors if error.path}
    return {name: config[name] for name in config if name not in unusable}


def check_state(state: Mapping[str, Any]) -> None:
    """Hold a state against the form that the SDK gives it.

    Raises:
        ValueError: It has another form.
    """
    bookmarks = state.get("bookmarks", {})
    try:
        for stream in bookmarks.values():
            for partition in stream.get("partitions", ()):
                _ = partition["context"].items()
    except (AttributeError, KeyError, TypeError) as error:
        msg = "must be as the tap wrote it: bookmarks by stream, with their partitions"
        raise ValueError(msg) from error


def unknown(config: Config, schema: dict[str, Any]) -> Iterator[str]:
    """Name the settings that do not exist, and what may have been meant."""
    known = schema["properties"]
    for name in config.keys() - known.keys():
        meant = difflib.get_close_matches(name, known, n=1)
        hint = f"; did you mean {meant[0]}?" if meant else ""
        yield f"{name}: there is no such setting, so it has no effect{hint}"


def without_fractions(state: Any) -> Any:  # noqa: ANN401 -- JSON can be anything
    """The state with each time token floored to a whole second, and so read again.

    Targets made with the SDK fail to write out a state that holds a fraction.
    """
    if isinstance(state, float) and math.isfinite(state):
        return math.floor(state)
    if isinstance(state, dict):
        return {name: without_fractions(value) for name, value in state.items()}
    if isinstance(state, list):
        return [without_fractions(value) for value in state]
    return state


def _read_numbers(config: dict[str, Any], schema: dict[str, Any]) -> None:
    for name, setting in schema["properties"].items():
        value = config.get(name)
        if isinstance(value, str) and "number" in setting.get("type", ()):
            try:
                config[name] = float(value)
            except ValueError:
                continue  # the schema has the words for it


def _schema_lines(error: ValidationError) -> Iterator[str]:
    """Say what a schema error is; the SDK's message would repeat a secret's value."""
    required: Any = error.validator_value
    if error.validator == "required":
        present: Any = error.instance
        for name in required:
            if name not in present:
                yield f"{_place(*error.path, name)}: is missing"
        return
    place = _place(*error.path)
    if error.validator in _REQUIREMENTS:
        requirement = _REQUIREMENTS[error.validator].format(required)
        yield f"{place}: is {error.instance}, but {requirement}"
    elif error.validator == "type":
        types = [kind for kind in _as_list(required) if kind != "null"]
        yield f"{place}: must be of type {' or '.join(types)}"
    elif error.validator == "enum":
        allowed = ", ".join(str(value) for value in required)
        yield f"{place}: must be one of {allowed}"
    else:
        yield f"{place}: is not as the schema asks ({error.validator})"


def _as_list(value: str | list[str]) -> list[str]:
    return [value] if isinstance(value, str) else value


def _place(*path: str | int) -> str:
    first, *rest = path or ("configuration",)
    return f"{first}{''.join(f'[{step!r}]' for step in rest)}"


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
    for name in ("avaamo_agent_ids", "kore_bot_ids", "kore_session_ids"):
        if any(not str(item).strip() for item in config.get(name) or ()):
            yield f"{name}: holds an empty id"
    for name in ("avaamo_access_token", "user_agent"):
        value = config.get(name) or ""
        if not (value.isascii() and value.isprintable() and value.strip() == value):
            yield (
                f"{name}: holds characters that an HTTP header can't carry, or white "
                f"space around it"
            )


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
    if url.username is not None or url.query or url.fragment:
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


def _range_lines(config: Config) -> Iterator[str]:
    for name, value in config.items():
        if isinstance(value, float) and not math.isfinite(value):
            yield f"{name}: must be a finite number"
    instants: dict[str, datetime] = {}
    for name in ("start_date", "end_date"):
        if given(config, name):
            try:
                instants[name] = parse_instant(config[name])
            except ValueError:
                yield f"{name}: is no date-time, such as 2026-01-31T00:00:00Z"
    match instants:
        case {"start_date": start, "end_date": end} if end <= start:
            yield "end_date: must be later than start_date"
