"""What comes late or is erased is found by its count, and read again."""

from __future__ import annotations

import io
from collections import Counter
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, Any, Literal, get_args

import pytest
import requests
from rich.console import Console

from simulator import Assumptions, Outage, Simulator, World
from simulator.faults import Rule, status
from simulator.streams import LISTS
from tap_botsessions.reports.plan_report import PlanReport
from tests.conftest import Records, Synced, Tap, config_for, end_of, sync
from tests.simulated.test_simulator import token
from tests.truth import OPTIONAL, assert_same, expected

if TYPE_CHECKING:
    from collections.abc import Iterator

Bounds = Literal["closed", "half_open", "open_start"]

DAY = timedelta(days=1)
DAYS = 20
SWEPT: dict[str, Any] = {"sweep_hours": 0}
"""Each run looks again at what was read before."""


@pytest.fixture
def bounds() -> Bounds:
    """Whether lists include their bounds."""
    return "closed"


@pytest.fixture
def simulator(bounds: Bounds) -> Iterator[Simulator]:
    """A world that goes on."""
    start = datetime.now(UTC).replace(microsecond=0) - (DAYS + 1) * DAY
    world = World(start=start, days=DAYS + 1, sessions_per_day=12)
    world.now = (start + DAYS * DAY).timestamp()
    options = Assumptions(bounds=bounds)
    with Simulator(world, options=options) as running:
        yield running


@dataclass
class Runs:
    """Runs of the tap, one after another, and what a target keeps of them.

    Attributes:
        simulator: The vendors.
        streams: The streams that are read.
        records: What the target has, by stream and key.
        last: The last run.
    """

    simulator: Simulator
    streams: tuple[str, ...] = ()
    records: Records = field(default_factory=dict)
    last: Synced | None = None
    requests: Counter[str] = field(default_factory=Counter)

    def run(self, after: timedelta = timedelta(0), **settings: Any) -> Synced:
        """Run the tap, so long after the last time."""
        self.simulator.world.now += after.total_seconds()
        self.simulator.requests.clear()
        state = self.last.state if self.last else None
        self.last = sync(self.simulator, state, self.streams, **SWEPT | settings)
        self.requests = Counter(call.endpoint for call in self.simulator.requests)
        for stream, records in self.last.records.items():
            self.records.setdefault(stream, {}).update(records)
        return self.last

    def assert_complete(self) -> None:
        """Compare what the target has with what the vendors have now."""
        world = self.simulator.world
        for stream in self.streams:
            truth = expected(world, stream, world.start, end_of(world))
            assert_same(self.records[stream], truth)


LIST_STREAMS = ("avaamo_sessions", "avaamo_messages", "kore_sessions")
BOUNDS: tuple[Bounds, ...] = get_args(Bounds)
OPTIONAL_LISTS = tuple(name for name in OPTIONAL if name in LISTS)


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("stream", LIST_STREAMS)
@pytest.mark.parametrize("age", [2 * DAY, 11 * DAY, 19 * DAY, timedelta(hours=5)])
def test_a_late_record_of_any_age_comes_with_the_next_sweep(
    simulator: Simulator, stream: str, age: timedelta
) -> None:
    world = simulator.world
    runs = Runs(simulator, (stream,))
    runs.run()
    bot = world.bots_of(stream)[0]
    world.add_late(stream, bot, datetime.fromtimestamp(world.now, UTC) - age)
    runs.run(timedelta(hours=1))
    runs.assert_complete()


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("stream", LIST_STREAMS)
def test_where_nothing_has_changed_nothing_is_read_again(
    simulator: Simulator, stream: str
) -> None:
    runs = Runs(simulator, (stream,))
    runs.run()
    runs.run(timedelta(hours=1), sweep_hours=24)
    without = runs.requests.total()
    again = runs.run(timedelta(hours=1))
    bots = simulator.world.bots_of(stream)
    # Where a list is empty, the form of Avaamo's ranges may be looked at again, by
    # either of the runs.
    assert 3 * len(bots) <= runs.requests.total() - without <= 7 * len(bots)
    late = datetime.fromtimestamp(simulator.world.now, UTC) - timedelta(hours=4)
    for record in again.records[stream].values():
        if record.get("session_status") == "active":
            continue  # it is asked for by its id
        time = str(record.get("created_at", record.get("start_time")))
        assert datetime.fromisoformat(time) > late


@pytest.mark.parametrize("bounds", BOUNDS)
@pytest.mark.parametrize("stream", LIST_STREAMS)
def test_what_took_the_place_of_another_is_found_in_turn(
    simulator: Simulator, stream: str
) -> None:
    world = simulator.world
    runs = Runs(simulator, (stream,))
    runs.run()
    bot = world.bots_of(stream)[0]
    [row, *_] = world.rows(
        stream, bot, *(int((world.start + n * DAY).timestamp() * 1000) for n in (9, 10))
    )
    gone = datetime.fromtimestamp(row.at / 1000, UTC)
    world.remove(stream, bot, gone)
    world.add_late(stream, bot, gone + timedelta(hours=1))
    for _ in range(4):
        runs.run(timedelta(hours=1), sweep_full_every=1)
    world_has = expected(world, stream, world.start, end_of(world))
    assert world_has.keys() <= runs.records[stream].keys()


