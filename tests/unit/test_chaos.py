"""Parts of the chaos test."""

from __future__ import annotations

import pytest

from tests.chaos.draw import draw
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
