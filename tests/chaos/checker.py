"""The rules: what a run writes is compared with what the vendors had."""

from __future__ import annotations

import json
import re
import signal
from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tests.chaos.gaps import gaps_in, gaps_that_count, named_well
from tests.chaos.history import bot_of_key, keyed
from tests.chaos.owed import Owed
from tests.chaos.truth import bookmarks, time_of

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tests.chaos.gaps import Gaps
    from tests.chaos.history import Bot, Key, Record, Run
    from tests.chaos.plan import Plan
    from tests.chaos.target import Commit
    from tests.chaos.truth import Truth

_JWT = re.compile(rb"eyJ[\w-]{8,}\.[\w-]{8,}")
_FAILED = re.compile(r"(\w+), (?:agent|bot) (\S+) failed(?::| for the same reason)")

_LONG = 10
"""A text of so many characters is not in a log by chance."""


@dataclass
class Checker:
    """What targets have kept of the runs so far, and how that is judged.

    Each method that judges yields what is wrong, a line each.

    Attributes:
        plan: The plan.
        secrets: What must not be in anything that is written.
        kept: What the targets have, by stream and key.
        vouched: The keys of what came before a state.
        uncommitted: The keys of what was kept, and the next run's state does not vouch
            for: it came after the last state, or before one that was forgotten.
        commits: What targets have committed.
        counts: What came to pass, for the report.
    """

    plan: Plan
    secrets: Sequence[str]
    kept: Truth = field(default_factory=lambda: defaultdict(dict))
    vouched: set[Key] = field(default_factory=set)
    uncommitted: set[Key] = field(default_factory=set)
    commits: list[Commit] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    @property
    def state(self) -> dict[str, Any] | None:
        """The last state."""
        return self.commits[-1].state if self.commits else None

    def forget(self, number: int) -> None:
        """Go back by so many states: they were lost on their way, the records not."""
        for _ in range(min(number, len(self.commits))):
            self.uncommitted |= {key for key, _ in keyed(self.commits.pop().records)}

    def judge(self, run: Run) -> Iterator[str]:
        """Judge a run, and record what a target keeps of it."""
        owed = Owed(self.plan, run)
        failed = set(_FAILED.findall(run.log))
        self.counts["bots failed"] += len(failed)
        yield from _failed_for_a_reason(owed, failed)
        yield from self._is_discreet(run)
        yield from self._is_genuine(run)
        yield from self._comes_once(run, owed)
        yield from self._comes_in_order(run, owed)
        for commit in run.read.commits:
            yield from self._vouches_for_what_came(commit, owed)
        self._take_tail(run)
        gaps = gaps_in(self.state)
        self.counts["gaps"] += sum(map(len, gaps.values()))
        yield from _ended_well(owed, failed | gaps_that_count(owed, gaps))
        if run.is_over:
            yield from named_well(owed, gaps, failed)
            yield from self._emits_what_came(owed, gaps, failed)
            yield from self._is_complete(owed, failed)
            yield from _keeps_what_was_seen(owed, failed)

    def _is_discreet(self, run: Run) -> Iterator[str]:
        """No credential is anywhere, and no text of a message but in records."""
        log = run.log.encode()
        for secret in self.secrets:
            if secret.encode() in run.output + log:
                yield f"it shows the secret {secret!r}"
        if _JWT.search(run.output + log):
            yield "it shows a token"
        shown = log + b"\n".join(run.read.others)
        messages = run.before.get("avaamo_messages", {}).values()
        for text in {message["content"] for message in messages}:
            forms = (
                text,
                *(json.dumps(text, ensure_ascii=x)[1:-1] for x in (True, False)),
            )
            if len(text) >= _LONG and any(form.encode() in shown for form in forms):
                yield f"it shows the message {text!r}"

    def _is_genuine(self, run: Run) -> Iterator[str]:
        """Every record is one that the vendor sent in this run, and was asked for."""
        for key, record in run.written:
            if record not in run.served.get(key, ()):
                yield f"{key} was not sent like this: {record}"
            if (
                key[0] == "kore_sessions"
                and key not in self.vouched
                and not self.plan.asks_for(
                    record["containment_type"], record["session_type"]
                )
            ):
                yield f"{key} was not asked for: {record}"

    def _comes_once(self, run: Run, owed: Owed) -> Iterator[str]:
        """A key comes once, but where it is the point to read again."""
        gapped = {
            key
            for key, record in run.written
            if owed.is_in_gap(bot_of_key(key), time_of(key[0], record))
        }
        for key, times in Counter(key for key, _ in run.written).items():
            # A session that is followed may lie in a gap.
            may_repeat = self.plan.is_swept or (
                key[0] == "kore_sessions" and (self.plan.filters or key in gapped)
            )
            if times > 1 and not may_repeat:
                yield f"{key} came {times} times"
        for key, record in run.written:
            if key not in self.vouched:
                continue
            self.counts["records again"] += 1
            if self.plan.is_swept:
                continue
            stream, name = key
            if not owed.is_due(key, record) and not (
                stream == "kore_sessions"
                and self.plan.follows
                and (key in self.uncommitted or record != self.kept[stream][name])
            ):
                yield f"{key} came again, without need"

    def _comes_in_order(self, run: Run, owed: Owed) -> Iterator[str]:
        """The records of a bot come in order of time, but those asked for by id."""
        latest: dict[Bot, datetime] = {}
        if self.plan.is_swept:
            return
        for key, record in run.written:
            bot, time = bot_of_key(key), time_of(key[0], record)
            if key[0] == "kore_sessions" and (
                self.plan.filters or owed.is_empty(bot) or time < owed.start(bot)
            ):
                continue
            if time < latest.get(bot, time):
                yield f"{key} came after a later one"
            latest[bot] = time

    def _vouches_for_what_came(self, commit: Commit, owed: Owed) -> Iterator[str]:
        """All that there was before a bookmark has come before its state."""
        records = keyed(commit.records)
        self._keep(records)
        came = {key for key, _ in records}
        self.vouched |= came
        self.uncommitted -= came
        gaps_before, gaps = gaps_in(self.state), gaps_in(commit.state)
        before = bookmarks(self.plan, self.state)
        after = bookmarks(self.plan, commit.state)
        self.commits.append(commit)
        for bot in before.keys() - after.keys():
            yield f"the bookmark of {bot} is lost"
        for bot, bookmark in after.items():
            if bookmark == before.get(bot):
                continue
            if bookmark < before.get(bot, bookmark):
                yield f"the bookmark of {bot} went back to {bookmark:%F %T.%f}"
            lost = set(owed.records(bot, bookmark)) - self.vouched
            lost -= {*owed.in_gaps(bot, gaps[bot])}
            if lost:
                yield (
                    f"a state says that {bot} was read up to {bookmark:%F %T.%f}, but "
                    f"{len(lost)} records have not come, such as {min(lost)}"
                )

        for bot, ranges in gaps_before.items():
            lost = {*owed.in_gaps(bot, ranges)} - self.vouched
            lost -= {*owed.in_gaps(bot, gaps[bot])}
            if lost:
                yield f"a gap of {bot} was dropped, and {min(lost)} has not come"

    def _emits_what_came(
        self, owed: Owed, gaps: Gaps, failed: set[Bot]
    ) -> Iterator[str]:
        """Of a gap all has come that was served."""
        run = owed.run
        if run.step.weather.is_silent or self.plan.is_silent:
            return
        came = {key for key, _ in run.written}
        sent = {key for page in run.pages for key, _ in page.records}
        for bot in gaps.keys() - failed:
            lost = {*owed.in_gaps(bot, gaps[bot])} & sent - self.vouched - came
            if lost:
                yield f"{min(lost)} was served, lies in a gap, and has not come"

    def _take_tail(self, run: Run) -> None:
        """What came after the last state is kept or lost: it must not matter."""
        ending = run.step.weather.ending
        if ending is None or ending.keeps_tail:
            tail = keyed(run.read.tail)
            self._keep(tail)
            self.uncommitted |= {key for key, _ in tail}
        else:
            self.counts["records lost by targets"] += len(run.read.tail)

    def _keep(self, records: Sequence[tuple[Key, Record]]) -> None:
        self.counts["records"] += len(records)
        for (stream, name), record in records:
            self.kept[stream][name] = record

    def _is_complete(self, owed: Owed, failed: set[Bot]) -> Iterator[str]:
        """A bot has been read to the end; one that had to fail, not at all."""
        found = bookmarks(self.plan, self.state)
        for bot in self.plan.all_bots:
            bookmark = found.get(bot)
            if owed.must_fail(bot):
                goal = owed.bookmarks.get(bot)
                is_right = bookmark == goal
            else:
                goal = owed.goal(bot)
                is_right = bot in failed or owed.has_come_to_end(bot, bookmark)
            if not is_right:
                yield f"the bookmark of {bot} is {bookmark}, not {goal}"


