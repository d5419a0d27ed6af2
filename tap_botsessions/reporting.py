"""What the tap tells of its vendors before a sync, and without one."""

from __future__ import annotations

import sys
from datetime import UTC, datetime
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar, NoReturn

import click
from typing_extensions import override

from tap_botsessions.config.settings import configured_vendors, secrets
from tap_botsessions.config.unused import (
    Partitions,
    unused_in_catalog,
    unused_in_state,
)
from tap_botsessions.engine.list_stream import ListStream
from tap_botsessions.engine.options import Limits, Options
from tap_botsessions.engine.transport import discreet_urllib3
from tap_botsessions.engine.windows import Window, parse_instant
from tap_botsessions.reports.audited import Audit, AuditTrail, audit_trail
from tap_botsessions.reports.check import Check
from tap_botsessions.reports.failures import summarize
from tap_botsessions.reports.plan import Plan, Ranges, plan
from tap_botsessions.reports.verify import Verification
from tap_botsessions.singer.run import Run
from tap_botsessions.singer.stream import SingerStream
from tap_botsessions.singer.strict import StrictTap
from tap_botsessions.vendors import VENDORS

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from typing import IO

    from singer_sdk import Stream

    from tap_botsessions.engine.stream import VendorStream
    from tap_botsessions.reports.verify_report import VerifyReport


class ReportingTap(StrictTap):
    """A tap with its streams, and what can be told without reading them.

    Attributes:
        limits: The bounds of a run that are no settings.
    """

    limits: ClassVar[Limits] = Limits()

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

    @override
    def load_state(self, state: dict[str, Any]) -> None:
        """Load the state, and have streams take turns: it says who is behind.

        Streams share the budgets of their bots, and a run may not get to the end of
        all. Those that are read by default come first, sessions among them; then the
        others, the one first that is furthest behind.
        """
        super().load_state(state)
        streams = self.streams
        for stream in sorted(streams.values(), key=partial(_turn, self.state)):
            streams[stream.name] = streams.pop(stream.name)

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

    def find_bots(self, on_tick: Callable[[], None] = lambda: None) -> None:
        """Have vendors say which bots there are, where the settings ask for that."""
        for stream in self.selected_streams:
            stream.find_bots(on_tick)

    def warn_of_unused(self) -> None:
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

    def end_overdue(self) -> None:
        """End the answers of all vendors that take too long."""
        for stream in self.bot_streams:
            stream.source.transport.end_overdue()

    def check(self) -> Check:
        """What asks each vendor for its bots, by one of its streams.

        And by the lists that are selected though they are not by default: they may
        need more than the others, such as another token or scope.
        """
        asked = [
            source
            for stream in self.bot_streams
            if isinstance(source := stream.source, ListStream)
            and (
                source.answers_check
                or (stream.selected and not source.selected_by_default)
            )
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
        streams: dict[VendorStream, Ranges] = {}
        sweeps: dict[tuple[VendorStream, str], int] = {}
        for stream in self.selected_streams:
            source = stream.source
            known = stream.reading.ranges(source.bots)
            streams[source] = {"*": source.bots_error} if source.bots_error else known
            for bot, requests in stream.sweeper.requests().items():
                sweeps[source, bot] = requests
        with discreet_urllib3():
            return plan(streams, sweeps, self.run.options, self.end_overdue)

    def print_plan(self, form: str | None) -> NoReturn:
        """Print what a sync would do; the exit code is 0 if that is known of all."""
        from tap_botsessions.reports.plan_report import (  # noqa: PLC0415 -- as well
            PlanReport,
        )
        from tap_botsessions.reports.render import show  # noqa: PLC0415 -- as well

        found = self.plan()
        self.warn_of_unused()
        asked = {bot.stream for bot in found.asked}
        show(PlanReport(found, [*summarize(found.failures, asked)]), form)
        sys.exit(0 if found.is_whole else 1)

    def verify(self, window: Window | None) -> VerifyReport:
        """What vendors say twice, compared.

        Args:
            window: Of which time; the last days of what a sync would read if not given.
        """
        from tap_botsessions.reports.verify_report import (  # noqa: PLC0415 -- as well
            VerifyReport,
        )

        options = self.run.options
        window = window or Window(options.end - options.max_window, options.end)
        verification = Verification(
            configured_vendors(self.config),
            frozenset(stream.name for stream in self.selected_streams),
            options,
            window,
            self.run.shutdown.on_tick,
        )
        with discreet_urllib3():
            found = verification.run()
        return VerifyReport(window, found, verification.skipped)

    def audit(self, trail: AuditTrail, window: Window | None) -> VerifyReport:
        """What an audit trail says was read, compared with what vendors have now.

        Args:
            trail: The audit trail.
            window: Of which time; of all that was read if not given.
        """
        from tap_botsessions.reports.verify_report import (  # noqa: PLC0415 -- as well
            VerifyReport,
        )

        self.find_bots()
        streams = [
            source
            for stream in self.selected_streams
            if isinstance(source := stream.source, ListStream)
        ]
        options, on_tick = self.run.options, self.run.shutdown.on_tick
        with discreet_urllib3():
            found = Audit(streams, trail, options, window, on_tick).run()
        return VerifyReport(window, found, {})

    def print_verify(
        self, written: str, form: str | None, audit: IO[str] | None = None
    ) -> NoReturn:
        """Print whether vendors agree with themselves; the exit code is 0 if so.

        Args:
            written: Of which time, as `2026-03-01/2026-03-08`; empty: see `verify`.
            form: The form of what is printed.
            audit: An audit trail, which vendors are compared with instead.

        Raises:
            UsageError: It is no time, or no audit trail.
        """
        from tap_botsessions.reports.render import show  # noqa: PLC0415 -- as well

        window = _window(written) if written else None
        if audit is None:
            report = self.verify(window)
        else:
            try:
                trail = audit_trail(audit)
            except ValueError as error:
                msg = f"--audit: {audit.name}: {error}"
                raise click.UsageError(msg) from error
            report = self.audit(trail, window)
        show(report, form)
        sys.exit(0 if report.is_well else 1)


def _turn(state: Mapping[str, Any], stream: Stream) -> tuple[int, bool, datetime, str]:
    """What decides when a stream is read: its vendor, and how far behind it is."""
    never = datetime.min.replace(tzinfo=UTC)
    if not isinstance(stream, SingerStream):
        return len(VENDORS), True, never, stream.name
    source = stream.source
    place = [vendor.name for vendor in VENDORS].index(source.vendor)
    if source.selected_by_default or source.replication_key is None:
        return place, not source.selected_by_default, never, stream.name
    found = state.get("bookmarks", {}).get(stream.name, {}).get("partitions", ())
    values = [each.get("replication_key_value") for each in found]
    try:
        oldest = min(map(source.from_bookmark, values), default=never)
    except (OverflowError, TypeError, ValueError):
        oldest = never
    return place, True, oldest, stream.name


def _window(written: str) -> Window:
    """A range of the command line, such as `2026-03-01/2026-03-08`.

    Raises:
        UsageError: It is none.
    """
    start, _, end = written.partition("/")
    try:
        window = Window(parse_instant(start), parse_instant(end))
    except ValueError:
        window = None
    if window is None or window.start >= window.end:
        msg = f"--verify: {written} is no range; write it as 2026-03-01/2026-03-08"
        raise click.UsageError(msg)
    return window
