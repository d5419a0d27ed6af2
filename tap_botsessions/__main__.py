"""The command line: `tap-botsessions`, or `python -m tap_botsessions`."""

from __future__ import annotations

import signal


def main() -> None:
    """Run the tap.

    Until it has a handler of its own, Ctrl-C ends the process by the signal, without
    the traceback that Python would show for one that comes while modules are loaded.
    """
    signal.signal(signal.SIGINT, signal.SIG_DFL)
    from tap_botsessions.tap import TapBotsessions  # noqa: PLC0415 -- see above

    TapBotsessions.cli()


if __name__ == "__main__":
    main()
