"""Kore.ai: what was understood and done, in a list for each type.

Source: Kore.ai XO Platform documentation, page Get Analytics.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.records import (
    Columns,
    boolean,
    instant,
    mapping,
    number,
    sequence,
    text,
)
from tap_botsessions.vendors.kore.by_channel import KoreChannelStream
from tap_botsessions.vendors.kore.lists import KoreList
from tap_botsessions.vendors.kore.ranges import BY_TIME, filter_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_botsessions.engine.options import Json
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.by_channel import Note

TYPES = (
    "successintent",
    "failintent",
    "successtask",
    "failtask",
    "performance",
    "unhandledutterance",
)
"""The lists of the page Get Analytics."""


class KoreAnalytics(KoreChannelStream):
    """What was understood and done, in a list for each type (page Get Analytics)."""

    name = "kore_analytics"
    primary_keys = ("bot_id", "type", "analytics_id")
    replication_key = "timestamp"
    paths: ClassVar[Mapping[str, str]] = {"bot": "/api/public/bot/{}/getAnalytics"}
    scope = "Metrics"
    records_field = "result"
    filters = ("kore_analytics_types",)
    count_field = "totalCount"
    identity = "analytics_id"
    columns: ClassVar[Columns] = {
        "_id": ("analytics_id", text),
        "timestamp": ("timestamp", instant),
        "messageId": ("message_id", text),
        "sessionId": ("session_id", text),
        "utterance": ("utterance", text),
        "intent": ("intent", text),
        "winningIntent": ("winning_intents", sequence),
        "isAmbiguous": ("is_ambiguous", boolean),
        "ambiguousIntents": ("ambiguous_intents", sequence),
        "taskId": ("task_id", text),
        "taskName": ("task_name", text),
        "nodeName": ("node_name", text),
        "flow": ("flow", sequence),
        "promptType": ("prompt_type", text),
        "type": ("performance_type", text),
        "status": ("status", text),
        "statusCode": ("status_code", text),
        "responseTime": ("response_time", number),
        "userId": ("user_id", text),
        "channelUId": ("channel_user_id", text),
        "channel": ("channel", text),
        "language": ("language", text),
        "pinned": ("pinned", boolean),
        "customTags": ("custom_tags", mapping),
        "NLAnalysis": ("nl_analysis", mapping),
    }
    left_out = frozenset({"koralogstatusId"})

    @override
    def body(self, window: Window) -> dict[str, Any]:
        return {"filters": filter_range(window), "sort": BY_TIME}

    @override
    def prepared(self, raw: Json) -> Json:
        """A record with little of its analysis, which is deep and holds keys."""
        if isinstance(raw, dict) and isinstance(raw.get("NLAnalysis"), dict):
            return {**raw, "NLAnalysis": _reduced(raw["NLAnalysis"])}
        return raw

    @override
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None, note: Note
    ) -> Sequence[KoreList]:
        asked = filter_range(window)
        if channel is not None:
            asked["channel"] = [channel]
        return [
            KoreList(
                self,
                bots,
                window,
                {"type": name, "filters": asked},
                refine=partial(_typed, name, note),
            )
            for name in self.config.get("kore_analytics_types") or TYPES
        ]


def _typed(name: str, note: Note, rows: list[Row]) -> list[Row]:
    """The rows of a type, which may use the ids of another type."""
    for row in rows:
        row.record["type"] = name
    typed = [row._replace(key=(name, *row.key)) for row in rows]
    note(typed)
    return typed


def _reduced(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an analysis; the rest is deep, and holds keys and headers."""
    reason = analysis.get("reason")
    names = ("debugTitle", "result")
    kept = {name: analysis[name] for name in names if name in analysis}
    if isinstance(reason, dict):
        names = ("cause", "causeId")
        kept["reason"] = {name: reason[name] for name in names if name in reason}
    return kept
