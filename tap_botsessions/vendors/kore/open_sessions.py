"""Sessions of Kore.ai's that were open when they were read, and so may have changed."""

from __future__ import annotations

import logging
import zlib
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tap_botsessions.engine.errors import BookmarkError
from tap_botsessions.engine.windows import parse_instant, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from tap_botsessions.engine.records import Row

logger = logging.getLogger("tap-botsessions")

_EVER = datetime.min.replace(tzinfo=UTC)

IDS, SINCE = "open_sessions", "open_since"
"""Their places in the state of a bot."""


class OpenSessions:
    """The open sessions of one bot.

    In the state they are `open_sessions`, an object with the session's start and a
    checksum of what was emitted of it, by its id; the checksum is empty if nothing was.
    Where there are too many, they are `open_since` instead: an instant from which the
    next run reads all sessions again.

    Attributes:
        since: The instant, if the last run left one.
    """

    def __init__(
        self,
        state: Mapping[str, Any],
        bookmark: datetime | None,
        oldest: datetime = _EVER,
        max_followed: int = 2_000,
    ) -> None:
        """Read what the last run left.

        Args:
            state: The state of the bot.
            bookmark: Its bookmark.
            oldest: What started before this instant is looked at once more only.
            max_followed: So many are followed by their ids; more, by reading their
                time again.

        Raises:
            BookmarkError: It is not as the tap wrote it.
        """
        try:
            self._open = {
                name: (parse_instant(start), str(checksum))
                for name, (start, checksum) in state.get(IDS, {}).items()
            }
            since = state.get(SINCE)
            self.since = None if since is None else parse_instant(since)
        except (AttributeError, TypeError, ValueError) as error:
            msg = "the open sessions in the state are unreadable; fix or clear it"
            raise BookmarkError(msg) from error
        self._bookmark = bookmark
        self._oldest = oldest
        self._max_followed = max_followed
        self._read_until = self.since or datetime.max.replace(tzinfo=UTC)
        self._overflow: datetime | None = None

    def starts(self, before: datetime | None = None) -> dict[str, datetime]:
        """When each of them started, or those that did before an instant, by id."""
        return {
            name: start
            for name, (start, _) in self._open.items()
            if before is None or start < before
        }

    def drop_old(self) -> None:
        """Follow those no more that were to be looked at once more only."""
        self.drop(self.starts(before=self._oldest))

    def drop(self, names: Iterable[str]) -> None:
        """Follow these no more."""
        for name in names:
            self._open.pop(name, None)

    def was_emitted(self, row: Row) -> bool:
        """Whether a session was emitted, in any form, while it was open."""
        return bool(self._open.get(row.key[0], (None, ""))[1])

    def has_changed(self, row: Row) -> bool:
        """Whether a session is other than it was emitted."""
        followed = self._open.get(row.key[0])
        return followed is None or followed[1] != _checksum(row)

    def observe(self, row: Row, *, is_open: bool, emitted: bool) -> None:
        """Follow a session that is open, and one that is closed no more."""
        name = row.key[0]
        if not is_open or self._is_last_look(row):
            self._open.pop(name, None)
        elif self._overflow is not None:
            self._overflow = min(self._overflow, row.time)
        else:
            self._open[name] = (row.time, _checksum(row) if emitted else "")
            if len(self._open) > self._max_followed:
                self._overflow = min(start for start, _ in self._open.values())
                self._open.clear()
                logger.warning(
                    "more than %d sessions of a bot are open; instead of asking for "
                    "each, the next run reads all from %s on again",
                    self._max_followed,
                    to_rfc3339(self._overflow),
                )

    def _is_last_look(self, row: Row) -> bool:
        """Whether a session was to be looked at once more only, and this is it.

        It is where the last run left its time to be read again; by its id, see
        `drop_old`.
        """
        return (
            self.since is not None
            and self._bookmark is not None
            and row.time < min(self._bookmark, self._oldest)
        )

    def to_state(self, end: datetime | None) -> dict[str, Any]:
        """What the state must hold.

        Args:
            end: Up to where this run has read all; none as long as it is nowhere.
        """
        if end is not None:
            self._read_until = end
        is_behind = (
            self.since is not None
            and self._bookmark is not None
            and self._read_until < self._bookmark
        )
        since = min(
            filter(None, (self._read_until if is_behind else None, self._overflow)),
            default=None,
        )
        ids = {
            name: [to_rfc3339(start), checksum]
            for name, (start, checksum) in self._open.items()
        }
        return {IDS: ids or None, SINCE: to_rfc3339(since) if since else None}


def _checksum(row: Row) -> str:
    return f"{zlib.crc32(msgspec.json.encode(row.record)):08x}"
