"""What happened in a run: what the vendors showed and served, and what was written."""

from __future__ import annotations

from collections import Counter, defaultdict
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, NamedTuple

from tests.chaos.target import Read
from tests.truth import key_of

if TYPE_CHECKING:
    from collections.abc import Iterable
    from datetime import datetime

    from tap_botsessions.engine.windows import Window
    from tests.chaos.plan import Step
    from tests.chaos.truth import Kinds, Truth

Record = dict[str, Any]

Bot = tuple[str, str]
"""A stream and a bot."""

Key = tuple[str, tuple[str, ...]]
"""A record's stream and key."""


AUDIT = "sync_windows"
"""The stream of the windows that were read."""


class Page(NamedTuple):
    """A page of a list that was sent whole.

    Attributes:
        window: The window that was requested.
        total: How many records the list was said to have.
        records: Its records, each with its key.
    """

    window: Window
    total: int
    records: list[tuple[Key, Record]]


@dataclass
class Run:
    """One run of the tap.

    Attributes:
        number: Counted from 1.
        step: What was to happen.
        state: What it began with.
        now: Where the vendor's clock stood.
        end: Up to where it had to read.
        before: What the vendors showed as it began.
        kinds: Of what kind each session was as it began.
        kinds_after: Likewise, at its end.
        served: Every record that was sent, in each form that it had.
        pages: The pages of lists that were sent whole.
        requests: Requests that were answered, by stream and bot; the bot is empty where
            none was named.
        gone: What left its list meanwhile.
        hidden: What was counted and not served in lists.
        disowned: What was served by the account without its bot.
        seconds: How long it took.
        output: What was written.
        read: What the target read of that.
        log: What was logged.
        code: How the process ended, as its parent sees it.
        is_broken: Whether the pipe into the target broke.
        counts: How many requests came, and how many of them each fault befell.
        events: What happened, a line each.
    """

    number: int
    step: Step
    state: dict[str, Any] | None
    now: datetime
    end: datetime
    before: Truth
    kinds: Kinds
    kinds_after: Kinds = field(default_factory=dict)
    served: dict[Key, list[Record]] = field(default_factory=lambda: defaultdict(list))
    pages: list[Page] = field(default_factory=list)
    requests: Counter[Bot] = field(default_factory=Counter)
    gone: set[Key] = field(default_factory=set)
    hidden: set[Key] = field(default_factory=set)
    disowned: set[Key] = field(default_factory=set)
    seconds: float = 0.0
    output: bytes = b""
    read: Read = field(default_factory=Read)
    log: str = ""
    code: int = 0
    is_broken: bool = False
    counts: Counter[str] = field(default_factory=Counter)
    events: list[str] = field(default_factory=list)

    @property
    def is_over(self) -> bool:
        """Whether it came to its own end."""
        return self.code >= 0 and not self.is_broken

    @property
    def written(self) -> list[tuple[Key, Record]]:
        """The records that the target read, each with its key, as they came."""
        return keyed(self.read.records)

    @property
    def windows(self) -> list[Record]:
        """The records of the audit trail."""
        return [record for stream, record in self.read.records if stream == AUDIT]

    def note(self, event: str) -> None:
        """Record what happened."""
        self.events.append(f"run {self.number}: {event}")


def keyed(records: Iterable[tuple[str, Record]]) -> list[tuple[Key, Record]]:
    """Records of vendors' streams, each with its key."""
    return [
        ((stream, key_of(stream, record)), record)
        for stream, record in records
        if stream != AUDIT
    ]


def bot_of_key(key: Key) -> Bot:
    """The stream and the bot of a record."""
    stream, (bot, *_) = key
    return stream, bot
