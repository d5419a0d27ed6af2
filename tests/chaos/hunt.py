"""Bugs are put into the tap, and seeds are tried until one finds them."""

from __future__ import annotations

import pytest

from tests.chaos import gap_bugs
from tests.chaos.bugs import BUGS, FINDINGS, FIRST
from tests.chaos.trial import Report, run_seed

__all__ = ["BUGS", "ENOUGH", "FINDINGS", "gap_bugs", "hunt"]

ENOUGH = 300
"""Of so many seeds one finds each of the bugs."""


def hunt(bug: str) -> tuple[str, Report]:
    """Run seeds until one finds a bug; the report of the last one."""
    with pytest.MonkeyPatch.context() as patch:
        BUGS[bug](patch)
        for seed in range(FIRST[bug], FIRST[bug] + ENOUGH):
            report = run_seed(seed)
            if report.wrong:
                break
    return bug, report
