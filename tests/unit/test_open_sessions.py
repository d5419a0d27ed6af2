"""Which open sessions are followed, and how a state holds them."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from tap_botsessions.engine.errors import BookmarkError
from tap_botsessions.engine.records import Row
from tap_botsessions.vendors.kore.open_sessions import OpenSessions

START = datetime(2026, 3, 1, tzinfo=UTC)
START_TEXT = "2026-03-01T00:00:00Z"


def day(number: float) -> datetime:
    """An instant so many days after the start."""
    return START + timedelta(days=number)


def session(name: str, started: float = 0, status: str = "active", **more: Any) -> Row:
    """A session that began so many days after the start."""
    return Row((name,), day(started), {"session_status": status, **more}, "bot")


def test_followed_sessions_outlive_a_run() -> None:
    first = OpenSessions({}, None)
    first.observe(session("a", 1), is_open=True, emitted=True)
    first.observe(session("b", 2.5), is_open=True, emitted=False)
    first.observe(session("c", 3, "closed"), is_open=False, emitted=True)
    state = first.to_state(day(4))
    assert state["open_since"] is None
    second = OpenSessions(state, day(4))
    assert list(second.starts()) == ["a", "b"]
    assert list(second.starts(before=day(2))) == ["a"]
    assert second.was_emitted(session("a"))
    assert not second.was_emitted(session("b"))
    assert second.to_state(day(5)) == state


def test_a_session_has_changed_when_any_field_has() -> None:
    sessions = OpenSessions({}, None)
    sessions.observe(session("a", messages=1), is_open=True, emitted=True)
    sessions.observe(session("b", messages=1), is_open=True, emitted=False)
    assert not sessions.has_changed(session("a", messages=1))
    assert sessions.has_changed(session("a", messages=2))
    assert sessions.has_changed(session("a", status="closed", messages=1))
    assert sessions.has_changed(session("b", messages=1))
    assert sessions.has_changed(session("c"))


def test_sessions_that_are_closed_gone_or_too_old_are_not_followed() -> None:
    sessions = OpenSessions({}, None, oldest=day(0.5))
    for number, name in enumerate("abcd"):
        sessions.observe(session(name, number), is_open=True, emitted=True)
    sessions.observe(session("d", 3, "closed"), is_open=False, emitted=True)
    sessions.drop(["b", "never heard of"])
    sessions.drop_old()
    assert list(sessions.starts()) == ["c"]


def test_no_open_session_leaves_nothing_in_the_state() -> None:
    assert OpenSessions({}, None).to_state(day(1)) == {
        "open_sessions": None,
        "open_since": None,
    }


def test_more_than_can_be_followed_are_read_again_by_their_time(
    caplog: pytest.LogCaptureFixture,
) -> None:
    few = 3
    sessions = OpenSessions({}, None, max_followed=few)
    for number in range(few + 1):
        sessions.observe(session(f"{number}", 5 - number), is_open=True, emitted=True)
    sessions.observe(session("older", 0.5), is_open=True, emitted=True)
    sessions.observe(session("later", 9), is_open=True, emitted=True)
    assert sessions.starts() == {}
    assert sessions.to_state(day(10)) == {
        "open_sessions": None,
        "open_since": "2026-03-01T12:00:00Z",
    }
    [line] = caplog.messages
    assert "more than 3 sessions of a bot are open" in line


def test_to_read_again_can_be_interrupted_anywhere() -> None:
    """Until it has reached the bookmark, the state says how far it is."""
    sessions = OpenSessions({"open_since": "2026-03-02T00:00:00Z"}, day(5))
    assert sessions.since == day(1)
    assert sessions.to_state(None)["open_since"] == "2026-03-02T00:00:00Z"
    assert sessions.to_state(day(3))["open_since"] == "2026-03-04T00:00:00Z"
    assert sessions.to_state(day(5))["open_since"] is None
    assert sessions.to_state(day(6))["open_since"] is None


def test_what_is_read_again_by_its_time_is_so_once_after_it_has_become_too_old() -> (
    None
):
    """From where it began, however long ago; what is open then is followed no more."""
    sessions = OpenSessions(
        {"open_since": "2026-03-02T00:00:00Z"}, day(5), oldest=day(30), max_followed=1
    )
    assert sessions.since == day(1)
    for number in (1, 2, 4.9):
        sessions.observe(session(f"{number}", number), is_open=True, emitted=True)
    assert sessions.to_state(day(40)) == {"open_sessions": None, "open_since": None}
    for number in (5, 31):  # these are new to this run
        sessions.observe(session(f"{number}", number), is_open=True, emitted=True)
    assert sessions.to_state(day(40))["open_since"] == "2026-03-06T00:00:00Z"


@pytest.mark.parametrize(
    "state",
    [
        {"open_sessions": ["a"]},
        {"open_sessions": {"a": "2026-03-01"}},
        {"open_sessions": {"a": ["yesterday", ""]}},
        {"open_sessions": {"a": [None, ""]}},
        {"open_since": "yesterday"},
        {"open_since": {}},
    ],
)
def test_a_state_that_is_unreadable_is_an_error(state: dict[str, Any]) -> None:
    with pytest.raises(BookmarkError, match="unreadable"):
        OpenSessions(state, None)
