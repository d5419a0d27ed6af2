"""How a page of a list is cut, and what is wrong with the list by request.

No page of either vendor's documents says that lists are whole. What is done to them
here is done to the lists of both.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import groupby
from typing import TYPE_CHECKING, NamedTuple

from simulator.exchange import RefusalError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.assumptions import Assumptions
    from simulator.timeline import Row, RowList
    from simulator.world import World

_SPREAD = 2_654_435_761
"""A prime by which neighbouring numbers are spread (Knuth's)."""


class Listed(NamedTuple):
    """A page of a list.

    Attributes:
        total: The records that are counted in the whole list.
        rows: Those of the page.
        more: Whether further pages follow, as far as is told.
    """

    total: int
    rows: list[Row]
    more: bool


def cut_page(
    rows: RowList,
    order: Sequence[int],
    page: tuple[int, int],
    world: World,
    options: Assumptions,
) -> Listed:
    """Return a page of a list.

    Args:
        rows: The rows of the window, ascending by time.
        order: Their places, in the order in which they are listed.
        page: How many records come before it, and how many it has at most.
        world: Knows which rows are counted and not served.
        options: Say what else is wrong with lists.

    Raises:
        RefusalError: It lies too far from the first.
    """
    skip, limit = page
    if world.lost:
        lost = _places_of(world.lost, rows)
        order = [place for place in order if place not in lost]
    total = len(order)
    ghosts = _places_of(world.ghosts, rows) if world.ghosts else frozenset[int]()
    if ghosts and options.ghosts == "omitted":
        order = [place for place in order if place not in ghosts]
    if options.ties == "by_page":
        order = _with_ties_in_another_order(rows, order, skip)
    if options.listed_twice:
        order = _with_repeats(rows, order, options.listed_twice)
        total += (len(order) - total) * options.repeats_are_counted
    if options.list_cap is not None:
        order = order[: options.list_cap]
        total = min(total, options.list_cap)
    if options.last_position is not None and skip >= options.last_position:
        if options.beyond_last != "empty":
            status = int(options.beyond_last)
            raise RefusalError(status, {"error": "Result window is too large"})
        order = []
    places = [place for place in order[skip : skip + limit] if place not in ghosts]
    return Listed(
        total, [rows[place] for place in places], skip + len(places) < len(order)
    )


def check_width(first: float, last: float, options: Assumptions) -> None:
    """Refuse a window that is wider than one is answered in time.

    Args:
        first: The start of the window, in epoch milliseconds.
        last: Its end, likewise.
        options: Say how wide one may be.

    Raises:
        RefusalError: It is wider; the answer does not come, or as a gateway's.
    """
    widest = options.widest_seconds
    if widest is None or last - first <= widest * 1000:
        return
    if options.too_wide == "504":
        raise RefusalError(504, b"<html>504 Gateway Time-out</html>")
    raise RefusalError(200, {}, cut=0, stalled=True)


def _places_of(marked: set[tuple[str, str, int]], rows: RowList) -> frozenset[int]:
    """Return the places of the rows that are marked."""
    return frozenset(
        place
        for stream, bot, at in marked
        for place in range(
            bisect_left(rows, at, key=lambda row: row.at),
            bisect_right(rows, at, key=lambda row: row.at),
        )
        if rows[place][:2] == (stream, bot)
    )


def _with_ties_in_another_order(
    rows: RowList, order: Sequence[int], skip: int
) -> list[int]:
    """Return the order with rows of one instant in another order on each page."""
    same = groupby(order, key=lambda place: rows[place].at)
    return [
        place
        for _, places in same
        for place in sorted(places, key=lambda place: (place + skip) * _SPREAD % 10_007)
    ]


def _with_repeats(rows: RowList, order: Sequence[int], share: float) -> list[int]:
    """Return the order with a share of the rows once more at its end.

    Which ones is a matter of each row, so that a list stays the same.
    """
    again = [
        place
        for place in order
        if (rows[place].at + rows[place].number) * _SPREAD % 10_000 < share * 10_000
    ]
    return [*order, *again]
