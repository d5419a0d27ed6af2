"""One seed from its first run to the verdict."""

from __future__ import annotations

import gc
import logging
import signal
import time
from collections import Counter
from dataclasses import dataclass, field
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING
from unittest.mock import patch

from simulator import Assumptions, Simulator, World
from tests.chaos.checker import Checker
from tests.chaos.draw import draw
from tests.chaos.flaws import LIMITS
from tests.chaos.history import Key, Run
from tests.chaos.runs import run_tap
from tests.chaos.target import MessageError, read
from tests.chaos.vendors import Vendors
from tests.chaos.verdict import Verdict

if TYPE_CHECKING:
    from collections.abc import Iterator

    from tests.chaos.plan import Plan


@dataclass
class Report:
    """What came of a seed.

    Attributes:
        seed: The seed.
        wrong: What the checker found, a line each.
        events: What happened, a line each.
        counts: What came to pass.
    """

    seed: int
    wrong: list[str] = field(default_factory=list)
    events: list[str] = field(default_factory=list)
    counts: Counter[str] = field(default_factory=Counter)

    def text(self, lines: int = 40) -> str:
        """The line that replays it, what is wrong, and what happened last."""
        wrong = [f"  wrong: {line}" for line in self.wrong[:10]]
        events = [f"  {line}" for line in self.events[-lines:]]
        return "\n".join([f"uv run -m tests.chaos --seed {self.seed}", *wrong, *events])


def run_seed(seed: int) -> Report:
    """Make the runs that a seed stands for, one after another, and judge them."""
    plan, report, runs = draw(seed), Report(seed), list[Run]()
    world = World(**plan.world)
    with (
        # The simulator logs clients that are gone to whatever is the error output.
        patch.object(logging.getLogger("aiohttp.server"), "disabled", new=True),
        TemporaryDirectory() as folder,
        Simulator(world, options=Assumptions(**plan.options)) as simulator,
    ):
        vendors = Vendors(plan, simulator)
        checker = Checker(plan, _secrets(plan, world))
        for number, step in enumerate(plan.steps, start=1):
            checker.forget(step.forgets)
            runs.append(vendors.begin(number, step, checker.state))
            began = time.monotonic()
            try:
                run_tap(vendors, Path(folder))
            except TimeoutError as stuck:
                report.wrong.append(f"run {number}: {stuck}")
                break
            runs[-1].seconds = time.monotonic() - began
            vendors.over()
            wrong = _judged(runs[-1], checker)
            report.wrong += [f"run {number}: {line}" for line in wrong]
            if wrong:
                break
        else:
            verdict = Verdict(
                plan,
                vendors.shown(runs[-1].end),
                vendors.kinds(),
                gone=set[Key]().union(*(run.gone for run in runs)),
                uncommitted=checker.uncommitted,
                furthest=max(run.end for run in runs),
            )
            report.wrong += verdict.judge(checker.kept)
            report.counts += verdict.counts
    for run in runs:
        report.events += run.events
        report.counts += run.counts + Counter([_ending(run)])
    report.counts += checker.counts + Counter(_kinds(plan))
    gc.collect()
    return report


def _kinds(plan: Plan) -> Iterator[str]:
    """What a plan has that is not as documented, in words."""
    options = plan.options
    for name in LIMITS & options.keys():
        yield f"seeds with {name}"
    for name in ("date", "nothing", "kore_spelling"):
        yield f"seeds with {name}: {options[name]}"
    if any(step.trouble.unmappable for step in plan.steps):
        yield "seeds with a map that fails"


def _secrets(plan: Plan, world: World) -> list[str]:
    """The credentials that the tap is given."""
    apps = (world.app, *world.apps.values())
    kore = [app.client_secret for app in apps] if "kore" in plan.vendors else []
    return kore + ([world.avaamo_token] if "avaamo" in plan.vendors else [])


def _judged(run: Run, checker: Checker) -> list[str]:
    try:
        run.read = read(run.output)
    except MessageError as error:
        return [str(error)]
    return list(checker.judge(run))


def _ending(run: Run) -> str:
    """How a run ended, in words."""
    if run.is_broken:
        return "runs whose target died"
    if run.code < 0:
        return f"runs ended by {signal.Signals(-run.code).name}"
    return f"runs that came to their end, exit code {run.code}"
