"""Lists of Kore.ai's: records of bots by their time, skipped and limited.

Source: Kore.ai XO Platform documentation, the page Sessions History API; the pages of
its other lists have the same form.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

from typing_extensions import override

from tap_botsessions.engine.errors import FilterError, RecordError, UnownedError
from tap_botsessions.engine.list_stream import ListStream
from tap_botsessions.engine.pages import NOBODY, Fetch, Page
from tap_botsessions.engine.records import (
    Columns,
    Derived,
    Row,
    derive,
    listed,
    require,
    shape_all,
)
from tap_botsessions.engine.transport import Request
from tap_botsessions.engine.verification import check_in_window
from tap_botsessions.engine.windows import parse_instant, to_rfc3339
from tap_botsessions.vendors.kore.bots import bot_of, find_bots
from tap_botsessions.vendors.kore.ranges import MARGIN, time_range

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from datetime import datetime

    from tap_botsessions.engine.errors import BotError
    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import Errors
    from tap_botsessions.engine.stream import SyncRanges
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.account import Account


_AT_ONCE = 500
"""Records that are shaped at once."""

_OF_NOBODY = (
    "the account's list holds records without a usable 'botId', so nobody can tell "
    "whose they are, and they are left out; tell the vendor"
)


class KoreListStream(ListStream):
    """A stream of Kore.ai's: one list, of each bot or of a whole account.

    Attributes:
        paths: The path by the value of `kore_api`; `{}` stands for the bot.
        scope: The scope that an app needs for it.
        records_field: The field of an answer that holds the records.
        count_field: The field of their number.
        identity: The column that identifies a record of a bot.
        columns: The columns by the fields of a record.
        derived: Columns that are made of others.
        left_out: Fields that are not read.
    """

    vendor = "Kore.ai"
    bot_key = "bot_id"
    replication_key: ClassVar[str]
    page_size_setting = "kore_page_size"
    margin = MARGIN
    paths: ClassVar[Mapping[str, str]]
    scope: ClassVar[str]
    records_field: ClassVar[str]
    count_field: ClassVar[str] = "total"
    identity: ClassVar[str]
    columns: ClassVar[Columns]
    derived: ClassVar[Derived] = {}
    left_out: ClassVar[frozenset[str]] = frozenset()

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the bots that are configured, of a host."""
        super().__init__(options, account.transport)
        self.account = account

    @property
    @override
    def bots(self) -> Sequence[str]:
        return self.account.bots

    @property
    @override
    def bots_error(self) -> BotError | None:
        return self.account.bots_error

    @override
    def find_bots(self, on_tick: Callable[[], None]) -> None:
        find_bots(self.options, self.account, on_tick)

    @override
    def budget(self, bot: str) -> Budget:
        return self.account.budget(bot, self.name)

    @property
    def api(self) -> str:
        """The form of the API that the list is asked for by; a bot's if it has one."""
        api: str = self.config["kore_api"]
        return api if api in self.paths else "bot"

    def path(self, bot: str) -> str:
        """The path of a request for a bot."""
        return self.paths[self.api].format(quote(bot, safe=""))

    @property
    @override
    def is_shared(self) -> bool:
        return self.api == "account"

    @override
    def group_bots(self, ranges: Mapping[str, SyncRanges]) -> list[list[str]]:
        if not self.is_shared:
            return super().group_bots(ranges)
        groups: dict[object, list[str]] = {}
        for bot, those in ranges.items():
            alike = self.account.token(bot), *those.gaps, None, *those.ranges
            groups.setdefault(alike, []).append(bot)
        return list(groups.values())

    @override
    def to_bookmark(self, instant: datetime) -> str:
        return to_rfc3339(instant)

    def body(self, window: Window) -> dict[str, Any]:
        """What the body of a request holds beside its page."""
        return time_range(window.start, window.end)

    def prepared(self, raw: Json) -> Json:
        """A record as it is read, of what the vendor sent."""
        return raw

    def fetch(
        self,
        bots: Sequence[str],
        body: Mapping[str, Any],
        parse: Callable[[Any], Page],
        params: Mapping[str, str],
    ) -> Fetch:
        """A request for records of bots, by the credentials of the first."""
        bot, *_ = bots
        nothing = {self.records_field: None}
        token = self.account.token(bot)
        path, scope = self.path(bot), self.scope
        request = Request("POST", path, token, params, body, nothing, scope)
        send = partial(self.transport.send, request, parse)
        return Fetch(send, self.budget(bot), self.label(*bots))

    def rows(
        self, bots: Sequence[str], raws: Sequence[Mapping[str, Any]]
    ) -> tuple[list[Row], Errors]:
        """The rows that records of bots make, those of other bots left out.

        Returns:
            The rows, and the bots of which a record can't be used; `NOBODY` is among
            them if there is a record that does not say whose it is.

        Raises:
            RecordError: A record can't be used, of the only bot that is asked for.
        """
        rows: list[Row] = []
        errors: dict[str, BotError] = {}
        owned = [(bots[0], raw) for raw in raws]
        if self.is_shared:
            owners = [(self.owner(raw), raw) for raw in raws]
            unowned = [self.time_of(raw) for bot, raw in owners if bot is None]
            if unowned:
                errors[NOBODY] = UnownedError(_OF_NOBODY, unowned)
            owned = [
                (bot, raw) for bot, raw in owners if bot is not None and bot in bots
            ]
        records = _shaped(self, [raw for _, raw in owned])
        for (bot, _), record in zip(owned, records, strict=True):
            try:
                rows.append(self._row(bot, record))
            except RecordError as error:
                if len(bots) == 1:
                    raise
                errors.setdefault(bot, error)
        return rows, errors

    def owner(self, raw: Json) -> str | None:
        """Whose record it is, of an account that bots share, if it says so.

        The id is as the settings have it, whatever the case of its letters.
        """
        bot = bot_of(raw)
        if bot is None:
            return None
        return self._spelt.get(bot) or self._spelt.get(bot.casefold(), bot)

    @cached_property
    def _spelt(self) -> Mapping[str, str]:
        """The bots that are read as the settings spell them, by ids in any case."""
        folded = {bot.casefold(): bot for bot in self.bots}
        return folded | {bot: bot for bot in self.bots}

    @cached_property
    def _fields(self) -> Mapping[str, str]:
        """The fields of a record by the columns."""
        return {column: field for field, (column, _) in self.columns.items()}

    def time_of(self, raw: Json) -> datetime | None:
        """When a record is of, if it says so."""
        try:
            return parse_instant(raw[self._fields[self.replication_key]])
        except (KeyError, TypeError, ValueError):
            return None

    def keys(
        self, raws: Sequence[Json], rows: Sequence[Row]
    ) -> Sequence[tuple[str, ...]]:
        """What identifies records, those of no interest included."""
        if not self.is_shared:
            return [row.key for row in rows]
        identity = self._fields[self.identity]
        return [
            (str(raw.get(identity)), str(raw.get("botId")))
            for raw in raws
            if isinstance(raw, dict)
        ]

    def _row(self, bot: str, record: dict[str, Any]) -> Row:
        identity, time = record[self.identity], record[self.replication_key]
        if identity is None or time is None:
            names = (self.identity, self.replication_key)
            require(record, self.name, **{name: self._fields[name] for name in names})
        record["bot_id"] = bot
        return Row((identity, bot), parse_instant(time), record, bot)


