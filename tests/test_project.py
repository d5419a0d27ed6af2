"""The project holds its own rules: style, types, and documents that say what is so."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import pytest

from tests import docs

SCRIPTS = Path(sys.executable).parent


@pytest.mark.parametrize(
    "check",
    [
        ("ruff", "check"),
        ("ruff", "format", "--check"),
        ("mypy",),
    ],
    ids=" ".join,
)
def test_style_and_types(check: tuple[str, ...]) -> None:
    program, *arguments = check
    done = subprocess.run(  # noqa: S603 -- one of the programs above
        [SCRIPTS / program, *arguments],
        cwd=docs.ROOT,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_ci_runs_the_second_command_of_the_readme() -> None:
    text = (docs.ROOT / "README.md").read_text()
    first, second, *_ = re.findall(
        r"^```sh\n(.*?)\n```$", text, re.MULTILINE | re.DOTALL
    )
    assert "\n" not in first + second
    assert second in (docs.ROOT / ".ci" / "run").read_text().splitlines()


@pytest.mark.parametrize(("file", "write"), docs.WRITERS.items())
def test_documents_say_what_the_code_says(file: str, write: docs.Write) -> None:
    text = (docs.ROOT / file).read_text()
    assert text == write(text), "run: python -m tests.docs"
