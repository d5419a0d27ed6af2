"""Screens of the command line, as a terminal of 80 columns shows them.

`python -m tests.screens` makes them anew, or those that are named, into docs/. They are
of real runs against the simulator, so the times in them differ from run to run.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from simulator import Simulator, World
from tests.conftest import config_for
from tests.docs import ROOT
from tests.programs import TAP
from tests.terminal import on_terminal

Screen = Callable[[Path], str]

BOTS = tuple(f"st-0a1b2c3d-{n:04}-5000-8000-{n:012}" for n in range(1, 5))


def progress(folder: Path) -> str:
    """A run that waits for the budgets of Kore.ai's bots."""
    volume = {"201": 60, "202": 20, **dict.fromkeys(BOTS, 400)}
    world = World(days=90, bots=BOTS, sessions_per_day=volume)
    config = folder / "config.json"
    with Simulator(world) as simulator, (folder / "records").open("wb") as records:
        settings = config_for(simulator, kore_requests_per_minute=12)
        config.write_text(json.dumps(settings))
        with on_terminal([TAP, "--config", config], records) as terminal:
            terminal.wait_for(lambda: "waiting up to 4" in terminal.text)
            top = next(n for n, line in enumerate(terminal.lines) if "windows" in line)
            shown = "\n".join(terminal.lines[top:])
    target = "target-postgres --config target.json"
    return f"$ tap-botsessions --config config.json | {target}\n…\n{shown}\n"


def plan(folder: Path) -> str:
    """A backfill of a year, under the budgets that the vendors publish."""
    volume = {"201": 70, "202": 12, BOTS[0]: 900, BOTS[1]: 40}
    start = datetime(2025, 1, 1, tzinfo=UTC)
    world = World(start=start, days=365, bots=BOTS[:2], sessions_per_day=volume)
    config = folder / "config.json"
    with Simulator(world) as simulator:
        settings = config_for(simulator)
        budgets = [name for name in settings if "_requests_per_" in name]
        for name in budgets:
            del settings[name]
        config.write_text(json.dumps(settings))
        command = (TAP, "--config", config, "--plan")
        with on_terminal(command, lines=60, LOGLEVEL="WARNING") as terminal:
            terminal.wait_for(lambda: "to find out" in terminal.text)
            shown = terminal.text.rstrip()
    return f"$ tap-botsessions --config config.json --plan\n{shown}\n"


def check(folder: Path) -> str:
    """One bot fails, and one vendor serves smaller pages than it was asked for."""
    world = World(bots=BOTS[:2], sessions_per_day=12)
    config = folder / "config.json"
    with Simulator(world) as simulator:
        simulator.options.avaamo_page_clamp = 25
        settings = config_for(simulator, avaamo_agent_ids=["201", "999"])
        config.write_text(json.dumps(settings))
        command = (TAP, "--config", config, "--check")
        with on_terminal(command, lines=60, LOGLEVEL="WARNING") as terminal:
            terminal.wait_for(lambda: "be read" in terminal.text)
            shown = terminal.text.rstrip()
    for host in ("c0.avaamo.com", "bots.kore.ai"):
        shown = shown.replace(simulator.url, f"https://{host}", 1)
    return f"$ tap-botsessions --config config.json --check\n{shown}\n"


SCREENS: dict[str, Screen] = {"check": check, "plan": plan, "progress": progress}


def main() -> None:
    """Make the screens that are named, or all."""
    for name in sys.argv[1:] or SCREENS:
        with TemporaryDirectory() as folder:
            text = SCREENS[name](Path(folder))
        (ROOT / "docs" / f"{name}.txt").write_text(text)


if __name__ == "__main__":
    main()
