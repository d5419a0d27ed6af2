"""What the made-up data is a function of."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Literal

from simulator.timeline import DAY, SECOND

Version = Literal["v7", "v8", "v9", "v10", "2025", "mixed"]


@dataclass(kw_only=True, eq=False)
class Parameters:
    """The parameters of both vendors' data.

    Attributes:
        start: When the data begins (aware).
        seed: Two worlds of one seed hold the same records.
        sessions_per_day: Of each bot, or per bot (others have none); below
            one, most days are empty.
        messages_per_session: Avaamo messages for each session.
        late_fraction: Share of records that appear minutes to hours after
            their time.
        equal_sessions: Share of Avaamo sessions that equal another one in
            every field; the page names no unique key.
        open_fraction: Share of Kore sessions that stay open for days.
        hostile_text: Some Avaamo messages hold NUL or a lone surrogate.
        task_messages: Share of Kore messages that are of alert and action tasks, which
            the second version of getMessages leaves out.
        pending_minutes: For how long a Kore message's status says that it is pending.
        erasure_minutes: How long after a request Kore deletes conversations; the page
            has it do so off-peak.
        kore_version: API version whose record shape Kore serves; ``mixed``
            has them all.
        bot_names: The names of Kore bots; others have one that says their id's end.
        now: The clock, in epoch seconds, to be moved at will; 0 stands for
            the end of the data. Nothing later is visible.
    """

    start: datetime = datetime(2026, 3, 1, tzinfo=UTC)
    seed: int = 1
    sessions_per_day: float | Mapping[str, float] = 40
    messages_per_session: float = 4
    late_fraction: float = 0.0
    equal_sessions: float = 0.0
    open_fraction: float = 0.02
    hostile_text: bool = False
    task_messages: float = 0.0
    pending_minutes: float = 0.0
    erasure_minutes: float = 0.0
    kore_version: Version = "v10"
    bot_names: Mapping[str, str] = field(default_factory=dict)
    now: float = 0.0

    @property
    def first_day(self) -> int:
        """The day on which the data begins, counted from the epoch."""
        return round(self.start.timestamp()) * SECOND // DAY

    @property
    def clock(self) -> int:
        """The clock in epoch milliseconds."""
        return round(self.now * SECOND)

    def sessions_of(self, bot: str) -> float:
        """Return how many sessions a bot has on a day."""
        rate = self.sessions_per_day
        return rate.get(bot, 0.0) if isinstance(rate, Mapping) else rate
