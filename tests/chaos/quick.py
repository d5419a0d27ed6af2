"""The tap with its waits made short, and some of its limits moved.

What waits by the clock (pauses, growing ones, budgets) reads a clock here that runs ten
thousand times as fast, so that an hour takes a third of a second. As a program, this is
the command line with that done.
"""

from __future__ import annotations

import json
import os
import time
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, NamedTuple, cast
from unittest.mock import patch

from tap_botsessions.__main__ import main as tap
from tap_botsessions.engine.options import Limits
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.tap import TapBotsessions

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass(frozen=True)
class Start:
    """How the tap is started.

    Attributes:
        arguments: Of its command line.
        environment: Variables.
        ahead: Seconds by which the clock is wrong that signs requests.
        limits: Those of the tap that are moved.
    """

    arguments: list[str]
    environment: dict[str, str]
    ahead: float
    limits: dict[str, Any]


SPEED = 10_000

MINUTE = 60 / SPEED
"""A minute of the fast clock, in seconds."""

VARIABLE = "CHAOS"
"""The environment variable that holds how a program is started."""


class Clock(NamedTuple):
    """Stands in for the module `time`.

    Attributes:
        speed: How fast it runs.
        ahead: Seconds by which it is wrong.
    """

    speed: int = 1
    ahead: float = 0.0

    def monotonic(self) -> float:
        """Seconds."""
        return time.monotonic() * self.speed

    def monotonic_ns(self) -> int:
        """Nanoseconds."""
        return time.monotonic_ns() * self.speed

    def time(self) -> float:
        """Seconds since the epoch; all that matters of a fast one is its minute."""
        return time.time() * self.speed + self.ahead


@contextmanager
def quick(start: Start) -> Iterator[None]:
    """Make the waits of this process short, and move the limits."""
    clocks = {
        "engine.workers.time": Clock(SPEED),
        "vendors.kore.account.time": Clock(ahead=start.ahead),
    }
    limits = replace(Limits(tick=0.005), **start.limits)
    with ExitStack() as stack:
        for name, clock in clocks.items():
            stack.enter_context(patch(f"tap_botsessions.{name}", clock))
        stack.enter_context(patch.object(TapBotsessions, "limits", limits))
        # Budgets take a clock, which the tap's own streams leave at its default.
        defaults = cast("dict[str, Any]", Budget.__init__.__kwdefaults__)
        stack.enter_context(patch.dict(defaults, clock=Clock(SPEED)))
        yield


def main() -> None:
    """Run the tap's own command line."""
    start = Start(**json.loads(os.environ[VARIABLE]))
    with quick(start):
        tap()


if __name__ == "__main__":
    main()