def _ended_well(owed: Owed, incomplete: set[Bot]) -> Iterator[str]:
    """The exit code says what came to pass, and no line is half written."""
    run, ending = owed.run, owed.run.step.weather.ending
    if "Traceback" in run.log:
        yield run.log[run.log.index("Traceback") :][:8000]
    if run.is_broken:
        # What a pipe between processes has taken in, the tap never learns of.
        if run.code != 1 and not (run.code == 0 and owed.plan.is_real):
            yield f"its target died, and the exit code is {run.code}"
    elif run.code < 0:
        if ending is None or signal.Signals(-run.code).name != ending.kind:
            yield f"it died of signal {-run.code}"
        if run.code != -signal.SIGKILL and run.read.is_torn:
            yield f"signal {-run.code} cut a line"
    else:
        if run.read.is_torn:
            yield "the last line is not whole"
        if not run.code == bool(incomplete) == ("incomplete: " in run.log):
            number = len(incomplete)
            yield f"{number} bots are incomplete, and the exit code is {run.code}"


def _failed_for_a_reason(owed: Owed, failed: set[Bot]) -> Iterator[str]:
    """A bot fails where it was refused for good, and only there."""
    for bot in failed:
        if not owed.may_fail(bot):
            why = re.findall("incomplete: .*", owed.run.log)
            yield f"{bot} was given up for nothing: {why}"
    for bot in owed.plan.all_bots:
        if owed.run.is_over and owed.must_fail(bot) and bot not in failed:
            yield f"{bot} was refused for good, and did not fail"


def _keeps_what_was_seen(owed: Owed, failed: set[Bot]) -> Iterator[str]:
    """What left its list after it had been served has come all the same."""
    came = {key for key, _ in owed.run.written}
    for key in owed.served():
        if key not in came and bot_of_key(key) not in failed:
            yield f"{key} was served and left its list, and has not come"
