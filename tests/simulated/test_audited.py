"""`--verify --audit`: what was loaded is what the vendor has, but for what is named."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

import pytest

from simulator import Simulator, World
from tap_botsessions.engine.windows import Window
from tap_botsessions.reports.audited import audit_trail
from tests.conftest import Synced, Tap, config_for, end_of
from tests.simulated.test_audit import audited
from tests.truth import OPTIONAL, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_botsessions.reports.verify_report import VerifyReport

DAY = timedelta(days=1)
EVERY = (*STREAMS, *OPTIONAL)
LISTS = [name for name in EVERY if name not in {"avaamo_usage", "kore_bots"}]


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    with Simulator(World(days=9, sessions_per_day=8)) as running:
        yield running


def runs_of(simulator: Simulator) -> list[str]:
    """The audit trail of two runs, a day between them, as target-jsonl writes it."""
    world, lines, state = simulator.world, list[str](), None
    for days in (6, 7):
        world.now = (world.start + days * DAY).timestamp()
        synced = audited(simulator, state, EVERY, end_date=end_of(world).isoformat())
        state = synced.state
        lines += _lines(synced)
    return lines


def _lines(synced: Synced) -> list[str]:
    return [
        json.dumps(record)
        for stream, record in synced.all_records
        if stream == "sync_windows"
    ]


def compared(
    simulator: Simulator,
    lines: Sequence[str],
    window: Window | None = None,
    streams: Sequence[str] = EVERY,
) -> VerifyReport:
    tap = Tap(config=config_for(simulator))
    for name, stream in tap.streams.items():
        stream.selected = name in streams
    return tap.audit(audit_trail(lines), window)


def test_what_has_not_changed_is_as_it_was_read(simulator: Simulator) -> None:
    lines = runs_of(simulator)
    report = compared(simulator, lines)
    assert report.is_well, report.data()
    assert {each.name.partition(",")[0] for each in report.found} == set(LISTS)
    until = (simulator.world.start + 7 * DAY).replace(tzinfo=None).isoformat()
    for each in report.found:
        assert each.compared
        assert each.compared.until == f"{until}Z"


def test_what_came_late_or_is_gone_is_named(simulator: Simulator) -> None:
    lines = runs_of(simulator)
    world = simulator.world
    world.add_late("avaamo_messages", "201", world.start + 2.5 * DAY)
    first, last = (int((world.start + n * DAY).timestamp() * 1000) for n in (1, 2))
    [row, *_] = world.rows("kore_sessions", world.bots[0], first, last)
    gone = datetime.fromtimestamp(row.at / 1000, UTC)
    world.remove("kore_sessions", world.bots[0], gone)
    wrong = [each for each in compared(simulator, lines).found if not each.is_well]
    assert {(each.name.partition(",")[0], each.bot) for each in wrong} == {
        ("avaamo_messages", "201"),
        ("kore_sessions", world.bots[0]),
    }
    for each in wrong:
        assert each.compared
        [difference] = each.compared.differences
        more = 1 if each.bot == "201" else -1
        assert difference.said - difference.found == more
    # In a range that the late record is not in, all is well.
    later = Window(world.start + 6.5 * DAY, world.start + 7 * DAY)
    assert compared(simulator, lines, later).is_well


def test_gaps_and_what_was_never_read_are_named(simulator: Simulator) -> None:
    lines = runs_of(simulator)
    windows = [json.loads(line) for line in lines]
    mine = [
        each
        for each in windows
        if (each["stream"], each["bot"]) == ("avaamo_messages", "201")
    ]
    mine[0]["gap"] = "1 record came where 2 were counted"
    late = dict(mine[-1])
    start = simulator.world.start + 8 * DAY
    late["window_start"], late["window_end"] = (
        (start + hours * timedelta(hours=1)).isoformat() for hours in (0, 1)
    )
    changed = [json.dumps(each) for each in (*windows, late)]
    found = compared(simulator, changed, streams=["avaamo_messages"]).found
    [wrong] = [each for each in found if not each.is_well]
    assert wrong.compared
    of = " ".join(each.of for each in wrong.compared.differences)
    assert ", a gap" in of
    assert ", never read" in of


@pytest.mark.parametrize("line", ["{", "[1]", '{"window_start": "2026-03-01"}', "7"])
def test_what_is_no_audit_trail_is_refused(line: str) -> None:
    with pytest.raises(ValueError, match="line 2 is no record of sync_windows"):
        audit_trail(["", line])


def test_messages_of_the_tap_are_read_as_well(simulator: Simulator) -> None:
    synced = audited(simulator, None, ["avaamo_messages"])
    lines = [json.dumps(message) for message in synced.messages]
    assert audit_trail(lines) == audit_trail(_lines(synced))
