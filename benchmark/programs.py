"""The programs that are measured, and the environments that they run in."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from benchmark.measure import ProgramError, run
from benchmark.pages import END
from benchmark.report import note

if TYPE_CHECKING:
    from collections.abc import Mapping

    from benchmark.measure import Cost
    from benchmark.serving import Served

HERE = Path(__file__).parent
PEERS = HERE / "peers"
CACHE = HERE / ".cache"

TAP, SOURCE = "this tap", "source-botsessions"
STATELESS = "this tap, FULL_TABLE"
"""Without bookmarks, and so without states."""
BARE, SDK, DLT, CDK = "bare loop", "SDK template", "dlt", "Airbyte CDK"

KORE_BARE, KORE_TAP = "bare loop, Kore.ai", "this tap, Kore.ai"
"""Of kore_messages, 10,000 a request."""

_BARE_LOOPS = {BARE: "bare.py", KORE_BARE: "bare_kore.py"}

PINS = {
    BARE: "requests==2.34.2",
    KORE_BARE: "requests==2.34.2",
    SDK: "singer-sdk==0.54.9",
    DLT: "dlt==1.31.0",
    CDK: "airbyte-cdk==7.39.1",
}
"""What each peer's environment is made of."""

_SWEPT = 36_500
"""Days: all that is read is counted for later sweeps, as it is in daily use."""

_ENVIRONMENT = {"no_proxy": "127.0.0.1", "RUNTIME__DLTHUB_TELEMETRY": "false"}
_RECORD = re.compile(rb'"(?:message_uuid|message_id|_id)": ?"[0-9a-f]{8}-|^\d+$')


@dataclass(frozen=True)
class Runner:
    """Runs the programs.

    Attributes:
        folder: Where their files are; nothing else is there.
    """

    folder: Path

    @property
    def output(self) -> Path:
        """What a program that was checked has written."""
        return self.folder / "output"

    def check(self, program: str, served: Served, workers: int = 1) -> Cost:
        """Run a program once, and count what it has read.

        Raises:
            ProgramError: It did not write as many records as there are.
        """
        cost = self._run(program, served, workers, self.output)
        found = 0
        with self.output.open("rb") as lines:
            for line in lines:
                match = _RECORD.search(line)
                found += 0 if match is None else _count(match[0])
        if found != served.records:
            msg = f"{program} wrote {found} records of {served.records}"
            raise ProgramError(msg)
        return cost

    def sizes(self) -> tuple[int, int]:
        """The bytes of RECORD and STATE messages of the tap that was checked last."""
        sizes = {b'{"type":"RECORD"': 0, b'{"type":"STATE",': 0}
        with self.output.open("rb") as lines:
            for line in lines:
                if (kind := line[:16]) in sizes:
                    sizes[kind] += len(line)
        records, states = sizes.values()
        return records, states

    def cost(self, program: str, served: Served, workers: int = 1) -> Cost:
        """Run a program without keeping what it writes, and take its costs."""
        return self._run(program, served, workers, Path(os.devnull))

    def _run(self, program: str, served: Served, workers: int, output: Path) -> Cost:
        command = self.command(program, served, workers)
        return run(command, output, self.folder / "log", _ENVIRONMENT)

    def command(self, program: str, served: Served, workers: int) -> list[str | Path]:
        """The command that reads all that is served."""
        if program in {TAP, STATELESS, KORE_TAP}:
            return self._tap(program, served, workers)
        if program == SOURCE:
            return self._source(served, workers)
        python = interpreter(program)
        if bare := _BARE_LOOPS.get(program):
            return [python, PEERS / bare, served.url, *served.ids]
        if program == DLT:
            return [
                python, PEERS / "dlt_rest.py", served.url, str(workers), *served.ids
            ]  # fmt: skip
        config = {"base_url": served.url, "agents": served.ids}
        if program == SDK:
            file = self._file("sdk", config)
            return [python, PEERS / "sdk_tap.py", "--config", file]
        catalog = PEERS / "cdk_catalog.json"
        return [
            python.with_name("source-declarative-manifest"), "read",
            "--config", self._file("cdk", config | {"workers": workers}),
            "--catalog", catalog,
            "--manifest-path", PEERS / "cdk_manifest.yaml",
        ]  # fmt: skip

    def _tap(self, program: str, served: Served, workers: int) -> list[str | Path]:
        tap, method = script("tap-botsessions"), "INCREMENTAL"
        if program == KORE_TAP:
            config, stream = self._kore_settings(served, workers), "kore_messages"
        else:
            config, stream = self._settings(served, workers), "avaamo_messages"
            method = "INCREMENTAL" if program == TAP else "FULL_TABLE"
        catalog = self.folder / f"{stream}-{method}.json"
        if not catalog.exists():
            catalog.write_text(json.dumps(_alone(tap, config, method, stream)))
        return [tap, "--config", config, "--catalog", catalog]

    def _source(self, served: Served, workers: int) -> list[str | Path]:
        stream = {"stream": {"name": "avaamo_messages"}, "sync_mode": "incremental"}
        return [
            script("source-botsessions"), "read",
            "--config", self._settings(served, workers),
            "--catalog", self._file("source_catalog", {"streams": [stream]}),
        ]  # fmt: skip

    def _settings(self, served: Served, workers: int) -> Path:
        settings = {
            "avaamo_base_url": served.url,
            "avaamo_access_token": "simulated-access-token",
            "avaamo_agent_ids": served.ids,
            "avaamo_requests_per_minute": served.limit - 1 if served.limit else 10**6,
            "start_date": served.start.isoformat(),
            "end_date": END.isoformat(),
            "max_concurrent_requests": workers,
            "window_days": served.window_days,
            "sweep_days": _SWEPT,
        }
        return self._file("tap", settings)

    def _kore_settings(self, served: Served, workers: int) -> Path:
        settings = {
            "kore_base_url": served.url,
            "kore_client_id": "cs-simulated",
            "kore_client_secret": "simulated-secret",
            "kore_bot_ids": served.ids,
            "kore_requests_per_minute": 10**6,
            "kore_requests_per_hour": 10**6,
            "start_date": served.start.isoformat(),
            "end_date": END.isoformat(),
            "max_concurrent_requests": workers,
            "sweep_days": _SWEPT,
        }
        return self._file("kore_tap", settings)

    def _file(self, name: str, config: Mapping[str, object]) -> Path:
        file = self.folder / f"{name}.json"
        file.write_text(json.dumps(config))
        return file


