"""The chaos test finds nothing in the tap, and finds the bugs that are put into it."""

from __future__ import annotations

import re
import subprocess
import sys
from inspect import getattr_static
from typing import TYPE_CHECKING, Any

import pytest

from tap_botsessions.engine import reader
from tap_botsessions.engine.errors import BotError
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.engine.transport import Transport
from tap_botsessions.engine.windows import Window
from tap_botsessions.singer.stream import SingerStream
from tap_botsessions.singer.writer import PieceWriter
from tap_botsessions.vendors.kore.open_sessions import OpenSessions
from tests.chaos.many import in_processes
from tests.chaos.trial import Report, run_seed
from tests.docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterator, Sequence
    from datetime import datetime

    import requests

    from tap_botsessions.engine.jobs import Outcome
    from tap_botsessions.engine.pages import Fetch, Page, PagedList
    from tap_botsessions.engine.scheduler import Scheduler

SEEDS = range(200)

ENOUGH = range(100)
"""Seeds among which each of the bugs below is found."""


def test_no_seed_fails() -> None:
    failed = [report.text() for report in in_processes(run_seed, SEEDS) if report.wrong]
    assert not failed, "\n\n".join(failed)


# Bugs that are put in, each with words of how it is found.

Patch = pytest.MonkeyPatch
FINDINGS: dict[str, str] = {}
BUGS: dict[str, Callable[[Patch], None]] = {}


def found_by(
    words: str,
) -> Callable[[Callable[[Patch], None]], Callable[[Patch], None]]:
    """Add a bug, and how it is found."""

    def add(plant: Callable[[Patch], None]) -> Callable[[Patch], None]:
        BUGS[plant.__name__], FINDINGS[plant.__name__] = plant, words
        return plant

    return add


@found_by("a state says that .* records have not come")
def a_checkpoint_before_its_rows(patch: Patch) -> None:
    emitted = getattr_static(SingerStream, "_emitted")

    def hasty(
        self: SingerStream, outcome: Outcome, scheduler: Scheduler
    ) -> Iterator[Sequence[dict[str, Any]]]:
        if not isinstance(outcome.result, BotError):
            self._checkpoint(outcome.bot, outcome.result, 0)
        yield from emitted(self, outcome, scheduler)

    patch.setattr(SingerStream, "_emitted", hasty)


@found_by("a state says that .* records have not come")
def a_page_skipped(patch: Patch) -> None:
    """The last page of a list, and the count is made to fit."""
    whole = getattr_static(reader, "_read_pages")

    def hasty(
        paged: PagedList, union: Any, *limits: int
    ) -> Generator[Sequence[Fetch], Sequence[Page], list[Page]]:
        pages = yield from whole(paged, type(union)({}), *limits)
        pages = pages[:-1] or pages
        union.add(*pages)
        total = sum(page.received for page in pages)
        return [page._replace(total=total) for page in pages]

    patch.setattr(reader, "_read_pages", hasty)


@found_by("was served and left its list, and has not come")
def a_union_not_kept(patch: Patch) -> None:
    """Of a list that is read again, only what the last attempt saw is kept."""
    read_list = getattr_static(reader, "_read_list")
    read_pages = getattr_static(reader, "_read_pages")

    def read(
        paged: PagedList, union: Any, *limits: Any
    ) -> Generator[Sequence[Fetch], Sequence[Page], Any]:
        last = type(union)({})
        whole = yield from read_list(paged, last, *limits)
        union.rows.update(last.rows)
        return whole

    def forgetful(
        paged: PagedList, union: Any, *limits: int
    ) -> Generator[Sequence[Fetch], Sequence[Page], list[Page]]:
        union.rows.clear()
        pages: list[Page] = yield from read_pages(paged, union, *limits)
        return pages

    patch.setattr(reader, "_read_list", read)
    patch.setattr(reader, "_read_pages", forgetful)


@found_by("a state says that .* records have not come")
def a_list_that_moved_taken_for_whole(patch: Patch) -> None:
    patch.setattr(reader, "_flaw", lambda *_, **__: None)


@found_by("a state says that .* records have not come")
def a_border_left_out(patch: Patch) -> None:
    def contains(self: Window, instant: datetime) -> bool:
        return self.start < instant < self.end

    patch.setattr(Window, "__contains__", contains)


@found_by("is {.*'session_status': 'active'.*}, not {")
def open_sessions_forgotten(patch: Patch) -> None:
    patch.setattr(OpenSessions, "starts", lambda *_, **__: {})


@found_by("records have not come|is missing")
def the_lookback_forgotten(patch: Patch) -> None:
    patch.setattr(
        "tap_botsessions.engine.stream.starting_point",
        lambda start, bookmark, _: bookmark or start,
    )


@found_by("a state says that .* records have not come")
def a_bot_that_failed_moves_on(patch: Patch) -> None:
    fail = getattr_static(SingerStream, "_fail")

    def move_on(self: SingerStream, bot: str, error: BotError) -> None:
        fail(self, bot, error)
        whole = self.source.sync_range(bot, None)
        self._checkpoint(bot, WindowResult(whole, []), 0)

    patch.setattr(SingerStream, "_fail", move_on)


@found_by(r"\d+ bots failed, and the exit code is 0")
def a_failure_hidden(patch: Patch) -> None:
    fail = getattr_static(SingerStream, "_fail")

    def hide(self: SingerStream, bot: str, error: BotError) -> None:
        fail(self, bot, error)
        self._run.failures.clear()

    patch.setattr(SingerStream, "_fail", hide)


@found_by("came 2 times")
def a_record_twice(patch: Patch) -> None:
    emitted = getattr_static(SingerStream, "_emitted")

    def twice(
        self: SingerStream, outcome: Outcome, scheduler: Scheduler
    ) -> Iterator[Sequence[dict[str, Any]]]:
        for records in emitted(self, outcome, scheduler):
            yield [*records, *records[-1:]]

    patch.setattr(SingerStream, "_emitted", twice)


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
    patch.setattr(Transport, "_redacted", lambda _, text: text)


@found_by("it shows the message")
def a_body_told(patch: Patch) -> None:
    def tell(_: Transport, response: requests.Response) -> str:
        return re.sub(r"simulated\S*|eyJ\S*|[\w./+=-]{24,}", "", response.text)

    patch.setattr(Transport, "_vendor_message", tell)


def hunt(bug: str) -> tuple[str, Report]:
    """Run seeds until one finds a bug; the report of the last one."""
    with pytest.MonkeyPatch.context() as patch:
        BUGS[bug](patch)
        for seed in ENOUGH:
            report = run_seed(seed)
            if report.wrong:
                break
    return bug, report


@pytest.fixture(scope="module")
def findings() -> dict[str, Report]:
    """What was found, by bug; the same seeds without the bugs find nothing."""
    return dict(in_processes(hunt, BUGS))


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_is_put_in_is_found(findings: dict[str, Report], bug: str) -> None:
    wrong = "\n".join(findings[bug].wrong)
    assert re.search(FINDINGS[bug], wrong), wrong


def test_the_command_tries_seeds_and_sums_up() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--first", "3", "--seeds", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 seeds, 0 failed" in done.stdout
    assert re.search(r"^ +[\d,]+  requests$", done.stdout, re.MULTILINE)
