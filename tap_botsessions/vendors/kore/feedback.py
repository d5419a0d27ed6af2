"""Kore.ai: answers of users to surveys.

Source: Kore.ai XO Platform documentation, page Get Feedback Survey Responses.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.records import Columns, instant, number, text
from tap_botsessions.vendors.kore.lists import KoreList, KoreListStream
from tap_botsessions.vendors.kore.ranges import BY_TIME, filter_range

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_botsessions.engine.windows import Window


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
        return {"filters": filter_range(window), "sort": BY_TIME}

    @override
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[KoreList]:
        return [KoreList(self, bots, window)]
