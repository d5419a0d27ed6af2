"""Waiting for what comes about in other processes."""

from __future__ import annotations

import time
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable


def wait_until(
    condition: Callable[[], bool], patience: float = 120.0, every: float = 0.05
) -> None:
    """Wait until something holds, and look at it every so many seconds.

    Args:
        condition: Whether it holds.
        patience: Seconds after which it counts as missing.
        every: Seconds between two looks.
    """
    deadline = time.monotonic() + patience
    while not condition():
        assert time.monotonic() < deadline, "it did not come about"
        time.sleep(every)
