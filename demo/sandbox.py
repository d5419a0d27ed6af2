"""What a pipeline needs at both ends, to try one out: `uv run -m demo.sandbox`.

The vendors, simulated, and an empty PostgreSQL, where the environment `demo` of
meltano.yml looks for them, until Ctrl-C.
"""

from __future__ import annotations

import signal
import sys
from contextlib import ExitStack

from demo import report
from demo.postgres import run_postgres
from demo.stopping import stop_on_signals, undisturbed
from simulator import Simulator

SIMULATOR_PORT = 8765
POSTGRES_PORT = 15432
# Not UTC, to show that the time zone of a server doesn't shift what arrives.
TIMEZONE = "Europe/Paris"


def main() -> int:
    """Serve until a signal comes.

    Returns:
        The exit code of a failure: a port may be taken.
    """
    try:
        serve()
    except (OSError, RuntimeError) as error:
        report.fail(str(error))
    except SystemExit:
        report.stop()
        raise
    return 1


def serve() -> None:
    """Run both, and say where they are."""
    with ExitStack() as blocks:
        with undisturbed():
            simulator = blocks.enter_context(Simulator(port=SIMULATOR_PORT))
            server = blocks.enter_context(run_postgres(TIMEZONE, POSTGRES_PORT))
        address = f"{server.user}@{server.host}:{server.port}/{server.database}"
        report.console.print(f"Avaamo and Kore.ai, simulated: {simulator.url}")
        report.console.print(f"PostgreSQL: postgresql://{address}")
        report.console.print("Ctrl-C ends them, and all that is in them.")
        signal.pause()


if __name__ == "__main__":
    stop_on_signals()
    sys.exit(main())
