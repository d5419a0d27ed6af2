"""The standard tests of Airbyte's CDK pass."""

from __future__ import annotations

import json
import os
import subprocess
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Any
from xml.etree import ElementTree as ET

import yaml

from simulator import Simulator, World
from tests.conftest import config_for
from tests.external.airbyte.session import PEERS, SOURCE
from tests.pins import environment

if TYPE_CHECKING:
    from collections.abc import Mapping

SECTIONS = {
    "spec": ["both", "kore"],
    "connection": ["both", "kore", "token", "date"],
    "discovery": ["both", "kore"],
    "basic_read": ["both", "kore"],
    "full_refresh": ["both", "kore"],
}
"""Which configurations are used for which tests."""

FAILING = {"token", "date"}
"""Those with which the connection must fail."""

PASSING = {
    "test_spec",
    *(
        f"{test}['{config}' Test Scenario]"
        for test, section in {
            "test_config_matches_spec": "spec",
            "test_check": "connection",
            "test_discover": "discovery",
            "test_basic_read": "basic_read",
            "test_fail_read_with_bad_catalog": "basic_read",
        }.items()
        for config in SECTIONS[section]
    ),
}


def configs(simulator: Simulator) -> Mapping[str, dict[str, Any]]:
    both = config_for(simulator)
    return {
        "both": both,
        "kore": {
            name: value for name, value in both.items() if not name.startswith("avaamo")
        },
        "token": both | {"avaamo_access_token": "made-up-token-that-is-wrong"},
        "date": both | {"start_date": "the day before yesterday"},
    }


def write(folder: Path, simulator: Simulator) -> None:
    """Write configurations, and which of them are for what."""
    for name, config in configs(simulator).items():
        (folder / f"{name}.json").write_text(json.dumps(config))
    tests = {
        section: {
            "tests": [
                {
                    "config_path": f"{name}.json",
                    **({"status": "failed"} if name in FAILING else {}),
                }
                for name in names
            ]
        }
        for section, names in SECTIONS.items()
    }
    settings = {"test_strictness_level": "high", "acceptance_tests": tests}
    (folder / "acceptance-test-config.yml").write_text(yaml.safe_dump(settings))


def test_the_standard_tests_pass() -> None:
    # They leave configurations behind, secrets included.
    with (
        Simulator(World(sessions_per_day=12, days=3)) as simulator,
        TemporaryDirectory() as name,
    ):
        folder = Path(name)
        write(folder, simulator)
        command: list[str | Path] = [
            environment("cdk") / "python", "-m", "pytest", PEERS / "cdk_suite.py",
            "-m", "not image_tests",
            "-W", "error::airbyte_cdk.test.standard_tests.DiscoveredCatalogWarning",
            "-c", os.devnull, "--rootdir", folder, "--confcutdir", PEERS,
            "--junit-xml", "report.xml",
        ]  # fmt: skip
        variables = {
            "HOME": name, "PATH": os.defpath, "PYTHONDONTWRITEBYTECODE": "1",
            "SOURCE": str(SOURCE), "TMPDIR": name,
        }  # fmt: skip
        done = subprocess.run(  # noqa: S603 -- our own tests
            command,
            cwd=folder,
            env=variables,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr
        report = ET.parse(folder / "report.xml")  # noqa: S314 -- pytest's own
    cases = report.iter("testcase")
    passed = {case.get("name") for case in cases if case.find("skipped") is None}
    assert passed == PASSING
