"""Lists of Kore.ai's that may hold the records of one channel only.

Source: Kore.ai XO Platform documentation, the pages Conversation History API and Get
Analytics.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

from typing_extensions import override

from tap_botsessions.vendors.kore import filters
from tap_botsessions.vendors.kore.channels import DEFAULT, Channels
from tap_botsessions.vendors.kore.lists import KoreList, KoreListStream
from tap_botsessions.vendors.kore.sessions import KoreSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.pages import Lists, Reading
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.account import Account


class KoreChannelStream(KoreListStream):
    """A list that may hold the records of one channel only."""

    selected_by_default = False

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the bots that are configured, of a host."""
        super().__init__(options, account)
        unfiltered = replace(options, config=filters.without(options.config))
        sessions = KoreSessions(unfiltered, account)
        self.channels = Channels(self, partial(KoreList, sessions))

    @abstractmethod
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None
    ) -> Sequence[KoreList]:
        """The lists of a channel; of those that the vendor chooses if it is none."""

    @override
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[KoreList]:
        return [
            paged
            for channel in self.channels.of(bots)
            for paged in self.lists_of(bots, window, channel)
        ]

    def noted(self, rows: list[Row]) -> list[Row]:
        """The rows of a list that was not told a channel, which show some."""
        self.channels.note(rows)
        return rows

    @override
    def with_lists(
        self, bots: Sequence[str], window: Window, read: Callable[[Lists], Reading]
    ) -> Reading:
        """Read, and once more by channel if what came may lack some."""
        if not self.channels.lacks_some:
            result = yield from read(partial(self.lists, bots))
            yield from self.channels.examine(bots, window)
            if not self.channels.lacks_some:
                return result
        yield from self.channels.gather(bots, window)
        return (yield from read(partial(self.lists, bots)))

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
        return self.channels.is_whole is None
