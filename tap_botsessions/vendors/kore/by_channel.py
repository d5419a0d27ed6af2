"""Lists of Kore.ai's that may hold the records of one channel only.

Source: Kore.ai XO Platform documentation, the pages Conversation History API and Get
Analytics.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_botsessions.engine.changes import SLOW_ATTEMPTS
from tap_botsessions.engine.probes import count_records
from tap_botsessions.engine.windows import Window
from tap_botsessions.vendors.kore import filters
from tap_botsessions.vendors.kore.channels import DEFAULT, Channels, Reading
from tap_botsessions.vendors.kore.lists import KoreList, KoreListStream
from tap_botsessions.vendors.kore.sessions import KoreSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.pages import Lists, Seen
    from tap_botsessions.engine.pages import Reading as Outcome
    from tap_botsessions.engine.records import Row
    from tap_botsessions.vendors.kore.account import Account

    Note = Callable[[Sequence[Row]], None]

_SESSIONS = 10_000
"""Sessions asked for in one request; so many came of one in a log of the live API."""


class KoreChannelStream(KoreListStream):
    """A list that may hold the records of one channel only."""

    selected_by_default = False

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the bots that are configured, of a host."""
        super().__init__(options, account)
        config = {**filters.without(options.config), "kore_page_size": _SESSIONS}
        sessions = KoreSessions(replace(options, config=config), account)
        self.channels = Channels(self.label, partial(KoreList, sessions))

    @abstractmethod
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None, note: Note
    ) -> Sequence[KoreList]:
        """The lists of a channel; of those that the vendor chooses if it is none.

        Args:
            bots: The bots.
            window: The window.
            channel: The channel.
            note: Called with the rows of each page.
        """

    @override
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[KoreList]:
        return self.lists_of(bots, window, None, self.channels.note)

    @override
    def with_lists(
        self, bots: Sequence[str], window: Window, read: Callable[[Lists], Outcome]
    ) -> Outcome:
        """Read the list that is told no channel, and others beside it if need be."""
        channels = self.channels
        result = None
        if not channels.lacks_some:
            result = yield from read(partial(self.lists, bots))
            if channels.is_whole:
                return result
        yield from channels.examine(bots, window)
        others = list(channels.others(bots))
        if result is None or others:
            result = yield from self._with_others(bots, others, read)
        return result

    def _with_others(
        self,
        bots: Sequence[str],
        others: Sequence[str],
        read: Callable[[Lists], Outcome],
    ) -> Outcome:
        """Read other channels as well, and learn from what comes of them."""
        reading = Reading()

        def note(rows: Sequence[Row]) -> None:
            self.channels.note(rows)
            reading.untold.update(row.key for row in rows)

        def lists(part: Window) -> Sequence[KoreList]:
            told = [
                each
                for channel in others
                for each in self.lists_of(
                    bots, part, channel, partial(reading.note_told, channel)
                )
            ]
            return [*self.lists_of(bots, part, None, note), *told]

        result = yield from read(lists)
        self.channels.conclude(reading, bots)
        return result

    @override
    def read(self, bots: Sequence[str], window: Window, seen: Seen) -> Outcome:
        """Likewise; a record that several lists hold is one that is counted later."""
        result = yield from super().read(bots, window, seen)
        times = [row.time for row in (*result.rows, *result.carried_over.values())]
        return replace(result, times=times)

    @override
    def count_again(self, bots: Sequence[str], window: Window) -> Outcome:
        """Count the list that is told no channel, and others if it is of one only."""
        channels = self.channels

        def lists(part: Window) -> Sequence[KoreList]:
            others = channels.others(bots) if channels.lacks_some else ()
            return [
                each
                for channel in (None, *others)
                for each in self.lists_of(bots, part, channel, lambda _rows: None)
            ]

        return count_records(lists, [window], SLOW_ATTEMPTS)

    @override
    def probe(self, bots: Sequence[str], window: Window) -> Outcome:
        """Likewise; where lists may lack channels, the last day shows if they do."""
        result = yield from super().probe(bots, window)
        if not self.channels.is_whole and self.channels.others(bots):
            start = max(window.start, window.end - timedelta(days=1))
            yield from self.read(bots, Window(start, window.end), {})
        return result

    @override
    def remarks(self) -> Iterator[str]:
        if self.channels.lacks_some:
            yield (
                f"Unless it is told a channel, it lists the records of {DEFAULT} "
                f"alone; the tap asks for each channel that sessions show."
            )

    @property
    @override
    def settles_first(self) -> bool:
        return not self.channels.is_whole
