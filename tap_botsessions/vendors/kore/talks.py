"""Kore.ai: what was said and understood in sessions, and what users thought of it.

Source: Kore.ai XO Platform documentation, the pages Conversation History API, Get
Analytics and Get Feedback Survey Responses.
"""

from __future__ import annotations

from abc import abstractmethod
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.records import (
    Columns,
    Derived,
    boolean,
    instant,
    integer,
    mapping,
    number,
    sequence,
    text,
)
from tap_botsessions.vendors.kore import filters
from tap_botsessions.vendors.kore.channels import Channels
from tap_botsessions.vendors.kore.lists import KoreList, KoreListStream, time_range
from tap_botsessions.vendors.kore.sessions import KoreSessions

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pages import Lists, Reading
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.account import Account


class KoreChannelStream(KoreListStream):
    """A list that may hold the records of one channel only."""

    selected_by_default = False

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the bots that are configured, of a host."""
        super().__init__(options, account)
        unfiltered = replace(options, config=filters.without(options.config))
        sessions = KoreSessions(unfiltered, account)
        self.channels = Channels(self, partial(KoreList, sessions))

    @abstractmethod
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None
    ) -> Sequence[KoreList]:
        """The lists of a channel; of those that the vendor chooses if it is none."""

    @override
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[KoreList]:
        return [
            paged
            for channel in self.channels.of(bots)
            for paged in self.lists_of(bots, window, channel)
        ]

    def noted(self, rows: list[Row]) -> list[Row]:
        """The rows of a list that was not told a channel, which show some."""
        self.channels.note(rows)
        return rows

    @override
    def with_lists(
        self, bots: Sequence[str], window: Window, read: Callable[[Lists], Reading]
    ) -> Reading:
        """Read, and once more by channel if what came may lack some."""
        if not self.channels.lacks_some:
            result = yield from read(partial(self.lists, bots))
            yield from self.channels.examine(bots, window)
            if not self.channels.lacks_some:
                return result
        yield from self.channels.gather(bots, window)
        return (yield from read(partial(self.lists, bots)))

    @property
    @override
    def settles_first(self) -> bool:
        return self.channels.is_whole is None


def texts_of(record: Mapping[str, Any]) -> str | None:
    """The texts of a message's components, a line each."""
    found = [
        component["data"]["text"]
        for component in record["components"] or ()
        if isinstance(component, dict)
        and isinstance(component.get("data"), dict)
        and isinstance(component["data"].get("text"), str)
    ]
    return "\n".join(found) if found else None


