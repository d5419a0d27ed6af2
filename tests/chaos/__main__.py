"""Try seeds: `python -m tests.chaos --seeds 2000`, or one: `--seed 1234`."""

from __future__ import annotations

import argparse
import os
import sys
import time
from collections import Counter
from typing import TYPE_CHECKING

from tests.chaos.hunt import BUGS, hunt
from tests.chaos.many import in_processes
from tests.chaos.trial import run_seed

if TYPE_CHECKING:
    from collections.abc import Iterable


def main() -> None:
    """Try seeds, report those that fail, and sum up; exit with 1 if any does."""
    arguments = _parse()
    if arguments.seed is not None:
        report = run_seed(arguments.seed)
        sys.stdout.write(f"{report.text(arguments.lines)}\n")
        sys.exit(bool(report.wrong))
    if arguments.bugs is not None:
        _hunt(arguments.bugs or BUGS, arguments.processes)
        return
    began, failed = time.monotonic(), 0
    counts: Counter[str] = Counter()
    seeds = range(arguments.first, arguments.first + arguments.seeds)
    reports = in_processes(run_seed, seeds, arguments.processes)
    for done, report in enumerate(reports, start=1):
        counts += report.counts
        if report.wrong:
            failed += 1
            sys.stdout.write(f"{report.text()}\n\n")
        if done % 100 == 0:
            sys.stdout.write(f"{done} seeds, {failed} failed\n")
        sys.stdout.flush()
    seconds = time.monotonic() - began
    table = "\n".join(f"{counts[name]:>10,}  {name}" for name in sorted(counts))
    summary = f"{len(seeds)} seeds, {failed} failed, in {seconds:.0f} s"
    sys.stdout.write(f"{table}\n{summary}\n")
    sys.exit(bool(failed))


def _hunt(bugs: Iterable[str], processes: int) -> None:
    """Put bugs into the tap, and say at which seed each is found."""
    for bug, report in in_processes(hunt, bugs, processes):
        wrong = report.wrong[0][:200] if report.wrong else "not found"
        sys.stdout.write(f"{bug}: seed {report.seed}: {wrong}\n")
        sys.stdout.flush()


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="tests.chaos", description=__doc__)
    add = parser.add_argument
    add("--seed", type=int, help="replay this one, and list what happened")
    add("--lines", type=int, default=200, help="of what happened, with --seed")
    add("--seeds", type=int, default=2000, help="how many to try")
    add("--first", type=int, default=0, help="the first of them")
    add("--processes", type=int, default=os.cpu_count())
    add("--bugs", nargs="*", help="put these into the tap, or all, and find them")
    return parser.parse_args()


if __name__ == "__main__":
    main()
