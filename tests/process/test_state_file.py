"""A state that another run works with as well is reported at the end of a run."""

from __future__ import annotations

import json
from subprocess import PIPE
from typing import TYPE_CHECKING

import pytest

from simulator import Rule, Simulator
from simulator.faults import latency
from tests import programs
from tests.conftest import config_for

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

    from simulator.exchange import Reply
    from simulator.faults import Answer, Effect

State = dict[str, dict[str, dict[str, object]]]

BEGUN: State = {"bookmarks": {"kore_sessions": {}}}
ANOTHER: State = {"bookmarks": {"avaamo_usage": {}}}
SAID = "has changed since this run began"


def doing(action: Callable[[], object]) -> Effect:
    """Have something happen while a request is answered."""

    async def effect(answer: Answer) -> Reply:
        action()
        return await answer()

    return effect


def command(simulator: Simulator, state: Path) -> list[str | Path]:
    config = state.with_name("config.json")
    config.write_text(json.dumps(config_for(simulator, end_date="2026-03-02")))
    return [programs.TAP, "--config", config, "--state", state]


def logged(simulator: Simulator, state: Path, meanwhile: Callable[[], object]) -> str:
    """What a run has logged that went well, while something happened to its state."""
    simulator.faults.rules = [Rule(doing(meanwhile), times=1)]
    ended = programs.run(*command(simulator, state))
    assert ended.returncode == 0
    return ended.stderr


@pytest.fixture
def state(tmp_path: Path) -> Path:
    path = tmp_path / "state.json"
    path.write_text(json.dumps(BEGUN))
    return path


@pytest.mark.parametrize(
    "written",
    [
        json.dumps(ANOTHER),
        json.dumps({"bookmarks": {}}),
        f"{json.dumps(BEGUN)}\n{json.dumps(ANOTHER)}\n",
        f'{json.dumps(ANOTHER)}\n{{"bookmarks": {{"avaam',
    ],
    ids=["another", "reset", "appended", "cut short"],
)
def test_a_state_that_has_moved_is_reported(
    simulator: Simulator, state: Path, written: str
) -> None:
    log = logged(simulator, state, lambda: state.write_text(written))
    [line] = [line for line in log.splitlines() if SAID in line]
    assert f"the state in {state} {SAID}" in line
    assert "WARNING" in line


@pytest.mark.parametrize(
    "written",
    [json.dumps(BEGUN), json.dumps(BEGUN, indent=2), "", '{"bookmarks": {"avaam', None],
    ids=["as it was", "in another form", "empty", "half written", "removed"],
)
def test_no_other_run_is_reported_where_there_is_none(
    simulator: Simulator, state: Path, written: str | None
) -> None:
    def change() -> None:
        if written is None:
            state.unlink()
        else:
            state.write_text(written)

    assert SAID not in logged(simulator, state, change)


def test_a_target_may_write_where_the_state_was_read(
    simulator: Simulator, state: Path
) -> None:
    """As in `tap --state states | target >> states`."""
    simulator.faults.rules = [Rule(latency(1), vendor="kore")]
    log = state.with_name("log")
    with (
        log.open("wb") as stderr,
        programs.started(
            *command(simulator, state), stdout=PIPE, stderr=stderr
        ) as process,
    ):
        assert process.stdout
        for line in process.stdout:
            message = json.loads(line)
            if message["type"] == "STATE":
                with state.open("a") as file:
                    file.write(f"\n{json.dumps(message['value'])}\n")
        assert process.wait(programs.PATIENCE) == 0
    assert len(state.read_text().split()) > 1
    assert SAID not in log.read_text()
