"""What the tap is made of, what is shipped of it, and how that comes about."""

from __future__ import annotations

import ast
import json
import re
import subprocess
import sys
import tomllib
from importlib import metadata
from tarfile import TarFile
from typing import TYPE_CHECKING, Any, NamedTuple
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from uv import find_uv_bin

from tests.conftest import Synced, config_for, end_of
from tests.docs import ROOT
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator import Simulator

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
PACKAGE = ROOT / "tap_botsessions"
REQUIREMENTS = ROOT / "requirements.txt"
CI = ROOT / ".github" / "workflows" / "ci.yml"

NAME = "tap_botsessions-" + PROJECT["version"]

TOOLS = "aiohttp,hypothesis,pytest,requests-mock,singer-sdk[testing]"
"""What tests need beside the tap."""


def uv(*arguments: str | Path, folder: Path = ROOT) -> str:
    """What uv prints."""
    done = subprocess.run(  # noqa: S603 -- uv
        [find_uv_bin(), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def tool(requirement: str, *arguments: str | Path) -> str:
    """What a program of a package prints; uv keeps it in its cache."""
    pinned = SETTINGS["tool"]["uv"]["exclude-newer"]
    return uv("tool", "run", "--exclude-newer", pinned, requirement, *arguments)


def imported(node: ast.AST) -> Iterator[str]:
    """The modules that code imports when it runs, by the first part of their names."""
    match node:
        case ast.If(test=ast.Name("TYPE_CHECKING")):
            return
        case ast.Import(names):
            yield from (each.name.partition(".")[0] for each in names)
        case ast.ImportFrom(str(module)):
            yield module.partition(".")[0]
    for child in ast.iter_child_nodes(node):
        yield from imported(child)


THROUGH_OTHERS = {"urllib3"}
"""What is used without being imported: the answers of requests are its own."""


def test_what_is_imported_is_declared_and_nothing_else() -> None:
    names = {
        name
        for path in PACKAGE.rglob("*.py")
        for name in imported(ast.parse(path.read_text()))
    }
    packages = metadata.packages_distributions()
    owners = {
        packages[name][0].lower().replace("_", "-")
        for name in names - sys.stdlib_module_names - {PACKAGE.name}
    }
    declared = {re.split(r"[^\w-]", each)[0] for each in PROJECT["dependencies"]}
    assert declared == owners | THROUGH_OTHERS


class Pin(NamedTuple):
    """A package of requirements.txt: its version, what asks for it, its own lines."""

    version: str
    askers: list[str]
    lines: str


def pins() -> dict[str, Pin]:
    """What requirements.txt pins, by name."""
    found = {}
    for block in re.split(r"\n(?=[^\s#])", REQUIREMENTS.read_text())[1:]:
        lines, _, via = block.partition("    # via")
        name, _, rest = lines.partition("==")
        askers = [line.strip(" #") for line in via.splitlines()]
        found[name] = Pin(rest.split()[0], askers, lines)
    return found


THE_PROJECT = "tap-botsessions (pyproject.toml)"


def test_every_dependency_is_satisfied_by_a_pin() -> None:
    """Offline: what a registry would resolve to on another day is not its business."""
    pinned = pins()
    for dependency in map(Requirement, PROJECT["dependencies"]):
        pin = pinned[dependency.name]
        assert dependency.specifier.contains(pin.version), dependency
        assert THE_PROJECT in pin.askers, dependency


def test_every_pin_is_reachable_from_a_dependency() -> None:
    pinned = pins()
    declared = {Requirement(each).name for each in PROJECT["dependencies"]}
    asked = {name for name, pin in pinned.items() if THE_PROJECT in pin.askers}
    assert asked == declared
    reached = set(declared)
    while more := {
        name
        for name, pin in pinned.items()
        if name not in reached and reached.intersection(pin.askers)
    }:
        reached |= more
    assert reached == pinned.keys()


def test_every_requirement_is_pinned_by_hashes_and_names_no_host() -> None:
    assert "://" not in REQUIREMENTS.read_text()
    for name, pin in pins().items():
        assert re.search(r"--hash=sha256:[0-9a-f]{64}\b", pin.lines), name


def test_the_lowest_versions_that_are_allowed_work(tmp_path: Path) -> None:
    """That the newest do, all other tests show."""
    lowest = tmp_path / "lowest.txt"
    uv(
        "pip", "compile", "pyproject.toml", "--output-file", lowest,
        "--resolution", "lowest-direct", "--python", sys.executable,
    )  # fmt: skip
    uv(
        "run", "--isolated", "--no-project", "--python", sys.executable,
        "--with-editable", ROOT, "--with-requirements", lowest, "--with", TOOLS,
        "python", "-m", "pytest", "-p", "no:cacheprovider",
        "tests/simulated/test_standard.py", "tests/unit/test_sdk.py",
        "tests/project/test_released.py", "tests/simulated/test_output.py",
    )  # fmt: skip


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("dist")
    uv("build", "--out-dir", folder)
    return folder


@pytest.fixture(scope="module")
def wheel(built: Path) -> Path:
    return built / f"{NAME}-py3-none-any.whl"


def package() -> set[str]:
    """The files of the package."""
    files = {path for path in PACKAGE.rglob("*") if path.is_file()}
    kept = {path for path in files if "__pycache__" not in path.parts}
    assert {path.suffix for path in kept} == {".json", ".py", ".typed"}
    return {str(path.relative_to(ROOT)) for path in kept}


def test_the_wheel_holds_the_package_and_no_more(wheel: Path) -> None:
    about = {"METADATA", "RECORD", "WHEEL", "entry_points.txt", "licenses/LICENSE"}
    with ZipFile(wheel) as file:
        names = set(file.namelist())
    assert names == package() | {f"{NAME}.dist-info/{name}" for name in about}


def test_the_source_distribution_holds_what_the_wheel_is_built_of(built: Path) -> None:
    about = {"CHANGELOG.md", "LICENSE", "PKG-INFO", "README.md", "pyproject.toml"}
    with TarFile.open(built / f"{NAME}.tar.gz") as file:
        names = {name.removeprefix(f"{NAME}/") for name in file.getnames()}
    # The build backend always adds the last.
    assert names == package() | about | {".gitignore"}


def test_the_wheel_and_the_requirements_are_all_it_takes_to_run(
    wheel: Path, simulator: Simulator, tmp_path: Path
) -> None:
    python = tmp_path / "env" / "bin" / "python"
    install = ("pip", "install", "--python", python)
    uv("venv", "--python", sys.executable, "env", folder=tmp_path)
    uv(*install, "--require-hashes", "-r", REQUIREMENTS, folder=tmp_path)
    uv(*install, "--no-deps", wheel, folder=tmp_path)
    uv("pip", "check", "--python", python, folder=tmp_path)

    config = tmp_path / "config.json"
    config.write_text(json.dumps(config_for(simulator)))
    done = subprocess.run(  # noqa: S603 -- ours
        [python.with_name("tap-botsessions"), "--config", config],
        capture_output=True,
        check=True,
    )
    synced = Synced([json.loads(line) for line in done.stdout.splitlines()])
    world = simulator.world
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)


def test_the_workflow_is_sound() -> None:
    """Its actions are pinned, and it may do no more than it has to."""
    github = CI.parents[1]
    tool("zizmor==1.32.0", "--offline", "--persona=pedantic", github)
    check = ("check-jsonschema==0.39.0", "--builtin-schema")
    tool(*check, "vendor.github-workflows", CI)
    tool(*check, "vendor.dependabot", github / "dependabot.yml")


def test_the_workflow_tries_the_versions_of_python_that_are_promised() -> None:
    jobs = yaml.safe_load(CI.read_text())["jobs"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert jobs["test"]["strategy"]["matrix"]["python"] == promised
