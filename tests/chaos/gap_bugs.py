"""Bugs about what vendors count and don't serve, or say in other words or forms.

Each has words of how it is found, as those of `bugs`.
"""

from __future__ import annotations

from dataclasses import replace
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

from tap_botsessions.engine import reader
from tap_botsessions.engine.clock import VendorClock
from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.gaps import Gaps
from tap_botsessions.engine.health import Health
from tap_botsessions.engine.jobs import Lane
from tap_botsessions.engine.reader import _WindowReader
from tap_botsessions.engine.transport import ErrorFormat
from tap_botsessions.engine.verification import Walk
from tap_botsessions.singer.audit import SyncWindows
from tap_botsessions.singer.bookmarks import Bookmarks
from tap_botsessions.singer.syncing import StreamSync
from tap_botsessions.vendors.kore import filters
from tests.chaos.bugs import Patch, found_by

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tap_botsessions.engine.jobs import Outcome
    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.scheduler import Scheduler
    from tap_botsessions.engine.windows import Window

_LOST = "a state says that .* records have not come"


@found_by(_LOST)
def a_gap_not_in_the_state(patch: Patch) -> None:
    patch.setattr(Gaps, "to_state", lambda _: None)


@found_by("a gap of .* was dropped, and .* has not come")
def a_gap_dropped_unread(patch: Patch) -> None:
    begin = getattr_static(Gaps, "__init__")

    def forget(self: Gaps, _: object, most: int) -> None:
        begin(self, {}, most)

    patch.setattr(Gaps, "__init__", forget)


@found_by("has a gap without a reason")
def a_gap_never_closed(patch: Patch) -> None:
    note = getattr_static(Gaps, "note")

    def note_gaps(
        self: Gaps, window: Window, reason: str | None, now: datetime
    ) -> None:
        if reason is not None:
            note(self, window, reason, now)

    patch.setattr(Gaps, "note", note_gaps)


@found_by("bots are incomplete, and the exit code is 0")
def a_gap_not_told(patch: Patch) -> None:
    patch.setattr(Bookmarks, "gap_errors", lambda _: iter(()))


@found_by("has a gap that the audit trail lacks")
def a_gap_not_audited(patch: Patch) -> None:
    record = getattr_static(SyncWindows, "_record")

    def without(self: SyncWindows, *args: Any) -> dict[str, Any]:
        made: dict[str, Any] = record(self, *args)
        return made | {"gap": None}

    patch.setattr(SyncWindows, "_record", without)


@found_by(_LOST, first=17)
def a_bookmark_before_its_gap(patch: Patch) -> None:
    """A state has the bookmark of a window before what is wrong with it is noted."""
    emitted = getattr_static(StreamSync, "emitted")

    def hasty(
        self: StreamSync, outcome: Outcome, scheduler: Scheduler, **options: Any
    ) -> Iterator[Sequence[dict[str, Any]]]:
        result = outcome.result
        if not isinstance(result, BotError) and result.gap is not None:
            window = self.source.clip_to_clock(result).window
            self.checkpoint(outcome.bot, window.end if window else None)
        yield from emitted(self, outcome, scheduler, **options)

    patch.setattr(StreamSync, "emitted", hasty)


@found_by("was served, lies in a gap, and has not come", first=125)
def a_gap_without_what_came(patch: Patch) -> None:
    read = getattr_static(_WindowReader, "read")

    def empty(self: _WindowReader, window: Window) -> Any:
        result: WindowResult = yield from read(self, window)
        return replace(result, rows=[]) if result.gap else result

    patch.setattr(_WindowReader, "read", empty)


@found_by(_LOST)
def the_rest_of_a_window_dropped(patch: Patch) -> None:
    """What remains where a window was narrowed, but for the last one."""
    insert = getattr_static(Lane, "insert_rest")

    def forget(self: Lane, task: Any, result: WindowResult, limits: Any) -> Any:
        rest = insert(self, task, result, limits)
        if rest is not None and self.tasks[-1] is not rest:
            self.tasks.remove(rest)
            return None
        return rest

    patch.setattr(Lane, "insert_rest", forget)


@found_by(_LOST)
def a_limit_not_looked_for(patch: Patch) -> None:
    patch.setattr(reader, "is_likely_cap", lambda *_: False)


@found_by(_LOST, first=9)
def sessions_of_nobody_passed_over(patch: Patch) -> None:
    patch.setattr(reader, "check_owners", lambda *_: None)


@found_by("has a gap without a reason")
def what_is_listed_twice_not_understood(patch: Patch) -> None:
    patch.setattr(Walk, "adds_up", False)


@found_by(_LOST, first=91)
def an_overlap_taken_for_whole(patch: Patch) -> None:
    """Pages that lack a record of their own begin before the end of the last one."""
    patch.setattr(Walk, "overlaps", False)
    patch.setattr(reader, "check_repeats", lambda *_: None)


@found_by(_LOST, first=13)
def an_error_taken_for_nothing(patch: Patch) -> None:
    patch.setattr(ErrorFormat, "error_in", lambda *_: None)


@found_by("records have not come|is missing|are? not in the truth|, not {", first=51)
def words_compared_letter_by_letter(patch: Patch) -> None:
    def is_any_of(wanted: Sequence[str], value: str | None) -> bool:
        return not wanted or value is None or value in wanted

    patch.setattr(filters, "_is_any_of", is_any_of)
    patch.setattr(filters, "is_open", lambda row: row["session_status"] == "active")


@found_by("records have not come|is missing")
def the_vendors_time_ignored(patch: Patch) -> None:
    patch.setattr(VendorClock, "note", lambda *_: None)


@found_by("was given up for nothing")
def a_narrower_window_not_tried(patch: Patch) -> None:
    patch.setattr(reader, "may_ask_too_much", lambda *_, **__: False)


@found_by("was given up for nothing", first=18)
def an_outage_not_waited_for(patch: Patch) -> None:
    patch.setattr(Health, "_patience", lambda *_: 0.0)


@found_by("was given up for nothing", first=10)
def a_map_that_fails_on_one_bot_fails_all(patch: Patch) -> None:
    fail = getattr_static(StreamSync, "fail")

    def fail_all(self: StreamSync, bot: str, error: BotError) -> None:
        for each in self.source.bots if "stream_maps" in str(error) else [bot]:
            fail(self, each, error)

    patch.setattr(StreamSync, "fail", fail_all)
