"""Avaamo's lists, and usage.json of its analytics API.

Sources: the vendor's pages "User sessions", "Messages", "Usage", "Query insights",
"Get messages" and "Feedback". The pages show the body of 422 only; the bodies of 401,
403 and 404 are assumptions.
"""

from __future__ import annotations

import math
from collections import Counter
from datetime import date, datetime, timedelta, timezone, tzinfo
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from itertools import count
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from simulator.avaamo.usage import usage
from simulator.draws import dice
from simulator.exchange import Call, RefusalError, Reply
from simulator.lists import check_width, cut_page
from simulator.streams import LISTS
from simulator.timeline import SECOND

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.assumptions import Assumptions
    from simulator.streams import ListStream
    from simulator.world import World

DEFAULT_PER_PAGE = 25
MAXIMUM_PER_PAGE = 100
USAGE_DAYS = 3
UNITS = {"seconds": 1, "milliseconds": 1_000, "microseconds": 1_000_000}
"""How many of a unit are a second."""

_STREAMS = {
    stream.endpoint: stream for stream in LISTS.values() if stream.vendor == "avaamo"
}

# Defaults of usage.json fall on midnights of US Pacific time, whatever the
# utc_offset: inferred from the page's sample and a captured response.
SERVER_ZONE = ZoneInfo("America/Los_Angeles")

_REVERSED = {"error": "To Date cannot be before From Date"}
_shuffles = count()


def answer(call: Call, world: World, options: Assumptions) -> Reply:
    """Answer a request.

    Raises:
        RefusalError: If the vendor would refuse it.
    """
    stream = _STREAMS.get(call.endpoint)
    agent = _authorized_agent(
        call, world, is_own=bool(stream and stream.needs_own_token)
    )
    if stream:
        return _page(call, world, options, (stream, agent))
    if call.endpoint == "user_feedbacks":
        return _feedback_summary(call, world, agent)
    if call.endpoint == "usage":
        return _usage(call, world, options, agent)
    raise RefusalError(404, {"error": "Not Found"})


def _authorized_agent(call: Call, world: World, *, is_own: bool) -> str:
    token = call.headers.get("access-token")
    if token != (world.agent_token(call.bot) if is_own else world.avaamo_token):
        raise RefusalError(401, {"error": "Access token missing or invalid"})
    if call.bot is None or call.bot not in world.agents:
        raise RefusalError(404, {"error": "Agent not found"})
    if call.bot in world.forbidden_agents:
        message = "Access token is invalid or does not have permission"
        raise RefusalError(403, {"error": message})
    return call.bot


def _page(
    call: Call, world: World, options: Assumptions, of: tuple[ListStream, str]
) -> Reply:
    stream, agent = of
    per_page = _per_page(call, options)
    page = _integer(call, "page", 1)
    window = options.window(*_window(call, world, options, stream))
    check_width(*window, options)
    rows = world.rows(stream.name, agent, *window)
    order = _order(options, len(rows), key=(agent, *window))
    listed = cut_page(rows, order, ((page - 1) * per_page, per_page), world, options)
    body = {
        "current_page": page,
        "per_page": per_page,
        "total_entries": listed.total,
        "total_pages": math.ceil(listed.total / per_page),
        "time_token": float(world.now),
        stream.field: [
            options.extended(world.record(row), agent) for row in listed.rows
        ],
    }
    return options.page(body, stream.field)


def _per_page(call: Call, options: Assumptions) -> int:
    per_page = _integer(call, "per_page", DEFAULT_PER_PAGE)
    if per_page > MAXIMUM_PER_PAGE and options.avaamo_over_maximum == "422":
        raise RefusalError(422, {"error": "per_page cannot be greater than 100"})
    return min(per_page, options.avaamo_page_clamp or MAXIMUM_PER_PAGE)


def _window(
    call: Call, world: World, options: Assumptions, stream: ListStream
) -> tuple[Decimal, Decimal]:
    """Return the ends of the window in epoch milliseconds.

    Time tokens are read in the form of the options; other parameters are passed by.
    """
    start_name, end_name, unit = options.avaamo_forms.get(stream.name, stream.form)
    unit = unit or options.avaamo_unit
    removed = {"from_date", "to_date"} & call.params.keys()
    if removed and options.avaamo_removed_dates == "reject":
        raise RefusalError(422, {"error": "from_date and to_date are not supported"})
    end = _token(call, options, (end_name, unit), Decimal(repr(world.now)))
    days = stream.default_days
    earliest = Decimal(0) if days is None else end - Decimal(days) * 86_400
    start = _token(call, options, (start_name, unit), earliest)
    if end < start:
        raise RefusalError(422, _REVERSED)
    return start * SECOND, end * SECOND


