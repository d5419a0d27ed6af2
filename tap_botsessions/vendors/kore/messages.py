"""Kore.ai: messages of sessions, both sides of the talk.

Source: Kore.ai XO Platform documentation, page Conversation History API.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.records import (
    Columns,
    Derived,
    boolean,
    instant,
    integer,
    mapping,
    sequence,
    text,
)
from tap_botsessions.vendors.kore.by_channel import KoreChannelStream
from tap_botsessions.vendors.kore.lists import KoreList

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pages import Reading, Seen
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.account import Account
    from tap_botsessions.vendors.kore.by_channel import Note


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


_FIRST_PAGE = 1_000
"""Messages of a page as long as it is not known how large they are."""

_MAX_BYTES = 40_000_000
"""Bytes of memory, about, that the messages of a window may take: those of a page."""


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
        limits, most = self.limits, self._max_page_size
        self._affordable = _FIRST_PAGE
        self.limits = replace(
            limits,
            # A count as round as a page would look like a limit of the server's.
            max_window_rows=max(limits.max_window_rows, most - 1),
            max_window_bytes=max(limits.max_window_bytes, _MAX_BYTES),
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
    def _max_page_size(self) -> int:
        return min(super().page_size, 100) if self._is_v1 else super().page_size

    @property
    @override
    def page_size(self) -> int:
        """No more than takes about as much memory as a window may."""
        return min(self._max_page_size, self._affordable)

    @override
    def read(self, bots: Sequence[str], window: Window, seen: Seen) -> Reading:
        result = yield from super().read(bots, window, seen)
        if result.received:
            size = max(result.size / result.received, 1)
            most = 0.95 * self.limits.max_window_bytes / size
            # What is in flight is estimated by the pages before.
            self._affordable = max(int(min(most, 3 * self._affordable)), 1)
        return result

    @override
    def body(self, window: Window) -> dict[str, Any]:
        body = {**super().body(window), "forward": True}
        # What users put into forms is never asked for; v2 wants that said.
        return body if self._is_v1 else {**body, "includeSecureForm": False}

    @override
    def prepared(self, raw: Json) -> Json:
        """A message with its channel in the older of the two fields."""
        if not isinstance(raw, dict) or "channel" not in raw:
            return raw
        channel = raw["channel"] if raw.get("chnl") is None else raw["chnl"]
        rest = {name: raw[name] for name in raw if name != "channel"}
        return {**rest, "chnl": channel}

    @override
    def lists_of(
        self, bots: Sequence[str], window: Window, channel: str | None, note: Note
    ) -> Sequence[KoreList]:
        def refine(rows: list[Row]) -> list[Row]:
            note(rows)
            return rows

        asked = {} if channel is None else {"channelType": channel}
        return [KoreList(self, bots, window, asked, refine=refine)]
