"""Asking for a little of a window, or only for what the vendor counts in it.

Generators without I/O, as those of `reader`.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from tap_botsessions.engine.pages import CountResult, WindowResult

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_botsessions.engine.pages import Lists, Reading
    from tap_botsessions.engine.windows import Window


def read_first_page(lists: Lists, window: Window) -> Reading:
    """Ask for the first page of the first list of a window, and no more.

    Returns:
        Its rows in the vendor's order.
    """
    first, *_ = lists(window)
    [page] = yield [first.fetch(first.first)]
    return WindowResult(
        window,
        page.rows,
        errors=page.errors,
        expected=page.total,
        received=page.received,
    )


def count_records(
    lists: Lists, windows: Iterable[Window], slow_attempts: int | None = None
) -> Reading:
    """Ask how many records the vendor counts in windows, one window after another.

    Args:
        lists: Makes the lists of a window.
        windows: The windows.
        slow_attempts: See `Fetch`.

    Returns:
        A `CountResult`; no rows.
    """
    totals: list[list[int]] = []
    received = 0
    for window in windows:
        fetches = [paged.fetch_count() for paged in lists(window)]
        pages = yield [replace(each, slow_attempts=slow_attempts) for each in fetches]
        totals.append([page.total for page in pages])
        received += sum(page.received for page in pages)
    return CountResult(None, [], received=received, totals=totals)
