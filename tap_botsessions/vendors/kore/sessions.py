"""Kore.ai: sessions of bots.

Source: Kore.ai XO Platform documentation, the page Sessions History API and its legacy
form.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.records import (
    Columns,
    boolean,
    instant,
    integer,
    mapping,
    text,
    texts,
)
from tap_botsessions.vendors.kore import filters
from tap_botsessions.vendors.kore.lists import KoreList, KoreListStream
from tap_botsessions.vendors.kore.revisits import SessionRevisits

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_botsessions.engine.options import Options
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.account import Account


class KoreSessions(KoreListStream):
    """Sessions of bots, by their start."""

    name = "kore_sessions"
    first_label = "sessions by their ids"
    answers_check = True
    primary_keys = ("bot_id", "session_id")
    replication_key = "start_time"
    paths: ClassVar[Mapping[str, str]] = {
        "account": "/api/public/getSessions",
        "bot": "/api/public/bot/{}/getSessions",
        "stream": "/api/public/stream/{}/getSessions",
    }
    scope = "Bot Sessions"
    records_field = "sessions"
    filters = filters.ALL
    identity = "session_id"
    # The legacy page has the first seven only, with session_lang as a string, and
    # isDeveloper is documented as 0 or 1, but served as a boolean.
    columns: ClassVar[Columns] = {
        "sessionId": ("session_id", text),
        "botId": ("bot_id", text),
        "channel": ("channel", text),
        "userId": ("user_id", text),
        "start_time": ("start_time", instant),
        "end_time": ("end_time", instant),
        "session_lang": ("session_lang", texts),
        "sessionType": ("session_type", text),
        "containmentType": ("containment_type", text),
        "sessionStatus": ("session_status", text),
        "isDeveloper": ("is_developer", boolean),
        "tags": ("tags", mapping),
        "noOfMessagesExchanged": ("no_of_messages_exchanged", integer),
        "noOfTasksExecuted": ("no_of_tasks_executed", integer),
    }

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the bots that are configured, of a host."""
        super().__init__(options, account)
        self.revisits = SessionRevisits(self)

    @override
    def ranges(self, sync_range: Window) -> Iterable[Window]:
        if self.config.get("kore_session_ids"):
            return []
        return super().ranges(sync_range)

    @override
    def body(self, window: Window) -> dict[str, Any]:
        return super().body(window) | filters.body_filters(self.config)

    @override
    def lists(self, bots: Sequence[str], window: Window) -> Sequence[KoreList]:
        return [
            self._list(bots, window, containment_type)
            for containment_type in filters.listed_types(self.config)
        ]

    def _list(
        self, bots: Sequence[str], window: Window, containment_type: str | None
    ) -> KoreList:
        if containment_type is None:
            return KoreList(self, bots, window)
        is_wanted = containment_type in filters.wanted_types(self.config)
        refine = None if is_wanted else _unfiltered
        params = {"containmentType": containment_type}
        return KoreList(self, bots, window, params=params, refine=refine)


def _unfiltered(rows: list[Row]) -> list[Row]:
    """The rows of a list that is read only for sessions that are open.

    It keeps those that say their type: the filter is on that.
    """
    return [
        row._replace(is_filtered=False)
        for row in rows
        if row.record["containment_type"]
    ]
