"""The tap: vendors made into streams, its command line and its exit code."""

from __future__ import annotations

import copy
import sys
from contextlib import contextmanager
from datetime import UTC, datetime
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_botsessions.config.settings import SCHEMA, configured_vendors, secrets
from tap_botsessions.config.unused import (
    Partitions,
    unused_in_catalog,
    unused_in_state,
)
from tap_botsessions.engine.errors import BotError, OutputError
from tap_botsessions.engine.masking import mask_log
from tap_botsessions.engine.options import Limits, Options
from tap_botsessions.engine.stream import ListStream
from tap_botsessions.engine.transport import discreet_urllib3
from tap_botsessions.reports import footer
from tap_botsessions.reports.check import Check
from tap_botsessions.reports.failures import summarize
from tap_botsessions.reports.plan import Plan, plan
from tap_botsessions.singer.run import Run
from tap_botsessions.singer.stream import SingerStream
from tap_botsessions.singer.strict import (
    FileRefusedError,
    StrictTap,
    read_catalog,
    read_state,
)
from tap_botsessions.singer.writer import PieceWriter, die_of, exit_broken_output
from tap_botsessions.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence
    from types import FrameType
    from typing import IO

    from singer_sdk import Stream
    from singer_sdk.helpers.capabilities import CapabilitiesEnum


_HELP = """Read chatbot sessions, messages and usage of Avaamo and Kore.ai.

Records and states are written on standard output, for a Singer target to load."""
_EPILOG = """\b
Example:
  tap-botsessions --config config.json --state state.json | target-jsonl
\b
How to set it up is in README.md, and more in the folder docs/ beside it."""


