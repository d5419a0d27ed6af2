"""Kore.ai: the bots of an account, as a stream and to be found by themselves.

Source: Kore.ai XO Platform documentation, page Get Bots. Its answer holds the client
secret of every app of every bot, so nothing but what is named here leaves the parser.
"""

from __future__ import annotations

import logging
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

from typing_extensions import override

from tap_botsessions.engine.errors import BotError, IncompleteError, SettingError
from tap_botsessions.engine.jobs import Job
from tap_botsessions.engine.listing import listed as listed_names
from tap_botsessions.engine.pages import Fetch, Page, WindowResult
from tap_botsessions.engine.records import (
    Columns,
    Row,
    boolean,
    instant,
    listed,
    require,
    sequence,
    shape_all,
    text,
)
from tap_botsessions.engine.scheduler import Scheduler
from tap_botsessions.engine.stream import VendorStream
from tap_botsessions.engine.transport import Request
from tap_botsessions.engine.workers import Workers

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Iterable, Mapping, Sequence
    from datetime import datetime

    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pacing import Budget
    from tap_botsessions.engine.pages import Reading, Seen
    from tap_botsessions.engine.stream import SyncRanges
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.account import Account

logger = logging.getLogger("tap-botsessions")

PATH = "/api/public/bots"

_MOST = 50
"""Bots in one answer, at most."""

COLUMNS: Columns = {
    "_id": ("bot_id", text),
    "name": ("name", text),
    "description": ("description", text),
    "status": ("status", text),
    "type": ("type", text),
    "purpose": ("purpose", text),
    "defaultLanguage": ("default_language", text),
    "accountId": ("account_id", text),
    "createdOn": ("created_on", instant),
    "createdBy": ("created_by", text),
    "isLinkedTo": ("is_linked_to", sequence),
    "isDeflect": ("is_deflect", boolean),
}
"""What is read of a bot; no other field is ever looked at."""


class KoreBots(VendorStream):
    """The bots of the account that the app of the Admin Console is of."""

    vendor = "Kore.ai"
    name = "kore_bots"
    bot_key = "account"
    primary_keys = ("bot_id",)
    replication_key = None
    first_label = "all bots"
    selected_by_default = False

    def __init__(self, options: Options, account: Account) -> None:
        """Prepare to read the bots of an account."""
        super().__init__(options, account.transport)
        self.account = account

    @property
    @override
    def bots(self) -> Sequence[str]:
        return [self.account.name]

    @override
    def budget(self, bot: str) -> Budget:
        return self.account.admin_budget

    @override
    def ranges(self, sync_range: Window) -> Iterable[Window]:
        return []

    @override
    def read_first(self, bots: Sequence[str], found: SyncRanges) -> Reading:
        return self.read_all()

    @override
    def read(self, bots: Sequence[str], window: Window, seen: Seen) -> Reading:
        return self.read_all()

    @override
    def to_bookmark(self, instant: datetime) -> str:
        raise NotImplementedError

    def read_all(self) -> Reading:
        """Read all bots, until as many came as are counted, each once.

        Raises:
            IncompleteError: It did not add up.
        """
        before: frozenset[tuple[str, ...]] | None = None
        for attempt in range(1, self.limits.max_attempts + 1):
            pages = yield from self._pages()
            rows = {row.key: row for page in pages for row in page.rows}
            received = sum(page.received for page in pages)
            total = max(page.total for page in pages)
            # A list that stands still may name a bot twice, and count it so.
            is_still = received >= total and before == rows.keys()
            if len(rows) >= total or is_still:
                return WindowResult(
                    None,
                    [*rows.values()],
                    expected=total,
                    received=received,
                    attempts=attempt,
                )
            before = frozenset(rows)
        msg = (
            f"{len(rows)} bots came where {total} were counted, in {attempt} "
            f"attempts; try again later"
        )
        raise IncompleteError(msg)

    def _pages(self) -> Generator[Sequence[Fetch], Sequence[Page], list[Page]]:
        """Go from page to page.

        The page calls `offset` the "starting position" and the "first page": it may be
        a number of bots or of pages. The second request shows it.
        """
        [first] = yield [self._fetch(0)]
        pages = [first]
        if not _has_more(pages):
            return pages
        [second] = yield [self._fetch(1)]
        counts_pages = not first.key_set & second.key_set
        if counts_pages:
            pages.append(second)
        while _has_more(pages):
            received = sum(each.received for each in pages)
            [page] = yield [self._fetch(len(pages) if counts_pages else received)]
            pages.append(page)
        return pages

    def _fetch(self, offset: int) -> Fetch:
        request = Request(
            "GET",
            PATH,
            self.account.admin_token,
            {"offset": offset, "limit": _MOST},
            no_content={"bots": None},
            needs="Role Management (Profile Management), of an Admin Console app",
        )
        send = partial(self.transport.send, request, self._page)
        return Fetch(send, self.account.admin_budget, self.label(*self.bots))

    def _page(self, body: Mapping[str, Any]) -> Page:
        raws, total = listed(body, "bots", "total")
        allowed = [_allowed(raw) for raw in raws]
        records = self.personal.protect(shape_all(allowed, COLUMNS))
        now = self.options.run_start
        for record in records:
            require(record, self.name, bot_id="_id")
        rows = [
            Row((each["bot_id"],), now, each, self.account.name) for each in records
        ]
        return Page(
            rows,
            received=len(rows),
            total=total,
            more=bool(body.get("availableMore")),
            next_position=0,
            keys=[row.key for row in rows],
        )


