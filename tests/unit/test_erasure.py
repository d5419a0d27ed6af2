"""The simulator's deletions of conversations, over HTTP and by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests

from simulator import Simulator, World
from simulator.kore.numbering import OF_SESSIONS
from simulator.streams import LISTS

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = dict[str, Any]

START = World.start
END = START + timedelta(days=4)
BOT, OTHER = World.bots


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator(World(days=4, sessions_per_day=9)) as simulator:
        yield simulator


def ask(sim: Simulator, path: str, body: JSON | None = None) -> requests.Response:
    """Ask for something of a bot's; what has no body is got."""
    app = sim.world.app
    return requests.request(
        "GET" if body is None else "POST",
        f"{sim.url}/api/public/bot/{path}",
        json=body,
        headers={"auth": jwt.encode({"appId": app.client_id}, app.client_secret)},
        timeout=5,
    )


def delete(sim: Simulator, **body: Any) -> str:
    answer = ask(sim, f"{BOT}/conversations/delete", body)
    assert answer.status_code == 202, answer.text
    job_id: str = answer.json()["jobId"]
    return job_id


def job(sim: Simulator, job_id: str) -> JSON:
    answer = ask(sim, f"{BOT}/conversations/delete/{job_id}")
    assert answer.status_code == 200, answer.text
    body: JSON = answer.json()
    return body


def served(sim: Simulator, stream: str, bot: str = BOT) -> list[str]:
    """Return the sessions of what a list serves, oldest first."""
    times = [f"{each:%FT%T}.000Z" for each in (START, END)]
    body: JSON = {"dateFrom": times[0], "dateTo": times[1], "limit": 10_000}
    names = [""]
    if stream in {"kore_feedback", "kore_analytics"}:
        body = {
            "filters": {"from": times[0], "to": times[1]},
            "sort": {"by": "timestamp", "order": "desc"},
            "limit": 10_000,
        }
    if stream == "kore_analytics":
        names = ["successintent", "failintent", "successtask", "failtask"]
        names += ["performance", "unhandledutterance"]
    endpoint = LISTS[stream].endpoint.replace("Messages", "MessagesV2")
    found: list[JSON] = []
    for name in names:
        answer = ask(sim, f"{bot}/{endpoint}", body | {"type": name}).json()
        assert not answer["moreAvailable"]
        found += answer[LISTS[stream].field]
    return sorted(each["sessionId"] for each in found)


def owed(sim: Simulator, stream: str, bot: str = BOT) -> list[str]:
    truth = sim.world.truth(stream, bot, START, END)
    assert sim.world.count(stream, bot, START, END) == len(truth)
    of_all = sim.world.expected(stream, START, END)
    assert [each for key, each in of_all.items() if key[0] == bot] == [
        LISTS[stream].expected(bot, raw) for raw in truth
    ]
    return sorted(raw["sessionId"] for raw in truth)


def some_sessions(sim: Simulator) -> list[str]:
    """Return ids of sessions, with messages until after midnight among them."""
    sessions = sim.world.truth("kore_sessions", BOT, START, END - timedelta(days=1))
    return [each["sessionId"] for each in sessions[4:20]]


def test_a_job_is_as_on_the_page(sim: Simulator) -> None:
    sim.world.erasure_minutes = 90
    ids = some_sessions(sim)
    sim.world.now += 0.097
    answer = ask(
        sim, f"{BOT}/conversations/delete", {"conversationIds": [*ids, "0" * 24]}
    )
    job_id = answer.json().pop("jobId")
    assert job_id.startswith("cdj-")
    assert answer.status_code == 202
    assert answer.json() == {
        "jobId": job_id,
        "status": "queued",
        "message": "Deletion job queued successfully. "
        "The bot owner will be notified by email on completion.",
        "submittedAt": "2026-03-05T00:00:00.097Z",
    }
    queued = {
        "jobId": job_id,
        "status": "queued",
        "requestType": "conversationIds",
        "submittedAt": "2026-03-05T00:00:00.097Z",
        "scheduledAt": "2026-03-05T01:30:00.097Z",
        "startedAt": None,
        "completedAt": None,
        "result": {
            "totalConversations": 17,
            "processedCount": 0,
            "deletedCount": 0,
            "failedCount": 0,
            "skippedCount": 0,
            "retriesRemaining": 3,
        },
    }
    assert job(sim, job_id) == queued
    sim.world.now += 90 * 60 - 0.001
    assert job(sim, job_id) == queued
    sim.world.now += 0.001
    counts = {"processedCount": 17, "deletedCount": 16, "skippedCount": 1}
    assert job(sim, job_id) == queued | {
        "status": "completed",
        "startedAt": "2026-03-05T01:30:00.097Z",
        "completedAt": "2026-03-05T01:30:00.097Z",
        "result": {**counts, "totalConversations": 17, "failedCount": 0}
        | {"retriesRemaining": 3},
    }


