"""The simulator's table of streams, and what is derived from it and from schemas."""

from __future__ import annotations

import json

from singer_sdk.singerlib import Catalog

from simulator.streams import STREAMS
from tests.docs import ROOT


def test_the_table_has_the_streams_of_the_catalog() -> None:
    catalog = Catalog.from_dict(
        json.loads((ROOT / "tests" / "catalog.json").read_text())
    )
    released = {
        name: (
            tuple(entry.key_properties or ()),
            entry.replication_key,
            entry.metadata.root.selected_by_default,
        )
        for name, entry in catalog.items()
        if name != "sync_windows"
    }
    assert {
        name: (stream.key, stream.replication_key, stream.is_selected)
        for name, stream in STREAMS.items()
    } == released