class KoreMessages(KoreChannelStream):
    """Messages of sessions, both sides of the talk (page Conversation History API)."""

    name = "kore_messages"
    primary_keys = ("bot_id", "message_id")
    replication_key = "created_on"
    page_size_setting = "kore_messages_page_size"
    paths: ClassVar[Mapping[str, str]] = {
        "account": "/api/public/getMessages",
        "bot": "/api/public/bot/{}/getMessages",
    }
    scope = "Chat History"
    records_field = "messages"
    identity = "message_id"
    columns: ClassVar[Columns] = {
        "_id": ("message_id", text),
        "createdOn": ("created_on", instant),
        "sessionId": ("session_id", text),
        "type": ("type", text),
        "status": ("status", text),
        "createdBy": ("user_id", text),
        "chnl": ("channel", text),
        "lang": ("language", text),
        "lmodifiedOn": ("last_modified_on", instant),
        "components": ("components", sequence),
        "channels": ("channels", sequence),
        "tags": ("tags", mapping),
        "isD": ("is_developer", boolean),
        "ms": ("message_kind", integer),
        "traceId": ("trace_id", text),
        "latency": ("latency", mapping),
    }
    # Which bot, which account, and how the vendor stores it; timestampValue is another
    # instant than createdOn in a sample of the page.
    derived: ClassVar[Derived] = {"text": texts_of}
    left_out = frozenset(
        {
            *("__v", "accountId", "botId", "cluster_id", "isBB", "lmodifiedBy"),
            *("orgId", "resourceid", "sT", "timestampValue"),
        }
    )

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read windows of as many messages as come by one request."""
        super().__init__(options, account)
        limits, most = self.limits, self.page_size
        self.limits = replace(
            limits,
            max_window_rows=max(limits.max_window_rows, most),
            max_rows_ahead=max(limits.max_rows_ahead, 2 * most),
        )

    @property
    def _is_v1(self) -> bool:
        # Of the account's API, the page names the first version only.
        return self.is_shared or self.config["kore_messages_api"] == "v1"

    @override
    def path(self, bot: str) -> str:
        return super().path(bot) + ("" if self._is_v1 else "V2")

    @property
    @override
    def page_size(self) -> int:
        return min(super().page_size, 100) if self._is_v1 else super().page_size

    @override
    def body(self, window: Window) -> dict[str, Any]:
        body = {**super().body(window), "forward": True}
        # What users put into forms is never asked for; v2 wants that said.
        return body if self._is_v1 else {**body, "includeSecureForm": False}

    @override
    def prepared(self, raw: Json) -> Json:
        """A message with its channel in the older of the two fields."""
        if isinstance(raw, dict) and "channel" in raw:
            raw = {"chnl": raw["channel"], **raw}
            del raw["channel"]
        return raw

    @override
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None
    ) -> Sequence[KoreList]:
        if channel is None:
            return [KoreList(self, bots, window, refine=self.noted)]
        return [KoreList(self, bots, window, {"channelType": channel})]


def _filters_of(window: Window) -> dict[str, Any]:
    """The range of a list that takes its filters in an object."""
    start, end = time_range(window.start, window.end).values()
    return {"from": start, "to": end}


_BY_TIME = {"by": "timestamp", "order": "asc"}


class KoreFeedback(KoreListStream):
    """Answers to surveys (page Get Feedback Survey Responses)."""

    name = "kore_feedback"
    selected_by_default = False
    primary_keys = ("bot_id", "feedback_id")
    replication_key = "timestamp"
    paths: ClassVar[Mapping[str, str]] = {
        "bot": "/api/public/bot/{}/getFeedbackSurveyResponses"
    }
    scope = "Feedback Survey"
    records_field = "result"
    count_field = "totalCount"
    identity = "feedback_id"
    columns: ClassVar[Columns] = {
        "_id": ("feedback_id", text),
        "timestamp": ("timestamp", instant),
        "sessionId": ("session_id", text),
        "surveyName": ("survey_name", text),
        "surveyType": ("survey_type", text),
        "score": ("score", number),
        "comments": ("comments", text),
        "userId": ("user_id", text),
        "channelUId": ("channel_user_id", text),
        "channel": ("channel", text),
        "language": ("language", text),
    }

    @override
    def body(self, window: Window) -> dict[str, Any]:
        return {"filters": _filters_of(window), "sort": _BY_TIME}

    @override
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[KoreList]:
        return [KoreList(self, bots, window)]


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
        return {"filters": _filters_of(window), "sort": _BY_TIME}

    @override
    def prepared(self, raw: Json) -> Json:
        """A record with little of its analysis, which is deep and holds keys."""
        if isinstance(raw, dict) and isinstance(raw.get("NLAnalysis"), dict):
            return {**raw, "NLAnalysis": _reduced(raw["NLAnalysis"])}
        return raw

    @override
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None
    ) -> Sequence[KoreList]:
        asked = _filters_of(window)
        if channel is not None:
            asked["channel"] = [channel]
        return [
            KoreList(
                self,
                bots,
                window,
                {"type": name, "filters": asked},
                refine=partial(self._typed, name, channel),
            )
            for name in self.config.get("kore_analytics_types") or TYPES
        ]

    def _typed(self, name: str, channel: str | None, rows: list[Row]) -> list[Row]:
        """The rows of a type, which may use the ids of another type."""
        if channel is None:
            self.noted(rows)
        for row in rows:
            row.record["type"] = name
        return [row._replace(key=(name, *row.key)) for row in rows]


def _reduced(analysis: Mapping[str, Any]) -> dict[str, Any]:
    """What is kept of an analysis; the rest is deep, and holds keys and headers."""
    reason = analysis.get("reason")
    names = ("debugTitle", "result")
    kept = {name: analysis[name] for name in names if name in analysis}
    if isinstance(reason, dict):
        names = ("cause", "causeId")
        kept["reason"] = {name: reason[name] for name in names if name in reason}
    return kept
