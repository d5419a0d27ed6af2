"""Kore.ai's getSessions: for a bot, its older path, and for the account.

Sources: the vendor's page "Sessions History" (API v10.1.3) and the older "Get
Sessions"; the bodies of refusals are those of captured responses, except 400
for more than seven days or 50 session ids, which is an assumption.
"""

from __future__ import annotations

import uuid
from datetime import datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any

import jwt

from simulator.exchange import Call, Reply
from simulator.kore.bots_api import bots as bots_page
from simulator.kore.deletions import ENDPOINT as DELETIONS
from simulator.kore.deletions import deletions
from simulator.kore.filters import Filters, find, matching
from simulator.kore.requests import limit_of, natural, refusal, window_of
from simulator.kore.talks_api import page, user_trend
from simulator.lists import Listed, check_width, cut_page
from simulator.streams import LISTS

if TYPE_CHECKING:
    from collections.abc import Sequence

    from simulator.assumptions import Assumptions
    from simulator.world import App, World

MAXIMUM_SESSION_IDS = 50

_LISTS = {
    stream.endpoint: stream for stream in LISTS.values() if stream.vendor == "kore"
}


def answer(call: Call, world: World, options: Assumptions) -> Reply:
    """Answer a request.

    Raises:
        RefusalError: If the vendor would refuse it.
    """
    if call.endpoint == "bots":
        _authorized_admin(call, world)
        return bots_page(call, world, options)
    if call.method != ("POST" if call.item is None else "GET"):
        raise refusal(405, "Method Not Allowed")
    bots = _authorized_bots(call, world)
    try:
        if call.endpoint == DELETIONS:
            return deletions(call, world, options, bots[0])
        body = call.body
        if call.endpoint == "userEngagementTrend":
            return user_trend(call, world, bots)
        if call.endpoint != "getSessions":
            return page(call, world, options, (_LISTS[call.endpoint], bots))
        if "sessionId" in body:
            return _by_id(body, world, options, bots)
        return _page(call, body, world, options, bots)
    except (KeyError, TypeError, ValueError):
        raise refusal(412, "Validation errors/ Invalid arguments") from None


def response_headers(reply: Reply) -> dict[str, str]:
    """Return the headers that captured responses carry."""
    headers = {"server": "KoreServer/COMMITH", "x-traceid": str(uuid.uuid4())}
    if reply.status == HTTPStatus.UNAUTHORIZED:
        headers["response-error-description"] = reply.encoded().decode()
    return headers


def _authorized_admin(call: Call, world: World) -> None:
    """Refuse a request that is not signed by the app of the account."""
    token = call.headers.get("auth", "")
    if not _is_signed(token, world.app):
        raise refusal(401, "Invalid SDK credentials", 4002)


def _authorized_bots(call: Call, world: World) -> tuple[str, ...]:
    """Return the bots the token of the `auth` header gives access to."""
    invalid = refusal(401, "Invalid SDK credentials", 4002)
    token = call.headers.get("auth")
    if token is None:
        raise invalid
    try:
        claims = jwt.decode(token, options={"verify_signature": False})
    except jwt.DecodeError:
        raise refusal(401, "Invalid JWT token", 4002) from None
    client_id = claims.get("appId", claims.get("iss"))
    wanted = world.bots if call.bot is None else (call.bot,)
    apps = {bot: world.apps.get(bot, world.app) for bot in wanted if bot in world.bots}
    bots = tuple(bot for bot, app in apps.items() if app.client_id == client_id)
    if not bots or not _is_signed(token, apps[bots[0]]):
        raise invalid
    if not apps[bots[0]].scoped:
        raise refusal(401, "Permission denied. Scope is incorrect!", 4002)
    return bots


def _is_signed(token: str, app: App) -> bool:
    """Check signature and `exp`; the other claims are not looked at."""
    try:
        jwt.decode(
            token,
            app.client_secret,
            [app.algorithm],
            options={"verify_aud": False, "verify_iat": False, "verify_sub": False},
        )
    except jwt.InvalidTokenError:
        return False
    return True


def _by_id(
    body: dict[str, Any], world: World, options: Assumptions, bots: Sequence[str]
) -> Reply:
    """Return sessions by id, all other filters ignored."""
    wanted = body["sessionId"]
    if len(wanted) > MAXIMUM_SESSION_IDS:
        raise refusal(400, "A maximum of 50 session ids is allowed")
    found = {name: find(name, world, bots) for name in wanted}
    rows = sorted(
        (row for row in found.values() if row is not None),
        key=lambda row: (row.at, row.number),
    )
    content = _content(Listed(len(rows), rows[::-1], more=False), world, options)
    if options.kore_tags_for_days is not None and "dateFrom" not in body:
        latest = world.now - options.kore_tags_for_days * 86_400
        for session in content["sessions"]:
            if datetime.fromisoformat(session["start_time"]).timestamp() < latest:
                session["tags"] = {"userTags": [], "sessionTags": []}
    invalid = [name for name, row in found.items() if row is None]
    if options.kore_silent_ids:
        invalid = []
    return Reply(200, content | {"invalidSessions": invalid})


def _page(
    call: Call,
    body: dict[str, Any],
    world: World,
    options: Assumptions,
    bots: tuple[str, ...],
) -> Reply:
    filters = Filters(
        containment_type=call.params.get("containmentType"),
        session_type=body.get("sessionType"),
        user_id=body.get("userId"),
        tags=_tags(body),
    )
    window = options.window(*window_of(body, world, options))
    check_width(*window, options)
    skip, limit = natural(body, ("skip", "offset"), 0), limit_of(body, options)
    if skip and options.kore_short_pages:
        limit = max(1, limit - 1)
    rows = matching(world, bots, window, filters)
    latest_first = range(len(rows))[::-1]
    listed = cut_page(rows, latest_first, (skip, limit), world, options)
    content = _content(listed, world, options)
    if call.bot is None:
        for row, session in zip(listed.rows, content["sessions"], strict=True):
            if row[:3] in world.ownerless:
                del session["botId"]
    return options.page(content, "sessions")


def _content(listed: Listed, world: World, options: Assumptions) -> dict[str, Any]:
    """Return a page of rows."""
    return {
        "total": listed.total,
        "moreAvailable": listed.more,
        "sessions": [
            options.extended(options.spelt(world.record(row)), row.bot)
            for row in listed.rows
        ],
    }


def _tags(body: dict[str, Any]) -> tuple[tuple[str, str, tuple[object, ...]], ...]:
    wanted = body.get("tags", {}).get("and", [])
    return tuple((tag["type"], tag["name"], tuple(tag["values"])) for tag in wanted)
