"""The tap: its settings, its streams, its command line and its exit code."""

from __future__ import annotations

import copy
import json
import sys
from collections import Counter
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk import Tap
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from typing_extensions import override

from tap_botsessions import avaamo, kore, validation
from tap_botsessions.errors import BotError
from tap_botsessions.output import Ending, PieceWriter, die_of
from tap_botsessions.settings import SCHEMA, avaamo_configured, kore_configured
from tap_botsessions.stream import BotStream

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType
    from typing import IO

    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_botsessions.stream import Failures


class TapBotsessions(Tap):
    """Sessions, messages and usage of chatbots, from Avaamo and Kore.ai."""

    name = "tap-botsessions"
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(SCHEMA)
    message_writer_class = PieceWriter
    capabilities: ClassVar[list[CapabilitiesEnum]] = [
        TapCapabilities.CATALOG,
        TapCapabilities.DISCOVER,
        TapCapabilities.STATE,
        PluginCapabilities.ABOUT,
        PluginCapabilities.BATCH,
        PluginCapabilities.FLATTENING,
        PluginCapabilities.STREAM_MAPS,
        PluginCapabilities.STRUCTURED_LOGGING,
    ]

    @override
    def __init__(self, **kwargs: Any) -> None:
        self.failures: Failures = []
        self.ending = Ending(self._farewell)
        self._is_syncing = False
        super().__init__(**kwargs)

    @override
    def discover_streams(self) -> Sequence[BotStream]:
        """The streams of the vendors that are configured; all if none is."""
        is_avaamo = avaamo_configured(self.config)
        is_kore = kore_configured(self.config)
        streams: list[BotStream] = []
        if is_avaamo or not is_kore:
            account = avaamo.Account.of(self.config)
            streams += [
                stream(self, account, self.failures)
                for stream in (
                    avaamo.AvaamoSessions,
                    avaamo.AvaamoMessages,
                    avaamo.AvaamoUsage,
                )
            ]
        if is_kore or not is_avaamo:
            host = kore.Host.of(self.config)
            streams.append(kore.KoreSessions(self, host, self.failures))
        return streams

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        try:
            validation.check_state(state)
        except ValueError as error:
            raise _refused(f"state: {error}") from error
        super().load_state(validation.without_fractions(state))

    @override
    def _validate_config(self, *, raise_errors: bool = True) -> list[str]:
        """Check all settings in one go, and in words of our own.

        A private name of the SDK's, since there is no other way to tell of all mistakes
        at once, nor to keep jsonschema's messages, which quote secrets, out of the log.
        """
        schema = self.config_jsonschema
        self.append_builtin_config(schema)
        # A null, as a default, means that the setting is not given.
        self._config = {
            name: value for name, value in self._config.items() if value is not None
        }
        problems = validation.complete(self._config, schema)
        if problems and raise_errors:
            raise _refused(*problems)
        self._config = validation.usable(self._config, schema)
        for line in validation.unknown(self._config, schema):
            self.logger.warning("%s", line)
        return problems

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # the SDK's own differs from its base, too
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        config: Any = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the command line; the exit code is 1 if a bot failed."""
        if about:
            cls.print_about(about_format)
            return
        cls.print_version(print_fn=cls.logger.info)
        tap = cls(
            config=config.config,
            state=_load(state, "state"),
            catalog=_load(catalog, "catalog"),
            parse_env_config=config.parse_env,
        )
        tap.sync()
        for line in tap.summary():
            cls.logger.error("incomplete: %s", line)
        sys.exit(1 if tap.failures else 0)

    def sync(self) -> None:
        """Sync all streams that are selected, to be ended by a signal in good order."""
        self._is_syncing = True
        self.sync_all()
        self._is_syncing = False

    def flush(self) -> None:
        """Have what was written leave this process."""
        if isinstance(self.message_writer, PieceWriter):
            self.message_writer.flush()

    @contextmanager
    def flushing(self) -> Iterator[None]:
        """Flush at the end of the block."""
        try:
            yield
        finally:
            self.flush()

    def summary(self) -> Iterator[str]:
        """Say what is incomplete: a line a bot, or one for all if they fail alike."""
        bots = Counter(
            vendor_of(stream.name)
            for stream in self.streams.values()
            if isinstance(stream, BotStream) and stream.selected
            for _ in stream.bots
        )
        errors = Counter(
            (vendor_of(failure.stream), str(failure.error)) for failure in self.failures
        )
        for failure in self.failures:
            vendor, error = vendor_of(failure.stream), str(failure.error)
            if 1 < bots[vendor] == errors[vendor, error]:
                yield f"{vendor}, all of it: {error}"
                errors[vendor, error] = 0
            elif errors[vendor, error]:
                yield f"{failure.what}: {error}"

    def _farewell(self) -> None:
        """Write the last state; not in BATCH mode, whose records may still be here."""
        if not self.config.get("batch_config"):
            self.state_writer.write_state(self.state)
        self.flush()

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Have a signal end the run in good order, and the process by that signal.

        The SDK would exit with 0, from wherever the run is.
        """
        if not self._is_syncing:
            die_of(signum)
        self.ending.request(signum)

    @classmethod
    @override
    def cb_config(
        cls, ctx: click.Context, param: click.Option, value: tuple[str, ...]
    ) -> Any:
        try:
            return super().cb_config(ctx, param, value)
        except (OSError, ValueError) as error:
            msg = f"--config: {' '.join(value)} can't be read as JSON ({error})"
            raise click.ClickException(msg) from error

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        try:
            super().cb_test(ctx, param, value)
        except ConfigValidationError as error:
            raise click.ClickException("\n".join(error.errors)) from error
        except BotError as error:
            raise click.ClickException(str(error)) from error


def vendor_of(stream: str) -> str:
    """The vendor of a stream, by the first part of its name."""
    return stream.partition("_")[0]


def _load(file: IO[str] | None, what: str) -> dict[str, Any] | None:
    if file is None:
        return None
    try:
        content = json.load(file)
    except ValueError as error:
        raise _refused(f"{what}: {file.name} is no JSON ({error})") from error
    if not isinstance(content, dict):
        raise _refused(f"{what}: {file.name} is no JSON object")
    return content


def _refused(*lines: str) -> ConfigValidationError:
    msg = "Config validation failed"
    return ConfigValidationError(msg, errors=list(lines))
