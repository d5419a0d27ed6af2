"""Whether a list holds the records of all channels, or of one unless it is told.

The pages Conversation History API and Get Analytics say of the filter on channels that
its default is rtm, and not of which requests. A list without the others looks whole,
since its count is right. So as long as it is not known:

1. A record of another channel than rtm, in a list that was not told any, is the proof
   that such lists hold all.
2. The sessions around each window are looked through for other channels, each of them
   once. Of a bot that has none, the list that was not told a channel is all there is.
3. Each other channel is asked for as well. If what comes of it is in the list that was
   not told one, that is the proof, too; if it is not, such lists hold rtm only, and
   each channel is asked for from then on.
"""

from __future__ import annotations

import logging
from dataclasses import dataclass, field, replace
from datetime import timedelta
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import (
    BotError,
    HostError,
    RequestError,
    UnavailableError,
)
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence
    from datetime import datetime

    from tap_botsessions.engine.pages import Fetch, Page, PagedList, Requests
    from tap_botsessions.engine.records import Row

logger = logging.getLogger("tap-botsessions")

DEFAULT = "rtm"
"""The channel of a list that is not told any, if it holds one only."""

_WIDEST = timedelta(days=6)
"""So much of the sessions is asked for at once: less than seven days may be."""

_BEFORE = timedelta(days=6)
"""So much earlier than its messages, a session may have begun."""

_NARROWEST = timedelta(minutes=1)

_SLOW_ATTEMPTS = 2
"""At a request that may ask for too much."""


@dataclass
class Reading:
    """What came of a window: of the list that was not told a channel, and of others.

    Attributes:
        untold: The keys of the records of the former.
        told: Those of the latter.
        is_filtered: Whether what came of a channel is of it, as far as it says so.
        says_channels: Whether it says so.
    """

    untold: set[tuple[str, ...]] = field(default_factory=set)
    told: set[tuple[str, ...]] = field(default_factory=set)
    is_filtered: bool = True
    says_channels: bool = True

    def note_told(self, channel: str, rows: Iterable[Row]) -> None:
        """Note what came of a channel."""
        for row in rows:
            self.told.add(row.key)
            found = row.record["channel"]
            if found is None:
                self.says_channels = False
            elif found.casefold() != channel.casefold():
                self.is_filtered = False

    @property
    def shows_all(self) -> bool:
        """Whether the list that was not told a channel holds others.

        Where records don't say their channel, a server may have passed the filter by.
        """
        is_inside = bool(self.told) and self.is_filtered and self.told <= self.untold
        return is_inside and (self.says_channels or self.told < self.untold)

    @property
    def shows_one(self) -> bool:
        """Whether it lacks what another channel has."""
        return bool(self.told) and self.told.isdisjoint(self.untold)


class Channels:
    """What is known of the channels of a list.

    Attributes:
        is_whole: Whether it is proved that lists hold all channels.
        lacks_some: Whether a list has been seen to hold one only.
    """

    def __init__(
        self,
        label: Callable[..., str],
        sessions: Callable[[Sequence[str], Window], PagedList],
    ) -> None:
        """Begin without knowing anything.

        Args:
            label: The stream and bots, for messages.
            sessions: Makes the list of all sessions of bots in a window.
        """
        self.is_whole = False
        self.lacks_some = False
        self._label = label
        self._sessions = sessions
        self._others: dict[tuple[str, ...], list[str]] = {}
        self._seen: dict[tuple[str, ...], Window] = {}
        self._unreadable: set[tuple[str, ...]] = set()

    def others(self, bots: Sequence[str]) -> list[str]:
        """The channels but for the default that sessions of bots have shown."""
        return self._others.setdefault(tuple(bots), [])

    def note(self, rows: Iterable[Row]) -> None:
        """Learn from what came of a list that was not told a channel."""
        if not (self.is_whole or self.lacks_some) and any(
            _is_other(row.record["channel"]) for row in rows
        ):
            self.is_whole = True

    def conclude(self, reading: Reading, bots: Sequence[str]) -> None:
        """Learn from what came of a whole window."""
        if reading.shows_all and not self.lacks_some:
            self.is_whole = True
        elif reading.shows_one and not (self.is_whole or self.lacks_some):
            self.lacks_some = True
            logger.warning(
                "%s: unless it is told a channel, the server lists the records of %s "
                "alone; so each channel that sessions show is asked for",
                self._label(*bots),
                DEFAULT,
            )

    def examine(self, bots: Sequence[str], window: Window) -> Requests:
        """Look through the sessions around a window for other channels.

        Raises:
            UnavailableError: The vendor can't be asked now.
            HostError: Likewise.
        """
        key = tuple(bots)
        if key in self._unreadable:
            return
        seen = self._seen.get(key)
        start, end = window.start - _BEFORE, window.end
        if seen and seen.start <= start <= seen.end:
            start = seen.end
        while start < end:
            part = Window(start, min(start + _WIDEST, end))
            try:
                start = yield from self._look_through(bots, part)
            except BotError as error:
                if isinstance(error, HostError | UnavailableError):
                    raise
                self._unreadable.add(key)
                logger.warning(
                    "%s: whether it lacks channels can't be told, since the sessions "
                    "of the bot can't be read: %s",
                    self._label(*bots),
                    error,
                )
                start = end
        if seen and seen.start <= window.start - _BEFORE <= seen.end:
            self._seen[key] = Window(seen.start, max(seen.end, end))
        else:
            self._seen[key] = Window(window.start - _BEFORE, end)

    def _look_through(
        self, bots: Sequence[str], window: Window
    ) -> Generator[Sequence[Fetch], Sequence[Page], datetime]:
        """Look through the sessions of a window, or of a part of it if it is too wide.

        Returns:
            Up to where that was.

        Raises:
            BotError: They can't be read.
        """
        while True:
            sessions, received = self._sessions(bots, window), 0
            position: int | None = sessions.first
            try:
                while position is not None:
                    fetch = sessions.fetch(position)
                    [page] = yield [replace(fetch, slow_attempts=_SLOW_ATTEMPTS)]
                    received += page.received
                    self._add(bots, page.rows)
                    is_last = received >= page.total and not page.more
                    is_last = is_last or not page.received
                    position = None if is_last else page.next_position
            except RequestError as error:
                if window.width <= _NARROWEST or not _asks_too_much(error, received):
                    raise
                window = Window(window.start, window.start + window.width / 2)
            else:
                return window.end

    def _add(self, bots: Sequence[str], sessions: Iterable[Row]) -> None:
        others = self.others(bots)
        for channel in {row.record["channel"] for row in sessions}:
            if _is_other(channel) and channel not in others:
                others.append(channel)


def _asks_too_much(error: RequestError, received: int) -> bool:
    """Whether less may be answered, after so many sessions were."""
    if isinstance(error, UnavailableError):
        return error.is_slow
    return received > 0


def _is_other(channel: str | None) -> bool:
    """Whether it is a channel, and not the default."""
    return channel is not None and channel.casefold() != DEFAULT
