"""Tables, in Markdown, and what is going on meanwhile."""

from __future__ import annotations

import os
import platform
import sys
from pathlib import Path
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence


class Table(NamedTuple):
    """Rows of cells under a title; the first column is text, the others figures."""

    title: str
    columns: Sequence[str]
    rows: Sequence[Sequence[str]]

    def markdown(self) -> str:
        """The table as Markdown."""
        ruler = ["---", *(["--:"] * (len(self.columns) - 1))]
        lines = (_line(cells) for cells in (self.columns, ruler, *self.rows))
        return "\n".join([f"**{self.title}**", "", *lines, ""])


def _line(cells: Iterable[str]) -> str:
    return f"| {' | '.join(cells)} |"


def show(text: str) -> None:
    """Print a part of the report."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


def note(text: str) -> None:
    """Tell what is going on."""
    sys.stderr.write(f"{text}\n")


def machine() -> str:
    """What the figures were taken on."""
    information = Path("/proc/cpuinfo").read_text().splitlines()
    models = {
        line.partition(":")[2].strip()
        for line in information
        if line.startswith("model name")
    }
    cores = len(os.sched_getaffinity(0))
    return (
        f"{cores} cores ({', '.join(models) or platform.machine()}), "
        f"{platform.system()}, {platform.python_implementation()} "
        f"{platform.python_version()}"
    )
