"""Rolling rate limits of both vendors."""

from __future__ import annotations

import math
import time
from collections import Counter, defaultdict, deque
from dataclasses import dataclass, field
from typing import Any

from simulator.exchange import Call, RefusalError, Vendor

_KORE_MINUTE = (
    "You've exceeded the per-minute rate limit. "
    "Please wait for sometime before retrying."
)
_KORE_HOUR = (
    "You've exceeded the hourly rate limit. Please wait for sometime before retrying."
)


@dataclass
class Limits:
    """Rolling rate limits; None is no limit.

    Documented are 60 a minute and 1,800 an hour for each Kore bot, and 50 a
    minute for Avaamo. Not documented, and chosen here: status 429 and its code,
    one bucket of its own for Kore's account-wide endpoint, one bucket for all
    of Avaamo, and that refused calls do not count.

    Attributes:
        kore_per_minute: Calls of a Kore bot.
        kore_per_hour: Calls of a Kore bot.
        avaamo_per_minute: Calls of the Avaamo account.
        kore_per_api: Whether each of Kore's endpoints has a bucket of its own.
        minute: Seconds that the limits' minute lasts; shorter for tests.
        retry_after: Send Retry-After in seconds with a refusal.
        refused: Refused calls by bucket, ``avaamo`` or ``kore/<bot>``.
    """

    kore_per_minute: int | None = None
    kore_per_hour: int | None = None
    avaamo_per_minute: int | None = None
    kore_per_api: bool = False
    minute: float = 60.0
    retry_after: bool = False
    refused: Counter[str] = field(default_factory=Counter)
    _calls: defaultdict[str, deque[float]] = field(
        default_factory=lambda: defaultdict(deque), repr=False
    )

    def admit(self, call: Call) -> None:
        """Count a call.

        Raises:
            RefusalError: With 429, if the call is beyond a limit.
        """
        bucket = "avaamo" if call.vendor == "avaamo" else f"kore/{call.bot}"
        if self.kore_per_api and call.vendor == "kore":
            bucket = f"{bucket}/{call.endpoint}"
        calls, now = self._calls[bucket], time.monotonic()
        while calls and calls[0] <= now - 60 * self.minute:
            calls.popleft()
        for quota, seconds, body in self._quotas(call.vendor):
            if quota is None or len(calls) < quota:
                continue
            wait = calls[-quota] + seconds - now
            if wait > 0:
                self.refused[bucket] += 1
                headers = {"Retry-After": str(math.ceil(wait))}
                raise RefusalError(429, body, headers if self.retry_after else None)
        calls.append(now)

    def _quotas(self, vendor: Vendor) -> list[tuple[int | None, float, dict[str, Any]]]:
        """Return of each limit the calls, the seconds and the refusal's body."""
        if vendor == "avaamo":
            refusal = {"error": "API rate limit exceeded."}
            return [(self.avaamo_per_minute, self.minute, refusal)]
        return [
            (quota, seconds, {"errors": [{"msg": message, "code": 429}]})
            for quota, seconds, message in (
                (self.kore_per_minute, self.minute, _KORE_MINUTE),
                (self.kore_per_hour, 60 * self.minute, _KORE_HOUR),
            )
        ]
