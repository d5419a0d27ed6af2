"""What a catalog and a state hold and no run uses is named."""

from __future__ import annotations

from typing import Any

import pytest

from tap_botsessions.config.unused import (
    Partitions,
    unused_in_catalog,
    unused_in_state,
)

USER = {"type": "object", "properties": {"name": {"type": "string"}}}
SCHEMAS: dict[str, Any] = {
    "kore_sessions": {"properties": {"bot_id": {}, "tags": {"type": "object"}}},
    "avaamo_messages": {"properties": {"content": {}, "user": USER}},
}
READ = {"kore_sessions": Partitions("bot_id", ["st-1", "st-2"], "start_time")}
NOW = "2026-05-01T00:00:00Z"


def entry(name: str, *fields: tuple[str, ...], selected: bool = True) -> dict[str, Any]:
    """A catalog's entry with metadata for itself and some fields."""
    breadcrumbs = [
        [part for step in field for part in ("properties", step)] for field in fields
    ]
    return {
        "tap_stream_id": name,
        "metadata": [
            {"breadcrumb": [], "metadata": {"selected": selected}},
            *({"breadcrumb": each, "metadata": {}} for each in breadcrumbs),
        ],
    }


def partition(bot: str, key: str | None = "start_time") -> dict[str, Any]:
    part: dict[str, Any] = {"context": {"bot_id": bot}, "replication_key_value": NOW}
    return part | ({} if key is None else {"replication_key": key})


@pytest.mark.parametrize(
    ("given", "line"),
    [
        (entry("kore_sessions", ("bot_id",), ("tags", "anything")), None),
        (entry("avaamo_messages", ("user", "name")), None),
        (
            entry("kore_session"),
            (
                "catalog: there is no stream kore_session, so nothing is read of it; "
                "did you mean kore_sessions?"
            ),
        ),
        (
            entry("orders"),
            "catalog: there is no stream orders, so nothing is read of it",
        ),
        (
            entry("avaamo_usage"),
            "catalog: avaamo_usage is not read, as its vendor is not configured",
        ),
        (entry("avaamo_usage", selected=False), None),
        (
            entry("kore_sessions", ("tag",)),
            "catalog: kore_sessions has no field tag; did you mean tags?",
        ),
        (
            entry("avaamo_messages", ("user", "nmae")),
            "catalog: avaamo_messages has no field user.nmae; did you mean name?",
        ),
        (
            {
                "tap_stream_id": "kore_sessions",
                "schema": {"properties": {"bot_id": {}, "botid": {}}},
            },
            "catalog: kore_sessions has no field botid; did you mean bot_id?",
        ),
    ],
)
def test_what_a_catalog_selects_in_vain_is_named(
    given: dict[str, Any], line: str | None
) -> None:
    lines = list(unused_in_catalog([given], SCHEMAS, {"avaamo_usage"}))
    assert lines == ([line] if line else [])


@pytest.mark.parametrize(
    ("name", "found", "line"),
    [
        ("kore_sessions", {"partitions": [partition("st-1"), partition("st-2")]}, None),
        ("kore_sessions", {"partitions": [partition("st-1", None)]}, None),
        ("kore_sessions", {}, None),
        ("sync_windows", {"partitions": []}, None),
        (
            "kore_sesions",
            {},
            "state: there is no stream kore_sesions; did you mean kore_sessions?",
        ),
        (
            "kore_sessions",
            {"partitions": [partition(f"st-{n}") for n in range(10, 22)]},
            (
                "state: kore_sessions: the bookmarks of st-10, st-11, st-12, st-13, "
                "st-14, st-15, st-16, st-17, st-18, st-19 and 2 more are kept and not "
                "used, as none of these bots is in the settings"
            ),
        ),
        (
            "kore_sessions",
            {"partitions": [partition("st-1", "end_time")]},
            (
                "state: kore_sessions: the bookmarks of st-1 are of something else "
                "than start_time; reading begins at start_date"
            ),
        ),
        (
            "kore_sessions",
            {"partitions": [], "replication_key_value": NOW},
            (
                "state: kore_sessions: its own bookmark is not used; each bot has one, "
                "in partitions"
            ),
        ),
    ],
)
def test_what_a_state_holds_in_vain_is_named(
    name: str, found: dict[str, Any], line: str | None
) -> None:
    lines = list(unused_in_state({"bookmarks": {name: found}}, READ, {"sync_windows"}))
    assert lines == ([line] if line else [])
