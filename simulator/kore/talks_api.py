"""Kore.ai's getMessages, getFeedbackSurveyResponses and getAnalytics.

Sources: the vendor's pages "Conversation History", "Get Feedback Survey Responses" and
"Get Analytics". What a list holds that is not told a channel is an assumption; so is
that a range of more than seven days is refused as getSessions refuses it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Any

from simulator.exchange import Reply
from simulator.kore.records import life
from simulator.kore.requests import instant, limit_of, natural, window_of
from simulator.kore.talks import KINDS, TYPES, channel
from simulator.lists import check_width, cut_page
from simulator.timeline import DAY

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.assumptions import Assumptions
    from simulator.exchange import Call
    from simulator.streams import ListStream
    from simulator.timeline import Row, RowList
    from simulator.world import World

_MOST = {"getMessages": 100, "getMessagesV2": 10_000}


def page(
    call: Call,
    world: World,
    options: Assumptions,
    of: tuple[ListStream, Sequence[str]],
) -> Reply:
    """Return a page of a list.

    Raises:
        KeyError: Something is missing in the request.
        ValueError: Something is wrong in it.
        RefusalError: The vendor would refuse it.
    """
    stream, bots = of
    body = call.body
    is_messages = stream.name == "kore_messages"
    if is_messages:
        window = window_of(body, world, options)
        channels = [body["channelType"]] if "channelType" in body else None
    else:
        filters = body["filters"]
        window = instant(filters["from"]), instant(filters["to"])
        channels = filters.get("channel")
    if channels is None and options.kore_default_channel == "rtm":
        channels = ["rtm"] if stream.name != "kore_feedback" else None
    first, last = options.window(*window)
    check_width(first, last, options)
    rows = _matching(
        world,
        world.version,
        (stream.name, *bots),
        (first, last),
        (tuple(channels) if channels else None, _kinds(call, stream)),
    )
    if is_messages and "sessionId" in body:
        wanted = set(body["sessionId"])
        each = (rows[place] for place in range(len(rows)))
        rows = [row for row in each if world.record(row)["sessionId"] in wanted]
    skip, limit = natural(body, ("skip", "offset"), 0), limit_of(body, options)
    limit = min(limit, _MOST.get(call.version, limit))
    if skip and options.kore_short_pages:
        limit = max(1, limit - 1)
    ascending = body["forward"] if is_messages and "forward" in body else False
    if not is_messages:
        ascending = body["sort"] == {"by": "timestamp", "order": "asc"}
    order = range(len(rows)) if ascending else range(len(rows))[::-1]
    listed = cut_page(rows, order, (skip, limit), world, options)
    count = "total" if is_messages else "totalCount"
    content: dict[str, Any] = {
        count: listed.total,
        "moreAvailable": listed.more,
        stream.field: [
            options.extended(world.record(row), row.bot) for row in listed.rows
        ],
    }
    if call.bot is None:
        for row, record in zip(listed.rows, content[stream.field], strict=True):
            if row[:3] in world.ownerless:
                del record["botId"]
    return options.page(content, stream.field)


def user_trend(call: Call, world: World, bots: Sequence[str]) -> Reply:
    """Return the number of users of each day, in UTC."""
    first = instant(f"{call.params['start_date']}T00:00:00Z")
    last = instant(f"{call.params['end_date']}T00:00:00Z")
    trends = []
    for start in range(first, last + 1, DAY):
        rows = world.rows("kore_sessions", bots[0], start, start + DAY - 1)
        users = {life(world, row).user_id for row in rows}
        day = datetime.fromtimestamp(start // 1000, UTC)
        trends.append({"date": f"{day:%b %d %Y}", "users": len(users)})
    return Reply(200, {"summary": {}, "trends": trends})


def _kinds(call: Call, stream: ListStream) -> tuple[int, ...] | None:
    """Return the kinds of rows that are listed; None: all."""
    if stream.name == "kore_analytics":
        return (TYPES.index(call.body["type"]),)
    if call.version == "getMessagesV2":
        return (KINDS.index(1),)
    return None


@lru_cache(maxsize=64)
def _matching(
    world: World,
    _version: object,
    of: tuple[str, ...],
    window: tuple[int, int],
    wanted: tuple[tuple[str, ...] | None, tuple[int, ...] | None],
) -> RowList:
    """Return the rows of a stream's bots, ascending by time."""
    stream, *bots = of
    channels, kinds = wanted
    lists = [world.rows(stream, bot, *window) for bot in bots]
    if len(lists) == 1 and channels is None and kinds is None:
        return lists[0]
    rows: list[Row] = [
        row
        for each in lists
        for row in each
        if (kinds is None or row.kind in kinds)
        and (channels is None or channel(world, row) in channels)
    ]
    return sorted(rows, key=lambda row: row.at)
