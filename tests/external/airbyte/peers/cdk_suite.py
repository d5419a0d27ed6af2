"""The standard tests of Airbyte's CDK, run on a command line.

    SOURCE=/path/to/source-botsessions pytest cdk_suite.py

They expect a connector that is a class of the CDK's, and are handed a stand-in: what
they would have that class do, the command line does. The working directory holds
acceptance-test-config.yml and the configurations that it names.
"""

import os
import subprocess
from pathlib import Path

import orjson
import pytest
from airbyte_cdk.models import AirbyteMessageSerializer
from airbyte_cdk.test import entrypoint_wrapper
from airbyte_cdk.test.entrypoint_wrapper import EntrypointOutput
from airbyte_cdk.test.standard_tests import SourceTestSuiteBase

pytest_plugins = ["airbyte_cdk.test.standard_tests.pytest_hooks"]


class StandIn:
    """What the tests take for a connector, by its having a `spec`."""

    def spec(self, _logger: object) -> object:
        """Nothing calls it."""
        raise NotImplementedError


def run(source: StandIn, args: list[str], expected_outcome: object) -> EntrypointOutput:
    """Run a command; stands in for what would run the CDK's class."""
    del source, expected_outcome
    done = subprocess.run(  # noqa: S603 -- the program under test
        [os.environ["SOURCE"], *args], capture_output=True, text=True, check=False
    )
    lines = done.stdout.splitlines()
    for line in lines:  # or what is no message would pass for one of the log
        AirbyteMessageSerializer.load(orjson.loads(line))
    output = EntrypointOutput(lines, command=args, stderr=done.stderr)
    assert done.returncode == (1 if output.errors else 0)
    return output


class TestSource(SourceTestSuiteBase):
    """The standard tests of a source."""

    connector = StandIn

    @pytest.fixture(autouse=True)
    def _command_line(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setattr(entrypoint_wrapper, "_run_command", run)

    @classmethod
    def get_connector_root_dir(cls) -> Path:
        """Where the configurations are."""
        return Path.cwd()
