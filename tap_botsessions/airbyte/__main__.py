"""The command line: `source-botsessions`, or `python -m tap_botsessions.airbyte`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Run the source.

    Until it has a handler of its own, Ctrl-C ends the process by the signal, without
    the traceback that Python would show for one that comes while modules are loaded.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for descriptor in (1, 2):
        # Another program may have left it such that a write takes in only a part.
        with suppress(OSError):  # it is closed
            os.set_blocking(descriptor, True)
    from tap_botsessions.airbyte.cli import run  # noqa: PLC0415 -- see above

    sys.exit(run())


if __name__ == "__main__":
    main()
