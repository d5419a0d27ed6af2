"""The views in `examples/` say what the vendors' records say."""

from __future__ import annotations

import json
import os
import subprocess
from collections import Counter, defaultdict
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from decimal import ROUND_HALF_UP, Decimal
from typing import TYPE_CHECKING, Any, NamedTuple

import pytest
from psycopg import sql

from demo.pipe import sync
from demo.postgres import find_binaries, run_postgres
from demo.run import connect, target_config
from simulator import Simulator, World
from tests.conftest import config_for, end_of
from tests.docs import ROOT
from tests.readme import blocks
from tests.truth import STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence
    from pathlib import Path

    from psycopg import Connection

OFFSET = timedelta(hours=5.5)
"""How far east of UTC a day of avaamo_usage begins here."""


class Session(NamedTuple):
    """A row of `sessions`."""

    vendor: str
    bot_id: str
    session_id: str | None
    user_id: str
    started_at: datetime
    ended_at: datetime | None
    duration: timedelta | None
    is_open: bool | None
    containment: str | None
    messages: int | None


@pytest.fixture(scope="module")
def world() -> World:
    """A world in the midst of its history, with sessions that are open."""
    return World(
        sessions_per_day={"201": 120, "202": 60} | dict.fromkeys(World.bots, 40),
        days=20,
        now=datetime(2026, 3, 16, 15, tzinfo=UTC).timestamp(),
        equal_sessions=0.1,
        open_fraction=0.1,
        kore_version="mixed",
    )


@pytest.fixture(scope="module")
def connection(
    world: World, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Connection[Any]]:
    """All of the world loaded, and the views made by the commands of the README."""
    with loaded(world, tmp_path_factory.mktemp("examples"), STREAMS) as connection:
        yield connection


@contextmanager
def loaded(
    world: World, folder: Path, streams: Sequence[str]
) -> Iterator[Connection[Any]]:
    """Likewise, of some streams."""
    [commands] = blocks("SQL", "bash")
    with Simulator(world) as simulator, run_postgres("Europe/Paris") as server:
        config = config_for(simulator, avaamo_utc_offset=OFFSET.seconds)
        catalog = json.loads((ROOT / "tests" / "catalog.json").read_text())
        for entry in catalog["streams"]:
            [whole] = [each for each in entry["metadata"] if not each["breadcrumb"]]
            whole["metadata"]["selected"] = entry["tap_stream_id"] in streams
        (folder / "catalog.json").write_text(json.dumps(catalog))
        arguments = ("--catalog", folder / "catalog.json")
        sync(folder, config, target_config(server), *arguments)
        for _ in range(2):  # they may be run again
            subprocess.run(  # noqa: S603 -- the README's
                ["/usr/bin/env", "bash", "-c", commands],
                cwd=ROOT,
                env={
                    **os.environ,
                    "PATH": f"{find_binaries()}:{os.environ['PATH']}",
                    "DATABASE_URL": server.dsn,
                },
                check=True,
            )
        with connect(server) as connection:
            yield connection


def view(connection: Connection[Any], name: str) -> Counter[tuple[Any, ...]]:
    """The rows of a view, and how often each is there."""
    query = sql.SQL("TABLE {}").format(sql.Identifier(name))
    return Counter(connection.execute(query).fetchall())


def assert_equal(found: Counter[Any], truth: Counter[Any]) -> None:
    """Hold rows against the truth; of what differs, the first few are told."""
    missing, invented = list(truth - found), list(found - truth)
    assert not missing + invented, f"missing {missing[:3]}, invented {invented[:3]}"


def naive(value: str | float) -> datetime:
    """An instant of the vendors' in UTC, without its zone."""
    if isinstance(value, str):
        return datetime.fromisoformat(value).replace(tzinfo=None)
    return datetime.fromtimestamp(value, UTC).replace(tzinfo=None)


def records(
    world: World, stream: str, bots: Iterable[str]
) -> Iterator[tuple[str, dict[str, Any]]]:
    """The vendor's records, each with its bot."""
    for bot in bots:
        for record in world.truth(stream, bot, world.start, end_of(world)):
            yield bot, record


def sessions(world: World) -> list[Session]:
    """All sessions, by the vendors' records."""
    return [*avaamo_sessions(world), *kore_sessions(world)]


def avaamo_sessions(world: World) -> Iterator[Session]:
    """Those of Avaamo's: each message is dealt to the session that it falls in."""
    dealt: dict[tuple[str, str], dict[datetime, list[datetime]]] = defaultdict(dict)
    for agent, record in records(world, "avaamo_sessions", world.agents):
        dealt[agent, record["layer_id"]][naive(record["created_at"])] = []
    for agent, record in records(world, "avaamo_messages", world.agents):
        begun = dealt.get((agent, record["user"].get("layer_id", "")), {})
        at = naive(record["created_at"])
        start = max((start for start in begun if start <= at), default=None)
        if start:
            begun[start].append(at)
    for (agent, user), begun in dealt.items():
        for start, messages in begun.items():
            end = max(messages, default=None)
            yield Session(
                vendor="avaamo",
                bot_id=agent,
                session_id=None,
                user_id=user,
                started_at=start,
                ended_at=end,
                duration=end - start if end else None,
                is_open=None,
                containment=None,
                messages=len(messages),
            )


