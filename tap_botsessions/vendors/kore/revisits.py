"""Sessions of Kore.ai's that are read again by their ids.

They are those that were open when they were read, or that the settings ask for.

Source: Kore.ai XO Platform documentation, the page Sessions History API.
"""

from __future__ import annotations

import logging
from collections import defaultdict
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any

from tap_botsessions.engine.listing import listed
from tap_botsessions.engine.pages import Page, WindowResult
from tap_botsessions.engine.records import elements, text
from tap_botsessions.vendors.kore import filters
from tap_botsessions.vendors.kore.open_sessions import OpenSessions
from tap_botsessions.vendors.kore.ranges import time_range

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Mapping, Sequence
    from datetime import datetime

    from tap_botsessions.engine.errors import BotError
    from tap_botsessions.engine.options import Config
    from tap_botsessions.engine.pages import Fetch, Reading
    from tap_botsessions.engine.records import Row
    from tap_botsessions.engine.stream import Ids
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.kore.lists import KoreListStream

logger = logging.getLogger("tap-botsessions")

_MAX_IDS = 50
"""So many session ids may be asked for at once."""

_WIDEST = timedelta(days=6)
"""So wide a range is asked for; from seven days on it is refused."""


class SessionRevisits:
    """The sessions of a stream that are read again by their ids."""

    def __init__(self, stream: KoreListStream) -> None:
        """Begin with none.

        Args:
            stream: The stream of sessions.
        """
        self._stream = stream
        self._open: dict[str, OpenSessions] = {}

    @property
    def _config(self) -> Config:
        return self._stream.config

    def restore(
        self, bot: str, state: Mapping[str, Any], bookmark: datetime | None
    ) -> None:
        """Learn which sessions of a bot were open when the last run ended."""
        if filters.follows_open_sessions(self._config):
            options = self._stream.options
            days = timedelta(days=self._config["kore_open_session_days"])
            self._open[bot] = OpenSessions(
                state, bookmark, options.end - days, options.limits.max_followed
            )

    def range_start(self, bot: str) -> datetime | None:
        """From when on a bot of which too many were open is read again."""
        sessions = self._open.get(bot)
        return sessions.since if sessions else None

    def ids(self, bots: Iterable[str], ranges: Sequence[Window]) -> Ids:
        """The sessions of bots to ask for, and when they started if that is known."""
        if wanted := self._config.get("kore_session_ids"):
            return dict.fromkeys(wanted)
        # The windows show the others, unless a filter leaves them out.
        is_filtered = filters.is_filtered(self._config)
        starts = [] if is_filtered else [window.start for window in ranges]
        before = min(starts, default=None)
        return {
            name: start
            for bot in bots
            if bot in self._open
            for name, start in self._open[bot].starts(before).items()
        }

    def batches(self, ids: Ids) -> Sequence[Ids]:
        """Divide ids into those that one request asks for.

        The tags of a session that is older than two weeks come only if its time is
        asked for as well (newer page Sessions History API).
        """
        limits = self._stream.options.limits
        most = min(_MAX_IDS, limits.max_ids_per_request)
        recent = self._stream.options.run_start - limits.whole_by_id
        groups: defaultdict[int | None, list[tuple[str, datetime | None]]]
        groups = defaultdict(list)
        for name, start in ids.items():
            if start is None or start > recent:
                groups[None].append((name, None))
            else:
                groups[(recent - start) // _WIDEST].append((name, start))
        return [
            dict(group[place : place + most])
            for group in groups.values()
            for place in range(0, len(group), most)
        ]

    def read(self, bots: Sequence[str], ids: Ids) -> Reading:
        """Read sessions by their ids, as they are now.

        What the server sends of others is left out. Those that it does not know are
        missing; those that it does not mention are not. Both are logged.
        """
        union: dict[tuple[str, ...], Row] = {}
        errors: dict[str, BotError] = {}
        unknown: set[str] = set()
        left = ids
        while left:
            pages = yield [self._fetch(bots, batch) for batch in self.batches(left)]
            for page in pages:
                union |= {row.key: row for row in page.rows if row.key[0] in ids}
                errors |= page.errors
                unknown.update(page.missing_ids)
            answered = {name for page in pages for name in page.answered_ids}
            if answered.isdisjoint(left):
                self._warn(bots, "the server does not mention these sessions", left)
                break
            left = {name: left[name] for name in left if name not in answered}
        order = {name: place for place, name in enumerate(ids)}
        rows = sorted(union.values(), key=lambda row: order[row.key[0]])
        found = {row.key[0] for row in rows}
        missing = [name for name in ids if name in unknown - found]
        if missing:
            self._warn(bots, "no such sessions", missing)
        return WindowResult(
            None,
            rows,
            missing_ids=missing,
            errors=errors,
            expected=len(ids),
            received=len(found) + len(missing),
        )

    def to_emit(self, bot: str, result: WindowResult) -> Iterable[Row]:
        """The sessions to emit: of those by their ids, the ones that have changed."""
        sessions = self._open.get(bot)
        if sessions is None or self._config.get("kore_session_ids"):
            return result.rows
        if result.window is not None:
            return [
                row
                for row in result.rows
                if self._emits(sessions, row, is_filtered=row.is_filtered)
            ]
        sessions.drop(result.missing_ids)
        changed = [row for row in result.rows if sessions.has_changed(row)]
        # That all filters are ignored beside ids is documented.
        rows = [row for row in changed if self._emits(sessions, row, is_filtered=False)]
        sessions.drop_old()
        return rows

    def to_state(self, bot: str, end: datetime | None) -> dict[str, Any]:
        """The open sessions of a bot, as they are kept in its state."""
        sessions = self._open.get(bot)
        return sessions.to_state(end) if sessions else {}

    def _emits(self, sessions: OpenSessions, row: Row, *, is_filtered: bool) -> bool:
        """Note what a session has come to, and say whether it is emitted."""
        emits = (
            is_filtered
            or filters.is_wanted(self._config, row.record)
            or sessions.was_emitted(row)
        )
        sessions.observe(row, is_open=filters.is_open(row.record), emitted=emits)
        return emits

    def _fetch(self, bots: Sequence[str], ids: Ids) -> Fetch:
        # That a limit is ignored beside ids is documented, a default limit is not.
        body = {"sessionId": list(ids), "skip": 0, "limit": _MAX_IDS}
        starts = [start for start in ids.values() if start]
        if starts:
            body |= time_range(min(starts), max(starts))
        wanted = {bot: set(self.ids([bot], [])) for bot in bots}
        return self._stream.fetch(bots, body, partial(self._page, bots, wanted), {})

    def _page(
        self,
        bots: Sequence[str],
        wanted: Mapping[str, Collection[str]],
        body: Mapping[str, Any],
    ) -> Page:
        missing = [text(name) for name in elements(body.get("invalidSessions"))]
        raws = elements(body["sessions"])
        names = [raw.get("sessionId") for raw in raws]
        answered = [text(name) for name in names if name is not None]
        if self._stream.is_shared:
            # Another bot of the account may have a session of the same id.
            raws = [
                raw
                for raw, name in zip(raws, names, strict=True)
                if name is None
                or (bot := self._stream.owner(raw)) is None
                or name in wanted.get(bot, ())
            ]
        rows, errors = self._stream.rows(bots, raws)
        return Page(
            rows,
            received=len(raws),
            total=len(raws),
            more=False,
            next_position=0,
            errors=errors,
            answered_ids=[*answered, *missing],
            missing_ids=missing,
        )

    def _warn(self, bots: Sequence[str], words: str, names: Collection[str]) -> None:
        logger.warning("%s: %s: %s", self._stream.label(*bots), words, listed(names))
