"""The command line: `tap-botsessions`, or `python -m tap_botsessions`."""

from __future__ import annotations

import sys

from tap_botsessions.start import prepare


def main() -> None:
    """Run the tap."""
    prepare()
    from tap_botsessions.tap import TapBotsessions  # noqa: PLC0415 -- it takes a while

    try:
        command = TapBotsessions.cli  # sets up the log
    except Exception as error:  # noqa: BLE001 -- a file can be wrong in any way
        names = "TAP_BOTSESSIONS_LOGLEVEL, LOGLEVEL or SINGER_SDK_LOG_CONFIG"
        why = " ".join(str(error).split())
        sys.exit(f"Error: {names}: the log can't be set up ({why})")
    command()


if __name__ == "__main__":
    main()
