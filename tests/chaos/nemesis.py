"""What goes wrong in a run: faults of the vendors, changes meanwhile, and its end."""

from __future__ import annotations

import time
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from simulator import Limits, Rule, World
from simulator.exchange import Reply
from simulator.faults import (
    bad_json,
    cut,
    hang,
    html,
    latency,
    redirect,
    reset,
    stall,
    status,
    trickle,
    wrong_total,
)
from simulator.streams import STREAMS
from tests.chaos.quick import MINUTE, SPEED

if TYPE_CHECKING:
    from simulator.faults import Answer, Effect

ChangeKind = Literal["late", "gone", "clock"]
EndingKind = Literal["SIGTERM", "SIGINT", "SIGKILL", "pipe"]

_JWT = "eyJhbGciOiJIUzI1NiJ9.eyJhcHBJZCI6ImNzLXNpbXVsYXRlZCJ9.c2lnbmF0dXJlLW9mLWl0"
_SECRETS = f"{World.avaamo_token} {World.app.client_secret} {_JWT}"
_NO = f"no, {_SECRETS}"
_TOLD = {"error": _NO, "content": "Where is my order?"}
"""A vendor that puts into an error all that a log must not hold."""

_NOTHING = {"sessions": [], "total": 0, "entries": [], "total_entries": 0}
"""What an error may come with in an answer that says 200: it is not all there is."""

_HOUR = {"errors": [{"msg": "You've exceeded the hourly rate limit.", "code": 429}]}

REFUSALS: dict[str, Effect] = {
    "429": status(429, _TOLD),
    "429, wait 40 s": status(429, _TOLD, {"Retry-After": "40"}),
    "429, wait until then": status(
        429, _TOLD, {"Retry-After": "Wed, 21 Oct 2015 07:28:00 GMT"}
    ),
    "429, wait some": status(429, _TOLD, {"Retry-After": "some"}),
    "429 of the hour": status(429, _HOUR),
    "408": status(408),
    "500": status(500, _TOLD),
    "503": status(503, b"Where is my order?"),
    "503, wait 9 s": status(503, _TOLD, {"Retry-After": "9"}),
    "504": status(504, b"<html>gateway</html>", {"Content-Type": "text/html"}),
    "html": html(),
    "bad json": bad_json(),
    "other json": status(200, {"entries": 7, "sessions": None, **_TOLD}),
    "200, errors": status(200, {"errors": [{"msg": _NO}], **_NOTHING}),
    "200, error": status(200, {"error": _NO, **_NOTHING}),
    "200, rate": status(200, {"error": "API rate limit exceeded.", **_NOTHING}),
    "torn gzip": status(200, b"\x1f\x8b\x08torn", {"Content-Encoding": "gzip"}),
    "reset": reset(),
    "reset midway": reset(after=30),
    "cut": cut(after=60),
    "latency": latency(0.01),
}
"""After any of these the same request is made again, and may succeed."""

KORE_REFUSALS: dict[str, Effect] = {"400": status(400, _TOLD)}
"""Likewise, but of Kore.ai's only."""

SILENCES: dict[str, Effect] = {
    "hang": hang(),
    "stall": stall(after=40),
    "trickle": trickle(1, after=40),
}
"""Likewise, once the time to wait is over."""

TOTALS: dict[str, Effect] = {
    f"total {by:+}": wrong_total(by) for by in (-1000, -1, 1, 7, 5000)
}
"""After any of these the list is read again."""

VERDICTS: dict[str, Effect] = {
    "401": status(401, _TOLD),
    "403": status(403, _TOLD),
    "404": status(404, b"<html>"),
    "422": status(422, _TOLD),
    "redirect": redirect("https://127.0.0.1:9/login"),
    "429, wait a year": status(429, _TOLD, {"Retry-After": "31536000"}),
    "503, wait 3 hours": status(503, _TOLD, {"Retry-After": "10800"}),
}
"""Any of these is final for a bot, in one stream."""

OUTAGE = "outage"
"""The host is down for a while."""

LONGEST_OUTAGE = 40 * 60.0
"""Seconds of the fast clock for which a host may be down in passing."""

