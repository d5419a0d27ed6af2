"""The chaos test finds nothing in the tap, and finds the bugs that are put into it."""

from __future__ import annotations

import re
import subprocess
import sys

import pytest

from tests.chaos.draw import OTHERS_FROM
from tests.chaos.hunt import BUGS, FINDINGS, hunt
from tests.chaos.many import in_processes
from tests.chaos.trial import Report, run_seed
from tests.docs import ROOT

SEEDS = (*range(60), *range(OTHERS_FROM, OTHERS_FROM + 40))


def test_no_seed_fails() -> None:
    failed = [report.text() for report in in_processes(run_seed, SEEDS) if report.wrong]
    assert not failed, "\n\n".join(failed)


@pytest.fixture(scope="module")
def findings() -> dict[str, Report]:
    """What was found, by bug; the same seeds without the bugs find nothing."""
    return dict(in_processes(hunt, BUGS))


@pytest.mark.parametrize("bug", BUGS)
def test_a_bug_that_is_put_in_is_found(findings: dict[str, Report], bug: str) -> None:
    wrong = "\n".join(findings[bug].wrong)
    assert re.search(FINDINGS[bug], wrong), wrong


def test_the_command_tries_seeds_and_sums_up() -> None:
    done = subprocess.run(
        [sys.executable, "-m", "tests.chaos", "--first", "3", "--seeds", "2"],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    assert "2 seeds, 0 failed" in done.stdout
    assert re.search(r"^ +[\d,]+  requests$", done.stdout, re.MULTILINE)
