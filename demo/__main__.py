"""The demo's command: `uv run --no-dev --group demo -m demo`."""

from __future__ import annotations

import sys

from tap_botsessions.start import prepare


def main() -> int:
    """Run the demo; Ctrl-C ends it without a traceback from its first moment."""
    prepare()
    from demo.run import main as run  # noqa: PLC0415 -- it takes a while
    from demo.stopping import stop_on_signals  # noqa: PLC0415 -- likewise

    stop_on_signals()
    return run()


if __name__ == "__main__":
    sys.exit(main())
