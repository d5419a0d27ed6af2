"""Ranges of a bot in which its records don't add up to the vendor's count.

What came of them was emitted. They are kept in the bot's state, and each run reads them
again until they add up.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_botsessions.engine.errors import BookmarkError, IncompleteError
from tap_botsessions.engine.listing import listed
from tap_botsessions.engine.windows import Window, parse_instant, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from datetime import datetime

_MAX_LISTED = 2
"""So many gaps of a bot are listed at the end."""

GAPS = "gaps"
"""Their place in the state of a bot."""


@dataclass(frozen=True)
class Gap:
    """A range that does not add up.

    Attributes:
        window: The range.
        since: When a run found it first.
        reason: Why it does not; empty as long as this run has not read it.
    """

    window: Window
    since: datetime
    reason: str = ""

    @override
    def __str__(self) -> str:
        """The range and why it does not add up, for messages."""
        reason = self.reason or "it was not read again"
        return f"{self.window}: {reason} (found {to_rfc3339(self.since)})"

    def without(self, window: Window) -> list[Gap]:
        """What is left of it where a window has been read."""
        own = self.window
        parts = (
            Window(own.start, min(own.end, window.start)),
            Window(max(own.start, window.end), own.end),
        )
        return [replace(self, window=part) for part in parts if part.start < part.end]


class GapError(IncompleteError):
    """Ranges of a bot do not add up; what came of them was emitted."""

    def __init__(self, gaps: Sequence[Gap]) -> None:
        """Name the first of them."""
        words = "a gap" if len(gaps) == 1 else f"{len(gaps)} gaps"
        which = listed(gaps, _MAX_LISTED, "; ")
        super().__init__(
            f"{words}, {which}; what came of it was emitted, and each run reads it "
            f"again until it adds up"
        )


class Gaps:
    """The gaps of one bot, in order of time, none of them overlapping another.

    In the state they are `gaps`, a list of objects with the `start`, the `end` and
    `since`. There are no more than `most`: the two that lie closest are joined, with
    the time between them.
    """

    def __init__(self, state: Mapping[str, Any], most: int) -> None:
        """Read what the last run left.

        Args:
            state: The state of the bot.
            most: How many there may be.

        Raises:
            BookmarkError: It is not as the tap wrote it.
        """
        self._most = most
        try:
            self._gaps = [
                Gap(
                    Window(parse_instant(each["start"]), parse_instant(each["end"])),
                    parse_instant(each["since"]),
                )
                for each in state.get(GAPS) or ()
            ]
        except (AttributeError, KeyError, TypeError, ValueError) as error:
            msg = "the gaps in the state are unreadable; fix or clear it"
            raise BookmarkError(msg) from error
        self._gaps = _joined(sorted(self._gaps, key=_start))

    @property
    def all(self) -> list[Gap]:
        """The gaps."""
        return [*self._gaps]

    def outside(self, ranges: Iterable[Window]) -> list[Window]:
        """The parts of them that lie in none of these ranges, in order of time."""
        left = self._gaps
        for each in ranges:
            left = [part for gap in left for part in gap.without(each)]
        return [gap.window for gap in left]

    def note(self, window: Window, reason: str | None, now: datetime) -> None:
        """Note that a window was read.

        Args:
            window: The window.
            reason: Why it does not add up; none if it does.
            now: When the run began.
        """
        known = [gap.since for gap in self._gaps if gap.window.overlap(window)]
        left = [part for gap in self._gaps for part in gap.without(window)]
        if reason is not None:
            left.append(Gap(window, min(known, default=now), reason))
        left = _joined(sorted(left, key=_start))
        while len(left) > self._most:
            left = _with_closest_joined(left)
        self._gaps = left

    def to_state(self) -> list[dict[str, str]] | None:
        """What the state must hold; none if there is no gap."""
        return [
            {
                "start": to_rfc3339(gap.window.start),
                "end": to_rfc3339(gap.window.end),
                "since": to_rfc3339(gap.since),
            }
            for gap in self._gaps
        ] or None


def _start(gap: Gap) -> datetime:
    return gap.window.start


def _are_one(one: Gap, other: Gap) -> bool:
    """Whether two gaps, in order of their start, are kept as one."""
    if one.since == other.since:
        return other.window.start <= one.window.end
    return other.window.start < one.window.end


def _join(one: Gap, other: Gap) -> Gap:
    """The gap from the first one's start to the end of either.

    It is as new as the newer one: what is accepted for its age is all that old.
    """
    end = max(one.window.end, other.window.end)
    reason = " and ".join(dict.fromkeys(filter(None, (one.reason, other.reason))))
    return Gap(Window(one.window.start, end), max(one.since, other.since), reason)


def _joined(gaps: Iterable[Gap]) -> list[Gap]:
    """Gaps in order of their start, with those joined that are one."""
    found: list[Gap] = []
    for gap in gaps:
        if found and _are_one(found[-1], gap):
            found[-1] = _join(found[-1], gap)
        else:
            found.append(gap)
    return found


def _with_closest_joined(gaps: list[Gap]) -> list[Gap]:
    between = [later.window.start - gap.window.end for gap, later in pairwise(gaps)]
    place = between.index(min(between))
    return [*gaps[:place], _join(gaps[place], gaps[place + 1]), *gaps[place + 2 :]]
