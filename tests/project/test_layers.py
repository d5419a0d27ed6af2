"""The rule between the layers: nothing below imports what is above, and no circle.

Imports for types count as well.
"""

from __future__ import annotations

import ast
from graphlib import TopologicalSorter
from typing import TYPE_CHECKING

import pytest

from tests.docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping
    from pathlib import Path

PACKAGE = "tap_botsessions"

BELOW = {
    "airbyte": {"tap", "singer", "config", "vendors", "reports", "engine", "start"},
    "__main__": {"tap", "start"},
    "tap": {"reporting", "singer", "config", "vendors", "reports", "engine"},
    "reporting": {"singer", "config", "vendors", "reports", "engine"},
    "singer": {"config", "vendors", "reports", "engine"},
    "config": {"vendors", "engine"},
    "vendors": {"engine"},
    "reports": {"engine"},
    "engine": set(),
    "start": set(),
    "__init__": set(),
}
"""What each layer may import, itself aside."""

ONLY_IN = {
    "singer_sdk": {"airbyte", "tap", "reporting", "singer", "config"},
    "jwt": {"vendors.kore"},
    "rich": {"reports"},
    "requests": {"engine", "vendors", "reports"},
}
"""The layers, or their parts, that may import a library; in reports it is for types."""

MAX_LINES = 350
MAX_METHODS = 20


def name_of(path: Path, root: Path) -> str:
    """The dotted name of a module."""
    parts = path.relative_to(root).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" and parts[1:] else parts)


def imports_of(path: Path) -> Iterator[str]:
    """What a module imports, wherever in it, and whatever for."""
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            assert node.level == 0, f"{path} imports by a relative name"
            yield from (f"{node.module}.{alias.name}" for alias in node.names)


def modules() -> dict[str, Path]:
    """The modules of the package by their names below it."""
    root = ROOT / PACKAGE
    return {name_of(path, root): path for path in root.rglob("*.py")}


def graph() -> dict[str, set[str]]:
    """Which modules of the package each of them imports."""
    known = modules()

    def inside(name: str) -> str | None:
        _, is_ours, rest = name.partition(f"{PACKAGE}.")
        if not is_ours or not name.startswith(PACKAGE):
            return None
        return rest if rest in known else rest.rpartition(".")[0]

    return {
        name: {found for each in imports_of(path) if (found := inside(each))} - {name}
        for name, path in known.items()
    }


def layer_of(module: str) -> str:
    return module.partition(".")[0]


def is_in(module: str, places: set[str]) -> bool:
    return any(module == place or module.startswith(f"{place}.") for place in places)


def faults(imports: Mapping[str, set[str]]) -> list[str]:
    """The imports that the rule between the layers forbids."""
    found = []
    for module, those in imports.items():
        layer = layer_of(module)
        for other in those:
            is_above = layer_of(other) not in BELOW[layer] | {layer}
            vendors = {name.split(".")[1] for name in (module, other) if "." in name}
            is_sideways = layer == layer_of(other) == "vendors" and len(vendors) > 1
            if is_above or is_sideways:
                found.append(f"{module} imports {other}")
    return found


def test_nothing_below_imports_what_is_above() -> None:
    imports = graph()
    assert {layer_of(module) for module in imports} == BELOW.keys()
    assert sum(map(len, imports.values())) > 100, "the imports were not found"
    assert faults(imports) == []


def test_there_is_no_circle() -> None:
    list(TopologicalSorter(graph()).static_order())  # it raises a CycleError


@pytest.mark.parametrize("library", ONLY_IN)
def test_a_library_is_imported_where_it_belongs(library: str) -> None:
    users = {
        module
        for module, path in modules().items()
        for each in imports_of(path)
        if each.partition(".")[0] == library
    }
    assert users
    assert {module for module in users if not is_in(module, ONLY_IN[library])} == set()


def test_a_forbidden_import_is_found() -> None:
    assert faults({"engine.reader": {"vendors.kore.lists"}})
    assert faults({"vendors.kore.lists": {"vendors.avaamo.account"}})
    assert faults({"reports.check": {"singer.stream"}})
    assert not faults({"vendors": {"vendors.avaamo", "vendors.kore"}})


def test_the_engine_names_no_vendor() -> None:
    for module, path in modules().items():
        if layer_of(module) == "engine":
            code = ast.unparse(without_docstrings(ast.parse(path.read_text()))).lower()
            assert "kore" not in code, module
            assert "avaamo" not in code, module


def without_docstrings(tree: ast.Module) -> ast.Module:
    """Code without texts that stand for themselves."""
    for node in ast.walk(tree):
        body = getattr(node, "body", None)
        if isinstance(body, list):
            node.body = [  # type: ignore[attr-defined]  # it was looked up above
                each
                for each in body
                if not (
                    isinstance(each, ast.Expr) and isinstance(each.value, ast.Constant)
                )
            ] or [ast.Pass()]
    return tree


def test_files_and_classes_stay_small() -> None:
    for module, path in modules().items():
        text = path.read_text()
        assert len(text.splitlines()) <= MAX_LINES, module
        for node in ast.walk(ast.parse(text)):
            if isinstance(node, ast.ClassDef):
                methods = sum(isinstance(each, ast.FunctionDef) for each in node.body)
                assert methods <= MAX_METHODS, f"{module}.{node.name}"