def _shaped(stream: KoreListStream, raws: Sequence[Json]) -> list[dict[str, Any]]:
    """What is emitted of records; some at a time, as processors have caches."""
    records: list[dict[str, Any]] = []
    for start in range(0, len(raws), _AT_ONCE):
        some = list(map(stream.prepared, raws[start : start + _AT_ONCE]))
        shaped = shape_all(some, stream.columns, stream.left_out)
        records += stream.personal.protect(derive(shaped, stream.derived))
    return records


@dataclass(frozen=True)
class KoreList:
    """The records of bots in one window; a position is how many are skipped.

    Attributes:
        stream: The stream.
        bots: The bots.
        window: The window.
        asked: What the body holds beside the window and the page.
        params: The query, if any.
        refine: What becomes of the rows of a page, if anything.
        first: The position of the first page.
    """

    stream: KoreListStream
    bots: Sequence[str]
    window: Window
    asked: Mapping[str, Any] = field(default_factory=dict)
    params: Mapping[str, str] = field(default_factory=dict)
    refine: Callable[[list[Row]], list[Row]] | None = None
    first: int = 0

    @property
    def page_size(self) -> int:
        """How many records are asked for in one request."""
        return self.stream.page_size

    def fetch(self, position: int) -> Fetch:
        """The request for the page at a position."""
        return self._fetch(position, self.stream.page_size)

    def fetch_count(self) -> Fetch:
        """A request for how many records there are, and for one of them."""
        return self._fetch(self.first, 1)

    def remaining(self, first: Page) -> range:
        """The positions of the other pages, if all are as large as the first."""
        return range(first.received, first.total, max(first.received, 1))

    def _fetch(self, position: int, size: int) -> Fetch:
        body = {
            "skip": position,
            "limit": size,
            **self.stream.body(self.window),
            **self.asked,
        }
        parse = partial(self._page, position)
        return self.stream.fetch(self.bots, body, parse, self.params)

    def _errors_of_range(self, rows: Sequence[Row]) -> Errors:
        """The bots of which a record is of another time.

        Raises:
            FilterError: So it is of the only bot that is asked for.
        """
        errors: dict[str, BotError] = {}
        for bot in dict.fromkeys(row.bot for row in rows):
            try:
                check_in_window(self.window, (row for row in rows if row.bot == bot))
            except FilterError as error:
                if len(self.bots) == 1:
                    raise
                errors[bot] = error
        return errors

    def _page(self, position: int, body: Mapping[str, Any]) -> Page:
        raws, total = listed(body, self.stream.records_field, self.stream.count_field)
        if not raws and not total and body.get("moreAvailable") and not position:
            msg = "an empty first page that says moreAvailable"
            raise ValueError(msg)
        rows, errors = self.stream.rows(self.bots, raws)
        errors = {**errors, **self._errors_of_range(rows)}
        self.stream.transport.clock.note_records(rows)
        keys, times = self.stream.keys(raws, rows), _times(self.stream, raws, rows)
        if self.refine:
            rows = self.refine(rows)
        return Page(
            rows,
            received=len(raws),
            total=total,
            more=bool(body.get("moreAvailable")),
            next_position=position + len(raws),
            errors=errors,
            keys=keys,
            times=times,
        )


def _times(
    stream: KoreListStream, raws: Sequence[Json], rows: Sequence[Row]
) -> list[datetime]:
    """When records are of, those of no interest included."""
    if not stream.is_shared:
        return [row.time for row in rows]
    return [time for raw in raws if (time := stream.time_of(raw)) is not None]
