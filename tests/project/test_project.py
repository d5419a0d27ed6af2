"""The project holds its own rules: style, types, and documents that say what is so."""

from __future__ import annotations

import ast
import re
import subprocess
import sys
from functools import cache
from pathlib import Path
from xml.etree import ElementTree as ET

import pytest

from tests import docs, screens

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


@pytest.mark.parametrize("name", screens.SCREENS)
def test_pictures_are_whole_and_load_nothing(name: str) -> None:
    """The README shows each; the vendors' hosts are in what `--check` prints."""
    path = docs.ROOT / "docs" / "pictures" / f"{name}.svg"
    picture = path.read_text()
    drawn = ET.fromstring(picture)  # noqa: S314 -- ours
    assert drawn.tag == "{http://www.w3.org/2000/svg}svg"
    hosts = set(re.findall(r"\w+://([^/\"<&]+)", picture))
    assert hosts - {"c0.avaamo.com", "bots.kore.ai"} == {"www.w3.org"}
    assert not re.search(r"@import|@font-face|<script|<image|href=", picture)
    assert f"](docs/pictures/{name}.svg)" in (docs.ROOT / "README.md").read_text()


def test_the_readme_quotes_the_demo() -> None:
    printed = (docs.ROOT / "docs" / "demo.txt").read_text().splitlines()
    readme = (docs.ROOT / "README.md").read_text()
    [quoted] = re.findall(
        r"\(docs/demo\.txt\):\n\n```text\n(.*?)\n```", readme, re.DOTALL
    )
    assert set(quoted.splitlines()) <= set(printed)


def test_messages_that_are_explained_are_those_of_the_code() -> None:
    """Of each message in the section What the log says, what is not a figure."""
    text = (docs.ROOT / "docs" / "troubleshooting.md").read_text()
    _, section = text.split("## What the log says\n")
    rows = section.partition("\n## ")[0].splitlines()[4:]
    told = [
        part for row in rows for part in re.findall(r"`([^`]+)`", row.split("|")[1])
    ]
    assert len(told) > 15
    of_others = {"DuplicateSchema", "pg_type_typname_nsp_index"}
    missing = [
        piece
        for message in set(told) - of_others
        for piece in re.split(r"[0-9.]+", message)
        if not any(piece in constant for constant in texts_of_the_code())
    ]
    assert missing == []


@cache
def texts_of_the_code() -> frozenset[str]:
    """Every text in the tap, and in what stands for the vendors."""
    files = [
        *docs.ROOT.glob("tap_botsessions/**/*.py"),
        *docs.ROOT.glob("simulator/**/*.py"),
    ]
    nodes = [node for file in files for node in ast.walk(ast.parse(file.read_text()))]
    return frozenset(
        node.value
        for node in nodes
        if isinstance(node, ast.Constant) and isinstance(node.value, str)
    )
