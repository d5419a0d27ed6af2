"""What both programs do before their modules are loaded."""

from __future__ import annotations

import os
import signal
from contextlib import suppress


def prepare() -> None:
    """Prepare a process.

    Until it has a handler of its own, Ctrl-C ends it by the signal, without the
    traceback that Python would show for one that comes while modules are loaded.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for descriptor in (1, 2):
        # Another program may have left it such that a write takes in only a part.
        with suppress(OSError):  # it is closed
            os.set_blocking(descriptor, True)
