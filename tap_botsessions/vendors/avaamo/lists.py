"""Endpoints of Avaamo's, and paged lists of entries by their time.

Source: Avaamo Platform API documentation, Analytics API, the pages User sessions and
Messages.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from tap_botsessions.engine.pages import Fetch, Page
from tap_botsessions.engine.records import (
    Columns,
    Row,
    integer,
    listed,
    require,
    shape_all,
)
from tap_botsessions.engine.stream import ListStream, VendorStream
from tap_botsessions.engine.transport import Request
from tap_botsessions.engine.verification import check_in_window
from tap_botsessions.engine.windows import (
    Window,
    parse_instant,
    to_rfc3339,
)
from tap_botsessions.vendors.avaamo.account import agent_ids
from tap_botsessions.vendors.avaamo.time_tokens import (
    UNITS,
    ListQuery,
    in_seconds,
    time_token,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import Lists, Reading
    from tap_botsessions.vendors.avaamo.account import Account


class AvaamoStream(VendorStream):
    """A stream of Avaamo's: one endpoint of the analytics API.

    Attributes:
        endpoint: The last part of the path.
    """

    vendor = "Avaamo"
    bot_key = "agent_id"
    endpoint: ClassVar[str]

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the agents that are configured, of an account."""
        super().__init__(options, account.transport, agent_ids(options.config))
        self.account = account

    @override
    def budget(self, bot: str) -> Budget:
        return self.account.budget

    def fetch(
        self,
        agent: str,
        params: Mapping[str, str | int],
        parse: Callable[[Any], Page],
        no_content: Json = None,
    ) -> Fetch:
        """A request to this stream's endpoint; see `Request.no_content`."""
        path = f"/bots/analytics/{quote(agent, safe='')}/{self.endpoint}"
        request = Request(
            "GET", path, self.account.token, params, no_content=no_content
        )
        send = partial(self.transport.send, request, parse)
        return Fetch(send, self.budget(agent), self.label(agent))


class AvaamoListStream(AvaamoStream, ListStream):
    """A stream whose records are the entries of a paged list.

    Attributes:
        columns: The columns by the fields of an entry.
        identity: The field that distinguishes entries of one agent and instant.
    """

    replication_key = "timetoken"
    page_size_setting = "avaamo_page_size"
    margin = timedelta(seconds=1)
    columns: ClassVar[Columns]
    identity: ClassVar[str]

    @override
    def lists(
        self, bots: Sequence[str], window: Window, unit: int = 1
    ) -> Sequence[_Entries]:
        return [_Entries(self, agent, window, unit) for agent in bots]

    @override
    def with_lists(
        self, bots: Sequence[str], window: Window, read: Callable[[Lists], Reading]
    ) -> Reading:
        """Read in the server's unit of time, which a window may show."""
        [agent] = bots
        query = ListQuery(
            self.label(agent),
            window,
            Window(min(self.options.start_date, window.start), self.options.end),
            lambda part, unit: _Entries(self, agent, part, unit).fetch_count(),
        )
        return self.account.time_tokens.settle(
            query, lambda unit: read(lambda part: self.lists(bots, part, unit))
        )

    @property
    @override
    def settles_first(self) -> bool:
        return not self.account.time_tokens.is_proven

    @override
    def remarks(self) -> Iterator[str]:
        unit = self.account.time_tokens.unit
        if unit != 1:
            yield f"It counts time in {UNITS[unit]}, not in seconds; so does the tap."

    @override
    def to_bookmark(self, instant: datetime) -> int:
        # Targets made with the SDK read fractions as decimals and then fail to write
        # the state out again, so a bookmark has none.
        return math.floor(instant.timestamp())

    def rows(self, agent: str, entries: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows that entries make."""
        records = self.personal.protect(shape_all(entries, self.columns))
        return [self._row(agent, record) for record in records]

    def _row(self, agent: str, record: dict[str, Any]) -> Row:
        try:
            time = parse_instant(record["timetoken"])
        except ValueError:
            record["timetoken"] = in_seconds(record["timetoken"])
            time = parse_instant(record["timetoken"] or 0)  # null is refused below
        identity = record[self.identity]
        if identity is None or record["timetoken"] is None:
            fields = {self.identity: self.identity, "timetoken": "created_at"}
            require(record, self.name, **fields)
        created_at = record["created_at"] = to_rfc3339(time)
        record["agent_id"] = agent
        return Row((identity, created_at), time, record, agent)


@dataclass(frozen=True)
class _Entries:
    """The entries of one agent in one window; a position is a page's number."""

    stream: AvaamoListStream
    agent: str
    window: Window
    unit: int
    first: int = 1

    def fetch(self, position: int) -> Fetch:
        return self._fetch(position, self.stream.page_size)

    def fetch_count(self) -> Fetch:
        return self._fetch(self.first, 1)

    def _fetch(self, position: int, size: int) -> Fetch:
        # The bounds are whole seconds, and a second wider where the list may exclude
        # its start: no page says whether it does.
        earlier = self.window.start - self.stream.margin
        start = math.floor(earlier.timestamp())
        params = {
            "page": position,
            "per_page": size,
            "from_timetoken": start * self.unit,
            "to_timetoken": math.ceil(self.window.end.timestamp()) * self.unit,
        }
        parse = partial(self._page, position)
        nothing = {"entries": None}
        return self.stream.fetch(self.agent, params, parse, nothing)

    @property
    def page_size(self) -> int:
        return self.stream.page_size

    def remaining(self, first: Page) -> range:
        pages = math.ceil(first.total / first.received) if first.received else 0
        return range(2, pages + 1)

    def _page(self, position: int, body: Mapping[str, Any]) -> Page:
        entries, total = listed(body, "entries", "total_entries")
        rows = self.stream.rows(self.agent, entries)
        check_in_window(self.window, rows)
        clock = self.stream.transport.clock
        clock.note(time_token(body.get("time_token")))
        clock.note_records(rows)
        return Page(
            rows,
            received=len(rows),
            total=total,
            more=position < integer(body.get("total_pages") or 0),
            next_position=position + 1,
        )
