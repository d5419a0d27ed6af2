"""What the tap replaces or uses of the SDK's private methods is as it was."""

from __future__ import annotations

import hashlib
import inspect

import pytest
from singer_sdk import Stream, Tap
from singer_sdk.plugin_base import PluginBase

REPLACED = [
    (Stream, "_sync_records", "8928dc7f"),
    (PluginBase, "_validate_config", "0584b9e3"),
    (Tap, "_handle_termination", "2bb79ae4"),
]
USED = [
    (Stream, "_check_max_record_limit", ["self", "current_record_index"]),
    (Stream, "_write_record_message", ["self", "record"]),
]


@pytest.mark.parametrize(("owner", "name", "digest"), REPLACED)
def test_what_is_replaced_is_what_it_was(owner: type, name: str, digest: str) -> None:
    """Read the SDK's change, carry over what matters, and put down the new digest."""
    source = inspect.getsource(getattr(owner, name))
    assert hashlib.sha256(source.encode()).hexdigest()[:8] == digest


@pytest.mark.parametrize(("owner", "name", "parameters"), USED)
def test_what_is_used_takes_what_it_took(
    owner: type, name: str, parameters: list[str]
) -> None:
    assert list(inspect.signature(getattr(owner, name)).parameters) == parameters
