"""The audit trail: a record for each window that was read, to prove completeness."""

from __future__ import annotations

import time
import uuid
from datetime import UTC, datetime, timedelta
from hashlib import blake2b
from typing import TYPE_CHECKING, Any

import msgspec
from singer_sdk import Stream
from typing_extensions import override

from tap_botsessions.engine.errors import Failure
from tap_botsessions.engine.options import is_given
from tap_botsessions.engine.schemas import load_schema
from tap_botsessions.engine.windows import to_rfc3339
from tap_botsessions.singer.emitter import Chunk, Emitter, keeping_error

if TYPE_CHECKING:
    from collections.abc import Iterable

    from singer_sdk.helpers.types import Context, Record
    from singer_sdk.singerlib import Catalog
    from singer_sdk.tap_base import Tap

    from tap_botsessions.engine.pages import WindowResult
    from tap_botsessions.engine.stream import VendorStream


class SyncWindows(Stream):
    """The windows that this run has read, of all other streams.

    Its records leave with those of the windows, before the state that vouches for both.
    """

    name = "sync_windows"
    primary_keys = ("run_id", "number")
    selected_by_default = False

    def __init__(self, tap: Tap, failures: list[Failure]) -> None:
        """Begin with none.

        Args:
            tap: The tap.
            failures: What failed in this run.
        """
        super().__init__(tap, schema=load_schema(self.name))
        self._emit = Emitter(tap, self)
        self._run_id = str(uuid.uuid4())
        self._number = 0
        self._failures = failures
        self._is_failed = False

    def record(
        self, source: VendorStream, bot: str, result: WindowResult, emitted: int
    ) -> None:
        """Emit the record of a window, if the stream is selected.

        If it can't be written, this stream fails, and no other.

        Args:
            source: Whose window it is.
            bot: The bot's id.
            result: The window.
            emitted: How many records of it were emitted.
        """
        if not self.selected or self._is_failed:
            return
        if not self._number:
            self._emit.schema()
        self._number += 1
        chunk = Chunk([self._record(source, bot, result, emitted)])
        with keeping_error(chunk):
            self._emit.records(chunk.records)
        if chunk.error is not None:
            self._is_failed = True
            self._failures.append(Failure("", self.name, self.name, chunk.error))
            self.logger.warning(
                "%s failed: %s; the others go on", self.name, chunk.error
            )

    def _record(
        self, source: VendorStream, bot: str, result: WindowResult, emitted: int
    ) -> dict[str, Any]:
        window, now = result.window, datetime.now(UTC)
        age = timedelta(seconds=max(time.monotonic() - result.begun_at, 0))
        return {
            "run_id": self._run_id,
            "number": self._number,
            "stream": source.name,
            "bot": bot,
            "window_start": to_rfc3339(window.start) if window else None,
            "window_end": to_rfc3339(window.end) if window else None,
            "rows_expected": result.expected,
            "rows_received": result.received,
            "rows_distinct": len(result.rows),
            "rows_emitted": emitted,
            "gap": result.gap,
            "times_read": result.attempts,
            "requests": result.requests,
            "seconds": round(result.seconds, 3),
            "begun_at": to_rfc3339(now - age),
            "read_at": to_rfc3339(now),
            "filters": _fingerprint(source),
        }

    @override
    def get_records(self, context: Context | None) -> Iterable[Record]:
        return ()

    @override
    def apply_catalog(self, catalog: Catalog) -> None:
        """Take the selection from a catalog; there is nothing to go on from."""
        super().apply_catalog(catalog)
        self.replication_key = None


def _fingerprint(source: VendorStream) -> str | None:
    """Stands for the settings that leave records out; none if none does.

    They may name a user, hence not as they are.
    """
    config = source.config
    given = {name: config[name] for name in source.filters if is_given(config, name)}
    if not given:
        return None
    return blake2b(
        msgspec.json.encode(given, order="sorted"), digest_size=8
    ).hexdigest()