def test_an_erased_record_has_its_span_read_again(simulator: Simulator) -> None:
    world = simulator.world
    runs = Runs(simulator, ("avaamo_messages",))
    runs.run()
    first, last = (int((world.start + n * DAY).timestamp() * 1000) for n in (9, 10))
    [row, *_] = world.rows("avaamo_messages", "201", first, last)
    world.remove("avaamo_messages", "201", datetime.fromtimestamp(row.at / 1000, UTC))
    again = runs.run(timedelta(hours=1))
    assert len(again.records["avaamo_messages"]) > 24


def test_usage_days_are_asked_for_again_in_turn(simulator: Simulator) -> None:
    runs = Runs(simulator, ("avaamo_usage",))
    runs.run()
    days = Counter[str]()
    for _ in range(7):
        again = runs.run(timedelta(hours=1), sweep_days=21)
        assert runs.requests.total() <= 2 * (3 + 3)
        days.update(record["date"] for record in again.records["avaamo_usage"].values())
    assert len(days) >= DAYS


def test_a_state_of_before_sweeps_begins_to_be_swept(simulator: Simulator) -> None:
    world = simulator.world
    runs = Runs(simulator, ("avaamo_messages",))
    first = runs.run(sweep_days=0)
    assert "sweep" not in str(first.state)
    world.add_late("avaamo_messages", "201", world.start + 2 * DAY)
    before = runs.run(timedelta(hours=1))
    # A quiet hour may take requests more, to prove in which form ranges are taken;
    # a sweep would take eight at the least.
    assert runs.requests.total() < 10, before.state
    for _ in range(4):
        runs.run(timedelta(hours=1))
    runs.assert_complete()
    runs.run(timedelta(hours=1), sweep_hours=24)
    without = runs.requests.total()
    runs.run(timedelta(hours=1))
    assert runs.requests.total() - without <= 5 * 2 + 6  # see above


@pytest.mark.parametrize("stream", OPTIONAL_LISTS)
def test_the_streams_that_have_to_be_selected_are_swept_as_well(
    simulator: Simulator, stream: str
) -> None:
    world = simulator.world
    runs = Runs(simulator, (stream,))
    runs.run()
    bot = world.bots_of(stream)[0]
    first, last = (int((world.start + n * DAY).timestamp() * 1000) for n in (9, 10))
    [row, *_] = world.rows(stream, bot, first, last)
    world.remove(stream, bot, datetime.fromtimestamp(row.at / 1000, UTC))
    again = runs.run(timedelta(hours=1))
    assert again.records[stream]
    runs.run(timedelta(hours=1))
    counts = [
        call
        for call in simulator.requests
        if call.params.get("per_page") == "1" or call.body.get("limit") == 1
    ]
    lists = 6 if stream == "kore_analytics" else 1
    # And of records, to prove in which form Avaamo takes ranges.
    bots = len(world.bots_of(stream))
    assert len(counts) <= 5 * bots * lists + 2 * bots


def test_the_account_s_list_is_counted_once_for_all_of_its_bots(
    simulator: Simulator,
) -> None:
    world = simulator.world
    runs = Runs(simulator, ("kore_sessions",))
    account = {"kore_api": "account", "kore_bot_ids": [*world.bots[:1]]}
    both = {"kore_api": "account"}
    for settings in (account, both):
        runs.last = None
        runs.run(**settings)
        runs.run(timedelta(hours=1), **settings, sweep_hours=24)
        without = runs.requests.total()
        runs.run(timedelta(hours=1), **settings)
        assert 0 < runs.requests.total() - without <= 5
    world.add_late("kore_sessions", world.bots[1], world.start + 3 * DAY)
    runs.run(timedelta(hours=1), **both)
    runs.assert_complete()


@pytest.mark.parametrize("stream", ["avaamo_messages", "kore_sessions"])
def test_a_sweep_that_is_cut_off_is_gone_on_with(
    simulator: Simulator, stream: str
) -> None:
    world = simulator.world
    runs = Runs(simulator, (stream,))
    runs.run()
    for day in range(1, DAYS, 3):
        for bot in world.bots_of(stream):
            world.add_late(stream, bot, world.start + (day + 0.5) * DAY)
    for left in range(12):
        rule = Rule(status(403, b"{}"), after=2 + left)
        simulator.faults.rules[:] = [rule]
        runs.run(timedelta(minutes=1))
    simulator.faults.rules.clear()
    runs.run(timedelta(minutes=1))
    runs.assert_complete()


