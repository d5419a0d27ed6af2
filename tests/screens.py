"""Screens of the command line, as a terminal of 80 columns shows them.

`python -m tests.screens` makes them anew, or those that are named: as texts in docs/,
and as pictures in docs/pictures/. They are of real runs against the simulator. Times
differ from run to run, so those of one run are written in all of them.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from tempfile import TemporaryDirectory

from rich.text import Text

from simulator import Simulator, World
from tests.conftest import config_for
from tests.docs import ROOT
from tests.pictures import COLUMNS, picture
from tests.programs import TAP
from tests.terminal import PATIENCE, on_terminal, variables

Screen = Callable[[Path], Text]

BOTS = tuple(f"st-0a1b2c3d-{n:04}-5000-8000-{n:012}" for n in range(1, 5))

TRUECOLOR = "truecolor"

STEPS = 0.1, 1.6, 5.6, 4.0
"""Seconds that the steps of the demo took."""

PACE = "0:00:07, 6,848 rows/s, about 0:03:48"
WAIT = "waiting up to 57 s"
"""How far a run was in time."""


def demo(folder: Path) -> Text:
    """The demo, without what moves while it runs."""
    written = subprocess.run(
        [sys.executable, "-m", "demo"],
        cwd=folder,
        env=variables(
            COLORTERM=TRUECOLOR,
            FORCE_COLOR="1",
            PYTHONPATH=str(ROOT),
            TERM="xterm-256color",
            TTY_INTERACTIVE="0",
        ),
        stdout=subprocess.PIPE,
        text=True,
        check=True,
        timeout=PATIENCE,
    ).stdout
    steps = iter(STEPS)
    written = re.sub(r" *\d+\.\d s", lambda _: f"{next(steps):6.1f} s", written)
    return styled("uv run --no-dev --group demo -m demo", written)


def progress(folder: Path) -> Text:
    """A run that waits for the budgets of Kore.ai's bots."""
    volume = {"201": 60, "202": 20, **dict.fromkeys(BOTS, 400)}
    world = World(days=90, bots=BOTS, sessions_per_day=volume)
    config = folder / "config.json"
    with Simulator(world) as simulator, (folder / "records").open("wb") as records:
        settings = config_for(
            simulator, kore_requests_per_minute=12, max_concurrent_requests=1
        )
        config.write_text(json.dumps(settings))
        tap = (TAP, "--config", config)
        with on_terminal(tap, records, COLORTERM=TRUECOLOR) as terminal:
            # By then, all that was asked for before has come.
            waits = re.compile(r"up to 5[0-6] s for the budgets of 4 bots")
            terminal.wait_for(lambda: waits.search(terminal.text))
            written = terminal.written.decode(errors="ignore")
    *_, frame = re.findall(r"\x1b7((?:\x1b\[\d+;1H.*?\x1b\[K)+)\x1b8", written)
    lines = re.findall(r"\x1b\[\d+;1H(.*?)\x1b\[K", frame)
    shown = "\n".join(["…", *lines])
    shown = re.sub(r"[\d:]+, [\d,]+ rows/s, about [\d:]+", PACE, shown)
    shown = re.sub(r"waiting up to \d+ s", WAIT, shown)
    target = "target-postgres --config target.json"
    return styled(f"tap-botsessions --config config.json | {target}", shown)


def plan(folder: Path) -> Text:
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
        written = reported(config, "--plan")
    return styled("tap-botsessions --config config.json --plan", written)


def check(folder: Path) -> Text:
    """One bot fails, and one vendor serves smaller pages than it was asked for."""
    world = World(bots=BOTS[:2], sessions_per_day=12)
    config = folder / "config.json"
    with Simulator(world) as simulator:
        simulator.options.avaamo_page_clamp = 25
        settings = config_for(simulator, avaamo_agent_ids=["201", "999"])
        config.write_text(json.dumps(settings))
        written = reported(config, "--check")
    for host in ("c0.avaamo.com", "bots.kore.ai"):
        written = written.replace(simulator.url, f"https://{host}", 1)
    return styled("tap-botsessions --config config.json --check", written)


def reported(config: Path, command: str) -> str:
    """What a command writes that ends by itself, colors included."""
    program = (TAP, "--config", config, command)
    with on_terminal(program, LOGLEVEL="WARNING", COLORTERM=TRUECOLOR) as terminal:
        terminal.wait()
        return terminal.written.decode()


def styled(command: str, written: str) -> Text:
    """A command, and what it wrote, without the spaces that end lines."""
    lines = Text.from_ansi(written.replace("\r\n", "\n")).split("\n")
    for line in lines:
        line.rstrip()
    shown = Text("\n").join(lines)
    shown.rstrip()
    return Text.assemble("$ ", (command, "bold"), "\n", shown)


SCREENS: dict[str, Screen] = {
    "check": check,
    "demo": demo,
    "plan": plan,
    "progress": progress,
}


def files(name: str, screen: Text) -> dict[Path, str]:
    """The files that hold a screen, and what is in each of them."""
    docs = ROOT / "docs"
    return {
        docs / f"{name}.txt": f"{screen.plain}\n",
        docs / "pictures" / f"{name}.svg": picture(name, screen),
    }


def assert_documented(name: str, screen: Text) -> None:
    """Hold a screen of today against the text and the picture in the documents."""
    assert max(map(len, screen.plain.splitlines())) <= COLUMNS
    for path, content in files(name, screen).items():
        assert path.read_text() == content, f"run: python -m tests.screens {name}"


def main() -> None:
    """Make the screens that are named, or all."""
    for name in sys.argv[1:] or SCREENS:
        with TemporaryDirectory() as folder:
            screen = SCREENS[name](Path(folder))
        for path, content in files(name, screen).items():
            path.write_text(content)


if __name__ == "__main__":
    main()
