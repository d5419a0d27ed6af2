"""Draws what goes wrong in a run."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING

from simulator.streams import STREAMS
from tests.chaos.nemesis import (
    KORE_REFUSALS,
    LONGEST_OUTAGE,
    OUTAGE,
    REFUSALS,
    SILENCES,
    TOTALS,
    VERDICTS,
    Change,
    Ending,
    Fault,
    Weather,
)

if TYPE_CHECKING:
    from random import Random

    from tests.chaos.nemesis import ChangeKind, EndingKind


@dataclass(frozen=True)
class Scope:
    """What may be drawn.

    Attributes:
        bots: The bots of each stream that is read.
        is_account: Whether Kore.ai's requests name no bot.
        may_be_late: Whether the lookback is long enough for what comes late.
        may_pass: Whether time may pass within a run.
        is_real: Whether the tap is a process of its own.
        is_silent: Whether a vendor leaves some requests without an answer for good.
        is_haunted: Whether records are counted and not served.
    """

    bots: dict[str, list[str]]
    is_account: bool
    may_be_late: bool
    may_pass: bool
    is_real: bool
    is_silent: bool
    is_haunted: bool


def weather(random: Random, scope: Scope) -> Weather:
    """Draw what goes wrong in a run."""
    faults = _passing(random, scope) if random.random() < 0.7 else []
    # How often a request is befallen at most, but for very bad luck.
    # An outage does not count: requests wait for the host.
    passing = [fault for fault in faults if fault.kind != OUTAGE]
    retries = 8 + sum(20 if fault.times is None else fault.times for fault in passing)
    if random.random() < 0.25:
        faults.append(_final(random, scope))
    limits = random.randint(3, 9) if random.random() < 0.1 else None
    changes = _changes(random, scope) if random.random() < 0.5 else []
    if scope.is_silent or any(fault.kind in SILENCES for fault in faults):
        # What was served, and waited for too long, has not come.
        changes = [change for change in changes if change.kind != "gone"]
    ending = _ending(random, scope) if random.random() < 0.75 else None
    return Weather(faults, changes, ending, limits, retries + 60 * bool(limits))


def _passing(random: Random, scope: Scope) -> list[Fault]:
    """Draw faults after which it goes on."""
    faults = [_showers(random, scope) for _ in range(random.randint(1, 4))]
    if random.random() < 0.25:
        kind = random.choice([kind for kind in REFUSALS if "hour" not in kind])
        share, seed = random.uniform(0.02, 0.15), random.getrandbits(32)
        faults.append(Fault(kind, probability=share, seed=seed))
    if random.random() < 0.15:
        served = random.choice([*scope.bots])
        seconds = random.uniform(0.1, 1) * LONGEST_OUTAGE
        faults.append(Fault(OUTAGE, served, after=_soon(random, 60), seconds=seconds))
    if random.random() < 0.3:
        # A list is read three times before its window is given up.
        stream, bot = _somewhere(random, scope)
        # A count that is short by what is not served looks right.
        kinds = [
            kind for kind in TOTALS if not (scope.is_haunted and kind[-2:] == "-1")
        ]
        kind, times = random.choice(kinds), random.randint(1, 2)
        faults.append(Fault(kind, stream, bot, random.randrange(30), times))
    return faults


def _showers(random: Random, scope: Scope) -> Fault:
    """Draw a fault that befalls a few requests."""
    stream, bot = _somewhere(random, scope)
    kinds = [*REFUSALS, *SILENCES]
    if stream and STREAMS[stream].vendor == "kore":
        kinds += 3 * [*KORE_REFUSALS]
    kind = random.choice(kinds)
    times = random.randint(1, 2 if kind in SILENCES else 4)
    return Fault(kind, stream, bot, random.choice((0, random.randrange(40))), times)


def _final(random: Random, scope: Scope) -> Fault:
    """Draw a fault for which bots are given up."""
    stream, bot = _somewhere(random, scope)
    kind = random.choice(
        [*VERDICTS, *VERDICTS, "500", "html", "total +1", "total +1", OUTAGE]
    )
    if kind == OUTAGE:
        after = random.choice((0, random.randrange(1, 60)))
        stream = random.choice([*scope.bots])
        return Fault(OUTAGE, stream, after=after, seconds=math.inf, is_final=True)
    after = random.choice((0, 0, random.randrange(1, 20)))
    return Fault(kind, stream, bot, after, is_final=True)


def _somewhere(random: Random, scope: Scope) -> tuple[str | None, str | None]:
    """Draw whom a fault befalls: a stream or all, a bot or all."""
    if random.random() < 0.3:
        return None, None
    stream = random.choice([*scope.bots])
    is_nameless = scope.is_account and STREAMS[stream].vendor == "kore"
    if is_nameless or random.random() < 0.4:
        return stream, None
    return stream, random.choice(scope.bots[stream])


def _changes(random: Random, scope: Scope) -> list[Change]:
    """Draw changes, all of a kind.

    A list that one record enters and another leaves, between two pages, looks as if it
    had stood still. That is a limit which is known.
    """
    kinds: list[ChangeKind] = ["gone"]
    kinds += ["late"] if scope.may_be_late else []
    kinds += ["clock"] if scope.may_pass else []
    kind = random.choice(kinds)
    return [
        Change(
            kind,
            _soon(random, 100),
            is_midway=random.random() < 0.7,
            seed=random.getrandbits(32),
        )
        for _ in range(random.randint(1, 5))
    ]


def _ending(random: Random, scope: Scope) -> Ending:
    signals: list[EndingKind] = ["SIGTERM", "SIGINT", "SIGKILL", "SIGKILL"]
    kind = random.choice([*signals, "pipe", "pipe"])
    by_bytes = kind == "pipe" or (
        kind == "SIGKILL" and not scope.is_real and random.random() < 0.7
    )
    at = _soon(random, 100_000 if by_bytes else 120)
    return Ending(kind, at, by_bytes, keeps_tail=random.random() < 0.5)


def _soon(random: Random, most: int) -> int:
    """Draw a number from 1 on, small ones as likely as large ones."""
    return int(most ** random.random())
