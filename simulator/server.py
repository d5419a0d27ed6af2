"""The simulator's HTTP server."""

from __future__ import annotations

import asyncio
import os
import struct
import time
from concurrent.futures import Future
from contextlib import suppress
from dataclasses import replace
from functools import partial
from socket import SO_LINGER, SOL_SOCKET
from threading import Thread
from typing import TYPE_CHECKING

from aiohttp import web

from simulator import control
from simulator.assumptions import Assumptions
from simulator.avaamo import api as avaamo
from simulator.exchange import Call, RefusalError, Reply, Vendor
from simulator.faults import Answer, Faults
from simulator.kore import api as kore
from simulator.kore.deletions import ENDPOINT as DELETIONS
from simulator.streams import STREAMS
from simulator.world import World

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import TracebackType
    from typing import Self


class Simulator:
    """Both vendors' APIs on a port of this machine, in a thread of their own.

    Enter it as a context to serve. All attributes may be changed meanwhile.

    Attributes:
        world: The data and its clock.
        options: Switches for what the vendors' documents leave open.
        faults: What goes wrong.
        requests: The requests to the vendors' APIs so far, oldest first.
        watch: Called with each of them and its answer, before that is sent.
        url: Base URL, once it serves.
    """

    def __init__(
        self,
        world: World | None = None,
        *,
        options: Assumptions | None = None,
        faults: Faults | None = None,
        host: str = "127.0.0.1",
        port: int = 0,
    ) -> None:
        """Prepare a server; port 0 takes a free one."""
        self.world = world or World()
        self.options = options or Assumptions()
        self.faults = faults or Faults()
        self.requests: list[Call] = []
        self.watch: Callable[[Call, Reply], object] = lambda *_: None
        self.url = ""
        self._address = host, port
        self._stop = asyncio.Event()

    def __enter__(self) -> Self:
        """Serve until the context ends.

        Raises:
            OSError: If the port cannot be had.
        """
        started: Future[asyncio.AbstractEventLoop] = Future()
        self._thread = Thread(target=self._run, args=[started], name="simulator")
        self._thread.start()
        try:
            self._loop = started.result()
        except OSError as error:
            reason = os.strerror(error.errno or 0).lower()
            host, port = self._address
            msg = f"{host}:{port} can't be served: {reason}"
            raise OSError(msg) from error
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        """Stop serving; requests under way end without an answer."""
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        try:
            asyncio.run(self._serve(started))
        except OSError as error:
            started.set_exception(error)

    async def _serve(self, started: Future[asyncio.AbstractEventLoop]) -> None:
        runner = web.AppRunner(
            self._application(), access_log=None, shutdown_timeout=0.1
        )
        await runner.setup()
        try:
            await web.TCPSite(runner, *self._address).start()
            host, port = runner.addresses[0][:2]
            self.url = f"http://{host}:{port}"
            started.set_result(asyncio.get_running_loop())
            await self._stop.wait()
        finally:
            await runner.cleanup()

    def _application(self) -> web.Application:
        application = web.Application()
        application.add_routes(control.routes(self))
        route = application.router.add_route
        route("GET", "/bots/analytics/{bot}/{endpoint}.json", self._avaamo)
        summary = "/dashboard/bots/{bot}/feedbacks/user_feedbacks.json"
        route("GET", summary, partial(self._avaamo, endpoint="user_feedbacks"))
        for stream in STREAMS.values():
            if stream.vendor == "avaamo" and not stream.path.startswith("/bots/"):
                handler = partial(self._avaamo, endpoint=stream.endpoint)
                route("GET", stream.path, handler)
        for name in ("getSessions", "getMessages", "bots"):
            route("*", f"/api/public/{name}", partial(self._kore, name=name))
        route("*", "/api/public/{_:bot|stream}/{bot}/{name}", self._kore)
        trend = "/api/public/bot/{bot}/v2/userEngagementTrend"
        route("*", trend, partial(self._kore, name="userEngagementTrend"))
        for path in (DELETIONS, f"{DELETIONS}/{{item}}"):
            handler = partial(self._kore, name=DELETIONS)
            route("*", f"/api/public/bot/{{bot}}/{path}", handler)
        return application

    async def _avaamo(
        self, request: web.Request, endpoint: str | None = None
    ) -> web.StreamResponse:
        name = endpoint or request.match_info["endpoint"]
        call = await self._record(request, "avaamo", name)
        if call.bot is None:
            call.bot = self.world.agent_of(call.headers.get("access-token"))
        reply = await self._reply(call, partial(avaamo.answer, call))
        return await self._send(request, call, reply)

    async def _kore(
        self, request: web.Request, name: str | None = None
    ) -> web.StreamResponse:
        version = name or request.match_info["name"]
        call = await self._record(request, "kore", version.removesuffix("V2"))
        call.version = version
        reply = await self._reply(call, partial(kore.answer, call))
        headers = kore.response_headers(reply) | dict(reply.headers)
        return await self._send(request, call, replace(reply, headers=headers))

    async def _record(
        self, request: web.Request, vendor: Vendor, endpoint: str
    ) -> Call:
        call = Call(
            vendor=vendor,
            endpoint=endpoint,
            bot=request.match_info.get("bot"),
            method=request.method,
            params=dict(request.query),
            headers={name.lower(): value for name, value in request.headers.items()},
            content=await request.read(),
            at=time.monotonic(),
            item=request.match_info.get("item"),
        )
        self.requests.append(call)
        return call

    async def _reply(
        self, call: Call, handle: Callable[[World, Assumptions], Reply]
    ) -> Reply:
        """Answer through the effects of the rules that fire, the first outermost."""

        async def answer() -> Reply:
            try:
                self.faults.limits.admit(call)
                return handle(self.world, self.options)
            except RefusalError as refusal:
                return refusal.reply

        outermost: Answer = answer
        fired = [rule for rule in list(self.faults.rules) if rule.fires(call)]
        for rule in reversed(fired):
            outermost = partial(rule.effect, outermost)
        return await outermost()

    async def _send(
        self, request: web.Request, call: Call, reply: Reply
    ) -> web.StreamResponse:
        body = reply.encoded()
        headers = {
            "Content-Type": "application/json; charset=utf-8",
            **self.options.date_headers(self.world.now),
            **reply.headers,
        }
        if not reply.reset or reply.cut is not None:
            call.status = reply.status
        self.watch(call, reply)
        if reply.is_whole:
            return web.Response(status=reply.status, body=body, headers=headers)
        return await _send_broken(request, reply, body, headers)


async def _send_broken(
    request: web.Request, reply: Reply, body: bytes, headers: dict[str, str]
) -> web.StreamResponse:
    """Send a part of the body, or nothing, and end the connection."""
    response = web.StreamResponse(status=reply.status, headers=headers)
    response.content_length = len(body)
    if reply.cut is not None:
        await response.prepare(request)
        await response.write(body[: reply.cut])
    if reply.pace is not None:
        return await _trickle(response, body[reply.cut :], reply.pace)
    if reply.stalled:
        await asyncio.get_running_loop().create_future()
    if request.transport is not None:
        if reply.reset:
            # Without lingering, closing sends RST in place of FIN.
            connection = request.transport.get_extra_info("socket")
            connection.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        request.transport.close()
    return response


async def _trickle(
    response: web.StreamResponse, body: bytes, pace: float
) -> web.StreamResponse:
    """Send a body a byte at a time, to its end or the client's."""
    with suppress(ConnectionError):
        for byte in body:
            await asyncio.sleep(pace)
            await response.write(bytes([byte]))
    return response
