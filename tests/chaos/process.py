"""The tap as a process that writes to another one."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from dataclasses import asdict
from typing import TYPE_CHECKING

from tests.chaos.here import PATIENCE
from tests.chaos.quick import VARIABLE

if TYPE_CHECKING:
    from pathlib import Path

    from tests.chaos.quick import Start
    from tests.chaos.vendors import Vendors


def run_process(vendors: Vendors, start: Start, folder: Path) -> None:
    """Run the tap until it ends or is ended, and record what comes of it."""
    run, ending = vendors.run, vendors.run.step.weather.ending
    taker = [_program("cat")]
    if ending and ending.by_bytes:
        taker = [_program("head"), "-c", str(ending.at)]
    environment = start.environment | {VARIABLE: json.dumps(asdict(start))}
    output, log = folder / "output", folder / "log"
    with (
        output.open("wb") as stdout,
        log.open("wb") as stderr,
        subprocess.Popen(  # noqa: S603 -- our own program
            [sys.executable, "-m", "tests.chaos.quick", *start.arguments],
            env=os.environ | environment,
            stdout=subprocess.PIPE,
            stderr=stderr,
        ) as tap,
        subprocess.Popen(  # noqa: S603 -- one that only takes what comes
            taker, stdin=tap.stdout, stdout=stdout
        ) as target,
    ):
        if tap.stdout:
            tap.stdout.close()
        if ending and not ending.by_bytes:
            signum = signal.Signals[ending.kind]
            vendors.at_request(ending.at, lambda: tap.send_signal(signum))
        try:
            run.code = tap.wait(PATIENCE)
            target.wait(PATIENCE)
        finally:
            tap.kill()
            target.kill()
    run.output = output.read_bytes()
    run.log += log.read_text()
    run.is_broken = bool(ending and ending.by_bytes and len(run.output) == ending.at)


def _program(name: str) -> str:
    found = shutil.which(name)
    if found is None:
        raise FileNotFoundError(name)
    return found
