"""A vendor's clock, which dates the records; this machine's may be another."""

from __future__ import annotations

import logging
import time
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from tap_botsessions.engine.windows import to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Iterable

    from tap_botsessions.engine.records import Row

logger = logging.getLogger("tap-botsessions")

_COARSE = timedelta(seconds=2)
"""So much less is no difference: the header Date has whole seconds, and travels."""

_APART = 30.0
"""Seconds from which on clocks are reported to be apart."""


class VendorClock:
    """What the answers of a vendor show of its clock; used by many threads.

    Where this machine's clock is ahead, a range that ends at its time goes on being
    filled after it was read. So what a run has read is complete no further than to the
    vendor's time at which the run began.

    A time that an answer shows is one that the vendor's clock has passed: it has sent
    it. Less what the run has taken so far, it was passed when the run began. So the
    latest of all is nearest to the truth, and an old one, of a cache or a broken
    header, does no harm beside others. Where there is no other, it is believed, however
    old it is, and that is logged: reading again costs requests, and to trust a clock
    that is ahead would cost records. This machine's time is never gone beyond.
    """

    def __init__(self, run_start: datetime) -> None:
        """Know nothing yet.

        Args:
            run_start: When the run began, by this machine's clock.
        """
        self._own = run_start
        # That of the wall may be set while the run goes on.
        self._began = time.monotonic()
        self._latest: float | None = None
        self._is_reported = False

    def note(self, shown: float | None) -> None:
        """Note a time that an answer shows, just after it came.

        Args:
            shown: UNIX epoch seconds; none if it shows nothing.
        """
        if shown is not None and shown > 0:
            at_start = shown - (time.monotonic() - self._began)
            self._latest = max(at_start, self._latest or at_start)

    def note_records(self, rows: Iterable[Row]) -> None:
        """Note the times of records that just came."""
        if newest := max((row.time for row in rows), default=None):
            self.note(newest.timestamp())

    @property
    def run_start(self) -> datetime:
        """When the run began, by the vendor's clock or this machine's, the earlier."""
        ahead = self._ahead
        if ahead <= _COARSE:
            return self._own
        return (self._own - ahead).replace(microsecond=0)

    @property
    def _ahead(self) -> timedelta:
        """How far this machine's clock is ahead of the vendor's; negative if behind."""
        if self._latest is None:
            return timedelta(0)
        return self._own - datetime.fromtimestamp(self._latest, UTC)

    def report(self, vendor: str) -> None:
        """Log once that the clocks are apart, if they are.

        Args:
            vendor: The vendor's name.
        """
        seconds = self._ahead.total_seconds()
        if self._is_reported or abs(seconds) < _APART:
            return
        self._is_reported = True
        if seconds > 0:
            logger.warning(
                "%s answers by a clock that is %.0f s behind this machine's: what this "
                "run reads counts as complete up to %s only, its time at the start; "
                "set this machine's clock, or have no old answers served",
                vendor,
                seconds,
                to_rfc3339(self.run_start),
            )
        else:
            logger.warning(
                "%s answers by a clock that is %.0f s ahead of this machine's: the "
                "newest records are left to the next run; set this machine's clock",
                vendor,
                -seconds,
            )
