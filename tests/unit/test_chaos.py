"""Parts of the chaos test."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from tap_botsessions.engine.windows import Window
from tests.chaos.draw import draw
from tests.chaos.gaps import gaps_in, is_in
from tests.chaos.nemesis import OUTAGE, Fault
from tests.chaos.target import MessageError, read
from tests.chaos.trial import Report


def test_a_seed_stands_for_one_plan() -> None:
    assert draw(7) == draw(7)
    assert draw(7) != draw(8)


def test_a_seed_that_fails_says_how_to_replay_it() -> None:
    report = Report(7, ["lost"], [f"event {number}" for number in range(100)])
    first, *lines = report.text(lines=2).splitlines()
    assert first == "uv run -m tests.chaos --seed 7"
    assert lines == ["  wrong: lost", "  event 98", "  event 99"]


def test_gaps_are_read_from_a_state() -> None:
    gap = {"start": "2026-03-01T00:00:00Z", "end": "2026-03-01T00:00:02Z"}
    partitions = [
        {"context": {"bot_id": "st-1"}, "gaps": [gap | {"since": gap["end"]}]},
        {"context": {"bot_id": "st-2"}},
    ]
    state = {"bookmarks": {"kore_sessions": {"partitions": partitions}}}
    start = datetime(2026, 3, 1, tzinfo=UTC)
    [window] = gaps_in(state)["kore_sessions", "st-1"]
    assert window == Window(start, start + timedelta(seconds=2))
    assert not gaps_in(state)["kore_sessions", "st-2"]
    assert not gaps_in(None)
    assert is_in(start, [window])
    assert not is_in(window.end, [window])


def test_a_host_that_is_down_is_so_for_all_streams_of_its_vendor() -> None:
    down = Fault(OUTAGE, "avaamo_usage", seconds=60.0)
    assert down.concerns("avaamo_messages", "201")
    assert not down.concerns("kore_sessions", "st-1")
    refused = Fault("500", "avaamo_usage")
    assert not refused.concerns("avaamo_messages", "201")


SCHEMA = b'{"type":"SCHEMA","stream":"s","schema":{},"key_properties":["id"]}\n'
RECORD = b'{"type":"RECORD","stream":"s","record":{"id":1}}\n'
STATE = b'{"type":"STATE","value":{"bookmarks":{}}}\n'


def test_a_target_keeps_what_came_before_a_state() -> None:
    found = read(SCHEMA + RECORD + STATE + RECORD + RECORD + STATE[:-1])
    assert [len(commit.records) for commit in found.commits] == [1]
    assert len(found.tail) == 2
    assert found.is_torn
    assert b"\n".join(found.others) + b"\n" == SCHEMA + STATE


@pytest.mark.parametrize(
    "output",
    [
        RECORD,
        SCHEMA + RECORD.replace(b"1", b"null"),
        SCHEMA + b"{}\n",
        SCHEMA + b'{"type":"RECORD"\n',
        SCHEMA + RECORD[:-1] + RECORD,
    ],
)
def test_a_target_refuses_what_no_target_takes(output: bytes) -> None:
    with pytest.raises(MessageError):
        read(output)
