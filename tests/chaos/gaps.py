"""What a state names as gaps, and whether there is a reason for it.

Either all is complete, or a gap is named: in the state, in the audit trail, and at the
end of the run. Once the trouble is over, no gap remains.
"""

from __future__ import annotations

import re
from collections import defaultdict
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.streams import STREAMS
from tap_botsessions.engine.windows import Window
from tests.chaos.history import bot_of_key
from tests.chaos.truth import time_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from tests.chaos.history import Bot
    from tests.chaos.owed import Owed

Gaps = dict["Bot", list[Window]]
"""Ranges by stream and bot."""

_NEAR = timedelta(seconds=3)
"""So much wider than its window, a list may be asked for."""

_SHARED = {"kore_messages", "kore_sessions"}
"""Lists that the bots of an account share: what one lacks, each of them shows."""

_INCOMPLETE = "incomplete: "
_ENDS = ("start", "end")
_VENDORS = {"avaamo": "Avaamo", "kore": "Kore.ai"}


def gaps_in(state: Mapping[str, Any] | None) -> Gaps:
    """The gaps that a state names."""
    found: Gaps = defaultdict(list)
    for stream, bookmark in (state or {}).get("bookmarks", {}).items():
        for partition in bookmark.get("partitions", ()):
            [bot] = partition["context"].values()
            found[stream, bot] += [
                Window(*(datetime.fromisoformat(gap[end]) for end in ("start", "end")))
                for gap in partition.get("gaps", ())
            ]
    return found


def is_in(instant: datetime, windows: Iterable[Window]) -> bool:
    """Whether an instant is in any of these windows."""
    return any(instant in window for window in windows)


def named_well(owed: Owed, gaps: Gaps, failed: set[Bot]) -> Iterator[str]:
    """Judge the gaps of a state that a run ended with; what is wrong, a line each."""
    for bot in owed.plan.all_bots:
        yield from _is_named_at_the_end(owed, bot, gaps[bot])
        yield from _is_audited(owed, bot, gaps[bot])
        for gap in gaps[bot]:
            if gap.start >= gap.end:
                yield f"{bot} has a gap of no time, {gap}"
            elif gap.start < owed.run.end and not (
                has_reason(owed, bot, gap)
                # What was not read again stays as it was.
                or (bot in failed and gap in gaps_in(owed.run.state)[bot])
            ):
                yield f"{bot} has a gap without a reason, {gap}"


def has_reason(owed: Owed, bot: Bot, gap: Window) -> bool:
    """Whether anything in this run keeps a range from adding up."""
    alike = {bot}
    if bot[0] in _SHARED and owed.plan.is_account:
        alike = {each for each in owed.plan.all_bots if each[0] == bot[0]}
    wider = Window(gap.start - _NEAR, gap.end + _NEAR)
    is_haunted = any(
        bot_of_key(key) in alike and time_of(*owed.hidden(key)) in wider
        for key in owed.run.hidden | owed.run.disowned
    )
    return is_haunted or any(
        fault.is_a_gap and fault.concerns(*each)
        for each in alike
        for fault in owed.run.step.weather.faults
    )


def gaps_that_count(owed: Owed, gaps: Gaps) -> set[Bot]:
    """The bots whose gaps make the exit code 1."""
    if "accept_gaps_after_days" in owed.plan.settings:
        return set()
    return {
        bot
        for bot in owed.plan.all_bots
        if any(gap.start < owed.run.end for gap in gaps[bot])
    }


def _is_named_at_the_end(owed: Owed, bot: Bot, gaps: Sequence[Window]) -> Iterator[str]:
    """The last lines name a bot that has a gap, and none that has not."""
    stream, name = bot
    lines = [
        line
        for line in owed.run.log.splitlines()
        if _INCOMPLETE in line and " gap" in line
    ]
    table = STREAMS[stream]
    words = f"{_VENDORS[table.vendor]}, all of it:|{stream}, \\w+ {re.escape(name)}[;:]"
    is_named = any(re.search(words, line) for line in lines)
    counted = gaps_that_count(owed, defaultdict(list, {bot: [*gaps]}))
    if is_named != (bot in counted):
        yield f"{bot} has {len(gaps)} gaps, and the end of the log says {lines}"


def _is_audited(owed: Owed, bot: Bot, gaps: Sequence[Window]) -> Iterator[str]:
    """A gap is in the audit trail, and what is there is in the state."""
    if not owed.plan.is_audited:
        return
    audited = [
        Window(*(datetime.fromisoformat(each[f"window_{end}"]) for end in _ENDS))
        for each in owed.run.windows
        if (each["stream"], each["bot"]) == bot and each["gap"] is not None
    ]
    before = gaps_in(owed.run.state)[bot]
    for gap in gaps:
        is_old = any(old.start <= gap.start and gap.end <= old.end for old in before)
        if not is_old and not any(gap.overlap(window) for window in audited):
            yield f"{bot} has a gap that the audit trail lacks, {gap}"
    for window in audited:
        if window.start < window.end and not any(
            gap.start <= window.start and window.end <= gap.end for gap in gaps
        ):
            yield f"{bot} has a gap in the audit trail that its state lacks, {window}"