def kore_sessions(world: World) -> Iterator[Session]:
    """Those of Kore.ai's."""
    for bot, record in records(world, "kore_sessions", world.bots):
        status = record.get("sessionStatus")
        start, end = naive(record["start_time"]), naive(record["end_time"])
        is_open = status == "active"
        yield Session(
            vendor="kore",
            bot_id=bot,
            session_id=record["sessionId"],
            user_id=record["userId"],
            started_at=start,
            ended_at=None if is_open else end,
            duration=None if is_open else end - start,
            is_open=None if status is None else is_open,
            containment=None if is_open else record.get("containmentType"),
            messages=record.get("noOfMessagesExchanged"),
        )


def test_all_sessions_of_both_vendors(
    world: World, connection: Connection[Any]
) -> None:
    truth = sessions(world)
    assert_equal(view(connection, "sessions"), Counter(map(tuple, truth)))
    for vendor, states in ("avaamo", {None}), ("kore", {None, False, True}):
        assert {row.is_open for row in truth if row.vendor == vendor} == states
    assert {row.containment for row in truth} > {"selfService", "dropOff", "agent"}
    assert max(row.messages or 0 for row in truth if row.vendor == "avaamo") > 3
    assert any(row.messages == 0 for row in truth)


def test_figures_by_day(world: World, connection: Connection[Any]) -> None:
    groups: dict[tuple[str, str, date], list[Session]] = defaultdict(list)
    for session in sessions(world):
        day = session.started_at.date()
        groups[session.vendor, session.bot_id, day].append(session)
    truth = Counter((*group, *figures(listed)) for group, listed in groups.items())
    assert_equal(view(connection, "sessions_by_day"), truth)


def figures(listed: Sequence[Session]) -> tuple[object, ...]:
    """The figures of some sessions, each of those in which it is known."""
    kinds = [each.containment for each in listed if each.containment]
    durations = [each.duration for each in listed if each.duration is not None]
    return (
        len(listed),
        len({each.user_id for each in listed}),
        total(each.messages for each in listed),
        middle(durations) if durations else None,
        total(each.is_open for each in listed),
        *(
            total(kind == name for kind in kinds)
            for name in ("selfService", "dropOff", "agent")
        ),
        share(kinds.count("selfService"), len(kinds)) if kinds else None,
    )


def middle(durations: Sequence[timedelta]) -> timedelta:
    """The median."""
    ordered, last = sorted(durations), len(durations) - 1
    return (ordered[last // 2] + ordered[len(ordered) // 2]) / 2


def total(values: Iterable[int | None]) -> int | None:
    """The sum of what is known, if anything is."""
    known = [value for value in values if value is not None]
    return sum(known) if known else None


def share(part: int, whole: int) -> Decimal:
    """A share with four decimals, as PostgreSQL rounds."""
    return (Decimal(part) / whole).quantize(Decimal("0.0001"), ROUND_HALF_UP)


def test_avaamos_own_figures_beside_what_was_loaded(
    world: World, connection: Connection[Any]
) -> None:
    """They differ by the sessions that equal another one, and by nothing else."""
    sessions, messages = (
        by_day(records(world, stream, world.agents))
        for stream in ("avaamo_sessions", "avaamo_messages")
    )
    truth: Counter[Any] = Counter()
    for agent in world.agents:
        for number in range(16):
            place = agent, world.start.date() + timedelta(days=number)
            counted = len(sessions[place]), len(messages[place])
            loaded = len(set(sessions[place])), len(set(messages[place]))
            truth[*place, counted[0], loaded[0], counted[1], loaded[1]] += 1
    assert_equal(view(connection, "avaamo_usage_compared"), truth)
    assert any(row[2] > row[3] for row in truth)


def by_day(
    found: Iterable[tuple[str, dict[str, Any]]],
) -> dict[tuple[str, date], list[str]]:
    """The records of each agent's days, each as a text that tells it apart."""
    days = defaultdict(list)
    for agent, record in found:
        day = (naive(record["created_at"]) + OFFSET).date()
        days[agent, day].append(
            f"{record | {'created_at': float(record['created_at'])}}"
        )
    return days


def test_with_queries_avaamos_conversations_are_the_sessions(tmp_path: Path) -> None:
    world = World(
        sessions_per_day=dict.fromkeys(World.agents, 30.0)
        | dict.fromkeys(World.bots, 3.0),
        days=4,
    )
    users = {
        record["message_uuid"]: record["user"].get("layer_id")
        for _, record in records(world, "avaamo_messages", world.agents)
    }
    talks = defaultdict(list)
    for agent, record in records(world, "avaamo_queries", world.agents):
        talks[agent, record["conversation_uuid"]].append(record)
    with loaded(world, tmp_path, (*STREAMS, "avaamo_queries")) as connection:
        rows = [Session(*row) for row in view(connection, "sessions").elements()]
    found = {
        (row.bot_id, row.session_id): row for row in rows if row.vendor == "avaamo"
    }
    of_talks = {key: row for key, row in found.items() if key[1] is not None}
    assert of_talks.keys() == talks.keys()
    for key, queries in talks.items():
        times = sorted(naive(each["created_at"]) for each in queries)
        row = of_talks[key]
        assert (row.started_at, row.ended_at) == (times[0], times[-1])
        assert row.messages == len(queries)
        layer_ids = {users[each["message_uuid"]] for each in queries} - {None}
        assert {row.user_id} == (layer_ids or {None})
    silent = [row for row in rows if row.vendor == "avaamo" and not row.session_id]
    assert silent
    assert {row.messages for row in silent} == {0}
