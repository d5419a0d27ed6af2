"""All that is wrong with a configuration, in one go and before any request."""

from __future__ import annotations

import copy
import ipaddress
import ssl
from typing import TYPE_CHECKING, Any
from urllib.parse import urlsplit

from singer_sdk.helpers._batch import BatchConfig

from tap_botsessions.config.inputs import is_json, load, one_line, plain
from tap_botsessions.config.schema_errors import (
    did_you_mean,
    errors_in,
    lines_on,
    place,
)
from tap_botsessions.engine.options import base_url, is_given
from tap_botsessions.engine.windows import parse_instant
from tap_botsessions.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_botsessions.engine.options import Config, Json

_YEARS = range(1970, 3000)
"""What a run may span, far from where the arithmetic of instants ends."""


def coerce(config: Config, schema: dict[str, Any]) -> dict[str, Any]:
    """The settings as they are meant.

    Numbers are plain. A string is read as JSON if the setting is of another type, as
    all that comes from the environment is a string. What is null or empty is not given.
    """
    settings = schema["properties"]
    read = {
        name: _coerced(value, settings.get(name, {})) for name, value in config.items()
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
    readable = with_defaults(config, schema)
    return [
        *lines_on(config, schema),
        *_unwritable_lines(config),
        *_vendor_lines(config),
        *_text_lines(readable),
        *_url_lines(readable),
        *_file_lines(readable),
        *_range_lines(readable),
        *_personal_lines(readable["personal_data"], config),
        *_batch_lines(readable),
    ]


def with_defaults(config: Config, schema: dict[str, Any]) -> dict[str, Any]:
    """The settings that are as the schema asks, and the defaults of all others."""
    unusable = {error.path[0] for error in errors_in(config, schema) if error.path}
    defaults = {
        name: setting["default"]
        for name, setting in schema["properties"].items()
        if "default" in setting
    }
    given_ones = {name: config[name] for name in config if name not in unusable}
    return {**defaults, **given_ones}


def unknown_settings(config: Config, schema: dict[str, Any]) -> Iterator[str]:
    """Name the settings that don't exist."""
    known = schema["properties"]
    for name in sorted(config.keys() - known.keys()):
        hint = did_you_mean(name, known)
        line = f"{name}: there is no such setting, so it has no effect{hint}"
        yield one_line(line)


def unused_settings(config: Config, schema: dict[str, Any]) -> Iterator[str]:
    """Say what has no effect: settings that don't exist, bots that aren't read."""
    yield from unknown_settings(config, schema)
    for vendor in VENDORS:
        yield from map(one_line, vendor.unused(config))
    yield from _empty_maps(config.get("stream_maps"))
    mode = config.get("personal_data", "keep")
    if is_given(config, "personal_data_key") and mode == "keep":
        yield "personal_data_key: has no effect, as personal_data is keep"


def _empty_maps(maps: object) -> Iterator[str]:
    """Name the stream maps in which there is nothing any more."""
    if isinstance(maps, dict):
        named = {f"stream_maps, {name}": each for name, each in maps.items()}
        for name, each in (named or {"stream_maps": maps}).items():
            if each == {}:
                line = (
                    f"{name}: is empty, so it has no effect; null must be written as "
                    f"__NULL__ in meltano.yml, since Meltano leaves it out"
                )
                yield one_line(line)


def _coerced(value: Json, setting: dict[str, Any]) -> Json:
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
    for vendor in VENDORS:
        yield from vendor.problems(config)
    if not any(vendor.is_configured(config) for vendor in VENDORS) and not any(
        is_given(config, name) for vendor in VENDORS for name in vendor.named_by
    ):
        needs = ", or ".join(vendor.needs for vendor in VENDORS)
        yield f"nothing is configured: give {needs}, or both"


def _text_lines(config: Config) -> Iterator[str]:
    for name in _never_blank():
        for where, text in _strings(config.get(name), name):
            if not text.strip():
                yield f"{where}: is blank"
            elif not text.isprintable() and "secret" not in where and is_json(text):
                yield f"{where}: holds characters that can't be shown"
    headers = [name for vendor in VENDORS for name in vendor.headers]
    for name in (*headers, "user_agent"):
        for where, text in _strings(config.get(name), name):
            if name in _never_blank() and not text.strip():
                continue  # it was said above
            if not (text.isascii() and text.isprintable() and text.strip() == text):
                yield (
                    f"{where}: holds characters that an HTTP header can't carry, or "
                    f"white space around it"
                )


def _never_blank() -> Sequence[str]:
    """The settings in which a blank text is a mistake, in the order of their names."""
    names = [name for vendor in VENDORS for name in vendor.never_blank]
    return sorted([*names, "personal_data_key"])


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
    for name in (name for vendor in VENDORS for name in vendor.urls):
        if is_given(config, name):
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
    if is_given(config, "ca_bundle"):
        try:
            ssl.create_default_context(cafile=config["ca_bundle"])
        except (OSError, ValueError) as error:
            yield f"ca_bundle: can't be read as certificates in PEM ({error})"


def _range_lines(config: Config) -> Iterator[str]:
    instants: dict[str, datetime] = {}
    for name in ("start_date", "end_date"):
        if is_given(config, name):
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


def _personal_lines(mode: str, config: Config) -> Iterator[str]:
    """What is missing; of a key that is given, but unusable, the schema has told."""
    if mode != "keep" and not is_given(config, "personal_data_key"):
        yield f"personal_data_key: is missing, while personal_data is {mode}"


def _batch_lines(config: Config) -> Iterator[str]:
    batch_config = copy.deepcopy(config.get("batch_config"))  # the SDK takes it apart
    if batch_config:
        try:
            BatchConfig.from_dict(batch_config)
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            yield f"batch_config: is not as the SDK asks ({error})"
