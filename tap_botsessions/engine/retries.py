"""Whether a request is repeated, and when."""

from __future__ import annotations

import logging
from dataclasses import dataclass
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import UnavailableError
from tap_botsessions.engine.health import backoff

if TYPE_CHECKING:
    from tap_botsessions.engine.errors import TransientError
    from tap_botsessions.engine.jobs import Attempt
    from tap_botsessions.engine.options import Limits

logger = logging.getLogger("tap-botsessions")

_HOUR = 3600
_NOT_PROVIDED = {HTTPStatus.NOT_IMPLEMENTED, HTTPStatus.HTTP_VERSION_NOT_SUPPORTED}


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
        if self.are_over(attempt):
            raise self.exhausted(attempt)
        if wait > self.limits.max_pause:
            pause = f"{wait / _HOUR:.1f} hours" if wait > _HOUR else f"{wait:.0f} s"
            msg = f"{error}, and asks to wait for {pause}"
            raise UnavailableError(msg, error.status, wait=wait, cause=str(error))
        logger.warning(
            "%s: %s; attempt %d of %d, the next one in %.1f s",
            attempt.fetch.label,
            error,
            attempt.failed,
            self._most(attempt),
            wait,
        )
        return wait

    def are_over(self, attempt: Attempt) -> bool:
        """Whether a request has failed as often as it may be made."""
        return attempt.failed >= self._most(attempt)

    def _most(self, attempt: Attempt) -> int:
        is_slow = attempt.error is not None and attempt.error.is_slow
        return attempt.fetch.max_attempts(self.count + 1, is_slow=is_slow)

    def exhausted(self, attempt: Attempt) -> UnavailableError:
        """The error of such a request."""
        error = attempt.error
        msg = f"{error}, in {attempt.failed} attempts; {self._advice(attempt)}"
        if error is None:
            return UnavailableError(msg)
        return UnavailableError(
            msg, error.status, is_slow=error.is_slow, cause=str(error)
        )

    def _advice(self, attempt: Attempt) -> str:
        """What to do about it; settings are of no use where somebody waits."""
        error, setting = attempt.error, attempt.task.lane.job.host.setting
        if error is not None and error.trouble == "unreached":
            return f"check {setting}, and the network and proxy that lead there"
        if error is not None and error.status in _NOT_PROVIDED:
            return f"check {setting}; the server does not provide this"
        if self.limits.is_interactive:
            return "try again later"
        if error is not None and error.is_slow:
            return "try again later, or raise request_timeout_seconds"
        return "try again later, or raise max_retries"
