"""The simulator against the vendors' pages, and its switches and faults."""

from __future__ import annotations

import time
from collections import Counter, defaultdict
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
import urllib3

from simulator import App, Assumptions, Faults, Limits, Rule, Simulator, World
from simulator.avaamo.usage import numbers, slice_borders
from simulator.faults import (
    bad_json,
    cut,
    hang,
    hook,
    html,
    latency,
    redirect,
    reset,
    stall,
    status,
    wrong_total,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

JSON = dict[str, Any]

START = datetime(2026, 3, 1, tzinfo=UTC)
END = datetime(2026, 3, 21, tzinfo=UTC)
AGENT = "201"
BOT = World.bots[0]
WHOLE = (int(START.timestamp()), int(END.timestamp()))
SECRET = World.app.client_secret


@pytest.fixture
def sim() -> Iterator[Simulator]:
    with Simulator() as simulator:
        yield simulator


def avaamo(
    sim: Simulator, endpoint: str, agent: str = AGENT, /, **params: object
) -> JSON:
    response = get(sim, endpoint, agent, **params)
    assert response.status_code == 200, response.text
    body: JSON = response.json()
    return body


def get(
    sim: Simulator, endpoint: str, agent: str = AGENT, /, **params: object
) -> requests.Response:
    return requests.get(
        f"{sim.url}/bots/analytics/{agent}/{endpoint}.json",
        params={name: str(value) for name, value in params.items()},
        headers={"Access-Token": sim.world.avaamo_token},
        timeout=5,
        allow_redirects=False,
    )


def drain(sim: Simulator, endpoint: str, start: float, end: float) -> list[JSON]:
    """Return all entries of a window, page by page."""
    window = {"from_timetoken": start, "to_timetoken": end, "per_page": 100}
    first = avaamo(sim, endpoint, **window)
    entries: list[JSON] = first["entries"]
    for page in range(2, first["total_pages"] + 1):
        entries += avaamo(sim, endpoint, **window, page=page)["entries"]
    assert len(entries) == first["total_entries"]
    return entries


def token(secret: str = SECRET, algorithm: str = "HS256", **claims: object) -> str:
    return jwt.encode(claims or {"appId": World.app.client_id}, secret, algorithm)


def post(
    sim: Simulator,
    body: JSON | None = None,
    path: str = f"bot/{BOT}/getSessions",
    auth: str | None = None,
    **params: str,
) -> requests.Response:
    return requests.post(
        f"{sim.url}/api/public/{path}",
        json=body,
        params=params,
        headers={"auth": auth or token()},
        timeout=5,
    )


def kore(sim: Simulator, body: JSON | None = None, **params: str) -> JSON:
    response = post(sim, body, **params)
    assert response.status_code == 200, response.text
    result: JSON = response.json()
    return result


def day_window(day: int) -> JSON:
    return {
        "dateFrom": f"2026-03-{day:02}T00:00:00.000Z",
        "dateTo": f"2026-03-{day:02}T23:59:59.999Z",
        "limit": 1000,
    }


def shape(value: object) -> object:
    """Return a JSON value with types in place of its scalars."""
    if isinstance(value, dict):
        return {name: shape(item) for name, item in value.items()}
    if isinstance(value, list):
        return [shape(item) for item in value[:1]]
    return float if isinstance(value, int | float) else type(value)


# Data


@pytest.mark.parametrize(
    ("stream", "bot"),
    [("avaamo_sessions", AGENT), ("avaamo_messages", AGENT), ("kore_sessions", BOT)],
)
def test_worlds_of_one_seed_are_equal(stream: str, bot: str) -> None:
    one, same, other = (
        World(seed=seed).truth(stream, bot, START, END) for seed in (1, 1, 2)
    )

    assert one
    assert one == same
    assert one != other


def test_a_record_does_not_depend_on_what_else_the_world_holds() -> None:
    later = World(start=START + timedelta(days=5, hours=7), days=2)
    window = (START + timedelta(days=6), START + timedelta(days=7))

    assert later.truth("avaamo_messages", AGENT, *window) == World().truth(
        "avaamo_messages", AGENT, *window
    )
    assert not later.truth("avaamo_messages", AGENT, START, later.start)


def test_instants_are_awkward() -> None:
    truth = World().truth("avaamo_sessions", AGENT, START, END)
    instants = [record["created_at"] for record in truth]

    assert instants == sorted(instants)
    assert len(set(instants)) < len(instants)
    assert {int(at) % 86_400 for at in instants} >= {0, 86_399}
    assert any(at % 1 for at in instants)
    assert {type(at) for at in instants} == {int, float}
    assert len({(record["layer_id"], record["created_at"]) for record in truth}) == len(
        truth
    )


def test_names_are_noisy() -> None:
    world = World()
    sessions = world.truth("avaamo_sessions", AGENT, START, END)
    messages = world.truth("avaamo_messages", AGENT, START, END)

    assert "You" in {record["first_name"] for record in sessions}
    assert {type(record["first_name"]) for record in sessions} == {int, str}
    assert {"last_name" in record for record in sessions} == {True, False}
    assert {"layer_id" in record["user"] for record in messages} == {True, False}
    assert "" in {record["content"] for record in messages}
    assert len({record["message_uuid"] for record in messages}) == len(messages)


def test_equal_sessions_are_equal_in_every_field() -> None:
    world = World(equal_sessions=0.2)
    truth = world.truth("avaamo_sessions", AGENT, START, END)
    copies = sum(one == following for one, following in pairwise(truth))

    assert copies == pytest.approx(0.2 * len(truth), rel=0.3)


def test_volume_is_per_bot_and_may_be_below_one() -> None:
    world = World(sessions_per_day={"201": 0.3})
    per_day = [
        world.count("avaamo_sessions", AGENT, day, day + timedelta(days=1))
        for day in (START + timedelta(days=number) for number in range(20))
    ]

    assert set(per_day) == {0, 1}
    assert world.count("avaamo_sessions", "202", START, END) == 0


@pytest.mark.parametrize(
    ("world", "share"),
    [
        (World(), 1),
        (World(sessions_per_day={"201": 0.4}, messages_per_session=3, days=60), 1),
        (World(equal_sessions=0.3, sessions_per_day=100), 1),
        (World(late_fraction=0.3, now=END.timestamp() + 86_400), 1),
        (World(sessions_per_day=3_000, days=2), 1),
        # Some sessions began before the world did.
        (World(start=START + timedelta(hours=14)), 0.99),
        # Some sessions are not to be seen yet.
        (World(late_fraction=0.1, now=END.timestamp() - 86_400), 0.95),
    ],
    ids=["plain", "sparse", "equal", "late", "busy", "begun midway", "not all seen"],
)
def test_messages_belong_to_users_with_a_session(world: World, share: float) -> None:
    """It is one of the same agent that began within the hour before them."""
    end = world.start + timedelta(days=world.days)
    begun: dict[str, list[float]] = defaultdict(list)
    for session in world.truth("avaamo_sessions", AGENT, world.start, end):
        begun[session["layer_id"]].append(session["created_at"])
    messages = world.truth("avaamo_messages", AGENT, world.start, end)
    named = [message for message in messages if "layer_id" in message["user"]]
    belonging = [
        message
        for message in named
        if any(
            0 <= message["created_at"] - at < 3600
            for at in begun[message["user"]["layer_id"]]
        )
    ]

    assert len(named) > 0.9 * len(messages) > 10
    assert len(belonging) >= share * len(named)


def test_large_days_are_cheap() -> None:
    with Simulator(World(sessions_per_day=200_000, days=3)) as sim:
        avaamo(sim, "sessions", per_page=100)
        started = time.monotonic()
        for page in range(1, 51):
            avaamo(sim, "sessions", per_page=100, page=page)

        assert time.monotonic() - started < 2


def test_late_records_become_visible_later() -> None:
    world = World(
        late_fraction=0.3, now=datetime(2026, 3, 5, 12, tzinfo=UTC).timestamp()
    )
    window = (START, datetime(2026, 3, 5, 12, tzinfo=UTC))
    before = world.truth("avaamo_messages", AGENT, *window)
    world.now += 6 * 3600
    after = world.truth("avaamo_messages", AGENT, *window)

    assert len(before) < len(after) == world.count("avaamo_messages", AGENT, *window)
    assert [record for record in after if record in before] == before


# Avaamo's sessions and messages


def test_sessions_page_is_as_in_the_sample(sim: Simulator) -> None:
    page = avaamo(sim, "sessions", per_page=100)
    page["entries"] = [
        entry
        for entry in page["entries"]
        if "last_name" in entry and isinstance(entry["first_name"], str)
    ]

    assert shape(page) == {
        "current_page": float,
        "per_page": float,
        "total_entries": float,
        "total_pages": float,
        "time_token": float,
        "entries": [
            {"first_name": str, "last_name": str, "layer_id": str, "created_at": float}
        ],
    }
    assert isinstance(page["time_token"], float)


def test_messages_page_is_as_in_the_sample(sim: Simulator) -> None:
    page = avaamo(sim, "messages", per_page=100)
    entry = next(
        entry
        for entry in page["entries"]
        if "layer_id" in entry["user"] and isinstance(entry["user"]["first_name"], str)
    )

    assert set(page) == {
        "current_page",
        "per_page",
        "total_entries",
        "total_pages",
        "time_token",
        "entries",
    }
    assert shape(entry) == {
        "message_uuid": str,
        "score": float,
        "content": str,
        "intent_type": str,
        "channel_name": str,
        "created_at": float,
        "user": {"first_name": str, "layer_id": str},
        "intent_name": str,
    }


def test_default_window_is_three_days_in_pages_of_25(sim: Simulator) -> None:
    page = avaamo(sim, "sessions")

    total = sim.world.count("avaamo_sessions", AGENT, END - timedelta(days=3), END)
    assert (page["current_page"], page["per_page"]) == (1, 25)
    assert (page["total_entries"], page["total_pages"]) == (total, -(-total // 25))
    assert len(page["entries"]) == 25
    assert page["time_token"] == END.timestamp()
    assert avaamo(sim, "sessions", page=page["total_pages"] + 1)["entries"] == []


@pytest.mark.parametrize("order", ["ascending", "descending", "shuffled"])
def test_orders_hold_every_row_once(sim: Simulator, order: Any) -> None:
    sim.options.avaamo_order = order
    truth = sim.world.truth("avaamo_messages", AGENT, START, END)
    served = drain(sim, "messages", *WHOLE)

    expected = {"ascending": truth, "descending": truth[::-1]}
    if order in expected:
        assert served == expected[order]
    else:
        assert served != truth
        assert served == drain(sim, "messages", *WHOLE)
        assert sorted(served, key=str) == sorted(truth, key=str)


def test_reshuffled_pages_differ_each_time(sim: Simulator) -> None:
    sim.options.avaamo_order = "reshuffled"

    one, other = (avaamo(sim, "messages", per_page=100)["entries"] for _ in range(2))
    assert one != other
    assert len(one) == len(other) == 100


@pytest.mark.parametrize(
    ("bounds", "lower", "upper"),
    [("closed", 2, 2), ("half_open", 2, 0), ("open_start", 0, 2)],
)
def test_bounds_decide_about_rows_on_the_border(
    sim: Simulator,
    bounds: Any,
    lower: int,
    upper: int,
) -> None:
    sim.options.bounds = bounds
    start, end = START + timedelta(days=2), START + timedelta(days=3)
    inside = sim.world.count(
        "avaamo_sessions", AGENT, start + timedelta(milliseconds=1), end
    )
    window = {"from_timetoken": start.timestamp(), "to_timetoken": end.timestamp()}

    total = avaamo(sim, "sessions", **window)["total_entries"]
    assert total == lower + inside + upper
    inside = sim.world.count(
        "kore_sessions", BOT, start + timedelta(milliseconds=1), end
    )
    dates = {"dateFrom": f"{start:%FT%T}.000Z", "dateTo": f"{end:%FT%T}.000Z"}
    assert kore(sim, dates)["total"] == lower + inside + upper


def test_fractional_time_tokens_are_exact(sim: Simulator) -> None:
    at = next(
        record["created_at"]
        for record in sim.world.truth("avaamo_messages", AGENT, START, END)
        if record["created_at"] % 1
    )

    assert avaamo(sim, "messages", from_timetoken=at, to_timetoken=at)["total_entries"]


def test_time_tokens_in_another_unit_find_nothing(sim: Simulator) -> None:
    start, end = (1000 * second for second in WHOLE)

    page = avaamo(sim, "messages", from_timetoken=start, to_timetoken=end)
    assert (page["total_entries"], page["total_pages"], page["entries"]) == (0, 0, [])


def test_removed_dates_are_ignored_or_rejected(sim: Simulator) -> None:
    dates = {"from_date": "01/03/2026", "to_date": "20/03/2026"}

    assert avaamo(sim, "sessions", **dates) == avaamo(sim, "sessions")
    sim.options.avaamo_removed_dates = "reject"
    assert get(sim, "sessions", **dates).status_code == 422


def test_per_page_over_the_maximum(sim: Simulator) -> None:
    assert avaamo(sim, "messages", per_page=500)["per_page"] == 100
    sim.options.avaamo_page_clamp = 30
    assert len(avaamo(sim, "messages", per_page=100)["entries"]) == 30
    sim.options.avaamo_over_maximum = "422"
    assert get(sim, "messages", per_page=500).status_code == 422


def test_avaamo_refusals(sim: Simulator) -> None:
    sim.world.forbidden_agents.add("202")
    url = f"{sim.url}/bots/analytics/{AGENT}/sessions.json"

    assert requests.get(url, timeout=5).status_code == 401
    assert get(sim, "sessions", "202").status_code == 403
    assert get(sim, "sessions", "999").status_code == 404
    assert get(sim, "sessions", page="none").status_code == 422
    assert get(sim, "sessions", from_timetoken="nan").status_code == 422
    reversed_window = get(sim, "sessions", from_timetoken=2, to_timetoken=1)
    assert reversed_window.status_code == 422
    assert reversed_window.json() == {"error": "To Date cannot be before From Date"}


def test_hostile_text_arrives_whole() -> None:
    with Simulator(World(hostile_text=True)) as sim:
        served = drain(sim, "messages", *WHOLE)

        assert served[::-1] == sim.world.truth("avaamo_messages", AGENT, START, END)
        text = "".join(record["content"] for record in served)
        assert "\x00" in text
        assert "\ud83d" in text


def test_the_clock_hides_what_is_later(sim: Simulator) -> None:
    truth = sim.world.truth("avaamo_sessions", AGENT, START, END)
    sim.world.now = truth[-1]["created_at"]
    assert sim.world.truth("avaamo_sessions", AGENT, START, END) == truth
    sim.world.now -= 0.001
    assert sim.world.truth("avaamo_sessions", AGENT, START, END) == truth[:-1]


def test_a_late_record_appears_on_a_day_already_served(sim: Simulator) -> None:
    before = avaamo(sim, "sessions")
    record = sim.world.add_late(
        "avaamo_sessions", AGENT, END - timedelta(milliseconds=1)
    )
    after = avaamo(sim, "sessions")

    assert after["total_entries"] == before["total_entries"] + 1
    assert after["entries"][:2] == [record, before["entries"][0]]


def test_rows_that_come_and_go_shift_pages(sim: Simulator) -> None:
    truth = sim.world.truth("avaamo_messages", AGENT, START, END)
    sim.faults.rules = [
        Rule(hook(lambda: sim.world.add_late("avaamo_messages", AGENT, END)), nth=2),
        Rule(
            hook(
                lambda: sim.world.remove(
                    "avaamo_messages",
                    AGENT,
                    datetime.fromtimestamp(truth[-1]["created_at"], tz=UTC),
                )
            ),
            nth=3,
        ),
    ]
    pages = [avaamo(sim, "messages", page=page) for page in (1, 2, 3)]

    totals = [page["total_entries"] for page in pages]
    assert totals == [totals[0], totals[0] + 1, totals[0]]
    assert pages[1]["entries"][0] == pages[0]["entries"][-1]
    assert not [
        record for record in pages[2]["entries"] if record in pages[1]["entries"]
    ]


# Avaamo's usage


def test_usage_arithmetic_is_that_of_the_sample() -> None:
    assert slice_borders(1586502000, 1586847599) == [
        1586502000,
        1586540399.8888888,
        1586578799.7777777,
        1586617199.6666667,
        1586655599.5555556,
        1586693999.4444444,
        1586732399.3333333,
        1586770799.2222223,
        1586809199.1111112,
        1586847599,
    ]
    assert numbers(
        sessions=8123, messages=50138, unhandled=2297, ambiguous=2105, mismatched=208
    ) == {
        "session_count": 8123,
        "messages_count": 50138,
        "unhandled_messages_count": 2297,
        "successful_responses_count": 45736,
        "ambiguous_messages_count": 2105,
        "interventions_count": 0,
        "success_rate_count": 47633,
        "success_rate": 91.22,
    }
    empty = numbers(sessions=0, messages=0, unhandled=0, ambiguous=0, mismatched=0)
    assert empty["success_rate"] is None


def test_usage_defaults_are_four_days_of_the_server() -> None:
    now = datetime(2020, 4, 13, 20, tzinfo=UTC)
    with Simulator(World(start=now - timedelta(days=9), now=now.timestamp())) as sim:
        usage = avaamo(sim, "usage")

    intervals = {
        name: (usage[name]["start_time"], usage[name]["end_time"])
        for name in ("aggregate_stats", "previous_interval_stats")
    }
    assert intervals == {
        "aggregate_stats": (1586502000, 1586847599),
        "previous_interval_stats": (1586156401, 1586502000),
    }
    assert len(usage["stats"]) == 9
    assert usage["stats"][-1]["success_rate"] is None
    assert all(list(part) == list(usage["aggregate_stats"]) for part in usage["stats"])


def test_usage_counts_the_served_records(sim: Simulator) -> None:
    offset = 19_800
    start = START + timedelta(days=4) - timedelta(seconds=offset)
    end = start + timedelta(days=2)
    usage = avaamo(
        sim, "usage", from_date="05/03/2026", to_date="06/03/2026", utc_offset=offset
    )
    total = usage["aggregate_stats"]
    messages = sim.world.truth("avaamo_messages", AGENT, start, end)
    intents = Counter(record["intent_type"] for record in messages)

    assert (total["start_time"], total["end_time"]) == (
        start.timestamp(),
        end.timestamp() - 1,
    )
    assert total["session_count"] == sim.world.count(
        "avaamo_sessions", AGENT, start, end
    )
    assert total["messages_count"] == len(messages)
    assert total["unhandled_messages_count"] == intents["UNHANDLED::INTENT"]
    assert total["ambiguous_messages_count"] == intents["AMBIGUOUS::INTENT"]
    assert total["messages_count"] == sum(
        part["messages_count"] for part in usage["stats"]
    )


def test_usage_truth_is_a_response_for_each_day(sim: Simulator) -> None:
    start, end = START + timedelta(days=4), START + timedelta(days=6)
    truth = sim.world.truth("avaamo_usage", AGENT, start, end, utc_offset=0)

    assert truth == [
        avaamo(sim, "usage", from_date=day, to_date=day, utc_offset=0)
        for day in ("05/03/2026", "06/03/2026")
    ]


def test_usage_replaces_an_invalid_date_silently(sim: Simulator) -> None:
    usage = avaamo(sim, "usage", from_date="01/03/2026", to_date="1/31/2026")

    assert usage["aggregate_stats"]["start_time"] == WHOLE[0]
    # The end of the server's day, Pacific daylight time, in which the clock is.
    assert usage["aggregate_stats"]["end_time"] == WHOLE[1] + 7 * 3600 - 1


def test_usage_refuses_reversed_dates(sim: Simulator) -> None:
    response = get(sim, "usage", from_date="02/03/2026", to_date="01/03/2026")

    assert response.status_code == 422
    assert response.json() == {"error": "To Date cannot be before From Date"}


# Kore's sessions


@pytest.mark.parametrize(
    ("version", "absent"),
    [
        (
            "v7",
            {
                "sessionType",
                "isDeveloper",
                "tags",
                "containmentType",
                "sessionStatus",
                "noOfMessagesExchanged",
                "noOfTasksExecuted",
            },
        ),
        (
            "v8",
            {
                "containmentType",
                "sessionStatus",
                "noOfMessagesExchanged",
                "noOfTasksExecuted",
            },
        ),
        ("v9", {"sessionStatus", "noOfMessagesExchanged", "noOfTasksExecuted"}),
        ("v10", set()),
    ],
)
def test_sessions_are_as_in_the_samples(version: Any, absent: set[str]) -> None:
    sample = {
        "sessionId": str,
        "botId": str,
        "channel": str,
        "userId": str,
        "start_time": str,
        "end_time": str,
        "session_lang": [str] if version == "v10" else str,
        "sessionType": str,
        "isDeveloper": float,
        "sessionStatus": str,
        "tags": {
            "userTags": [{"value": str, "name": str}],
            "sessionTags": [{"value": str, "name": str}],
        },
        "noOfMessagesExchanged": float,
        "noOfTasksExecuted": float,
        "containmentType": str,
    }
    with Simulator(World(kore_version=version)) as sim:
        page = kore(sim, day_window(10))

    assert shape(page) == {
        "total": float,
        "moreAvailable": float,
        "sessions": [{name: sample[name] for name in sample if name not in absent}],
    }
    assert page["moreAvailable"] is False


def test_newer_sessions_are_less_regular() -> None:
    records = World(kore_version="2025").truth("kore_sessions", BOT, START, END)

    assert {type(record["isDeveloper"]) for record in records} == {bool, int}
    assert "korevg" in {record["channel"] for record in records}
    assert all(record["tags"]["altText"] == [] for record in records)
    values = {record["tags"]["userTags"][0]["value"] for record in records}
    assert values == {"newuser", "gold", None, 7}


def test_mixed_versions_and_new_fields() -> None:
    options = Assumptions(extra_fields={"newField": {"deep": [1]}})
    with Simulator(World(kore_version="mixed"), options=options) as sim:
        sessions = kore(sim, day_window(10))["sessions"]
        entries = avaamo(sim, "sessions")["entries"]

    assert {type(record["session_lang"]) for record in sessions} == {str, list}
    assert all(record["newField"] == {"deep": [1]} for record in sessions + entries)


def test_a_session_lives(sim: Simulator) -> None:
    lives: dict[str, list[JSON]] = {}
    start = datetime(2026, 3, 10, 12, tzinfo=UTC)
    body = {
        "dateFrom": "2026-03-10T12:00:00.000Z",
        "dateTo": "2026-03-10T16:00:00.000Z",
    }
    for quarter in range(1, 60):
        sim.world.now = (start + timedelta(minutes=5 * quarter)).timestamp()
        for record in kore(sim, body | {"limit": 1000})["sessions"]:
            lives.setdefault(record["sessionId"], []).append(record)

    for life in lives.values():
        assert [record["end_time"] for record in life] == sorted(
            record["end_time"] for record in life
        )
        active = [record for record in life if record["sessionStatus"] == "active"]
        assert life[: len(active)] == active
        assert {record["containmentType"] for record in active} <= {"selfService"}
    turns = {
        (life[0]["sessionType"], life[-1]["sessionType"]) for life in lives.values()
    }
    assert ("non-interactive", "interactive") in turns
    final = {life[-1]["containmentType"] for life in lives.values()}
    assert final == {"selfService", "dropOff", "agent"}


def test_some_sessions_stay_open_for_days() -> None:
    week = (START, START + timedelta(days=7))
    records = World(open_fraction=0.5).truth("kore_sessions", BOT, *week)

    assert any(record["sessionStatus"] == "active" for record in records)


def test_sessions_are_paged_latest_first(sim: Simulator) -> None:
    window = day_window(10)
    truth = sim.world.truth(
        "kore_sessions", BOT, START + timedelta(days=9), START + timedelta(days=10)
    )
    pages = [
        kore(sim, window | {"skip": skip, "limit": 15})
        for skip in range(0, len(truth), 15)
    ]

    assert [row for page in pages for row in page["sessions"]] == truth[::-1]
    assert [page["moreAvailable"] for page in pages] == [True] * (len(pages) - 1) + [
        False
    ]
    assert {page["total"] for page in pages} == {len(truth)}
    offset = kore(sim, window | {"offset": 15, "limit": 15})
    assert offset == pages[1]


def test_limit_is_literal_unless_clamped(sim: Simulator) -> None:
    week = {"dateFrom": "2026-03-08", "dateTo": "2026-03-15"}

    assert len(kore(sim, week)["sessions"]) == 20
    assert len(kore(sim, week | {"limit": 280})["sessions"]) == 280
    sim.options.kore_short_pages = True
    assert len(kore(sim, week | {"limit": 30, "skip": 30})["sessions"]) == 29
    sim.options.kore_page_clamp = 7
    page = kore(sim, week | {"limit": 100})
    assert (len(page["sessions"]), page["moreAvailable"]) == (7, True)


def test_date_defaults(sim: Simulator) -> None:
    count = sim.world.count
    week = timedelta(days=7)
    day = datetime(2026, 3, 5, tzinfo=UTC)
    instant = timedelta(milliseconds=1)
    tomorrow = day + timedelta(days=1)

    assert kore(sim)["total"] == count("kore_sessions", BOT, END - week, END)
    assert kore(sim, {"dateFrom": "2026-03-05"})["total"] == count(
        "kore_sessions", BOT, day, day + week + instant
    )
    assert kore(sim, {"dateTo": "2026-03-05T00:00:00.000Z"})["total"] == count(
        "kore_sessions", BOT, day - week, day + instant
    )
    same_day = {"dateFrom": "2026-03-05", "dateTo": "2026-03-05"}
    assert kore(sim, same_day)["total"] == count("kore_sessions", BOT, day, tomorrow)
    sim.options.kore_date_only_to = "start"
    assert kore(sim, same_day)["total"] == 2


def test_seven_days_are_the_most(sim: Simulator) -> None:
    body = {
        "dateFrom": "2026-03-01T00:00:00.000Z",
        "dateTo": "2026-03-08T00:00:00.000Z",
    }

    assert kore(sim, body)["total"]
    response = post(sim, body | {"dateTo": "2026-03-08T00:00:00.001Z"})
    assert response.status_code == 400
    assert response.json()["errors"][0]["code"] == 400


def test_filters(sim: Simulator) -> None:
    window = day_window(10)
    rows = kore(sim, window)["sessions"]

    for kind in ("selfService", "dropOff", "agent"):
        assert kore(sim, window, containmentType=kind)["sessions"] == [
            row for row in rows if row["containmentType"] == kind
        ]
    for name, value in (
        ("sessionType", "non-interactive"),
        ("userId", rows[3]["userId"]),
    ):
        expected = [row for row in rows if row[name] == value]
        assert kore(sim, window | {name: value})["sessions"] == expected
    tag = {"name": "regular", "values": ["gold"], "type": "user"}
    expected = [row for row in rows if row["tags"]["userTags"][0]["value"] == "gold"]
    assert kore(sim, window | {"tags": {"and": [tag]}})["sessions"] == expected
    assert expected


def test_sessions_by_id(sim: Simulator) -> None:
    rows = kore(sim, day_window(10))["sessions"]
    wanted = [row["sessionId"] for row in rows]
    unknown = ["6465cf6e47Q9ed4e822b82a1", "0" * 24]

    result = kore(sim, {"sessionId": wanted + unknown, "dateFrom": "2026-03-01"})
    assert result["sessions"] == rows
    assert result["invalidSessions"] == unknown
    assert kore(sim, {"sessionId": wanted[:1] * 50})["total"] == 1
    assert post(sim, {"sessionId": wanted[:1] * 51}).status_code == 400


def test_paths_for_account_and_stream(sim: Simulator) -> None:
    window = day_window(10)
    account = post(sim, window, path="getSessions").json()

    assert account["total"] == sum(
        post(sim, window, path=f"bot/{bot}/getSessions").json()["total"]
        for bot in sim.world.bots
    )
    starts = [row["start_time"] for row in account["sessions"]]
    assert starts == sorted(starts, reverse=True)
    assert post(sim, window, path=f"stream/{BOT}/getSessions").json() == kore(
        sim, window
    )


def test_kore_accepts_the_documented_and_the_observed_tokens(sim: Simulator) -> None:
    client_id = sim.world.app.client_id
    expiry = time.time() + 60.5

    for claims in (
        {"sub": "1234567890", "appId": client_id},
        {"iss": client_id, "aud": "https://bots.kore.ai", "exp": int(expiry)},
        {"appId": client_id, "exp": expiry},
    ):
        assert post(sim, auth=token(**claims)).status_code == 200


def test_kore_refuses_other_tokens(sim: Simulator) -> None:
    client_id = sim.world.app.client_id
    credentials = [
        token("wrong" * 20),
        token(appId="other"),
        token(clientId=client_id),
        token(appId=client_id, exp=1),
        token(algorithm="HS512"),
    ]
    for auth in credentials:
        assert_refused(post(sim, auth=auth), "Invalid SDK credentials")
    assert_refused(post(sim, path="bot/st-none/getSessions"), "Invalid SDK credentials")
    assert_refused(
        requests.post(f"{sim.url}/api/public/getSessions", timeout=5),
        "Invalid SDK credentials",
    )
    assert_refused(post(sim, auth="no-jwt"), "Invalid JWT token")
    sim.world.app = sim.world.app._replace(scoped=False)
    assert_refused(post(sim), "Permission denied. Scope is incorrect!")


def assert_refused(response: requests.Response, message: str) -> None:
    assert response.status_code == 401
    assert response.json() == {"errors": [{"msg": message, "code": 4002}]}
    assert response.headers["response-error-description"] == response.text


def test_apps_per_bot_and_algorithm(sim: Simulator) -> None:
    app = App("cs-own", "own-secret-" * 8, "HS512")
    sim.world.apps[BOT] = app

    assert post(sim).status_code == 401
    auth = token(app.client_secret, "HS512", appId="cs-own")
    assert post(sim, auth=auth).status_code == 200
    account = post(sim, {"limit": 1000}, path="getSessions", auth=auth).json()
    assert {row["botId"] for row in account["sessions"]} == {BOT}


def test_kore_methods_and_bodies(sim: Simulator) -> None:
    url = f"{sim.url}/api/public/bot/{BOT}/getSessions"
    response = requests.get(url, headers={"auth": token()}, timeout=5)

    assert response.status_code == 405
    assert response.json() == {"errors": [{"msg": "Method Not Allowed", "code": 405}]}
    assert post(sim, {"limit": -1}).status_code == 412
    assert post(sim, {"dateFrom": "yesterday"}).status_code == 412
    garbled = requests.post(url, data=b"{", headers={"auth": token()}, timeout=5)
    assert garbled.status_code == 412


# Faults and limits


def test_rules_choose_their_requests(sim: Simulator) -> None:
    def statuses(rule: Rule) -> list[int]:
        sim.faults.rules = [rule]
        return [get(sim, "sessions").status_code for _ in range(6)]

    assert statuses(Rule(status(503), nth=2)) == [200, 503, 200, 200, 200, 200]
    assert statuses(Rule(status(503), every=3)) == [200, 200, 503, 200, 200, 503]
    assert statuses(Rule(status(503), times=2)) == [503, 503, 200, 200, 200, 200]
    assert statuses(Rule(status(503), after=4)) == [200, 200, 200, 200, 503, 503]
    drawn = statuses(Rule(status(503), probability=0.5, seed=1))
    assert set(drawn) == {200, 503}
    assert drawn == statuses(Rule(status(503), probability=0.5, seed=1))
    for elsewhere in (
        Rule(status(503), vendor="kore"),
        Rule(status(503), endpoint="usage"),
        Rule(status(503), bot="202"),
    ):
        assert set(statuses(elsewhere)) == {200}


def test_fixed_answers(sim: Simulator) -> None:
    later = format_datetime(datetime(2026, 3, 21, 0, 1, tzinfo=UTC), usegmt=True)
    sim.faults.rules = [
        Rule(status(429, {"error": "slow down"}, {"Retry-After": later}), nth=1),
        Rule(html(), nth=2),
        Rule(bad_json(), nth=3),
        Rule(redirect("http://localhost:9/elsewhere"), nth=4),
    ]

    refused = get(sim, "sessions")
    assert (refused.status_code, refused.json()) == (429, {"error": "slow down"})
    assert refused.headers["Retry-After"] == later
    page = get(sim, "sessions")
    assert (page.status_code, page.headers["Content-Type"]) == (200, "text/html")
    with pytest.raises(requests.JSONDecodeError):
        get(sim, "sessions").json()
    moved = get(sim, "sessions")
    assert (moved.status_code, moved.headers["Location"]) == (
        302,
        "http://localhost:9/elsewhere",
    )


def test_broken_connections(sim: Simulator) -> None:
    sim.faults.rules = [
        Rule(reset(), nth=1),
        Rule(reset(after=40), nth=2),
        Rule(cut(after=40), nth=3),
    ]

    with pytest.raises(requests.ConnectionError, match="reset by peer"):
        get(sim, "sessions")
    with pytest.raises(
        (requests.ConnectionError, requests.exceptions.ChunkedEncodingError)
    ):
        get(sim, "sessions")
    with pytest.raises(requests.exceptions.ChunkedEncodingError, match="40 bytes read"):
        get(sim, "sessions")
    assert [call.status for call in sim.requests] == [None, 200, 200]
    assert get(sim, "sessions").status_code == 200


def test_hanging_requests_end_with_the_server() -> None:
    started = time.monotonic()
    with Simulator(faults=Faults([Rule(hang())])) as sim:
        url = f"{sim.url}/bots/analytics/{AGENT}/sessions.json"
        with pytest.raises(requests.ReadTimeout):
            requests.get(url, timeout=0.2)
        assert sim.requests[0].status is None

    assert time.monotonic() - started < 2


def test_a_body_that_stops_midway_leaves_its_connection_open(sim: Simulator) -> None:
    sim.faults.rules = [Rule(stall(after=40), times=1)]
    url = f"{sim.url}/bots/analytics/{AGENT}/sessions.json"
    token = {"Access-Token": sim.world.avaamo_token}
    with requests.get(url, headers=token, timeout=0.2, stream=True) as response:
        assert response.raw.read(40) == b'{"current_page":1,"per_page":25,"total_e'
        with pytest.raises(urllib3.exceptions.ReadTimeoutError):
            response.raw.read(1)
    assert get(sim, "sessions").status_code == 200


def test_effects_add_up(sim: Simulator) -> None:
    truth = avaamo(sim, "sessions")["total_entries"]
    sim.faults.rules = [Rule(latency(0.2)), Rule(wrong_total(3))]
    started = time.monotonic()

    assert avaamo(sim, "sessions")["total_entries"] == truth + 3
    assert time.monotonic() - started >= 0.2


def test_limits_roll(sim: Simulator) -> None:
    limits = Limits(
        kore_per_minute=2, avaamo_per_minute=1, minute=0.5, retry_after=True
    )
    sim.faults.limits = limits

    assert [get(sim, "sessions", agent).status_code for agent in ("201", "202")] == [
        200,
        429,
    ]
    assert [post(sim).status_code for _ in range(3)] == [200, 200, 429]
    assert post(sim, path=f"bot/{World.bots[1]}/getSessions").status_code == 200
    assert limits.refused == {"avaamo": 1, f"kore/{BOT}": 1}
    refused = post(sim)
    assert refused.headers["Retry-After"] == "1"
    assert "per-minute rate limit" in refused.json()["errors"][0]["msg"]
    time.sleep(0.5)
    assert post(sim).status_code == 200
    limits.kore_per_hour = 3
    assert "hourly rate limit" in post(sim).json()["errors"][0]["msg"]


def test_answers_can_be_watched(sim: Simulator) -> None:
    watched: list[tuple[int | None, bool, object]] = []
    sim.watch = lambda call, reply: watched.append(
        (call.status, reply.is_whole, reply.body)
    )
    sim.faults.rules = [Rule(cut(), nth=2)]
    page = get(sim, "sessions").json()
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(sim, "sessions")
    assert [seen[:2] for seen in watched] == [(200, True), (200, False)]
    assert watched[0][2] == page


def test_requests_are_recorded(sim: Simulator) -> None:
    post(sim, {"limit": 3}, containmentType="agent")

    (call,) = sim.requests
    assert (call.vendor, call.endpoint, call.bot) == ("kore", "getSessions", BOT)
    assert (call.params, call.body) == ({"containmentType": "agent"}, {"limit": 3})
    assert call.status == 200
    assert call.at <= time.monotonic()


# The server


def test_control_endpoints(sim: Simulator) -> None:
    base = f"{sim.url}/_simulator"
    session = requests.Session()
    summary = session.get(f"{base}/", timeout=5).json()
    assert summary["avaamo"]["agents"] == ["201", "202"]
    assert summary["kore"]["bots"][BOT]["client_id"] == sim.world.app.client_id

    now = START.timestamp() + 86_400
    assert (
        session.put(f"{base}/clock", json={"now": now}, timeout=5).json()["now"] == now
    )
    assert sim.world.now == now
    assert session.put(f"{base}/clock", json={}, timeout=5).status_code == 400

    changes = {"bounds": "half_open", "kore_page_clamp": 7}
    session.put(f"{base}/options", json=changes, timeout=5).raise_for_status()
    assert sim.options == Assumptions(bounds="half_open", kore_page_clamp=7)
    for wrong in ({"bounds": "ajar"}, {"unknown": 1}):
        assert session.put(f"{base}/options", json=wrong, timeout=5).status_code == 400

    fault = {"effect": {"name": "status", "code": 503}, "vendor": "avaamo", "nth": 1}
    session.post(f"{base}/faults", json=fault, timeout=5).raise_for_status()
    assert [get(sim, "sessions").status_code for _ in range(2)] == [503, 200]
    wrong_fault = {"effect": {"name": "hook"}}
    assert (
        session.post(f"{base}/faults", json=wrong_fault, timeout=5).status_code == 400
    )
    session.delete(f"{base}/faults", timeout=5).raise_for_status()
    assert sim.faults.rules == []

    counts = session.get(f"{base}/requests", timeout=5).json()
    assert counts["total"] == 2
    query = {
        "stream": "avaamo_sessions",
        "bot": AGENT,
        "from": START.isoformat(),
        "to": END.isoformat(),
    }
    truth = session.get(f"{base}/truth", params=query, timeout=5).json()
    assert truth == sim.world.truth("avaamo_sessions", AGENT, START, END)
    query["stream"] = "unknown"
    assert session.get(f"{base}/truth", params=query, timeout=5).status_code == 400


def test_a_taken_port_is_an_error(sim: Simulator) -> None:
    port = int(sim.url.rsplit(":", 1)[1])

    with pytest.raises(OSError, match="address already in use"), Simulator(port=port):
        pass
