"""Bugs to be put into the tap, each with words of how the chaos test finds it.

Those about what vendors count and don't serve are in `gap_bugs`.
"""

from __future__ import annotations

import re
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

import pytest

from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.masking import Mask
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.reader import _WindowReader
from tap_botsessions.engine.transport import Transport
from tap_botsessions.engine.verification import Walk
from tap_botsessions.engine.words import Words
from tap_botsessions.singer.syncing import StreamSync
from tap_botsessions.singer.writer import PieceWriter
from tap_botsessions.vendors.kore.channels import Channels
from tap_botsessions.vendors.kore.open_sessions import OpenSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence

    import requests

    from tap_botsessions.engine.jobs import Outcome
    from tap_botsessions.engine.pages import Fetch, Page, PagedList, Seen
    from tap_botsessions.engine.scheduler import Scheduler
    from tap_botsessions.singer.emitter import Chunk

Patch = pytest.MonkeyPatch
FINDINGS: dict[str, str] = {}
FIRST: dict[str, int] = {}
BUGS: dict[str, Callable[[Patch], None]] = {}


def found_by(
    words: str, *, first: int = 0
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Add a bug, how it is found, and the seed at which the hunt for it begins."""

    def add(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        name = plant.__name__
        BUGS[name], FINDINGS[name], FIRST[name] = plant, words, first
        return plant

    return add


@found_by("a state says that .* records have not come|is missing")
def a_checkpoint_before_its_rows(patch: Patch) -> None:
    emitted = getattr_static(StreamSync, "emitted")

    def hasty(
        self: StreamSync, outcome: Outcome, scheduler: Scheduler, **options: Any
    ) -> Iterator[Chunk]:
        if not isinstance(outcome.result, BotError):
            window = outcome.result.window
            self.checkpoint(outcome.bot, window.end if window else None)
        yield from emitted(self, outcome, scheduler, **options)

    patch.setattr(StreamSync, "emitted", hasty)


@found_by("a state says that .* records have not come")
def a_page_skipped(patch: Patch) -> None:
    """The last page of a list, and the count is made to fit."""
    whole = getattr_static(_WindowReader, "_walk")

    def hasty(
        self: _WindowReader, *args: Any, **options: Any
    ) -> Generator[Sequence[Fetch], Sequence[Page], Walk]:
        rows = self._union.rows
        before = {**rows}
        walk = yield from whole(self, *args, **options)
        pages = walk.pages[:-1] or walk.pages
        rows.clear()
        rows.update(before)
        self._union.add(*pages)
        total = sum(page.received for page in pages)
        return Walk([page._replace(total=total) for page in pages], walk.page_size)

    patch.setattr(_WindowReader, "_walk", hasty)


@found_by("was served and left its list, and has not come", first=74)
def a_union_not_kept(patch: Patch) -> None:
    """Of a list that is read again, only what the last attempt saw is kept."""
    whole = getattr_static(_WindowReader, "_walk")

    def forgetful(
        self: _WindowReader, paged: PagedList, place: int, *args: Any, **options: Any
    ) -> Generator[Sequence[Fetch], Sequence[Page], Walk]:
        rows = self._union.rows
        added = self.__dict__.setdefault("added", {})
        for key in added.pop(place, ()):
            rows.pop(key, None)
        before = rows.keys() - ()
        walk: Walk = yield from whole(self, paged, place, *args, **options)
        added[place] = rows.keys() - before
        return walk

    patch.setattr(_WindowReader, "_walk", forgetful)


@found_by("a state says that .* records have not come")
def a_list_that_moved_taken_for_whole(patch: Patch) -> None:
    patch.setattr(Walk, "flaw", "")


@found_by("a state says that .* records have not come")
def a_border_left_out(patch: Patch) -> None:
    whole = getattr_static(WindowResult, "including")

    def including(self: WindowResult, seen: Seen) -> WindowResult:
        window = self.window
        if window is not None:
            seen = {key: row for key, row in seen.items() if row.time != window.start}
        result: WindowResult = whole(self, seen)
        return result

    patch.setattr(WindowResult, "including", including)


@found_by("a state says that .* records have not come|is missing", first=1130)
def channels_left_out(patch: Patch) -> None:
    """A list of one channel is taken for that of all."""
    is_whole = property(lambda _: True, lambda *_: None)
    patch.setattr(Channels, "is_whole", is_whole, raising=False)


@found_by("is {.*'session_status': 'active'.*}, not {", first=12)
def open_sessions_forgotten(patch: Patch) -> None:
    patch.setattr(OpenSessions, "starts", lambda *_, **__: {})


@found_by("records have not come|is missing", first=78)
def the_lookback_forgotten(patch: Patch) -> None:
    patch.setattr(
        "tap_botsessions.engine.stream.starting_point",
        lambda start, bookmark, _: bookmark or start,
    )


@found_by("a state says that .* records have not come")
def a_bot_that_failed_moves_on(patch: Patch) -> None:
    fail = getattr_static(StreamSync, "fail")

    def move_on(self: StreamSync, bot: str, error: BotError) -> None:
        fail(self, bot, error)
        whole = self.source.sync_range(bot, None)
        self.checkpoint(bot, whole.end)

    patch.setattr(StreamSync, "fail", move_on)


@found_by(r"\d+ bots are incomplete, and the exit code is 0")
def a_failure_hidden(patch: Patch) -> None:
    fail = getattr_static(StreamSync, "fail")

    def hide(self: StreamSync, bot: str, error: BotError) -> None:
        fail(self, bot, error)
        self._run.failures.clear()

    patch.setattr(StreamSync, "fail", hide)


@found_by("came 2 times")
def a_record_twice(patch: Patch) -> None:
    emitted = getattr_static(StreamSync, "emitted")

    def twice(
        self: StreamSync, outcome: Outcome, scheduler: Scheduler, **options: Any
    ) -> Iterator[Chunk]:
        for chunk in emitted(self, outcome, scheduler, **options):
            chunk.records = [*chunk.records, *chunk.records[-1:]]
            yield chunk

    patch.setattr(StreamSync, "emitted", twice)


@found_by("signal 15 cut a line|signal 2 cut a line|the last line is not whole|no JSON")
def a_line_cut(patch: Patch) -> None:
    """The end of what is pending is not written."""
    flush = PieceWriter.flush

    def cut(self: PieceWriter) -> None:
        del self._pending[-1:]
        flush(self)

    patch.setattr(PieceWriter, "flush", cut)


@found_by("it shows the secret")
def a_secret_told(patch: Patch) -> None:
    """Neither where it is quoted nor where the log is written is it masked."""
    patch.setattr(Words, "redacted", lambda _, text: text)
    patch.setattr(Mask, "__call__", lambda _, text: text)


@found_by("it shows the message", first=15)
def a_body_told(patch: Patch) -> None:
    def tell(_: Transport, response: requests.Response) -> str:
        return re.sub(r"simulated\S*|eyJ\S*|[\w./+=-]{24,}", "", response.text)

    patch.setattr(Transport, "_vendor_message", tell)
