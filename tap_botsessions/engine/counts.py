"""How many records a vendor counts in windows of time, without reading them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_botsessions.engine.reader import Taken

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_botsessions.engine.reader import Fetch, Reading
    from tap_botsessions.engine.windows import Window


@dataclass(frozen=True)
class Counted(Taken):
    """What a vendor counts in windows.

    Attributes:
        totals: For each window, the records in each of the lists that make it up.
    """

    totals: Sequence[Sequence[int]] = ()


def count(
    asks: Callable[[Window], Sequence[Fetch]], windows: Iterable[Window]
) -> Reading:
    """Ask how many records the vendor counts in windows, one window after another.

    Args:
        asks: Makes the requests for a window, one for each of its lists.
        windows: The windows.

    Returns:
        What is counted; no rows.
    """
    totals: list[list[int]] = []
    received = 0
    for window in windows:
        pages = yield asks(window)
        totals.append([page.total for page in pages])
        received += sum(page.received for page in pages)
    return Counted(None, [], received=received, totals=totals)
