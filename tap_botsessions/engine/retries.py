"""Whether a request is repeated, and when."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import UnavailableError
from tap_botsessions.engine.health import backoff

if TYPE_CHECKING:
    from tap_botsessions.engine.errors import TransientError
    from tap_botsessions.engine.jobs import Attempt
    from tap_botsessions.engine.options import Limits

logger = logging.getLogger("tap-botsessions")

_HOUR = 3600


@dataclass(frozen=True)
class Retries:
    """How requests are repeated that have failed.

    Attributes:
        count: How often one is.
        limits: How long is waited.
    """

    count: int
    limits: Limits

    def pause(self, attempt: Attempt, error: TransientError, *, counts: bool) -> float:
        """Seconds until a request is repeated; its budget waits, too, if refused.

        Args:
            attempt: The request.
            error: What came of it.
            counts: Whether that counts for it, and is not for want of the host.

        Raises:
            UnavailableError: It is not repeated.
        """
        if not counts:
            return backoff(max(attempt.failed, 1), self.limits.max_backoff)
        budget = attempt.fetch.budget
        growing = backoff(attempt.failed, self.limits.max_backoff)
        wanted = error.wait
        if wanted is not None and wanted < 1:
            wanted = max(wanted, growing)  # or the retry would follow without a pause
        # No other request waits for what is too long to be waited for.
        if error.limit is not None and (wanted or 0) <= self.limits.max_pause:
            wait = budget.block(error.limit, wanted)
        else:
            wait = growing if wanted is None else wanted
        if attempt.failed > self.count:
            raise self.exhausted(attempt)
        if wait > self.limits.max_pause:
            pause = f"{wait / _HOUR:.1f} hours" if wait > _HOUR else f"{wait:.0f} s"
            msg = f"{error}, and asks to wait for {pause}"
            raise UnavailableError(msg, error.status)
        logger.warning(
            "%s: %s; attempt %d of %d, the next one in %.1f s",
            attempt.fetch.label,
            error,
            attempt.failed,
            self.count + 1,
            wait,
        )
        return wait

    @staticmethod
    def exhausted(attempt: Attempt) -> UnavailableError:
        """The error of a request that has failed as often as it may be made."""
        error = attempt.error
        msg = (
            f"{error}, in {attempt.failed} attempts; try again later, or raise "
            f"max_retries or request_timeout_seconds"
        )
        return UnavailableError(msg, error.status if error else None)
