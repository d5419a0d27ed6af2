"""The command line: `source-botsessions`, or `python -m tap_botsessions.airbyte`."""

from __future__ import annotations

import sys

from tap_botsessions.start import prepare


def main() -> None:
    """Run the source."""
    prepare()
    from tap_botsessions.airbyte.cli import run  # noqa: PLC0415 -- it takes a while

    sys.exit(run())


if __name__ == "__main__":
    main()
