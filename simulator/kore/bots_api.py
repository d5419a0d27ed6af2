"""Kore.ai's list of bots, for an app of the Admin Console (page "Get Bots").

Whether `offset` counts bots or pages is not documented.
"""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from simulator.exchange import Call, Reply
from simulator.kore.bots import bot_record
from simulator.kore.requests import refusal

if TYPE_CHECKING:
    from simulator.assumptions import Assumptions
    from simulator.world import World

MOST = 50


def bots(call: Call, world: World, options: Assumptions) -> Reply:
    """Return a page of the account's bots.

    Raises:
        RefusalError: The request is not one for such a list.
    """
    if call.method != "GET":
        raise refusal(HTTPStatus.METHOD_NOT_ALLOWED, "Method Not Allowed")
    offset = int(call.params.get("offset", "0"))
    limit = min(int(call.params.get("limit", "10")), MOST)
    start = offset * limit if options.kore_bots_offset == "pages" else offset
    listed = world.bots[start : start + limit]
    return Reply(
        HTTPStatus.OK,
        {
            "total": len(world.bots),
            "availableMore": start + len(listed) < len(world.bots),
            "bots": [bot_record(world, bot) for bot in listed],
        },
    )
