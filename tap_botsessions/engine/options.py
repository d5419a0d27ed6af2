"""What a run is asked to do: its settings, when it began, and its limits."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from importlib import metadata
from typing import Any, TypeAlias

from tap_botsessions.engine.windows import Window, parse_instant

Json: TypeAlias = Any
"""What JSON can hold: anything, until it has been checked."""

Config = Mapping[str, Any]
"""The settings by name, checked, with their defaults."""


@dataclass(frozen=True)
class Limits:
    """Bounds of a run that are no settings; tests hand in others.

    Attributes:
        max_window_rows: A window is narrowed until the vendor counts no more records.
        max_window_bytes: Likewise, until its records take no more memory, about.
        max_rows_per_second: Records of a single second that are read at most.
        max_pages_ahead: Pages asked for at once; a wrong count might name any number.
        max_attempts: How often a list that moves is read before its window is
            narrowed.
        max_rows_ahead: Rows that may be held before only what can be emitted next is
            read on.
        max_bytes_ahead: Bytes of memory, about, that rows may take likewise.
        max_ids_per_request: Records asked for by their ids in one request; the vendor
            may allow fewer.
        max_followed: Records of a bot that are read again by their ids; where there
            are more, their time is read again instead.
        rows_per_write: Rows that are emitted between two looks at what has come in.
        max_seconds_unvouched: Seconds for which rows may have been written that no
            state vouches for yet.
        max_rows_unvouched: So many of those there may be.
        max_bytes_per_write: Likewise, so that they take no more memory, about.
        bytes_per_write: Bytes that are collected before they are written.
        max_pause: Seconds: a vendor that asks for a longer pause is not waited for.
        max_backoff: Seconds of the longest pause before a retry that the vendor did
            not ask for.
        max_outage: Seconds for which a host that is down is waited for, whatever the
            settings say.
        max_unreached: Seconds for which a host is tried that has never been reached.
        is_interactive: Whether somebody waits for the answers, so that little is
            retried, whatever the settings say.
        max_plan_seconds: Seconds of a budget that a plan may take.
        minute: Seconds of the minute that budgets count in; their hour has sixty.
        tick: Seconds between two looks at signals and clocks while nothing comes in.
        max_gaps: Gaps that are kept of a bot, each by itself.
        whole_by_id: How long after its start a record that is asked for by its id
            alone comes with all of its fields.
    """

    max_window_rows: int = 3_000
    max_window_bytes: int = 16_000_000
    max_rows_per_second: int = 100_000
    max_pages_ahead: int = 50
    max_attempts: int = 3
    max_rows_ahead: int = 6_000
    max_bytes_ahead: int = 40_000_000
    max_ids_per_request: int = 50
    max_followed: int = 2_000
    rows_per_write: int = 500
    max_bytes_per_write: int = 1_000_000
    max_seconds_unvouched: float = 2.0
    max_rows_unvouched: int = 20_000
    bytes_per_write: int = 1 << 16
    max_pause: float = 3600.0
    max_backoff: float = 60.0
    max_outage: float = 86_400.0
    max_unreached: float = 45.0
    is_interactive: bool = False
    max_plan_seconds: float = 120.0
    minute: float = 60.0
    tick: float = 0.2
    max_gaps: int = 50
    whole_by_id: timedelta = timedelta(days=13)


@dataclass(frozen=True)
class Options:
    """What a run is asked to do.

    Attributes:
        config: The settings.
        run_start: The instant at which the run began.
        secrets: What must never be shown.
        limits: The bounds that are no settings.
    """

    config: Config
    run_start: datetime
    secrets: tuple[str, ...] = ()
    limits: Limits = field(default_factory=Limits)

    @property
    def start_date(self) -> datetime:
        """The earliest instant to read."""
        return parse_instant(self.config["start_date"])

    @property
    def end(self) -> datetime:
        """The instant up to which this run reads."""
        if is_given(self.config, "end_date"):
            return min(self.run_start, parse_instant(self.config["end_date"]))
        return self.run_start

    @property
    def scope(self) -> Window:
        """The range outside of which nothing is read."""
        return Window(self.start_date, max(self.start_date, self.end))

    def accepts_gap_of(self, since: datetime) -> bool:
        """Whether a gap that was found at an instant fails a run no more."""
        days = self.config.get("accept_gaps_after_days")
        return days is not None and self.run_start - since >= timedelta(days=days)

    @property
    def lookback(self) -> timedelta:
        """How far a run steps back before a bookmark."""
        return timedelta(hours=self.config["lookback_hours"])

    @property
    def max_window(self) -> timedelta:
        """The widest span that is read and checked as a whole."""
        return max(timedelta(days=self.config["window_days"]), timedelta(seconds=1))


def is_given(config: Config, name: str) -> bool:
    """Whether a setting has a value; an empty string, list or object is none."""
    return config.get(name) not in (None, "", [], {})


def base_url(value: str) -> str:
    """A base URL in full: `https://` where no scheme is given, no slash at the end."""
    return (value if "://" in value else f"https://{value}").rstrip("/")


def user_agent(config: Config) -> str:
    """The User-Agent header."""
    version = metadata.version("tap-botsessions")
    return config.get("user_agent") or f"tap-botsessions/{version}"