def script(name: str) -> Path:
    """A program of this environment."""
    return Path(sys.executable).with_name(name)


def _alone(tap: Path, config: Path, method: str, name: str) -> dict[str, object]:
    """The tap's catalog with one of its streams, and how that is replicated."""
    discovered = subprocess.run(  # noqa: S603 -- the project's own
        [tap, "--config", config, "--discover"], capture_output=True, check=True
    )
    streams = json.loads(discovered.stdout)["streams"]
    return {
        "streams": [
            _selected(stream) | {"replication_method": method}
            for stream in streams
            if stream["tap_stream_id"] == name
        ]
    }


def _selected(stream: dict[str, Any]) -> dict[str, Any]:
    """A stream of a catalog, to be read."""
    of_all = {"breadcrumb": [], "metadata": {"selected": True}}
    columns = [each for each in stream["metadata"] if each["breadcrumb"]]
    return stream | {"metadata": [of_all, *columns]}


def _count(found: bytes) -> int:
    """How many records a line stands for: itself, or the number that it is."""
    return int(found) if found.isdigit() else 1


def interpreter(program: str) -> Path:
    """The interpreter of a peer's environment, which is made unless it is there."""
    pin = PINS[program]
    version = ".".join(map(str, sys.version_info[:3]))
    home = CACHE / f"{pin.replace('==', '-')}-python-{version}"
    python = home / "bin" / "python"
    done = home / "installed"
    if not done.exists():
        note(f"installing {pin}")
        _uv("venv", "--quiet", "--clear", "--python", sys.executable, home)
        _uv("pip", "install", "--quiet", "--python", python, pin)
        done.touch()
    return python


def _uv(*arguments: str | Path) -> None:
    subprocess.run(  # noqa: S603 -- pinned packages
        ["uv", *arguments],  # noqa: S607 -- wherever it is installed
        check=True,
        env=os.environ | {"UV_COMPILE_BYTECODE": "1"},
    )
