"""A vendor's stream whose records are those of paged lists."""

from __future__ import annotations

from abc import abstractmethod
from functools import partial
from typing import TYPE_CHECKING, ClassVar

from typing_extensions import override

from tap_botsessions.engine.capacity import Capacity
from tap_botsessions.engine.changes import SLOW_ATTEMPTS, find_changes
from tap_botsessions.engine.probes import count_records, read_first_page
from tap_botsessions.engine.reader import read_window
from tap_botsessions.engine.stream import VendorStream

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import timedelta

    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.pages import Lists, PagedList, Reading, Seen
    from tap_botsessions.engine.parts import Part
    from tap_botsessions.engine.transport import Transport
    from tap_botsessions.engine.windows import Window


class ListStream(VendorStream):
    """A stream whose records are those of paged lists.

    Attributes:
        answers_check: Whether `--check` asks each bot for it, as for one stream of
            each vendor.
        page_size_setting: The setting that says how many records a page has.
        margin: How much earlier than at its start a list of a window is asked for, as
            no vendor says whether a list includes its start.
    """

    answers_check: ClassVar[bool] = False
    page_size_setting: ClassVar[str]
    margin: ClassVar[timedelta]

    def __init__(self, options: Options, transport: Transport) -> None:
        """Prepare to read bots, as any stream."""
        super().__init__(options, transport)
        self._capacities: dict[tuple[str, ...], Capacity] = {}

    @property
    def page_size(self) -> int:
        """How many records are asked for in one request."""
        size: int = self.config[self.page_size_setting]
        return size

    @abstractmethod
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[PagedList]:
        """The lists that a window of bots consists of."""

    def with_lists(
        self, bots: Sequence[str], window: Window, read: Callable[[Lists], Reading]
    ) -> Reading:
        """Read lists; a vendor that has to be asked in several ways tries them here.

        Args:
            bots: The bots.
            window: What is read of them.
            read: Reads it from lists.
        """
        del window
        return read(partial(self.lists, bots))

    @override
    def read(self, bots: Sequence[str], window: Window, seen: Seen) -> Reading:
        capacity = self._capacities.setdefault(tuple(bots), Capacity(self.limits))
        return self.with_lists(
            bots, window, lambda lists: read_window(lists, window, seen, capacity, bots)
        )

    def probe(self, bots: Sequence[str], window: Window) -> Reading:
        """Ask for the first page of a window, whose rows are left in their order."""
        return self.with_lists(
            bots, window, lambda lists: read_first_page(lists, window)
        )

    def count_again(self, bots: Sequence[str], window: Window) -> Reading:
        """Ask how many records there are now of a window that was read."""
        return self.with_lists(
            bots,
            window,
            lambda lists: count_records(lists, [window], SLOW_ATTEMPTS),
        )

    def find_changes(
        self, bots: Sequence[str], spans: Sequence[Sequence[Part]]
    ) -> Reading:
        """Ask where spans have other records than were read; it returns `Changes`."""
        return find_changes(partial(self.count_again, bots), spans, self)

    def count(self, bots: Sequence[str], windows: Sequence[Window]) -> Reading:
        """Ask how many records each list of windows has; it returns a `CountResult`."""
        return self.with_lists(
            bots, windows[-1], lambda lists: count_records(lists, windows)
        )
