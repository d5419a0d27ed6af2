"""Which of Kore's sessions a request asks for."""

from __future__ import annotations

import re
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simulator.kore import records
from simulator.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.timeline import Row, RowList
    from simulator.world import World


@dataclass(frozen=True)
class Filters:
    """What sessions must be like as served now; None filters nothing.

    Attributes:
        containment_type: Of the query parameter.
        session_type: ``interactive`` or ``non-interactive``.
        user_id: The session's user.
        tags: All of them: where (``user`` or ``session``), name, any of values.
    """

    containment_type: str | None = None
    session_type: str | None = None
    user_id: str | None = None
    tags: tuple[tuple[str, str, tuple[object, ...]], ...] = ()


def find(session_id: str, world: World, bots: Sequence[str]) -> Row | None:
    """Look for an id near the time that it begins with."""
    if not re.fullmatch("[0-9a-f]{24}", session_id):
        return None
    around = int(session_id[:8], 16) * SECOND
    rows = (
        row
        for bot in bots
        for row in world.rows(
            "kore_sessions", bot, around - records.ID_LAG, around + SECOND
        )
        if records.life(world, row).session_id == session_id
    )
    return next(rows, None)


def matching(
    world: World, bots: tuple[str, ...], window: tuple[int, int], filters: Filters
) -> RowList:
    """Return the rows of all the bots, ascending by time."""
    if len(bots) == 1 and filters == Filters():
        return world.rows("kore_sessions", bots[0], *window)
    return _filtered(world, world.version, bots, window, filters)


@lru_cache(maxsize=32)
def _filtered(
    world: World,
    _version: object,
    bots: tuple[str, ...],
    window: tuple[int, int],
    filters: Filters,
) -> list[Row]:
    rows = (row for bot in bots for row in world.rows("kore_sessions", bot, *window))
    return sorted(
        (row for row in rows if _matches(row, world, filters)), key=lambda row: row.at
    )


def _matches(row: Row, world: World, filters: Filters) -> bool:
    state = records.state(world, row)
    session_type = "interactive" if state.interactive else "non-interactive"
    return (
        filters.containment_type in {None, state.containment_type}
        and filters.session_type in {None, session_type}
        and filters.user_id in {None, records.life(world, row).user_id}
        and all(_has_tag(world.record(row), *tag) for tag in filters.tags)
    )


def _has_tag(
    record: dict[str, Any], where: str, name: str, values: Sequence[object]
) -> bool:
    tags = record.get("tags", {}).get(f"{where}Tags", [])
    return any(tag["name"] == name and tag["value"] in values for tag in tags)
