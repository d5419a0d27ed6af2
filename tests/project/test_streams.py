"""The simulator's table of streams, and what is derived from it and from schemas."""

from __future__ import annotations

import json
import re

from singer_sdk.singerlib import Catalog

from simulator.streams import LISTS, STREAMS
from tests.docs import ROOT
from tests.tables import types_of


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


def test_the_types_of_columns_are_those_that_target_postgres_makes() -> None:
    """Written out here, of two streams that have columns of every form."""
    assert types_of("avaamo_usage") == {
        "agent_id": "text",
        "date": "date",
        "utc_offset": "int8",
        "start_time": "timestamp",
        "end_time": "timestamp",
        "session_count": "int8",
        "messages_count": "int8",
        "unhandled_messages_count": "int8",
        "successful_responses_count": "int8",
        "ambiguous_messages_count": "int8",
        "interventions_count": "int8",
        "success_rate_count": "int8",
        "success_rate": "numeric",
        "previous_interval_stats": "jsonb",
        "stats": "jsonb",
        "additional_fields": "jsonb",
    }
    assert types_of("kore_sessions") == {
        "bot_id": "text",
        "session_id": "text",
        "start_time": "timestamp",
        "end_time": "timestamp",
        "user_id": "text",
        "channel": "text",
        "session_lang": "_text",
        "session_type": "text",
        "containment_type": "text",
        "session_status": "text",
        "is_developer": "bool",
        "tags": "jsonb",
        "no_of_messages_exchanged": "int8",
        "no_of_tasks_executed": "int8",
        "additional_fields": "jsonb",
    }


def test_the_erasure_s_tables_are_the_streams_whose_records_have_a_time() -> None:
    script = (ROOT / "examples" / "erasure.sh").read_text()
    [block] = re.findall(r'^streams="\n(.*?)^"', script, re.DOTALL | re.MULTILINE)
    found = {name: rest for name, *rest in map(str.split, block.splitlines())}
    times = {"avaamo": "created_at"}
    assert found == {
        name: [
            stream.bot_key,
            times.get(stream.vendor, stream.replication_key),
            *(column for column in stream.key if column != stream.bot_key),
        ]
        for name, stream in sorted(LISTS.items())
    }
