"""What the tap must make of the simulator's records, by the simulator's own table."""

from __future__ import annotations

from typing import Any

from simulator import World
from simulator import streams as table

Keyed = dict[tuple[str, ...], dict[str, Any]]

STREAMS = tuple(name for name, stream in table.STREAMS.items() if stream.is_selected)
"""The streams that are read unless a catalog says otherwise."""

LISTS = tuple(name for name in STREAMS if name in table.LISTS)
"""Those whose records are those of paged lists."""

OPTIONAL = tuple(name for name, each in table.STREAMS.items() if not each.is_selected)
"""Those that are not."""


def discovered(*vendors: str) -> list[str]:
    """The streams of vendors, in the order of a catalog, and the audit trail."""
    found = [
        each
        for vendor in ("avaamo", "kore")
        for is_selected in (True, False)
        for each in table.STREAMS.values()
        if each.vendor == vendor and each.is_selected == is_selected
    ]
    return [*(each.name for each in found if each.vendor in vendors), "sync_windows"]


AVAAMO_LISTS = tuple(name for name in LISTS if table.LISTS[name].vendor == "avaamo")

KEYS = {name: stream.key for name, stream in table.STREAMS.items()} | {
    "sync_windows": ("run_id", "number")
}

expected = World.expected
"""Every record of a range, of all bots, by key."""


def assert_same(found: Keyed, truth: Keyed) -> None:
    """Compare records with the truth; of what differs, the first few are shown.

    A plain comparison would have pytest work out the difference of whole tables.
    """
    wrong = [
        (key, found.get(key), truth.get(key))
        for key in found.keys() | truth.keys()
        if found.get(key) != truth.get(key)
    ]
    shown = "".join(f"\n{key}: {one} is not {other}" for key, one, other in wrong[:3])
    assert not wrong, f"{len(wrong)} records differ{shown}"


def key_of(stream: str, record: dict[str, Any]) -> tuple[str, ...]:
    """The values of a record's key."""
    return tuple(record[name] for name in KEYS[stream])