def _has_more(pages: Sequence[Page]) -> bool:
    """Whether a list goes on after these pages, by its count or by its own words."""
    last = pages[-1]
    received = sum(each.received for each in pages)
    return bool(last.received) and (received < last.total or last.more)


def _allowed(raw: Mapping[str, Any]) -> dict[str, Any]:
    """What is read of a bot: plain values, and the ids of those linked to it."""
    found = {name: raw[name] for name in COLUMNS if _is_plain(raw.get(name))}
    if isinstance(linked := raw.get("isLinkedTo"), list):
        found["isLinkedTo"] = [each for each in linked if isinstance(each, str)]
    return found


def _is_plain(value: object) -> bool:
    return isinstance(value, str | int | float)


def find_bots(options: Options, account: Account, on_tick: Callable[[], None]) -> None:
    """Find the bots that are to be read, unless they are known.

    What keeps them from being found is kept as the account's `bots_error`.
    """
    if account.is_resolved:
        return
    try:
        names = _names(options, account, on_tick)
    except BotError as error:
        account.bots_error = error
        return
    account.bots = account.choice.of(names)
    if not account.bots:
        account.bots_error = SettingError(
            f"kore_bot_ids matches none of the account's {len(names)} bots"
        )
        return
    for entry in account.choice.without_a_match(names):
        logger.warning("kore_bot_ids: %s matches no bot of the account", entry)
    logger.info(
        "Kore.ai: %d of the account's %d bots are read: %s",
        len(account.bots),
        len(names),
        listed_names(account.bots),
    )


def _names(
    options: Options, account: Account, on_tick: Callable[[], None]
) -> Mapping[str, str]:
    """The names of an account's bots, by their ids.

    Raises:
        BotError: They can't be read.
    """
    # Names are compared with the settings, so they are not hashed here.
    kept = replace(options, config={**options.config, "personal_data": "keep"})
    stream = KoreBots(kept, account)
    job = Job([account.name], first=stream.read_all(), host=account.transport.health)

    def tick() -> None:
        account.transport.end_overdue()
        on_tick()

    with Scheduler(
        [job], Workers(1), options.config["max_retries"], options.limits, tick
    ) as scheduler:
        [outcome] = scheduler
    if isinstance(outcome.result, BotError):
        raise outcome.result
    return {row.key[0]: row.record["name"] or "" for row in outcome.result.rows}


def bot_of(raw: Json) -> str | None:
    """Whose record it is, of an account that bots share, if it says so."""
    bot = raw.get("botId") if isinstance(raw, dict) else None
    return bot if bot and isinstance(bot, str) else None
