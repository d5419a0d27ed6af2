"""What is measured: each case makes a table."""

from __future__ import annotations

import math
from dataclasses import dataclass, replace
from datetime import timedelta
from statistics import median
from typing import TYPE_CHECKING

from benchmark.loading import loading
from benchmark.pages import DAYS, END, PAGE, START, Listing
from benchmark.programs import (
    BARE,
    CDK,
    DLT,
    KORE_BARE,
    KORE_TAP,
    SDK,
    SOURCE,
    STATELESS,
    TAP,
)
from benchmark.report import Table, note
from benchmark.serving import Served

if TYPE_CHECKING:
    from collections.abc import Sequence

    from benchmark.measure import Cost
    from benchmark.programs import Runner

WORKERS = 8
"""The tap's requests in flight unless it is set otherwise."""

_WIDEST = 6
"""Days of the tap's widest window."""


@dataclass(frozen=True)
class Case:
    """What the cases have in common.

    Attributes:
        runner: Runs the programs.
        root: Where the server is.
        runs: How often each program is run.
        is_quick: Whether to leave out what takes minutes.
    """

    runner: Runner
    root: str
    runs: int
    is_quick: bool

    def a(self) -> Table:
        """Processor and wall time without latency, beside all others."""
        served = Served(self.root, 100_000)
        return self._beside("a", served, (BARE, TAP, SDK, DLT, CDK))

    def a2(self) -> Table:
        """The same with ten times the messages, beside the bare loop."""
        return self._beside("a2", Served(self.root, 1_000_000), (BARE, TAP))

    def b(self) -> Table:
        """Wall time with latency, by requests in flight."""
        served = Served(self.root, 4_970, agents=10, latency=50)
        programs = [
            (TAP, 1), (TAP, 4), (TAP, 10), (BARE, 1), (SDK, 1), (DLT, 10), (CDK, 10)
        ]  # fmt: skip
        costs = self._rounds(served, programs)
        pages = served.agents * _pages(served.messages)
        rows = []
        for program, workers in programs:
            wall = median(cost.wall for cost in costs[program, workers])
            floor = pages * served.latency / 1000 / workers
            figures = (f"{floor:.2f} s", f"{wall:.2f} s", f"{wall / floor:.2f}")
            rows.append((program, str(workers), *figures))
        return Table(
            f"(b) {served.agents} agents, {pages} pages, {served.latency} ms each",
            ("program", "in flight", "floor", "wall", "of the floor"),
            rows,
        )

    def c(self) -> Table:
        """Peak memory of the tap."""
        sizes = [10_000, 100_000] if self.is_quick else [10_000, 100_000, 1_000_000]
        rows = []
        for size in sizes:
            served = Served(self.root, size)
            note(f"(c) {size:,} records")
            peaks = [
                self.runner.cost(TAP, served, WORKERS).memory for _ in range(self.runs)
            ]
            rows.append((f"{size:,}", f"{median(peaks):.0f} MB"))
        return Table("(c) Peak memory of this tap", ("records", "peak"), rows)

    def d(self) -> Table:
        """Requests that the tap makes, against the least possible."""
        rows = []
        sizes = ((500, 10), (4_970, 10), (100_000, 1), (1_000_000, 1))
        for size, agents in sizes[:-1] if self.is_quick else sizes:
            served = Served(self.root, size, agents)
            note(f"(d) {agents} x {size:,} records")
            served.answered()
            self.runner.check(TAP, served, WORKERS)
            made = sum(served.answered().values())
            least = agents * _least(size)
            figures = (f"{least:,}", f"{made:,}", f"{made / least:.3f}")
            rows.append((f"{agents} x {size:,}", *figures))
        return Table(
            "(d) Requests of this tap",
            ("agents x records", "least possible", "made", "ratio"),
            rows,
        )

    def e(self) -> Table:
        """Time under a limit of requests a minute."""
        served = Served(self.root, 4_500, latency=50, limit=20)
        note("(e) about three minutes, most of them waiting")
        served.answered()
        wall = self.runner.check(TAP, served, WORKERS).wall
        counts = served.answered()
        made = counts.get("200", 0)
        best = 60 * ((made - 1) // served.limit)
        refused = counts.get("429", 0)
        figures = (f"{best} s", f"{wall:.1f} s", f"{wall / best:.3f}", str(refused))
        return Table(
            f"(e) {served.limit} requests in any minute, the tap's setting 1 less",
            ("requests", "at best", "wall", "ratio", "answers 429"),
            [(str(made), *figures)],
        )

    def f(self) -> Table:
        """The Airbyte source, beside the tap and the Airbyte CDK."""
        served = Served(self.root, 100_000)
        return self._beside("f", served, (TAP, SOURCE, CDK))

    def g(self) -> Table:
        """Bytes and seconds of states, beside those of the records."""
        rows = []
        for agents in (10, 100) if self.is_quick else (10, 100, 300, 1_000):
            served = Served(self.root, 200, agents=agents, window_days=2)
            costs = self._rounds(served, [(STATELESS, WORKERS), (TAP, WORKERS)])
            own, base = costs[TAP, WORKERS], costs[STATELESS, WORKERS]
            ratio = [cost.cpu / less.cpu for cost, less in zip(own, base, strict=True)]
            records, states = self.runner.sizes()
            figures = (
                f"{records / 1e6:.2f} MB",
                f"{states / 1e6:.3f} MB",
                f"{states / records:.3f}",
                f"{median(cost.cpu for cost in own):.2f} s",
                f"{median(ratio):.2f}",
                f"{median(cost.memory for cost in own):.0f} MB",
            )
            rows.append((f"{agents} x {DAYS // served.window_days}", *figures))
        return Table(
            "(g) Many agents, a state for all of them",
            (
                *("agents x windows", "records", "states", "ratio"),
                *("CPU", "of a run without", "peak memory"),
            ),
            rows,
        )

    def h(self) -> Table:
        """Peak memory of the tap where texts are long."""
        rows = []
        for size, agents in ((6_000, 1), (600, 10)):
            served = Served(self.root, size, agents, text=100_000)
            note(f"(h) {agents} x {size:,} texts of 100 kB")
            self.runner.check(TAP, replace(served, text=0), WORKERS)
            peaks = [
                self.runner.cost(TAP, served, WORKERS).memory for _ in range(self.runs)
            ]
            rows.append((f"{agents} x {size:,}", f"{median(peaks):.0f} MB"))
        return Table(
            "(h) Peak memory of this tap, texts of 100 kB, 600 MB in all",
            ("agents x records", "peak"),
            rows,
        )

    def j(self) -> Table:
        """What a quiet hour of many agents takes: a window and a message of each."""
        rows = []
        for agents in (1, 300, 1_000):
            hour = END - timedelta(hours=1)
            served = Served(self.root, DAYS * 24, agents, latency=20, start=hour)
            note(f"(j) {agents} quiet agents")
            served.answered()
            costs = [self.runner.cost(TAP, served, WORKERS) for _ in range(self.runs)]
            made = sum(served.answered().values()) // self.runs
            figures = (
                f"{made:,}",
                f"{made * served.latency / 1000 / WORKERS:.2f} s",
                f"{median(cost.wall for cost in costs):.2f} s",
                f"{median(cost.cpu for cost in costs):.2f} s",
            )
            rows.append((f"{agents:,}", *figures))
        return Table(
            "(j) An hour with a message of each agent, 20 ms a request, start included",
            ("agents", "requests", "floor", "wall", "CPU"),
            rows,
        )

    def k(self) -> Table:
        """Kore.ai's messages, 10,000 a request, beside a bare loop."""
        served = Served(self.root, 100_000)
        return self._beside("k", served, (KORE_BARE, KORE_TAP), page=10_000)

    def _beside(
        self, name: str, served: Served, programs: Sequence[str], page: int = PAGE
    ) -> Table:
        """Programs side by side, the first of them the one to compare with."""
        each = [
            (program, WORKERS if program in {TAP, SOURCE, KORE_TAP} else 1)
            for program in programs
        ]
        costs = self._rounds(served, each)
        first = costs[each[0]]
        rows = []
        for program in each:
            own = costs[program]
            cpu = [cost.cpu / base.cpu for cost, base in zip(own, first, strict=True)]
            wall = [
                cost.wall / base.wall for cost, base in zip(own, first, strict=True)
            ]
            row = (
                program[0],
                f"{median(cost.cpu for cost in own):.2f} s",
                f"{median(cpu):.2f}",
                f"{median(cost.wall for cost in own):.2f} s",
                f"{median(wall):.2f}",
                f"{median(cost.memory for cost in own):.0f} MB",
            )
            rows.append(row)
        return Table(
            f"({name}) {served.records:,} messages in {served.messages // page:,} "
            f"pages, no latency, one core, start included",
            ("program", "CPU", "ratio", "wall", "ratio", "peak memory"),
            rows,
        )

    def _rounds(
        self, served: Served, programs: Sequence[tuple[str, int]]
    ) -> dict[tuple[str, int], list[Cost]]:
        """Check each program once, then run all of them by turns."""
        costs: dict[tuple[str, int], list[Cost]] = {each: [] for each in programs}
        for program, workers in programs:
            note(f"{program}, {workers} in flight: checking what it reads")
            self.runner.check(program, replace(served, latency=0), workers)
        for turn in range(self.runs):
            for program, workers in programs:
                note(f"{program}, {workers} in flight: {turn + 1} of {self.runs}")
                cost = self.runner.cost(program, served, workers)
                costs[program, workers].append(cost)
        return costs


def _pages(messages: int) -> int:
    return math.ceil(messages / PAGE)


def _least(messages: int) -> int:
    """The fewest requests for an agent's messages: whole pages, widest windows."""
    day = 86_400
    start, end = START.timestamp(), END.timestamp()
    return sum(
        max(
            Listing.between(
                messages,
                start + first * day,
                min(start + (first + _WIDEST) * day - 0.001, end),
            ).pages,
            1,
        )
        for first in range(0, DAYS, _WIDEST)
    )


CASES = {
    "a": Case.a,
    "a2": Case.a2,
    "b": Case.b,
    "c": Case.c,
    "d": Case.d,
    "e": Case.e,
    "f": Case.f,
    "g": Case.g,
    "h": Case.h,
    "i": loading,
    "j": Case.j,
    "k": Case.k,
}
"""The cases by their names."""

LONG = {"a2", "e", "g", "h", "i"}
"""Cases that take minutes."""
