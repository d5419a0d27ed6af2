"""The four commands of a source, over the same tap."""

from __future__ import annotations

import logging
from itertools import groupby
from typing import TYPE_CHECKING, Any, TypeVar

from singer_sdk.exceptions import ConfigValidationError

from tap_botsessions.airbyte.catalog import (
    StateError,
    catalog,
    select,
    singer_state,
    wanted_by,
)
from tap_botsessions.airbyte.spec import spec
from tap_botsessions.config.settings import SCHEMA, secrets
from tap_botsessions.config.validation import unknown_settings
from tap_botsessions.engine.masking import Mask
from tap_botsessions.singer.stream import SingerStream
from tap_botsessions.tap import TapBotsessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_botsessions.airbyte.catalog import Wanted
    from tap_botsessions.airbyte.messages import AirbyteWriter
    from tap_botsessions.engine.errors import Failure, FailureType
    from tap_botsessions.engine.options import Json


T = TypeVar("T")


class SettingsError(Exception):
    """What was given can't be used; the message says what to do, a line for each."""


class Source:
    """An Airbyte source; its commands return whether all went well."""

    def __init__(self, writer: AirbyteWriter) -> None:
        """Prepare to write messages."""
        self._writer = writer

    def spec(self) -> bool:
        """Write the form of the settings."""
        self._writer.tell("SPEC", spec=spec())
        return True

    def check(self, config: Json) -> bool:
        """Write whether every bot can be read; that one can't is no error here."""
        try:
            tap = self._tap(config)
        except SettingsError as error:
            message = str(error)
        else:
            message = _lines(list(tap.check().failures()))
        status = {"status": "FAILED" if message else "SUCCEEDED"}
        if message:
            status["message"] = self._writer.masked(message)
        self._writer.tell("CONNECTION_STATUS", connectionStatus=status)
        return True

    def discover(self, config: Json) -> bool:
        """Write the catalog: the streams of the vendors that are configured.

        Raises:
            SettingsError: The settings can't be used.
        """
        self._writer.tell("CATALOG", catalog=catalog(_streams(self._tap(config))))
        return True

    def read(
        self,
        config: Json,
        configured: Json,
        states: Json,
    ) -> bool:
        """Write the records and states of the streams that are configured.

        Raises:
            SettingsError: The settings, the catalog or the state can't be used.
        """
        all_wanted = _understood("catalog", lambda: wanted_by(configured))
        state = _understood("state", lambda: singer_state(states, all_wanted))
        tap = self._tap(config, state)
        with tap.run.syncing():
            outcomes = [self._read_stream(tap, wanted) for wanted in all_wanted]
        return all(outcomes)

    def _read_stream(self, tap: TapBotsessions, wanted: Wanted) -> bool:
        """Read one stream; what fails in it does not stop the others."""
        name = wanted.name
        self._writer.begin(name, resumes=wanted.is_incremental)
        stream = tap.streams.get(name)
        if not isinstance(stream, SingerStream):
            self._writer.status("INCOMPLETE")  # its state stays as it is
            message = f"{name}: there is no such stream, or its vendor isn't configured"
            self._writer.error(message, "config_error", name)
            return False
        select(stream, wanted)
        unforeseen = None
        try:
            stream.sync()
            stream.sweep()
        except Exception as error:  # noqa: BLE001 -- whatever it is
            unforeseen = error
        failures = [each for each in tap.run.failures if each.stream == name]
        is_complete = not failures and unforeseen is None
        state = tap.state.get("bookmarks", {}).get(name, {})
        self._writer.end(state, is_complete=is_complete)
        for failure_type, alike in _by_type(failures):
            self._writer.error(_lines(alike), failure_type, name)
        if unforeseen:
            message = f"{name}: an error that was not foreseen; please report it"
            self._writer.error(message, "system_error", name, unforeseen)
        return is_complete

    def _tap(self, config: Json, state: dict[str, Any] | None = None) -> TapBotsessions:
        """The tap, with the settings that the form has and no others."""
        if not isinstance(config, dict):
            msg = "the settings: must be a JSON object"
            raise SettingsError(msg)
        known = {name: config[name] for name in SCHEMA["properties"] if name in config}
        try:
            tap = TapBotsessions(config=known, state=state, message_writer=self._writer)
        except ConfigValidationError as error:
            raise SettingsError("\n".join(error.errors)) from error
        self._writer.masked = Mask(secrets(tap.config))
        tap.metrics_logger.setLevel(logging.WARNING)  # Airbyte counts for itself
        for line in unknown_settings(config, SCHEMA):
            tap.logger.warning("%s", line)
        return tap


def _understood(what: str, read: Callable[[], T]) -> T:
    try:
        return read()
    except StateError as error:
        msg = f"the {what}: {error}"
        raise SettingsError(msg) from error
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        msg = f"the {what}: is not as the Airbyte protocol has it"
        raise SettingsError(msg) from error


def _streams(tap: TapBotsessions) -> list[SingerStream]:
    return [each for each in tap.streams.values() if isinstance(each, SingerStream)]


def _by_type(
    failures: Sequence[Failure],
) -> Iterator[tuple[FailureType, Sequence[Failure]]]:
    """Failures by what can fix them."""

    def failure_type(failure: Failure) -> FailureType:
        return failure.error.failure_type

    for kind, alike in groupby(sorted(failures, key=failure_type), failure_type):
        yield kind, list(alike)


def _lines(failures: Sequence[Failure]) -> str:
    """A line for each way to fail, which names all bots that failed so."""
    bots: dict[str, list[str]] = {}
    for failure in failures:
        bots.setdefault(str(failure.error), []).append(failure.label)
    return "\n".join(f"{'; '.join(whats)}: {error}" for error, whats in bots.items())