def _order(options: Assumptions, total: int, key: tuple[object, ...]) -> Sequence[int]:
    """Return the places of rows, ascending by time, in the order of their list."""
    match options.avaamo_order:
        case "ascending":
            return range(total)
        case "descending":
            return range(total)[::-1]
        case "shuffled":
            return _shuffled(total, key)
        case "reshuffled":
            return dice("reshuffled", next(_shuffles)).sample(range(total), total)


@lru_cache(maxsize=32)
def _shuffled(total: int, key: tuple[object, ...]) -> list[int]:
    return dice(*key).sample(range(total), total)


def _integer(call: Call, name: str, default: int) -> int:
    """Return a positive whole number; refusing others is an assumption."""
    text = call.params.get(name, str(default))
    if not text.isdecimal() or int(text) == 0:
        raise RefusalError(422, {"error": f"Invalid {name}"})
    return int(text)


def _token(
    call: Call, options: Assumptions, of: tuple[str, str], default: Decimal
) -> Decimal:
    """Return a time token, of a name and in a unit, in seconds."""
    name, unit = of
    try:
        token = Decimal(call.params[name]) / UNITS[unit]
    except KeyError:
        return default
    except InvalidOperation:
        token = Decimal("NaN")
    is_sane = token.is_finite() and 10**8 < token < 10**11
    if not is_sane and options.avaamo_other_units == "ignore":
        return default
    if not token.is_finite() or (
        not is_sane and options.avaamo_other_units == "reject"
    ):
        raise RefusalError(422, {"error": f"Invalid {name}"})
    return token


def _feedback_summary(call: Call, world: World, agent: str) -> Reply:
    """Return the numbers of thumbs of whole days, `to_date` inclusive."""
    zone = timezone(timedelta(seconds=int(call.params.get("utc_offset", "0"))))
    today = datetime.fromtimestamp(world.now, tz=zone).date()
    first, last = (
        _midnight(_date(call, name, zone, today)[0], zone)
        for name in ("from_date", "to_date")
    )
    end = (last + 86_400) * SECOND - 1
    rows = world.rows("avaamo_feedback", agent, first * SECOND, end)
    thumbs = Counter(bool(world.record(row)["positive"]) for row in rows)
    return Reply(
        200,
        {
            "user_feedbacks": [
                {"feedback_type": name, "count": thumbs[is_up], "positive": is_up}
                for name, is_up in (("thumbs_up", True), ("thumbs_down", False))
            ]
        },
    )


def _usage(call: Call, world: World, options: Assumptions, agent: str) -> Reply:
    """Return the usage of whole days, `to_date` inclusive to 23:59:59."""
    try:
        zone = timezone(timedelta(seconds=int(call.params.get("utc_offset", "0"))))
    except ValueError:
        raise RefusalError(422, {"error": "Invalid utc_offset"}) from None
    today = datetime.fromtimestamp(world.now, tz=SERVER_ZONE).date()
    name = "" if options.avaamo_to_date == "ignored" else "to_date"
    last, last_zone = _date(call, name, zone, today)
    first, first_zone = _date(
        call, "from_date", zone, last - timedelta(days=USAGE_DAYS)
    )
    start = _midnight(first, first_zone)
    if options.avaamo_to_date == "after":
        end = _midnight(last, last_zone)
    else:
        end = _midnight(last + timedelta(days=1), last_zone) - 1
    if end < start:
        raise RefusalError(422, _REVERSED)
    if options.avaamo_today == "now":
        end = max(min(end, int(world.now)), start)
    return Reply(200, usage(world, agent, start, end))


def _date(call: Call, name: str, zone: tzinfo, default: date) -> tuple[date, tzinfo]:
    """Return a date dd/mm/yyyy and the zone of its midnights.

    The vendor replaces an invalid date by the default without a word (a captured
    response of 2019: to_date "1/31/2019").
    """
    try:
        day, month, year = map(int, call.params.get(name, "").split("/"))
        return date(year, month, day), zone
    except ValueError:
        return default, SERVER_ZONE


def _midnight(day: date, zone: tzinfo) -> int:
    """Return the first second of a day as epoch seconds."""
    return int(datetime(day.year, day.month, day.day, tzinfo=zone).timestamp())
