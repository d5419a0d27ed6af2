"""The demo: what it prints, how it ends, and what it leaves behind."""

from __future__ import annotations

import json
import os
import re
import signal
import subprocess
import sys
import time
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from demo import run as demo
from demo.pipe import TAP, TARGET
from demo.postgres import TEMPORARY
from demo.truth import differences
from tests import screens
from tests.docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator

    from psycopg import Connection

    from simulator import World

PLANTED = """
DELETE FROM avaamo_messages WHERE created_at < '2026-05-05';
UPDATE kore_sessions SET session_id = 'invented'
    WHERE session_id = (SELECT min(session_id) FROM kore_sessions);
UPDATE avaamo_usage SET success_rate = 1 WHERE agent_id = '201' AND date = '2026-05-06';
ALTER TABLE avaamo_sessions RENAME TO once;
CREATE TABLE avaamo_sessions AS TABLE once UNION ALL (TABLE once LIMIT 3);
"""


@contextmanager
def running_demo(folder: Path) -> Iterator[subprocess.Popen[str]]:
    """Run the demo in a folder, as a process group of its own."""
    with subprocess.Popen(
        [sys.executable, "-m", "demo"],
        cwd=folder,
        env={**os.environ, "PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        start_new_session=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def descendants(pid: int) -> dict[int, str]:
    """The command lines of a process's children and of theirs."""
    commands: dict[int, str] = {}
    with suppress(FileNotFoundError, ProcessLookupError):
        for child in Path(f"/proc/{pid}/task/{pid}/children").read_text().split():
            command = Path(f"/proc/{child}/cmdline").read_text().replace("\0", " ")
            commands |= {int(child): command, **descendants(int(child))}
    return commands


def wait_for(pid: int, *programs: str) -> dict[int, str]:
    """Wait until programs run under a process; return all that do."""
    deadline = time.monotonic() + 30
    while time.monotonic() < deadline:
        commands = descendants(pid)
        text = "\n".join(commands.values())
        if all(program in text for program in programs):
            return commands
        time.sleep(0.01)
    pytest.fail(f"{programs} never ran under the demo")


def folders_of(commands: dict[int, str]) -> list[Path]:
    """The folders of PostgreSQL servers."""
    pattern = rf"{TEMPORARY}/pg-\w+"
    return [Path(name) for name in re.findall(pattern, "\n".join(commands.values()))]


def test_shows_two_syncs_and_ends_well(tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output
    lines = output.splitlines()
    assert max(map(len, lines)) <= 80
    rows = {line.split()[0]: line.split()[1:] for line in lines if "_" in line}
    assert rows["avaamo_usage"] == ["14", "2", "2", "16"]
    for table in ("avaamo_sessions", "avaamo_messages", "kore_sessions"):
        first, added, _, total = (int(count.replace(",", "")) for count in rows[table])
        assert 0 < first < first + added == total
    assert "active → closed" in output
    assert "✓ The tables equal the simulator's records" in output
    state = json.loads((tmp_path / "output/demo/state.json").read_text())
    assert state["bookmarks"].keys() <= rows.keys()


def test_the_screen_in_the_documents_is_that_of_today(tmp_path: Path) -> None:
    screens.assert_documented("demo", screens.demo(tmp_path))


def test_ctrl_c_shows_no_traceback_while_modules_are_loaded(tmp_path: Path) -> None:
    with running_demo(tmp_path) as process:
        maps = Path(f"/proc/{process.pid}/maps")
        while "psycopg" not in maps.read_text():
            assert process.poll() is None
        process.send_signal(signal.SIGINT)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == -signal.SIGINT
    assert output == ""


@pytest.mark.parametrize(
    ("moment", "signum", "code"),
    [
        ("initdb --pgdata", signal.SIGINT, 130),
        (TAP, signal.SIGINT, 130),
        (TAP, signal.SIGTERM, 143),
    ],
)
def test_leaves_nothing_behind_when_stopped(
    tmp_path: Path, moment: str, signum: signal.Signals, code: int
) -> None:
    with running_demo(tmp_path) as process:
        commands = wait_for(process.pid, moment)
        os.killpg(process.pid, signum)
        output, _ = process.communicate(timeout=10)
    assert process.returncode == code
    assert output.splitlines()[-1] == "Stopped. Nothing is left running."
    assert "Traceback" not in output
    assert not [pid for pid in commands if Path(f"/proc/{pid}").exists()]
    folders = folders_of(commands)
    assert folders
    assert not [folder for folder in folders if folder.exists()]


def test_tells_what_differs(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def plant(connection: Connection[Any], world: World) -> list[str]:
        connection.execute(PLANTED)
        return differences(connection, world)

    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, "differences", plant)
    assert demo.main() == 1
    _, verdict = capsys.readouterr().out.split("✗ ")
    text = " ".join(verdict.split())
    for pattern in (
        r"avaamo_sessions: 3 rows have the key of another row",
        r"avaamo_messages: \d+ of \d+ rows are missing, the first is 201 \w+-",
        r"avaamo_usage: success_rate differs in 1 rows, the first is 201 2026-05-06",
        r"2026-05-06: it is 1\.0, the truth is \d\d\.",
        r"kore_sessions: 1 of \d+ rows are missing, the first is st-\w+ \w+",
        r"kore_sessions: 1 rows should not be there, the first is st-\w+ invented",
    ):
        assert re.search(pattern, text)


@pytest.mark.parametrize(
    ("configure", "program"), [("tap_config", TAP), ("target_config", TARGET)]
)
def test_tells_which_program_failed(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    configure: str,
    program: str,
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr(demo, configure, lambda *_: {"start_date": "never"})
    assert demo.main() == 1
    _, message = capsys.readouterr().out.split("✗ ")
    assert message.startswith(f"{program} ended with exit code 1; the end of output/")
    assert len(message.splitlines()) > 1
