"""Endpoints of Avaamo's, and paged lists of entries by their time.

Source: Avaamo Platform API documentation, Analytics API, the pages User sessions and
Messages; the pages of other lists have the same form.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from tap_botsessions.engine.list_stream import ListStream
from tap_botsessions.engine.pages import Fetch, Page
from tap_botsessions.engine.records import (
    Columns,
    Derived,
    Row,
    derive,
    integer,
    listed,
    require,
    shape_all,
)
from tap_botsessions.engine.stream import VendorStream
from tap_botsessions.engine.transport import Request
from tap_botsessions.engine.verification import check_in_window
from tap_botsessions.engine.windows import (
    Window,
    parse_instant,
    to_rfc3339,
)
from tap_botsessions.vendors.avaamo.account import agent_ids
from tap_botsessions.vendors.avaamo.time_forms import (
    TimeForm,
    in_seconds,
    time_token,
    units_of,
)
from tap_botsessions.vendors.avaamo.trials import ListQuery

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from requests.auth import AuthBase

    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import Lists, Reading
    from tap_botsessions.vendors.avaamo.account import Account
    from tap_botsessions.vendors.avaamo.time_tokens import TimeTokens


class AvaamoStream(VendorStream):
    """A stream of Avaamo's: one endpoint.

    Attributes:
        path: Its path; `{}` stands for the agent.
        needs: Where its token is from, for the advice.
    """

    vendor = "Avaamo"
    bot_key = "agent_id"
    path: ClassVar[str]
    needs: ClassVar[str] = (
        "avaamo_access_token (Settings > Users > the user > Access token)"
    )

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the agents that are configured, of an account."""
        super().__init__(options, account.transport)
        self.account = account

    @cached_property
    @override
    def bots(self) -> Sequence[str]:
        return agent_ids(self.config)

    @override
    def budget(self, bot: str) -> Budget:
        return self.account.budget

    def credentials(self, agent: str) -> AuthBase:
        """What a request for an agent is signed with.

        Raises:
            BotError: There is nothing for this agent.
        """
        del agent
        return self.account.token

    def fetch(
        self,
        agent: str,
        params: Mapping[str, str | int],
        parse: Callable[[Any], Page],
        no_content: Json = None,
    ) -> Fetch:
        """A request to this stream's endpoint; see `Request.no_content`."""
        path = self.path.format(quote(agent, safe=""))
        request = Request(
            "GET",
            path,
            self.credentials(agent),
            params,
            no_content=no_content,
            needs=self.needs,
        )
        send = partial(self.transport.send, request, parse)
        return Fetch(send, self.budget(agent), self.label(agent))


class AvaamoListStream(AvaamoStream, ListStream):
    """A stream whose records are the entries of a paged list.

    Attributes:
        entries_field: The field of an answer that holds the entries.
        params: The parameters of every request.
        time_forms: The forms that the parameters of a range may have.
        default_range: How far back a list goes without a range; none if no page says.
        columns: The columns by the fields of an entry, of which the time must become
            `timetoken`.
        derived: Columns that are made of others.
        left_out: Fields that are not read.
        identity: The column that distinguishes entries of one agent and instant.
    """

    replication_key = "timetoken"
    page_size_setting = "avaamo_page_size"
    margin = timedelta(seconds=1)
    entries_field: ClassVar[str] = "entries"
    params: ClassVar[Mapping[str, str]] = {}
    time_forms: ClassVar[tuple[TimeForm, ...]] = units_of(
        "from_timetoken", "to_timetoken"
    )
    default_range: ClassVar[timedelta | None] = timedelta(days=3)
    columns: ClassVar[Columns]
    derived: ClassVar[Derived] = {}
    left_out: ClassVar[frozenset[str]] = frozenset()
    identity: ClassVar[str]

    @property
    def time_tokens(self) -> TimeTokens:
        """What is known of the form of ranges."""
        return self.account.time_tokens(self.time_forms)

    @override
    def lists(
        self, bots: Sequence[str], window: Window, form: TimeForm | None = None
    ) -> Sequence[_Entries]:
        form = form or self.time_tokens.form
        return [_Entries(self, agent, window, form) for agent in bots]

    @override
    def with_lists(
        self, bots: Sequence[str], window: Window, read: Callable[[Lists], Reading]
    ) -> Reading:
        """Read in the server's form of ranges, which a window may show."""
        [agent] = bots
        query = ListQuery(
            self.label(agent),
            window,
            Window(min(self.options.start_date, window.start), self.options.end),
            self.default_range,
            lambda part, form: _Entries(self, agent, part, form).fetch_count(),
        )
        return self.time_tokens.settle(
            query, lambda form: read(lambda part: self.lists(bots, part, form))
        )

    @property
    @override
    def settles_first(self) -> bool:
        return not self.time_tokens.is_proven

    @override
    def remarks(self) -> Iterator[str]:
        tokens = self.time_tokens
        if not tokens.is_as_documented:
            yield f"It takes {tokens.form}, not {tokens.forms[0]}; so does the tap."

    @override
    def to_bookmark(self, instant: datetime) -> int:
        # Targets made with the SDK read fractions as decimals and then fail to write
        # the state out again, so a bookmark has none.
        return math.floor(instant.timestamp())

    def rows(self, agent: str, entries: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows that entries make."""
        shaped = shape_all(entries, self.columns, self.left_out)
        records = self.personal.protect(derive(shaped, self.derived))
        return [self._row(agent, record) for record in records]

    @cached_property
    def _fields(self) -> Mapping[str, str]:
        """The fields of an entry by the columns."""
        return {column: field for field, (column, _) in self.columns.items()}

    def _row(self, agent: str, record: dict[str, Any]) -> Row:
        try:
            time = parse_instant(record["timetoken"])
        except ValueError:
            record["timetoken"] = in_seconds(record["timetoken"])
            time = parse_instant(record["timetoken"] or 0)  # null is refused below
        identity = record[self.identity]
        if identity is None or record["timetoken"] is None:
            names = (self.identity, "timetoken")
            require(record, self.name, **{name: self._fields[name] for name in names})
        created_at = record["created_at"] = to_rfc3339(time)
        record["agent_id"] = agent
        return Row((str(identity), created_at), time, record, agent)


@dataclass(frozen=True)
class _Entries:
    """The entries of one agent in one window; a position is a page's number."""

    stream: AvaamoListStream
    agent: str
    window: Window
    form: TimeForm
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
        end = math.ceil(self.window.end.timestamp())
        params = {
            "page": position,
            "per_page": size,
            **self.form.params(start, end),
            **self.stream.params,
        }
        parse = partial(self._page, position)
        nothing = {self.stream.entries_field: None}
        return self.stream.fetch(self.agent, params, parse, nothing)

    @property
    def page_size(self) -> int:
        return self.stream.page_size

    def remaining(self, first: Page) -> range:
        pages = math.ceil(first.total / first.received) if first.received else 0
        return range(2, pages + 1)

    def _page(self, position: int, body: Mapping[str, Any]) -> Page:
        entries, total = listed(body, self.stream.entries_field, "total_entries")
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
            keys=[row.key for row in rows],
        )
