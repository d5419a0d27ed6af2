"""Each file of pins fits what it is made from; no registry is asked."""

from __future__ import annotations

import re
import tomllib
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import pytest
from packaging.requirements import Requirement
from packaging.specifiers import Specifier

from tests.docs import ROOT
from tests.pins import BUILD, LOWEST, REQUIREMENTS, SOURCES

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

PYPROJECT: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = f"{PYPROJECT['project']['name']} (pyproject.toml)"
GROUP = f"{PYPROJECT['project']['name']} (pyproject.toml:test-in-process)"
DEPENDENCIES = PYPROJECT["project"]["dependencies"]

all_pins = pytest.mark.parametrize("pins", SOURCES, ids=lambda path: path.name)


@dataclass(frozen=True)
class Pin:
    """A package in a file of pins.

    Attributes:
        name: Its name.
        version: Its version.
        askers: What asks for it: other packages, or what the file is made from.
        lines: Its own lines.
    """

    name: str
    version: str
    askers: list[str]
    lines: str


def read(path: Path) -> list[Pin]:
    """The pins of a file; a package may be there for several versions of Python."""
    _, *blocks = re.split(r"\n(?=[^\s#])", path.read_text())
    return [pin(block) for block in blocks]


def pin(block: str) -> Pin:
    lines, _, via = block.partition("    # via")
    name, _, rest = lines.partition("==")
    askers = [line.strip(" #") for line in via.splitlines()]
    return Pin(name, rest.split()[0], askers, lines)


def wanted(pins: Path) -> dict[str, list[Requirement]]:
    """What a file is made from, by what the file says of who asks."""
    if pins in {REQUIREMENTS, LOWEST}:
        found = {PROJECT: DEPENDENCIES}
        if pins == LOWEST:
            found[GROUP] = group("test-in-process")
    else:
        [source] = SOURCES[pins]
        found = {f"-r {source}": (ROOT / source).read_text().splitlines()}
    return {asker: [*map(Requirement, lines)] for asker, lines in found.items()}


def group(name: str) -> list[str]:
    """The requirements of a group and of those that it includes."""
    found: list[str] = []
    for each in PYPROJECT["dependency-groups"][name]:
        found += [each] if isinstance(each, str) else group(each["include-group"])
    return found


@all_pins
def test_all_that_is_wanted_is_satisfied_by_a_pin(pins: Path) -> None:
    by_name = defaultdict(list)
    for each in read(pins):
        by_name[each.name].append(each)
    for asker, requirements in wanted(pins).items():
        for requirement in requirements:
            assert by_name[requirement.name], requirement
            for each in by_name[requirement.name]:
                assert requirement.specifier.contains(each.version), requirement
                assert asker in each.askers, requirement


@all_pins
def test_every_pin_is_reachable_from_what_is_wanted(pins: Path) -> None:
    found = read(pins)
    for asker, requirements in wanted(pins).items():
        asked = {each.name for each in found if asker in each.askers}
        assert asked == names(requirements)
    reached = {name for each in wanted(pins).values() for name in names(each)}
    while more := {
        each.name
        for each in found
        if each.name not in reached and reached.intersection(each.askers)
    }:
        reached |= more
    assert reached == {each.name for each in found}


def names(requirements: Iterable[Requirement]) -> set[str]:
    return {each.name for each in requirements}


@all_pins
def test_every_pin_has_hashes_and_none_names_a_host(pins: Path) -> None:
    assert "://" not in pins.read_text()
    for each in read(pins):
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", each.lines), each.name


def test_the_lowest_are_those_that_pyproject_names() -> None:
    versions = {each.name: each.version for each in read(LOWEST)}
    for requirement in map(Requirement, DEPENDENCIES):
        [lowest] = [
            each for each in requirement.specifier if each.operator in {">=", "~="}
        ]
        assert Specifier(f"=={lowest.version}").contains(versions[requirement.name])


def test_what_builds_the_package_is_what_pyproject_asks_for() -> None:
    assert wanted(BUILD).popitem()[1] == [
        *map(Requirement, PYPROJECT["build-system"]["requires"])
    ]
