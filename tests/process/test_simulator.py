"""The simulator as a program."""

from __future__ import annotations

import json
import signal
import socket
import subprocess
import sys

import pytest
import requests


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_the_command_serves_until_a_signal(number: int) -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    command = [sys.executable, "-m", "simulator", "--port", str(port), "--volume", "3"]
    with subprocess.Popen(  # noqa: S603 - the command is this test's own
        command, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        line = process.stdout.readline()
        response = requests.get(f"http://127.0.0.1:{port}/_simulator/", timeout=5)
        assert json.loads(line) == response.json()
        process.send_signal(number)
        assert process.wait(timeout=5) == 0
