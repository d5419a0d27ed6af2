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
from typing import TYPE_CHECKING, Any
from zipfile import ZipFile

import pytest
import yaml

from tests.conftest import Synced, config_for, end_of
from tests.docs import ROOT
from tests.pins import BUILD, LOWEST, REQUIREMENTS, environment, install, uv
from tests.truth import STREAMS, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from simulator import Simulator

SETTINGS: dict[str, Any] = tomllib.loads((ROOT / "pyproject.toml").read_text())
PROJECT = SETTINGS["project"]
PACKAGE = ROOT / "tap_botsessions"
CI = ROOT / ".github" / "workflows" / "ci.yml"
DEPENDABOT = CI.parents[1] / "dependabot.yml"

NAME = "tap_botsessions-" + PROJECT["version"]


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


def test_the_lowest_versions_that_are_allowed_work(tmp_path: Path) -> None:
    """That the newest do, all other tests show."""
    programs = install(LOWEST, tmp_path, sys.executable)
    python = ("--python", programs / "python")
    uv("pip", "install", *python, "--no-deps", "--editable", ROOT, folder=tmp_path)
    done = subprocess.run(  # noqa: S603 -- ours
        [
            programs / "python", "-m", "pytest", "-p", "no:cacheprovider",
            "tests/simulated/test_standard.py", "tests/unit/test_sdk.py",
            "tests/project/test_released.py", "tests/simulated/test_output.py",
        ],
        cwd=ROOT,
        capture_output=True,
        text=True,
        check=False,
    )  # fmt: skip
    assert done.returncode == 0, done.stdout + done.stderr


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with the source distribution, and the wheel that is built of it."""
    folder = tmp_path_factory.mktemp("dist")
    hatch = ("--build-constraints", BUILD, "--require-hashes")
    uv("build", *hatch, "--out-dir", folder)
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
    env = tmp_path / "env"
    env.mkdir()
    python = install(REQUIREMENTS, env, sys.executable) / "python"
    of_env = ("--python", python)
    uv("pip", "install", *of_env, "--no-deps", wheel, folder=tmp_path)
    uv("pip", "check", *of_env, folder=tmp_path)

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


@pytest.mark.parametrize(
    "check",
    [
        ("zizmor", "--offline", "--persona=pedantic", CI.parents[1]),
        ("check-jsonschema", "--builtin-schema", "vendor.github-workflows", CI),
        ("check-jsonschema", "--builtin-schema", "vendor.dependabot", DEPENDABOT),
    ],
    ids=["zizmor", "workflow", "dependabot"],
)
def test_the_workflow_is_sound(check: tuple[str | Path, ...]) -> None:
    """Its actions are pinned, and it may do no more than it has to."""
    program, *arguments = check
    done = subprocess.run(  # noqa: S603 -- one of the programs above
        [environment("workflow") / program, *arguments],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr


def test_the_workflow_tries_the_versions_of_python_that_are_promised() -> None:
    jobs = yaml.safe_load(CI.read_text())["jobs"]
    promised = re.findall(r"Python :: (3\.\d+)", "\n".join(PROJECT["classifiers"]))
    assert jobs["test"]["strategy"]["matrix"]["python"] == promised
