"""The tap: its settings, its streams, its command line and its exit code."""

from __future__ import annotations

import copy
import gc
import sys
from collections import Counter
from contextlib import contextmanager
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_botsessions.config.settings import SCHEMA, avaamo_configured, kore_configured
from tap_botsessions.engine.errors import BotError
from tap_botsessions.reports import footer
from tap_botsessions.singer.audit import SyncWindows
from tap_botsessions.singer.stream import BotStream
from tap_botsessions.singer.strict import CheckedTap, read_catalog, read_state
from tap_botsessions.singer.writer import Ending, PieceWriter, die_of, give_up_writing
from tap_botsessions.vendors.avaamo import streams as avaamo
from tap_botsessions.vendors.kore import streams as kore

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from types import FrameType
    from typing import IO

    from singer_sdk import Stream
    from singer_sdk.helpers.capabilities import CapabilitiesEnum

    from tap_botsessions.singer.stream import Failures


class TapBotsessions(CheckedTap):
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
    def discover_streams(self) -> Sequence[Stream]:
        """The streams of the vendors that are configured, all if none is; the audit."""
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
        return [*streams, self.audit]

    @cached_property
    def audit(self) -> SyncWindows:
        """The audit trail of this run."""
        return SyncWindows(self)

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # the SDK's own differs from its base, too
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        check: bool = False,
        plan: bool = False,
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
            state=read_state(state),
            catalog=read_catalog(catalog),
            parse_env_config=config.parse_env,
        )
        if check:
            tap.check(about_format)
        if plan:
            tap.plan(about_format)
        try:
            tap.sync()
        except OSError as error:
            give_up_writing(error)
        for line in tap.summary():
            cls.logger.error("incomplete: %s", line)
        sys.exit(1 if tap.failures else 0)

    def sync(self) -> None:
        """Sync all streams that are selected."""
        with self.syncing(), self._shown():
            self.sync_all()

    @contextmanager
    def syncing(self) -> Iterator[None]:
        """Have a signal end what the block reads in good order."""
        # Records come and go by the thousand and hold no cycles: the collector would
        # go through them again and again for nothing.
        gc.freeze()
        gc.set_threshold(100_000, 50, 50)
        self._is_syncing = True
        yield
        self._is_syncing = False

    @contextmanager
    def _shown(self) -> Iterator[None]:
        """Show on a terminal how far the block is."""
        if not footer.is_possible():
            yield
            return
        from tap_botsessions.reports.display import Display  # noqa: PLC0415 -- it loads slowly

        streams = [stream for stream in self._bot_streams if stream.selected]
        for stream in streams:
            stream.summaries.is_quiet = True
        with Display([stream.progress for stream in streams]) as display:
            self.ending.last = display.close
            yield

    def end_overdue(self) -> None:
        """End the answers of both vendors that take too long."""
        for stream in self._bot_streams:
            stream.transport.end_overdue()

    @property
    def _bot_streams(self) -> list[BotStream]:
        return [each for each in self.streams.values() if isinstance(each, BotStream)]

    def check(self, form: str | None) -> NoReturn:
        """Print whether each bot can be read; the exit code is 0 if all can."""
        # The libraries for people take a while to load, and a sync needs none of them.
        from tap_botsessions.reports.check import check  # noqa: PLC0415 -- see above
        from tap_botsessions.reports.check_report import CheckReport  # noqa: PLC0415 -- as well
        from tap_botsessions.reports.render import show  # noqa: PLC0415 -- as well

        report = CheckReport(check(self))
        show(report, form)
        sys.exit(0 if report.is_well else 1)

    def plan(self, form: str | None) -> NoReturn:
        """Print what a sync would do; the exit code is 0 if that is known of all."""
        from tap_botsessions.reports.plan import plan  # noqa: PLC0415 -- see above
        from tap_botsessions.reports.plan_report import PlanReport  # noqa: PLC0415 -- as well
        from tap_botsessions.reports.render import show  # noqa: PLC0415 -- as well

        found = plan(self)
        show(PlanReport(found), form)
        sys.exit(0 if found.is_whole else 1)

    def try_out(self) -> None:
        """Emit each stream's schema and one record.

        The SDK's own connection test does the same, but logs an error on each stream.

        Raises:
            BotError: A bot can't be read.
        """
        for stream in self._bot_streams:  # the audit trail has nothing to audit
            stream.emit.sample()

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
        vendors = {stream.name: stream.vendor for stream in self._bot_streams}
        bots = Counter(
            stream.vendor
            for stream in self._bot_streams
            if stream.selected
            for _ in stream.bots
        )
        errors = Counter(
            (vendors[failure.stream], str(failure.error)) for failure in self.failures
        )
        for failure in self.failures:
            vendor, error = vendors[failure.stream], str(failure.error)
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
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.params.append(
            click.Option(
                ["--check"],
                is_flag=True,
                help="Ask for each bot whether it can be read, and sync nothing.",
            )
        )
        command.params.append(
            click.Option(
                ["--plan"],
                is_flag=True,
                help="Tell what a sync would do, and sync nothing.",
            )
        )
        [form] = [each for each in command.params if each.name == "about_format"]
        form.help = "The form of what --about, --check and --plan print."
        return command

    @classmethod
    @override
    def cb_test(cls, ctx: click.Context, param: click.Option, value: str) -> None:
        if value == CliTestOptionValue.Disabled.value:
            return
        config = ctx.params["config"]
        try:
            tap = cls(config=config.config, parse_env_config=config.parse_env)
            if value == CliTestOptionValue.Schema.value:
                tap.write_schemas()
            else:
                tap.try_out()
        except ConfigValidationError as error:
            raise click.ClickException("\n".join(error.errors)) from error
        except BotError as error:
            raise click.ClickException(str(error)) from error
        ctx.exit()
