"""What the commands print that sync nothing: `--check` and `--plan`."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from tests import programs

if TYPE_CHECKING:
    from pathlib import Path
    from subprocess import CompletedProcess


def report(
    command: str, folder: Path, config: dict[str, Any], *arguments: str | Path
) -> CompletedProcess[str]:
    """Run a command for a terminal of 80 columns; it shows no secret, no traceback.

    Args:
        command: `--check` or `--plan`.
        folder: Where the configuration is written.
        config: The configuration.
        arguments: Further arguments.
    """
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    done = programs.run(
        *(programs.TAP, "--config", file, command, *arguments),
        environment={"COLUMNS": "80", "LOGLEVEL": "INFO"},
    )
    assert "Traceback" not in done.stderr
    assert config["kore_client_secret"] not in done.stdout + done.stderr
    assert config["avaamo_access_token"] not in done.stdout + done.stderr
    return done
