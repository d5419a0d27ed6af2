"""Serve the simulator: ``python -m simulator --port 8765``."""

from __future__ import annotations

import argparse
import json
import signal
import sys
from datetime import UTC, datetime
from typing import get_args

from simulator.control import summary
from simulator.faults import Faults
from simulator.limits import Limits
from simulator.parameters import Version
from simulator.server import Simulator
from simulator.world import World

DOCUMENTED_LIMITS = Limits(kore_per_minute=60, kore_per_hour=1800, avaamo_per_minute=50)


def main() -> None:
    """Serve until SIGINT or SIGTERM; print one line that says where and what."""
    arguments = _parse()
    world = World(
        seed=arguments.seed,
        start=arguments.start,
        days=arguments.days,
        sessions_per_day=arguments.volume,
        late_fraction=arguments.late_fraction,
        kore_version=arguments.kore_version,
    )
    # Blocked before the server's thread starts, so that both inherit it and
    # the signal waits for sigwait.
    signals = {signal.SIGINT, signal.SIGTERM}
    signal.pthread_sigmask(signal.SIG_BLOCK, signals)
    simulator = Simulator(
        world,
        faults=Faults(limits=DOCUMENTED_LIMITS if arguments.limits else Limits()),
        host=arguments.host,
        port=arguments.port,
    )
    try:
        with simulator:
            sys.stdout.write(json.dumps(summary(simulator)) + "\n")
            sys.stdout.flush()
            signal.sigwait(signals)
    except OSError as error:
        sys.exit(str(error))


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="simulator", description=__doc__)
    add = parser.add_argument
    add("--host", default="127.0.0.1")
    add("--port", type=int, default=0, help="0 takes a free one")
    add("--seed", type=int, default=World.seed)
    add("--start", type=_moment, default=World.start, help="ISO 8601, UTC")
    add("--days", type=int, default=World.days)
    add("--volume", type=float, default=40, help="sessions a day per bot")
    add("--late-fraction", type=float, default=World.late_fraction)
    add("--limits", action="store_true", help="keep the documented rate limits")
    add("--kore-version", choices=get_args(Version), default=World.kore_version)
    return parser.parse_args()


def _moment(text: str) -> datetime:
    moment = datetime.fromisoformat(text)
    return moment if moment.tzinfo else moment.replace(tzinfo=UTC)


if __name__ == "__main__":
    main()
