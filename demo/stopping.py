"""How Ctrl-C and SIGTERM end a program: by leaving every block that it is in."""

from __future__ import annotations

import signal
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, NoReturn

if TYPE_CHECKING:
    from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


def stop_on_signals() -> None:
    """Let a signal raise SystemExit, and those after it do nothing."""
    for each in SIGNALS:
        signal.signal(each, _stop)


def _stop(signum: int, _frame: object) -> NoReturn:
    for each in SIGNALS:
        signal.signal(each, signal.SIG_IGN)
    sys.exit(128 + signum)


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put signals off to the end of the block.

    What is only half started can't be ended, such as a process of which nobody has the
    handle yet.
    """
    came: list[int] = []
    handlers = {
        each: signal.signal(each, lambda signum, _: came.append(signum))
        for each in SIGNALS
    }
    try:
        yield
    finally:
        for each, handler in handlers.items():
            signal.signal(each, handler)
    for signum in came[:1]:
        signal.raise_signal(signum)
