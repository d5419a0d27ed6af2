"""What goes wrong: rules of one effect each, and rate limits."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field, replace

from simulator.draws import dice
from simulator.exchange import Call, Reply, Vendor
from simulator.limits import Limits

Answer = Callable[[], Awaitable[Reply]]
"""Answers a request the way it would be answered without the effect."""

Effect = Callable[[Answer], Awaitable[Reply]]
"""Answers a request its own way, with the regular answer or without."""


def latency(seconds: float) -> Effect:
    """Return the effect of a slow answer."""

    async def effect(answer: Answer) -> Reply:
        await asyncio.sleep(seconds)
        return await answer()

    return effect


def hang() -> Effect:
    """Return the effect of no answer at all, until client or server ends."""

    async def effect(_answer: Answer) -> Reply:
        never: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        return await never

    return effect


def status(
    code: int, body: object = b"", headers: Mapping[str, str] | None = None
) -> Effect:
    """Return the effect of a fixed answer; `body` is a JSON value or bytes."""

    async def effect(_answer: Answer) -> Reply:
        return Reply(code, body, headers or {})

    return effect


def redirect(location: str) -> Effect:
    """Return the effect of a redirect, say to another host."""
    return status(302, headers={"Location": location})


def html() -> Effect:
    """Return the effect of a proxy's page with status 200."""
    return status(200, b"<html>Please log in</html>", {"Content-Type": "text/html"})


def bad_json() -> Effect:
    """Return the effect of JSON that ends early, with status 200."""
    return status(200, b'{"entries": [{"first_name": "Da')


def reset(after: int | None = None) -> Effect:
    """Return the effect of a connection reset.

    Args:
        after: Bytes of the body that are sent first; None: no answer at all.
    """

    async def effect(answer: Answer) -> Reply:
        return replace(await answer(), cut=after, reset=True)

    return effect


def cut(after: int = 10) -> Effect:
    """Return the effect of a body that ends before its Content-Length."""

    async def effect(answer: Answer) -> Reply:
        return replace(await answer(), cut=after)

    return effect


def stall(after: int = 10) -> Effect:
    """Return the effect of a body that stops midway, the connection left open."""

    async def effect(answer: Answer) -> Reply:
        return replace(await answer(), cut=after, stalled=True)

    return effect


def trickle(pace: float, after: int = 10) -> Effect:
    """Return the effect of a body that goes on a byte at a time.

    Args:
        pace: Seconds between two bytes.
        after: Bytes of the body that are sent at once.
    """

    async def effect(answer: Answer) -> Reply:
        return replace(await answer(), cut=after, pace=pace)

    return effect


def wrong_total(by: int) -> Effect:
    """Return the effect of a total that is off by a number."""

    async def effect(answer: Answer) -> Reply:
        reply = await answer()
        body = reply.body
        if not isinstance(body, dict):
            return reply
        off = {
            name: body[name] + by for name in ("total", "total_entries") if name in body
        }
        return replace(reply, body=body | off)

    return effect


def hook(run: Callable[[], object]) -> Effect:
    """Return the effect of something that happens just before the answer."""

    async def effect(answer: Answer) -> Reply:
        run()
        return await answer()

    return effect


DATA_EFFECTS: dict[str, Callable[..., Effect]] = {
    effect.__name__: effect
    for effect in (
        latency,
        hang,
        status,
        redirect,
        html,
        bad_json,
        reset,
        cut,
        stall,
        trickle,
        wrong_total,
    )
}
"""The effects whose arguments are plain data, by name."""


@dataclass
class Rule:
    """An effect and the requests that it befalls.

    Attributes:
        effect: What happens.
        vendor: Only this vendor's requests.
        endpoint: Only this endpoint (see `Call`).
        bot: Only this agent or bot.
        after: Not the first so many of the requests that match.
        nth: Of the requests that match so far, only the n-th, from 1.
        every: Only every k-th.
        times: Only the first so many.
        probability: Only this share, by a seeded draw.
        seed: Seed of the draw.
        seen: Requests that matched so far.
        fired: Requests that were befallen.
    """

    effect: Effect
    vendor: Vendor | None = None
    endpoint: str | None = None
    bot: str | None = None
    after: int = 0
    nth: int | None = None
    every: int | None = None
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seen: int = field(default=0, init=False)
    fired: int = field(default=0, init=False)

    def fires(self, call: Call) -> bool:
        """Count a request and return whether the effect befalls it."""
        if not self._concerns(call):
            return False
        self.seen += 1
        fires = self._due() and dice(self.seed, self.seen).random() < self.probability
        self.fired += fires
        return fires

    def _concerns(self, call: Call) -> bool:
        return (
            self.vendor in {None, call.vendor}
            and self.endpoint in {None, call.endpoint}
            and self.bot in {None, call.bot}
        )

    def _due(self) -> bool:
        return (
            self.seen > self.after
            and self.nth in {None, self.seen}
            and (self.every is None or self.seen % self.every == 0)
            and (self.times is None or self.fired < self.times)
        )


@dataclass
class Faults:
    """The plan: change both parts at any time.

    Attributes:
        rules: Of the rules that fire on a request, the first is the outermost.
        limits: Rate limits, none at first.
    """

    rules: list[Rule] = field(default_factory=list)
    limits: Limits = field(default_factory=Limits)
