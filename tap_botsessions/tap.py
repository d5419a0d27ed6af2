"""The tap: vendors made into streams, its command line and its exit code."""

from __future__ import annotations

import copy
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, ClassVar

import click
from singer_sdk.exceptions import ConfigValidationError
from singer_sdk.helpers.capabilities import PluginCapabilities, TapCapabilities
from singer_sdk.tap_base import CliTestOptionValue
from typing_extensions import override

from tap_botsessions.config.settings import SCHEMA, secrets
from tap_botsessions.engine.errors import BotError, OutputError
from tap_botsessions.engine.masking import mask_log
from tap_botsessions.reporting import ReportingTap
from tap_botsessions.reports import footer
from tap_botsessions.reports.failures import summarize
from tap_botsessions.singer.strict import (
    FileRefusedError,
    read_catalog,
    read_state,
)
from tap_botsessions.singer.writer import PieceWriter, die_of, exit_broken_output

if TYPE_CHECKING:
    from collections.abc import Iterator
    from types import FrameType
    from typing import IO

    from singer_sdk.helpers.capabilities import CapabilitiesEnum


_HELP = """Read chatbot sessions, messages and usage of Avaamo and Kore.ai.

Records and states are written on standard output, for a Singer target to load."""
_EPILOG = """\b
Example:
  tap-botsessions --config config.json --state state.json | target-jsonl
\b
How to set it up is in README.md, and more in the folder docs/ beside it."""


class TapBotsessions(ReportingTap):
    """Sessions, messages and usage of chatbots, from Avaamo and Kore.ai."""

    name = "tap-botsessions"
    config_jsonschema: ClassVar[dict[str, Any]] = copy.deepcopy(SCHEMA)
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

    @classmethod
    @override
    def invoke(  # type: ignore[override]  # the SDK's own differs from its base, too
        cls,
        *,
        about: bool = False,
        about_format: str | None = None,
        check: bool = False,
        plan: bool = False,
        verify: str | None = None,
        audit: IO[str] | None = None,
        config: Any = None,
        state: IO[str] | None = None,
        catalog: IO[str] | None = None,
    ) -> None:
        """Run the command line; the exit code is 1 if a bot failed."""
        if about:
            cls.print_about(about_format)
            return
        _check_options(
            check + plan + (verify is not None),
            lacks_verify=audit is not None and verify is None,
        )
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
        if verify is not None:
            tap.print_verify(verify, about_format, audit)
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
            self.warn_of_unused()
            with self._displayed():
                self.sync_all()
                for stream in self.selected_streams:
                    stream.sweep()

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
            stream.reading.summaries.is_quiet = True
        with Display([stream.reading.progress for stream in streams]) as display:
            self.run.shutdown.before_exit = display.close
            yield

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
        command.params.append(
            click.Option(
                ["--verify"],
                is_flag=False,
                flag_value="",
                metavar="[FROM/TO]",
                help="Compare what the vendors say twice, of the last days or of a "
                "range such as 2026-03-01/2026-03-08, and sync nothing.",
            )
        )
        command.params.append(
            click.Option(
                ["--audit"],
                type=click.File(encoding="utf-8"),
                metavar="FILE",
                help="With --verify: compare what vendors have now with the records of "
                "sync_windows in this file, a line each.",
            )
        )
        [form] = [each for each in command.params if each.name == "about_format"]
        form.help = "The form of what --about, --check, --plan and --verify print."
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


def _check_options(reports: int, *, lacks_verify: bool) -> None:
    """Check options that exclude or take one another.

    Args:
        reports: How many reports are asked for.
        lacks_verify: Whether one is given that takes `--verify`, without that.

    Raises:
        UsageError: They do not go together.
    """
    if reports > 1:
        msg = "--check, --plan and --verify can't be given together"
        raise click.UsageError(msg)
    if lacks_verify:
        msg = "--audit takes --verify as well"
        raise click.UsageError(msg)
