"""Bugs are put into the tap, and seeds are tried until one finds them."""

from __future__ import annotations

import pytest

from tests.chaos import gap_bugs
from tests.chaos.bugs import BUGS, FINDINGS
from tests.chaos.trial import Report, run_seed

__all__ = ["BUGS", "ENOUGH", "FINDINGS", "gap_bugs", "hunt"]

ENOUGH = range(300)
"""Seeds among which each of the bugs is found."""


def hunt(bug: str) -> tuple[str, Report]:
    """Run seeds until one finds a bug; the report of the last one."""
    with pytest.MonkeyPatch.context() as patch:
        BUGS[bug](patch)
        for seed in ENOUGH:
            report = run_seed(seed)
            if report.wrong:
                break
    return bug, report
