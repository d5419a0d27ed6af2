"""Finding out where a vendor counts other records than were read.

A generator without I/O, as those of `reader`.
"""

from __future__ import annotations

import logging
from collections import deque
from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol, cast

from tap_botsessions.engine.errors import RequestError
from tap_botsessions.engine.narrowing import may_ask_too_much
from tap_botsessions.engine.pages import CountResult, WindowResult
from tap_botsessions.engine.parts import whole

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Sequence

    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import Reading
    from tap_botsessions.engine.parts import Part
    from tap_botsessions.engine.windows import Window

logger = logging.getLogger("tap-botsessions")

SLOW_ATTEMPTS = 2
"""At a count whose answer takes too long, before less is counted at once."""


@dataclass(frozen=True)
class Changes(WindowResult):
    """Where a vendor counts other records than were read.

    Attributes:
        changed: The parts of time where it does.
    """

    changed: Sequence[Window] = ()


class _Counted(Protocol):
    """A stream whose records are counted again."""

    limits: Limits

    @property
    def page_size(self) -> int:
        """How many records are asked for in one request."""

    def label(self, *bots: str) -> str:
        """The stream, for messages."""


def find_changes(
    count: Callable[[Window], Reading],
    spans: Iterable[Sequence[Part]],
    stream: _Counted,
) -> Reading:
    """Count spans, and halve those that have changed until a page holds what has.

    Args:
        count: Counts the records of a window; it returns a `CountResult`.
        spans: The parts of each span, one after another.
        stream: The stream.

    Returns:
        `Changes`; no rows.
    """
    left = deque(spans)
    changed: list[Window] = []
    while left:
        span = left.popleft()
        part, total = whole(span), None
        try:
            result = yield from count(part.window)
        except RequestError as error:
            if not may_ask_too_much(error, is_first=True):
                raise
            if len(span) == 1 and (part.count or 0) > stream.limits.max_window_rows:
                logger.warning(
                    "%s: %s can't be counted (%s), and so is only read again in its "
                    "turn",
                    stream.label(),
                    part.window,
                    error,
                )
                continue
        else:
            total = sum(map(sum, cast("CountResult", result).totals))
            if is_as_read(part, total):
                continue
        if len(span) == 1 or (total is not None and total <= stream.page_size):
            changed.append(part.window)
        else:
            middle = len(span) // 2
            left.extendleft((span[middle:], span[:middle]))
    return Changes(None, [], changed=changed)


def is_as_read(part: Part, total: int) -> bool:
    """Whether a vendor counts what was read; around the bounds it may or may not."""
    count = part.count or 0
    return count <= total <= count + part.before + part.after