class TapBotsessions(StrictTap):
    """Sessions, messages and usage of chatbots, from Avaamo and Kore.ai."""

    name = "tap-botsessions"
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(SCHEMA)
    limits: ClassVar[Limits] = Limits()
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
        kwargs.setdefault("message_writer", PieceWriter(self.limits.bytes_per_write))
        super().__init__(**kwargs)

    @cached_property
    def run(self) -> Run:
        """What the streams of this run share."""
        run_start = datetime.fromtimestamp(self.initialized_at // 1000, UTC)
        options = Options(self.config, run_start, secrets(self.config), self.limits)
        return Run(self, options)

    @override
    def discover_streams(self) -> Sequence[Stream]:
        """The streams of the vendors that are configured, all if none is; the audit."""
        sources = [
            source
            for vendor in configured_vendors(self.config)
            for source in vendor.streams(self.run.options)
        ]
        streams = [SingerStream(self, source, self.run) for source in sources]
        return [*streams, self.run.audit]

    @property
    def bot_streams(self) -> list[SingerStream]:
        """The streams but for the audit trail."""
        return [
            each for each in self.streams.values() if isinstance(each, SingerStream)
        ]

    @property
    def selected_streams(self) -> list[SingerStream]:
        """Those of them that are selected."""
        return [stream for stream in self.bot_streams if stream.selected]

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
        if check and plan:
            msg = "--check and --plan can't be given together"
            raise click.UsageError(msg)
        cls.print_version(print_fn=cls.logger.info)
        try:
            state_file, given = read_state(state)
            tap = cls(
                config=config.config,
                state=given,
                catalog=read_catalog(catalog),
                parse_env_config=config.parse_env,
            )
        except FileRefusedError as error:
            raise click.ClickException("\n".join(error.errors)) from error
        mask_log(secrets(tap.config))
        if check:
            tap.print_check(about_format)
        if plan:
            tap.print_plan(about_format)
        try:
            tap.sync()
        except OutputError as error:
            exit_broken_output(error)
        if state_file and (line := state_file.warning(tap.run.has_written)):
            cls.logger.warning("%s", line)
        for line in tap.summary():
            cls.logger.error("incomplete: %s", line)
        sys.exit(1 if tap.run.failures else 0)

    def sync(self) -> None:
        """Sync all streams that are selected."""
        with self.run.syncing():
            self.find_bots(self.run.shutdown.on_tick)
            self._warn_of_unused()
            with self._displayed():
                self.sync_all()

    def find_bots(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Have vendors say which bots there are, where the settings ask for that."""
        for stream in self.selected_streams:
            stream.find_bots(on_tick)

    def _warn_of_unused(self) -> None:
        """Warn of what the catalog and the state hold and this run does not use."""
        schemas = {name: stream.schema for name, stream in self.streams.items()}
        every = {
            source.name
            for vendor in VENDORS
            for source in vendor.streams(self.run.options)
        }
        read = {
            stream.name: Partitions(
                stream.source.bot_key, stream.source.bots, stream.source.replication_key
            )
            for stream in self.selected_streams
        }
        given = self.input_catalog
        entries = given.to_dict()["streams"] if given else ()
        for line in (
            *unused_in_catalog(entries, schemas, every - schemas.keys()),
            *unused_in_state(self.state, read, {*every, *schemas} - read.keys()),
        ):
            self.logger.warning("%s", line)
        if not any(stream.selected for stream in self.streams.values()):
            self.logger.warning("no stream is selected, so nothing is read")

    @contextmanager
    def _displayed(self) -> Iterator[None]:
        """Show on a terminal how far the block is."""
        if not footer.is_possible():
            yield
            return
        from tap_botsessions.reports.display import (  # noqa: PLC0415 -- it loads slowly
            Display,
        )

        streams = self.selected_streams
        for stream in streams:
            stream.summaries.is_quiet = True
        with Display([stream.progress for stream in streams]) as display:
            self.run.shutdown.before_exit = display.close
            yield

    def end_overdue(self) -> None:
        """End the answers of all vendors that take too long."""
        for stream in self.bot_streams:
            stream.source.transport.end_overdue()

    def check(self) -> Check:
        """What asks each vendor for its bots, by one of its streams."""
        asked = [
            stream.source
            for stream in self.bot_streams
            if isinstance(stream.source, ListStream) and stream.source.answers_check
        ]
        for source in asked:
            source.find_bots(self.end_overdue)
        return Check(asked, self.run.options, self.end_overdue)

    def print_check(self, form: str | None) -> NoReturn:
        """Print whether each bot can be read; the exit code is 0 if all can."""
        # The libraries for people take a while to load, and a sync needs none of them.
        from tap_botsessions.reports.check_report import (  # noqa: PLC0415 -- see above
            CheckReport,
        )
        from tap_botsessions.reports.render import show  # noqa: PLC0415 -- as well

        with discreet_urllib3():
            report = CheckReport(self.check().vendors())
        show(report, form)
        sys.exit(0 if report.is_well else 1)

    def plan(self) -> Plan:
        """What a sync would do, by asking the vendors for counts."""
        self.find_bots()
        streams = {
            stream.source: stream.ranges(stream.source.bots)
            for stream in self.selected_streams
        }
        with discreet_urllib3():
            return plan(streams, self.run.options, self.end_overdue)

    def print_plan(self, form: str | None) -> NoReturn:
        """Print what a sync would do; the exit code is 0 if that is known of all."""
        from tap_botsessions.reports.plan_report import (  # noqa: PLC0415 -- as well
            PlanReport,
        )
        from tap_botsessions.reports.render import show  # noqa: PLC0415 -- as well

        found = self.plan()
        self._warn_of_unused()
        asked = {bot.stream for bot in found.asked}
        show(PlanReport(found, [*summarize(found.failures, asked)]), form)
        sys.exit(0 if found.is_whole else 1)

    def try_out(self) -> None:
        """Emit each stream's schema and one record.

        The SDK's own connection test does the same, but logs an error on each stream.

        Raises:
            BotError: A bot can't be read.
        """
        self.find_bots()
        for stream in self.selected_streams:  # the audit trail has nothing to audit
            stream.emit.sample()

    def summary(self) -> Iterator[str]:
        """Say what is incomplete, a line each."""
        sources = [stream.source for stream in self.selected_streams]
        return summarize(self.run.failures, sources)

    @override
    def _handle_termination(self, signum: int, frame: FrameType | None) -> None:
        """Have a signal end the run in good order, and the process by that signal.

        The SDK would exit with 0, from wherever the run is.
        """
        run = vars(self).get("run")
        if run is None:
            die_of(signum)
        run.handle_signal(signum)

    @classmethod
    @override
    def get_singer_command(cls) -> click.Command:
        command = super().get_singer_command()
        command.help = _HELP
        command.epilog = _EPILOG
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
            mask_log(secrets(tap.config))
            if value == CliTestOptionValue.Schema.value:
                tap.write_schemas()
            else:
                tap.try_out()
        except ConfigValidationError as error:
            raise click.ClickException("\n".join(error.errors)) from error
        except BotError as error:
            raise click.ClickException(str(error)) from error
        ctx.exit()
