"""Whether a list holds the records of all channels, or of one unless it is told.

The pages Conversation History API and Get Analytics say of the filter on channels that
its default is rtm, and not of which requests. A list without the others looks whole,
since its count is right. So what a bot's sessions say of channels is compared with what
comes:

1. A record of another channel than rtm, in a list that was not told any, is the proof
   that such lists hold all.
2. As long as there is none, the newest sessions of some days are asked for. If one of
   them is of another channel, the list is asked for its time, with that channel and
   without; what comes with it alone shows that lists hold rtm only.
3. From then on each channel is a list of its own: rtm, and those of the sessions around
   a window.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from datetime import timedelta
from typing import TYPE_CHECKING, Protocol

from tap_botsessions.engine.errors import BotError, HostError, UnavailableError
from tap_botsessions.engine.windows import Window, parse_instant

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Sequence

    from tap_botsessions.engine.pages import Fetch, Page, PagedList, Requests
    from tap_botsessions.engine.records import Row

logger = logging.getLogger("tap-botsessions")

DEFAULT = "rtm"
"""The channel of a list that is not told any, if it holds one only."""

_SPAN = timedelta(days=6)
"""So much of the sessions is looked at by one request, the newest of them."""

_BEFORE = timedelta(hours=12)
"""So much earlier than its messages, a session may have begun. A request spans less
than seven days.
"""

_MAX_SESSIONS = 5
"""Whose time is asked for, as long as they show nothing."""

_SLOW_ATTEMPTS = 2
"""At a request that may ask for too much."""

_MAX_PAGES = 50
"""Of the sessions around a window."""


class Listing(Protocol):
    """A list that may hold one channel only."""

    def label(self, *bots: str) -> str:
        """The stream and the bots, for messages."""

    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None
    ) -> Sequence[PagedList]:
        """The lists of a channel; of those that the vendor chooses if it is none."""


class Channels:
    """What is known of the channels of a list."""

    def __init__(
        self,
        listing: Listing,
        sessions: Callable[[Sequence[str], Window], PagedList],
    ) -> None:
        """Begin without knowing anything.

        Args:
            listing: The list.
            sessions: Makes the list of all sessions of bots in a window.
        """
        self._listing = listing
        self._sessions = sessions
        self._known: dict[tuple[str, ...], list[str]] = {}
        self._examined: dict[tuple[str, ...], list[Window]] = {}
        self.is_whole: bool | None = None

    @property
    def lacks_some(self) -> bool:
        """Whether a list that is not told a channel holds those of the default only."""
        return self.is_whole is False

    def of(self, bots: Sequence[str]) -> Sequence[str | None]:
        """The channels that bots have to be asked for, one by one; none is all."""
        if not self.lacks_some:
            return [None]
        return self._known_of(bots)

    def note(self, rows: Iterable[Row]) -> None:
        """Learn from what came of a list that was not told a channel."""
        if self.is_whole is None and any(
            row.record["channel"] not in {None, DEFAULT} for row in rows
        ):
            self.is_whole = True

    def examine(self, bots: Sequence[str], window: Window) -> Requests:
        """Find out, if the sessions around a window can show it.

        Raises:
            UnavailableError: The vendor can't be asked now.
            HostError: Likewise.
        """
        if self.is_whole is not None or self._is_examined(bots, window):
            return
        span = Window(window.start - _BEFORE, max(window.end, window.start + _SPAN))
        try:
            _, page = yield from self._newest_sessions(bots, span, window)
            yield from self._compare(bots, page.rows)
        except BotError as error:
            if isinstance(error, HostError) or (
                isinstance(error, UnavailableError) and not error.is_slow
            ):
                raise
            logger.warning(
                "%s: whether it lacks channels can't be told, since the sessions of "
                "the bot can't be read: %s",
                self._listing.label(*bots),
                error,
            )
        self._examined.setdefault(tuple(bots), []).append(span)

    def gather(self, bots: Sequence[str], window: Window) -> Requests:
        """Learn the channels of the sessions around a window.

        Raises:
            BotError: They can't be read.
        """
        wider = Window(window.start - _BEFORE, window.end)
        sessions, page = yield from self._newest_sessions(bots, wider, window)
        self._add(bots, page.rows)
        if positions := list(sessions.remaining(page))[:_MAX_PAGES]:
            pages = yield [sessions.fetch(each) for each in positions]
            self._add(bots, [row for page in pages for row in page.rows])

    def _newest_sessions(
        self, bots: Sequence[str], wider: Window, window: Window
    ) -> Generator[Sequence[Fetch], Sequence[Page], tuple[PagedList, Page]]:
        """The sessions of a wider window, or of a window if that takes too long.

        Returns:
            Their list, and its first page.

        Raises:
            BotError: It can't be had.
        """
        sessions = self._sessions(bots, wider)
        fetch = sessions.fetch(sessions.first)
        try:
            [page] = yield [replace(fetch, slow_attempts=_SLOW_ATTEMPTS)]
        except UnavailableError as error:
            if not error.is_slow:
                raise
            sessions = self._sessions(bots, window)
            [page] = yield [sessions.fetch(sessions.first)]
        return sessions, page

    def _compare(self, bots: Sequence[str], sessions: Sequence[Row]) -> Requests:
        """Ask for the time of sessions of other channels, with these and without."""
        self._add(bots, sessions)
        others = [row for row in sessions if _may_show(row)]
        for row in sorted(others, key=_messages, reverse=True)[:_MAX_SESSIONS]:
            if self.is_whole is not None:
                return
            yield from self._compare_one(bots, row)

    def _compare_one(self, bots: Sequence[str], session: Row) -> Requests:
        end = session.time + _length(session) + timedelta(seconds=1)
        window = Window(session.time, end)
        untold = self._listing.lists_of(bots, window, None)
        told = self._listing.lists_of(bots, window, session.record["channel"])
        pages = yield [each.fetch(each.first) for each in untold]
        if any(page.received < page.total for page in pages):
            return
        counts = yield [each.fetch_count() for each in told]
        if any(count.total for count in counts) and self._learn_that_it_lacks_some():
            logger.warning(
                "%s: unless it is told a channel, the server lists the records of %s "
                "alone; so each channel is asked for, in all of this stream",
                self._listing.label(*bots),
                DEFAULT,
            )

    def _learn_that_it_lacks_some(self) -> bool:
        """Whether that is news; what came meanwhile may have shown more."""
        is_news = self.is_whole is None
        if is_news:
            self.is_whole = False
        return is_news

    def _is_examined(self, bots: Sequence[str], window: Window) -> bool:
        return any(
            span.start <= window.start and window.end <= span.end
            for span in self._examined.get(tuple(bots), ())
        )

    def _known_of(self, bots: Sequence[str]) -> list[str]:
        return self._known.setdefault(tuple(bots), [DEFAULT])

    def _add(self, bots: Sequence[str], sessions: Iterable[Row]) -> None:
        known = self._known_of(bots)
        for row in sessions:
            channel = row.record["channel"]
            if channel and channel not in known:
                known.append(channel)


def _may_show(row: Row) -> bool:
    """Whether a session must have records of another channel than the default."""
    record = row.record
    return (
        record["channel"] not in {None, DEFAULT}
        and record["no_of_messages_exchanged"] != 0
    )


def _messages(row: Row) -> int:
    """How many messages a session has, as far as is known."""
    return row.record["no_of_messages_exchanged"] or 0


def _length(row: Row) -> timedelta:
    """How long a session took, of a long one the first hours."""
    end = row.record["end_time"]
    length = parse_instant(end) - row.time if end else _BEFORE
    return max(min(length, _BEFORE), timedelta(0))
