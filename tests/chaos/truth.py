"""What the tap must make of the vendors' records, and when these are."""

from __future__ import annotations

from datetime import UTC, date, datetime, timedelta, timezone
from typing import TYPE_CHECKING, Any

from simulator import Assumptions
from simulator.streams import DAILY, STREAMS
from tests.truth import Keyed, key_of

if TYPE_CHECKING:
    from simulator import World
    from tests.chaos.plan import Plan

Truth = dict[str, Keyed]
"""Records by stream and key."""


def truth(plan: Plan, world: World, end: datetime) -> Truth:
    """All that a world shows now, of what a plan asks for, before an instant."""
    offset = plan.settings["avaamo_utc_offset"]
    found: Truth = {}
    for stream, bots in plan.bots.items():
        records = [
            shaped(plan, stream, bot, raw)
            for bot in bots
            for raw in world.truth(stream, bot, plan.start, end, utc_offset=offset)
        ]
        found[stream] = {key_of(stream, record): record for record in records}
    return found


Kinds = dict[tuple[str, ...], tuple[str, str]]
"""Containment type and session type of Kore.ai's sessions, by their keys."""


def kinds(plan: Plan, world: World) -> Kinds:
    """The kinds of all sessions as they are now, whether a record has them or not."""
    version, world.kore_version = world.kore_version, "v10"
    end = datetime.fromtimestamp(world.now, UTC) + timedelta(seconds=1)
    sessions: Kinds = {
        (bot, raw["sessionId"]): (raw["containmentType"], raw["sessionType"])
        for bot in plan.bots.get("kore_sessions", ())
        for raw in world.truth("kore_sessions", bot, world.start, end)
    }
    world.kore_version = version
    return sessions


def shaped(plan: Plan, stream: str, bot: str, raw: dict[str, Any]) -> dict[str, Any]:
    """The record that a vendor's one makes."""
    extra = plan.options["extra_fields"]
    raw = {name: raw[name] for name in raw if name not in extra}
    if STREAMS[stream].vendor == "kore":
        raw = Assumptions(kore_spelling=plan.options["kore_spelling"]).spelt(raw)
    record = STREAMS[stream].expected(bot, raw, plan.settings["avaamo_utc_offset"])
    if extra and stream not in DAILY:
        record["additional_fields"] = extra
    return record


def zone(plan: Plan) -> timezone:
    """The zone in which the days of usage begin."""
    return timezone(timedelta(seconds=plan.settings["avaamo_utc_offset"]))


def time_of(stream: str, record: dict[str, Any]) -> datetime:
    """A record's place in the history of its bot."""
    return datetime.fromisoformat(record[STREAMS[stream].time])


def bot_of(stream: str, record: dict[str, Any]) -> str:
    """The bot that a record is of."""
    return str(record[STREAMS[stream].bot_key])


Bookmarks = dict[tuple[str, str], datetime]
"""The instants up to which bots have been read, by stream and bot."""


def bookmarks(plan: Plan, state: dict[str, Any] | None) -> Bookmarks:
    """The bookmarks in a state."""
    return {
        (stream, next(iter(partition["context"].values()))): _instant(
            plan, stream, partition["replication_key_value"]
        )
        for stream, bookmark in (state or {}).get("bookmarks", {}).items()
        for partition in bookmark.get("partitions", ())
        if "replication_key_value" in partition
    }


def _instant(plan: Plan, stream: str, value: Any) -> datetime:
    match STREAMS[stream].bookmark:
        case "date":
            return midnight(plan, date.fromisoformat(value))
        case "date-time":
            return datetime.fromisoformat(value)
        case "seconds":
            return datetime.fromtimestamp(value, UTC)
        case "none":
            raise ValueError(stream)


def midnight(plan: Plan, day: date) -> datetime:
    """When a day of usage begins."""
    return datetime(day.year, day.month, day.day, tzinfo=zone(plan))


def bookmark_at(plan: Plan, stream: str, end: datetime) -> datetime:
    """The bookmark of a bot that has been read up to an instant."""
    match STREAMS[stream].bookmark:
        case "date":
            return midnight(plan, end.astimezone(zone(plan)).date())
        case "date-time":
            return end
        case "seconds":
            return end.replace(microsecond=0)
        case "none":
            raise ValueError(stream)
