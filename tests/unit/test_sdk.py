"""The private names of the SDK that the tap replaces or uses have not changed."""

from __future__ import annotations

import hashlib
import inspect
from typing import Any

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.configuration import _dict_config
from singer_sdk.plugin_base import PluginBase, _ConfigInput

REPLACED = [
    (Stream, "_sync_records", "8928dc7f"),
    (PluginBase, "_validate_config", "0584b9e3"),
    (Tap, "_handle_termination", "2bb79ae4"),
    (Tap, "cb_test", "4f1ea14c"),
    (Tap, "invoke", "d84e3568"),
]
USED = [
    (Stream, "_check_max_record_limit", ["self", "current_record_index"]),
    (Stream, "_generate_record_messages", ["self", "record"]),
    (Stream, "_write_record_message", ["self", "record"]),
    (Stream, "_write_schema_message", ["self"]),
    (
        _dict_config,
        "parse_environment_config",
        ["config_schema", "prefix", "dotenv_path"],
    ),
]


@pytest.mark.parametrize(("owner", "name", "digest"), REPLACED)
def test_each_replaced_function_of_the_sdk_is_unchanged(
    owner: type, name: str, digest: str
) -> None:
    """If not, read the change, carry over the parts that matter, renew the digest."""
    source = inspect.getsource(getattr(owner, name))
    assert hashlib.sha256(source.encode()).hexdigest()[:8] == digest


@pytest.mark.parametrize(("owner", "name", "parameters"), USED)
def test_each_private_function_of_the_sdk_takes_the_same_arguments(
    owner: Any, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters


def test_a_configuration_from_the_command_line_has_its_two_parts() -> None:
    assert vars(_ConfigInput()) == {"config": {}, "parse_env": False}
    assert "_env_var_config" in vars(PluginBase)
    assert "self._stream_version" in inspect.getsource(Stream.__init__)