PATIENCE_MINUTES = {False: 120, True: 1000}
"""How long the tap waits for a host, by the fast clock, if answers may stay away.

A time-out, which is not of that clock, takes an hour of it.
"""

_EFFECTS = REFUSALS | KORE_REFUSALS | SILENCES | TOTALS | VERDICTS


def outage(seconds: float) -> Effect:
    """Return the effect of a host that is down from the first request on.

    Args:
        seconds: For how long, by the fast clock.
    """
    began: list[float] = []

    async def effect(answer: Answer) -> Reply:
        now = time.monotonic() * SPEED
        began.append(now)
        if now - began[0] < seconds:
            return Reply(503, b"Where is my order?")
        return await answer()

    return effect


@dataclass(frozen=True)
class Fault:
    """A kind of answer that some requests get.

    Attributes:
        kind: Its name, a key of one of the tables above.
        stream: Only requests of this stream.
        bot: Only requests for this agent or bot.
        after: Not the first so many of those.
        times: So many of those, or all.
        probability: This share of those.
        seed: Of the draw of that share.
        seconds: How long an outage takes, by the fast clock.
        is_final: Whether bots may be given up for it.
    """

    kind: str
    stream: str | None = None
    bot: str | None = None
    after: int = 0
    times: int | None = None
    probability: float = 1.0
    seed: int = 0
    seconds: float = 0.0
    is_final: bool = False

    def rule(self) -> Rule:
        """What has the simulator do it."""
        stream = STREAMS[self.stream] if self.stream else None
        is_outage = self.kind == OUTAGE
        return Rule(
            outage(self.seconds) if is_outage else _EFFECTS[self.kind],
            vendor=stream.vendor if stream else None,
            # A host serves all streams of its vendor.
            endpoint=stream.endpoint if stream and not is_outage else None,
            bot=self.bot,
            after=self.after,
            times=self.times,
            probability=self.probability,
            seed=self.seed,
        )

    def concerns(self, stream: str, bot: str) -> bool:
        """Whether it befalls requests for a bot, in a stream."""
        if self.kind == OUTAGE and self.stream:
            return STREAMS[self.stream].vendor == STREAMS[stream].vendor
        return self.stream in {None, stream} and self.bot in {None, bot}

    @property
    def is_certain(self) -> bool:
        """Whether no request that it concerns ever succeeds."""
        return self.is_final and not self.after and not self.is_a_gap

    @property
    def is_a_gap(self) -> bool:
        """Whether it leaves gaps: what comes never adds up to what is counted."""
        return self.is_final and self.kind in TOTALS


@dataclass(frozen=True)
class Change:
    """Something that happens at the vendor's between two requests.

    Attributes:
        kind: A record that comes late, one that is gone, or time that passes, so that
            sessions close.
        after: After so many requests.
        is_midway: And not before a page has been served that is not all of its list.
        seed: Of its details.
    """

    kind: ChangeKind
    after: int
    is_midway: bool
    seed: int


@dataclass(frozen=True)
class Ending:
    """How a run ends before its time.

    Attributes:
        kind: A signal, or the pipe into the target, which breaks.
        at: The request at which it ends, counted from 1, or the byte of the output.
        by_bytes: Which of the two.
        keeps_tail: Whether the target keeps what came after its last state.
    """

    kind: EndingKind
    at: int
    by_bytes: bool
    keeps_tail: bool


@dataclass(frozen=True)
class Weather:
    """All that goes wrong in one run.

    Attributes:
        faults: What the vendors answer.
        changes: What happens there meanwhile.
        ending: How the run is ended, if it is.
        limits: Rates that the vendors keep: requests in a minute, if any.
        retries: How often the tap may repeat a request.
    """

    faults: list[Fault] = field(default_factory=list)
    changes: list[Change] = field(default_factory=list)
    ending: Ending | None = None
    limits: int | None = None
    retries: int = 8

    @property
    def is_silent(self) -> bool:
        """Whether a vendor leaves requests without an answer."""
        return any(fault.kind in SILENCES for fault in self.faults)

    def limited(self) -> Limits:
        """The limits, for the simulator."""
        return Limits(
            kore_per_minute=self.limits,
            avaamo_per_minute=self.limits,
            minute=MINUTE,
            retry_after=bool(self.limits and self.limits % 2),
        )
