"""The command line: `tap-botsessions`, or `python -m tap_botsessions`."""

from __future__ import annotations

import os
import signal
import sys
from contextlib import suppress


def main() -> None:
    """Run the tap.

    Until it has a handler of its own, Ctrl-C ends the process by the signal, without
    the traceback that Python would show for one that comes while modules are loaded.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    for descriptor in (1, 2):
        # Another program may have left it such that a write takes in only a part.
        with suppress(OSError):  # it is closed
            os.set_blocking(descriptor, True)
    from tap_botsessions.tap import TapBotsessions  # noqa: PLC0415 -- see above

    try:
        command = TapBotsessions.cli  # sets up the log
    except Exception as error:  # noqa: BLE001 -- a file can be wrong in any way
        names = "TAP_BOTSESSIONS_LOGLEVEL, LOGLEVEL or SINGER_SDK_LOG_CONFIG"
        why = " ".join(str(error).split())
        sys.exit(f"Error: {names}: the log can't be set up ({why})")
    command()


if __name__ == "__main__":
    main()