@pytest.mark.parametrize("keeps_sessions", [True, False])
@pytest.mark.parametrize("keeps_analytics", [True, False])
def test_what_is_of_a_session_leaves_its_lists_once_the_job_is_done(
    sim: Simulator, *, keeps_sessions: bool, keeps_analytics: bool
) -> None:
    sim.options.kore_erasure_keeps_sessions = keeps_sessions
    sim.options.kore_erasure_keeps_analytics = keeps_analytics
    sim.world.erasure_minutes = 30
    streams = ("kore_sessions", *OF_SESSIONS)
    before = {stream: served(sim, stream) for stream in streams}
    theirs = {stream: served(sim, stream, OTHER) for stream in streams}
    ids = some_sessions(sim)
    assert all(set(before[stream]) & set(ids) for stream in streams)
    delete(sim, conversationIds=ids)
    assert {stream: served(sim, stream) for stream in streams} == before
    sim.world.now += 30 * 60
    kept = {"kore_sessions": keeps_sessions, "kore_messages": False}
    for stream in streams:
        left = served(sim, stream)
        is_kept = kept.get(stream, keeps_analytics)
        gone = set[str]() if is_kept else set(ids)
        assert left == [each for each in before[stream] if each not in gone]
        assert left == owed(sim, stream)
        assert theirs[stream] == served(sim, stream, OTHER)
    by_id = ask(sim, f"{BOT}/getSessions", {"sessionId": ids}).json()
    assert len(by_id["sessions"]) == (len(ids) if keeps_sessions else 0)
    sim.world.now -= 1
    assert {stream: owed(sim, stream) for stream in streams} == before


def test_the_sessions_of_a_user_are_deleted_by_their_days(sim: Simulator) -> None:
    sessions = sim.world.truth("kore_sessions", BOT, START, END)
    user, instant = sessions[10]["userId"], sessions[10]["start_time"]
    theirs = {each["sessionId"] for each in sessions if each["userId"] == user}
    for span, number in (
        ({"startDate": "2026-02-27", "endDate": "2026-02-28"}, 0),
        ({"startDate": instant, "endDate": instant}, 1),
        ({"startDate": "2026-03-01", "endDate": "2026-03-05"}, len(theirs)),
        ({"endDate": instant[:10]}, 1),
        ({}, len(theirs)),
    ):
        found = job(sim, delete(sim, cId=user, **span))
        assert found["requestType"] == "cId"
        assert found["result"]["totalConversations"] == number
        assert found["result"]["deletedCount"] == number
    assert not set(served(sim, "kore_messages")) & theirs
    assert theirs < set(served(sim, "kore_sessions"))


def test_a_job_that_is_wrong_is_refused(sim: Simulator) -> None:
    path = f"{BOT}/conversations/delete"
    session = some_sessions(sim)[0]
    for body, status in (
        ({}, 412),
        ({"conversationIds": []}, 412),
        ({"conversationIds": session}, 412),
        ({"conversationIds": [session] * 101}, 400),
        ({"cId": "u-1", "endDate": "2026-03-06"}, 400),
        ({"cId": "u-1", "startDate": "yesterday"}, 412),
    ):
        assert ask(sim, path, body).status_code == status, body
    assert ask(sim, path).status_code == 405
    job_id = delete(sim, conversationIds=[session])
    assert ask(sim, f"{path}/{job_id}", {}).status_code == 405
    assert ask(sim, f"{path}/cdj-1").status_code == 404
    path = f"{OTHER}/conversations/delete"
    assert ask(sim, f"{path}/{job_id}").status_code == 404
    answer = requests.post(f"{sim.url}/api/public/bot/{path}", json={}, timeout=5)
    assert answer.status_code == 401


def test_jobs_of_equal_worlds_are_equal() -> None:
    def jobs() -> list[JSON]:
        with Simulator(World(days=4, sessions_per_day=9)) as sim:
            ids = some_sessions(sim)
            made = [delete(sim, conversationIds=[each]) for each in ids[:3]]
            return [job(sim, each) for each in made]

    made = jobs()
    assert made == jobs()
    assert len({each["jobId"] for each in made}) == 3


def test_what_comes_of_a_session_later_stays(sim: Simulator) -> None:
    """Its message that is late, and those after the deletion if it is still open."""
    world = sim.world
    ids = some_sessions(sim)
    world.erase(BOT, ids)
    assert not set(owed(sim, "kore_messages")) & set(ids)
    started = int(ids[0][:8], 16)
    at = datetime.fromtimestamp(started + 60, START.tzinfo)
    world.now += 1
    raw = world.add_late("kore_messages", BOT, at, session_id=ids[0])
    assert raw in world.truth("kore_messages", BOT, START, END)
    assert owed(sim, "kore_messages") == served(sim, "kore_messages")
    world.erase(BOT, ids)
    assert not set(owed(sim, "kore_messages")) & set(ids)


def test_what_has_no_session_is_not_erased() -> None:
    world = World()
    with pytest.raises(ValueError, match="not of sessions: avaamo_messages"):
        world.erase(BOT, ["0" * 24], ["avaamo_messages"])
    with pytest.raises(ValueError, match="nobody"):
        world.erase(BOT, ["nobody"])
