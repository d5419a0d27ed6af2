"""The messages that are read: any number of them, spread evenly over twenty days.

So any page of any window is found by arithmetic.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Callable

PAGE = 100
"""Messages on a page."""

START = datetime(2026, 3, 1, tzinfo=UTC)
DAYS = 20
END = datetime(2026, 3, 21, tzinfo=UTC)

_FIRST = round(START.timestamp())
_MILLISECONDS = DAYS * 86_400_000


class Listing(NamedTuple):
    """The messages of an agent between two instants.

    Attributes:
        messages: How many the agent has in all.
        first: The number of the first one.
        end: The number after that of the last one.
    """

    messages: int
    first: int
    end: int

    @classmethod
    def between(cls, messages: int, start: float, end: float) -> Listing:
        """The messages of a window, both ends included, in epoch seconds."""
        return cls(
            messages,
            _before(messages, round(start * 1000)),
            _before(messages, round(end * 1000) + 1),
        )

    @property
    def total(self) -> int:
        """How many these are."""
        return max(self.end - self.first, 0)

    @property
    def pages(self) -> int:
        """How many pages they take."""
        return -(-self.total // PAGE)

    def page(self, number: int, entry: Callable[[int, int], bytes]) -> bytes:
        """The body of a page, in the vendor's form.

        Args:
            number: From 1.
            entry: Makes a message of its number and its time in milliseconds.
        """
        first = self.first + (number - 1) * PAGE
        entries = (
            entry(place, _time(self.messages, place))
            for place in range(first, min(first + PAGE, self.end))
        )
        return (
            b'{"current_page":%d,"per_page":%d,"total_entries":%d,"total_pages":%d,'
            b'"time_token":%d.0,"entries":[%b]}'
        ) % (
            number,
            PAGE,
            self.total,
            self.pages,
            _FIRST + DAYS * 86_400,
            b",".join(entries),
        )

    def skipped(
        self, skip: int, limit: int, entry: Callable[[int, int], bytes]
    ) -> bytes:
        """The body of a page in Kore.ai's form, oldest first.

        Args:
            skip: How many messages come before it.
            limit: How many it has at most.
            entry: Makes a message of its number and its time in milliseconds.
        """
        first = self.first + skip
        last = min(first + limit, self.end)
        entries = (
            entry(place, _time(self.messages, place)) for place in range(first, last)
        )
        return b'{"total":%d,"moreAvailable":%b,"icon":"","messages":[%b]}' % (
            self.total,
            b"true" if last < self.end else b"false",
            b",".join(entries),
        )


def _time(messages: int, number: int) -> int:
    """When a message was, in epoch milliseconds: never on a border."""
    return 1000 * _FIRST + (2 * number + 1) * _MILLISECONDS // (2 * messages)


def _before(messages: int, millisecond: int) -> int:
    """How many messages were before a millisecond."""
    since = min(max(millisecond - 1000 * _FIRST, 0), _MILLISECONDS)
    number = max(since * messages // _MILLISECONDS - 1, 0)
    while number < messages and _time(messages, number) < 1000 * _FIRST + since:
        number += 1
    return number