@pytest.mark.parametrize(
    "sweep",
    [
        {"at": "x"},
        {"at": "2026-03-01T00:00:00Z", "days": [1]},
        {"at": "2026-03-01T00:00:00Z", "from": "2026-03-01T00:00:00Z", "days": ["x"]},
        {"at": "2026-03-01T00:00:00Z", "from": "2026-03-01T00:00:00Z", "days": [[1]]},
    ],
)
def test_a_sweep_that_is_not_as_the_tap_wrote_it_fails_its_bot(
    simulator: Simulator, sweep: Any
) -> None:
    runs = Runs(simulator, ("avaamo_messages",))
    state = runs.run().state
    [first, _] = state["bookmarks"]["avaamo_messages"]["partitions"]
    first["sweep"] = sweep
    runs.last = Synced(messages=[{"type": "STATE", "value": state}])
    failures = runs.run(timedelta(hours=1)).failures
    assert [each.label for each in failures] == ["avaamo_messages, agent 201"]
    assert "fix or clear it" in str(failures[0].error)


def test_a_backlog_that_arrives_in_the_wrong_order_is_found(
    simulator: Simulator,
) -> None:
    """After an outage of the vendor's, over hours."""
    world = simulator.world
    now = datetime.fromtimestamp(world.now, UTC)
    streams = ("avaamo_messages", "kore_sessions", "kore_messages")
    outage = Outage(now - 5 * DAY, now - 3 * DAY, now + timedelta(hours=2))
    held = sum(
        world.delay(stream, bot, outage)
        for stream in streams
        for bot in world.bots_of(stream)
    )
    runs = Runs(simulator, streams)
    first = runs.run()
    for _ in range(4):
        runs.run(timedelta(hours=1.5))
    runs.assert_complete()
    found = sum(len(records) for records in first.records.values())
    assert sum(len(records) for records in runs.records.values()) > found + held / 2


@pytest.mark.parametrize("keeps_sessions", [True, False])
def test_a_deletion_job_of_kore_s_has_its_days_read_again(
    simulator: Simulator, *, keeps_sessions: bool
) -> None:
    """The job is asynchronous; the records that are gone are emitted no more."""
    world = simulator.world
    simulator.options.kore_erasure_keeps_sessions = keeps_sessions
    world.erasure_minutes = 30
    streams = ("kore_sessions", "kore_messages")
    runs = Runs(simulator, streams)
    first = runs.run()
    bot = world.bots[0]
    [erased, *_] = [
        record["session_id"]
        for record in first.records["kore_sessions"].values()
        if record["bot_id"] == bot
        and datetime.fromisoformat(record["start_time"]) > world.start + 4 * DAY
    ]
    asked = requests.post(
        f"{simulator.url}/api/public/bot/{bot}/conversations/delete",
        json={"conversationIds": [erased]},
        headers={"auth": token()},
        timeout=10,
    )
    assert asked.status_code == 202
    before = runs.run(timedelta(minutes=1))
    again = runs.run(timedelta(hours=1))
    lost = {
        stream: runs.records[stream].keys()
        - expected(world, stream, world.start, end_of(world)).keys()
        for stream in streams
    }
    assert lost["kore_messages"]
    assert bool(lost["kore_sessions"]) == (not keeps_sessions)
    for stream in streams:
        assert not lost[stream] & again.records.get(stream, {}).keys()
    assert len(again.records["kore_messages"]) > len(before.records["kore_messages"])


def test_usage_that_is_corrected_later_comes_in_its_turn(simulator: Simulator) -> None:
    world = simulator.world
    runs = Runs(simulator, ("avaamo_usage",))
    runs.run()
    day = (world.start + 3 * DAY).date()
    world.correct_usage("201", day, session_count=999)
    for _ in range(7):
        runs.run(timedelta(minutes=1), sweep_days=21)
    runs.assert_complete()


def test_a_plan_tells_what_a_sweep_takes(simulator: Simulator) -> None:
    streams = ("avaamo_messages", "avaamo_usage", "kore_sessions")
    runs = Runs(simulator, streams)
    state = runs.run().state
    for hours, least in ((24.0, 0), (0.0, 4)):
        tap = Tap(config=config_for(simulator, sweep_hours=hours), state=state)
        for name, stream in tap.streams.items():
            stream.selected = name in streams
        found = tap.plan()
        for bot in found.bots:
            lists = bot.sweep if bot.stream.name != "avaamo_usage" else least
            assert (lists >= least) == (bot.sweep > 0 or not least)
            assert bot.sweep <= 5
        words = io.StringIO()
        Console(file=words, width=120).print(PlanReport(found, []).lines())
        assert ("and a sweep, 4 requests at least" in words.getvalue()) == (hours == 0)
