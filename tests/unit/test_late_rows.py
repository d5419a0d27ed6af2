"""The simulator's records that come, or leave, long after they happened."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

import pytest

from simulator import World
from simulator.kore.numbering import OF_SESSIONS
from simulator.streams import DAILY, LISTS, STREAMS, WHOLE
from simulator.timeline import Row, milliseconds

START = World.start
NOW = START + timedelta(days=4)
AGES = {
    "a minute": NOW - timedelta(minutes=1),
    "days": NOW - timedelta(days=3, minutes=3),
    "longer than all the data": START - timedelta(days=400),
}


def world() -> World:
    return World(days=4, sessions_per_day=9)


def whole(of: World, stream: str) -> dict[tuple[str, ...], dict[str, object]]:
    return of.expected(stream, START - timedelta(days=500), NOW + timedelta(days=1))


def shown(of: World) -> set[Row]:
    """What all lists show."""
    return {
        row
        for stream in LISTS
        for bot in of.bots_of(stream)
        for row in of.rows(stream, bot, 0, milliseconds(NOW))
    }


@pytest.mark.parametrize("at", AGES.values(), ids=AGES)
@pytest.mark.parametrize("stream", LISTS)
def test_a_late_record_of_any_age_comes_in_its_list_alone(
    stream: str, at: datetime
) -> None:
    one = world()
    bot = one.bots_of(stream)[0]
    before, others = whole(one, stream), shown(one)
    raw = one.add_late(stream, bot, at)
    record = LISTS[stream].expected(bot, raw)
    key = LISTS[stream].key_of(record)
    assert key not in before
    assert whole(one, stream) == before | {key: record}
    [row] = shown(one) - others
    assert row[:3] == (stream, bot, milliseconds(at))
    assert others < shown(one)
    around = at, at + timedelta(milliseconds=1)
    assert raw in one.truth(stream, bot, *around)
    assert one.count(stream, bot, *around) == len(one.truth(stream, bot, *around))


@pytest.mark.parametrize("stream", LISTS)
def test_a_late_record_was_not_there_before(stream: str) -> None:
    one = world()
    before = whole(one, stream)
    one.now += 3600
    one.add_late(stream, one.bots_of(stream)[0], AGES["days"])
    assert len(whole(one, stream)) == len(before) + 1
    one.now -= 3600
    assert whole(one, stream) == before


@pytest.mark.parametrize("stream", LISTS)
def test_a_record_that_is_removed_leaves_its_list_alone(stream: str) -> None:
    one = world()
    bot = one.bots_of(stream)[0]
    before, others = whole(one, stream), shown(one)
    row = one.rows(stream, bot, 0, milliseconds(NOW))[5]
    moment = datetime.fromtimestamp(0, UTC) + timedelta(milliseconds=row.at)
    raw = one.remove(stream, bot, moment)
    assert shown(one) == others - {row}
    key = LISTS[stream].key_of(LISTS[stream].expected(bot, raw))
    record = before.pop(key)
    assert whole(one, stream) == before
    one.add_late(stream, bot, moment)
    assert record not in whole(one, stream).values()


def test_what_no_list_shows_yet_is_not_removed() -> None:
    one = world()
    one.now += 3600
    one.add_late("avaamo_messages", "201", AGES["days"])
    one.now -= 3600
    with pytest.raises(KeyError):
        one.remove("avaamo_messages", "201", AGES["days"])
    one.now += 3600
    one.remove("avaamo_messages", "201", AGES["days"])


@pytest.mark.parametrize("stream", LISTS)
def test_records_of_a_burst_have_keys_of_their_own(stream: str) -> None:
    one = World(days=4, sessions_per_day=0)
    bot = one.bots_of(stream)[0]
    one.add_burst(stream, bot, AGES["days"], 4000)
    assert len(whole(one, stream)) == one.count(stream, bot, START, NOW) == 4000


@pytest.mark.parametrize("stream", [*DAILY, *WHOLE])
def test_what_is_made_of_other_data_has_no_rows(stream: str) -> None:
    one = world()
    bot = one.bots_of(stream)[0]
    for change in (one.add_late, one.remove):
        with pytest.raises(ValueError, match=rf"^{stream} .*: change "):
            change(stream, bot, AGES["days"])
    with pytest.raises(ValueError, match=rf"^{stream} .*: change "):
        one.add_burst(stream, bot, AGES["days"], 2)


def test_a_late_message_changes_the_usage_of_its_day() -> None:
    one = world()
    before, late = whole(one, "avaamo_usage"), AGES["days"]
    one.add_late("avaamo_messages", "201", late)
    after = whole(one, "avaamo_usage")
    key = "201", late.date().isoformat()
    following = "201", (late.date() + timedelta(days=1)).isoformat()
    assert after[key]["messages_count"] == before[key]["messages_count"] + 1  # type: ignore[operator]  # it is a number
    assert {name for name in after if after[name] != before[name]} == {key, following}


@pytest.mark.parametrize("stream", OF_SESSIONS)
def test_a_late_record_is_of_the_session_that_it_is_told(stream: str) -> None:
    one = world()
    bot = one.bots[1]
    sessions = one.truth("kore_sessions", bot, START, START + timedelta(days=1))
    for session in (sessions[3], sessions[5]):
        at = datetime.fromisoformat(session["start_time"]) + timedelta(minutes=20)
        raw = one.add_late(stream, bot, at, session_id=session["sessionId"])
        assert raw["sessionId"] == session["sessionId"]
        assert raw["userId" if "userId" in raw else "createdBy"] == session["userId"]
        assert one.record(one.rows(stream, bot, milliseconds(at), milliseconds(at))[0])
        with pytest.raises(ValueError, match="session"):
            one.add_late(
                stream,
                bot,
                at + timedelta(days=1 if stream == "kore_feedback" else 2),
                session_id=session["sessionId"],
            )
    keys = whole(one, stream)
    assert len(keys) == sum(one.count(stream, bot, START, NOW) for bot in one.bots)


def test_the_session_of_a_late_record_must_fit() -> None:
    one = world()
    bot = one.bots[0]
    session = one.truth("kore_sessions", bot, START, NOW)[3]["sessionId"]
    with pytest.raises(ValueError, match="is not of sessions"):
        one.add_late("avaamo_queries", "201", NOW, session_id=session)
    with pytest.raises(ValueError, match="is no session that"):
        one.add_late("kore_messages", one.bots[1], START, session_id=session)
    at = START + timedelta(hours=23)
    one.add_late("kore_feedback", bot, at, session_id=session)
    with pytest.raises(ValueError, match="has a record of"):
        one.add_late("kore_feedback", bot, at, session_id=session)


def test_equal_changes_make_equal_data() -> None:
    def changed() -> list[object]:
        one = world()
        for stream in LISTS:
            bot = one.bots_of(stream)[0]
            one.add_late(stream, bot, AGES["days"])
            one.add_burst(stream, bot, AGES["a minute"], 3)
            one.remove(stream, bot, AGES["days"])
        return [whole(one, stream) for stream in STREAMS]

    assert changed() == changed()
