"""How requests to Kore.ai's lists are read, and refused."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any

from simulator.exchange import RefusalError
from simulator.timeline import DAY, SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.assumptions import Assumptions
    from simulator.world import World

LONGEST_WINDOW = 7 * DAY
"""In milliseconds; exactly seven days were accepted by the live API."""


def refusal(status: int, message: str, code: int | None = None) -> RefusalError:
    """Return a refusal in the form of Kore.ai's."""
    return RefusalError(status, {"errors": [{"msg": message, "code": code or status}]})


def limit_of(body: dict[str, Any], options: Assumptions) -> int:
    """Return how many records a page has at most."""
    limit = natural(body, ("limit",), options.kore_default_limit)
    return min(limit, options.kore_page_clamp or limit)


def natural(body: dict[str, Any], names: Sequence[str], default: int) -> int:
    """Return a number that is not negative, by the first of the names that is there.

    Raises:
        ValueError: It is none.
    """
    value = next((body[name] for name in names if name in body), default)
    if not isinstance(value, int) or value < 0:
        raise ValueError(value)
    return value


def window_of(
    body: dict[str, Any], world: World, options: Assumptions
) -> tuple[int, int]:
    """Return the ends of the window in epoch milliseconds, with the defaults."""
    week = timedelta(milliseconds=LONGEST_WINDOW)
    start, end = moment(body.get("dateFrom")), moment(body.get("dateTo"))
    if end is None:
        now = datetime.fromtimestamp(world.now, tz=UTC)
        end = now if start is None else start + week
    if start is None:
        start = end - week
    if end - start > week:
        raise refusal(400, "The duration between dateTo and dateFrom exceeds 7 days")
    last = milliseconds(end)
    if _is_date(body.get("dateTo")) and options.kore_date_only_to == "end":
        last += DAY - 1
    return milliseconds(start), last


def _is_date(text: object) -> bool:
    return isinstance(text, str) and bool(re.fullmatch(r"\d{4}-\d\d-\d\d", text))


def instant(text: str) -> int:
    """Read an instant as epoch milliseconds.

    Raises:
        ValueError: It is none.
    """
    return milliseconds(datetime.fromisoformat(text))


def moment(text: str | None) -> datetime | None:
    """Read ``yyyy-mm-dd`` or ``yyyy-mm-ddThh:mm:ss.msZ``, always GMT.

    The page also writes a space before the T.
    """
    if text is None:
        return None
    return datetime.fromisoformat(text.replace(" T", "T")).replace(tzinfo=UTC)


def milliseconds(moment: datetime) -> int:
    """Return an instant as epoch milliseconds."""
    return round(moment.timestamp() * SECOND)
