"""Control over HTTP, for a simulator in another process.

GET  /_simulator/         URL, ids, credentials and clock
PUT  /_simulator/clock    {"now": epoch seconds}
PUT  /_simulator/options  fields of `Assumptions`
POST /_simulator/faults   a `Rule`, its effect as {"name": ..., arguments}
DELETE /_simulator/faults
GET  /_simulator/requests count of the requests by vendor, endpoint and status
GET  /_simulator/truth    ?stream=&bot=&from=&to= (ISO 8601)[&utc_offset=]
"""

from __future__ import annotations

from collections import Counter
from dataclasses import asdict
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol

import msgspec
from aiohttp import web

from simulator.assumptions import Assumptions
from simulator.exchange import Reply
from simulator.faults import DATA_EFFECTS, Rule

if TYPE_CHECKING:
    from simulator.exchange import Call
    from simulator.faults import Faults
    from simulator.world import World


class Controlled(Protocol):
    """What the endpoints read and change of a simulator."""

    world: World
    options: Assumptions
    faults: Faults
    requests: list[Call]
    url: str


def summary(simulator: Controlled) -> dict[str, Any]:
    """Return where the simulator serves, what, and with which credentials."""
    world = simulator.world
    return {
        "url": simulator.url,
        "now": world.now,
        "start": world.start.isoformat(),
        "days": world.days,
        "avaamo": {"agents": world.agents, "access_token": world.avaamo_token},
        "kore": {
            "bots": {
                bot: world.apps.get(bot, world.app)._asdict() for bot in world.bots
            }
        },
    }


def routes(simulator: Controlled) -> list[web.RouteDef]:
    """Return the control endpoints of a simulator."""
    control = _Control(simulator)
    return [
        web.get("/_simulator/", control.summary),
        web.put("/_simulator/clock", control.set_clock),
        web.put("/_simulator/options", control.set_options),
        web.post("/_simulator/faults", control.add_fault),
        web.delete("/_simulator/faults", control.clear_faults),
        web.get("/_simulator/requests", control.requests),
        web.get("/_simulator/truth", control.truth),
    ]


class _Control:
    def __init__(self, simulator: Controlled) -> None:
        self._simulator = simulator

    async def summary(self, _request: web.Request) -> web.Response:
        return _json(summary(self._simulator))

    async def set_clock(self, request: web.Request) -> web.Response:
        try:
            self._simulator.world.now = float((await request.json())["now"])
        except (KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=repr(error)) from None
        return await self.summary(request)

    async def set_options(self, request: web.Request) -> web.Response:
        """Change options; unknown names and values are refused."""
        changes = await request.json()
        options = self._simulator.options
        try:
            valid = msgspec.convert(asdict(options) | changes, Assumptions)
            unknown = changes.keys() - asdict(valid).keys()
            if unknown:
                raise web.HTTPBadRequest(text=f"unknown: {sorted(unknown)}")
        except (TypeError, msgspec.ValidationError) as error:
            raise web.HTTPBadRequest(text=str(error)) from None
        for name in changes:
            setattr(options, name, getattr(valid, name))
        return _json(asdict(options))

    async def add_fault(self, request: web.Request) -> web.Response:
        rule = await request.json()
        try:
            effect = rule.pop("effect")
            made = DATA_EFFECTS[effect.pop("name")](**effect)
            self._simulator.faults.rules.append(Rule(made, **rule))
        except (AttributeError, KeyError, TypeError) as error:
            raise web.HTTPBadRequest(text=repr(error)) from None
        return _json({"rules": len(self._simulator.faults.rules)})

    async def clear_faults(self, _request: web.Request) -> web.Response:
        self._simulator.faults.rules.clear()
        return _json({"rules": 0})

    async def requests(self, _request: web.Request) -> web.Response:
        counts = Counter(
            (call.vendor, call.endpoint, call.status)
            for call in self._simulator.requests
        )
        rows = [
            {"vendor": vendor, "endpoint": endpoint, "status": status, "count": count}
            for (vendor, endpoint, status), count in counts.items()
        ]
        return _json({"total": counts.total(), "counts": rows})

    async def truth(self, request: web.Request) -> web.Response:
        query = request.query
        try:
            truth = self._simulator.world.truth(
                query["stream"],
                query["bot"],
                datetime.fromisoformat(query["from"]),
                datetime.fromisoformat(query["to"]),
                utc_offset=int(query.get("utc_offset", "0")),
            )
        except (KeyError, TypeError, ValueError) as error:
            raise web.HTTPBadRequest(text=repr(error)) from None
        return _json(truth)


def _json(value: object) -> web.Response:
    return web.Response(
        body=Reply(200, value).encoded(), content_type="application/json"
    )
