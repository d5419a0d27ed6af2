"""Why a window is narrowed, and whether a narrower one may help."""

from __future__ import annotations

from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import UnavailableError, UnownedError
from tap_botsessions.engine.pages import NOBODY

if TYPE_CHECKING:
    from datetime import datetime

    from tap_botsessions.engine.capacity import Capacity
    from tap_botsessions.engine.errors import RequestError
    from tap_botsessions.engine.options import Limits
    from tap_botsessions.engine.pages import Page
    from tap_botsessions.engine.verification import Walk
    from tap_botsessions.engine.windows import Window

_TOO_MUCH = {
    HTTPStatus.BAD_REQUEST,
    HTTPStatus.REQUEST_ENTITY_TOO_LARGE,
    HTTPStatus.REQUESTED_RANGE_NOT_SATISFIABLE,
    HTTPStatus.UNPROCESSABLE_ENTITY,
}
"""What a server may answer to a position that is too much for it."""


class NarrowError(Exception):
    """A window can't be read as it is; a narrower one may.

    Attributes:
        share: How much of the window to try next.
    """

    share = 0.5


class TooManyError(NarrowError):
    """More records are counted than are read at once."""

    def __init__(self, total: int, most: int) -> None:
        """Keep how much of them is read at once."""
        super().__init__(f"{total} records are counted")
        self.share = 0.95 * most / total


class TooLargeError(NarrowError):
    """The records take more memory than is read at once."""

    def __init__(self, size: float, most: int) -> None:
        """Keep how much of them is read at once."""
        super().__init__(f"{size / 1e6:.0f} MB of records are counted")
        self.share = 0.95 * most / size


class RepeatsError(NarrowError):
    """Records came twice on pages that may have lost others for them.

    On a single page none can be lost so.
    """

    def __init__(self, walk: Walk) -> None:
        """Keep how much of the list fits a page."""
        super().__init__(f"{walk.flaw} in {walk.total} records")
        self.share = 0.5 * max(page.received for page in walk.pages) / walk.total


class CappedError(NarrowError):
    """The parts of a window have more records than all of it: the server cuts lists."""


class UnequalError(NarrowError):
    """The records don't add up to the count."""


class UnownedListError(NarrowError):
    """Records don't say whose they are.

    Attributes:
        first: When the first of them is of, if any of them says that.
    """

    def __init__(self, message: str, first: datetime | None) -> None:
        """Keep what is known of them."""
        super().__init__(message)
        self.first = first


class RefusedError(NarrowError):
    """A page can't be had.

    Attributes:
        error: Why.
        received: How many records of its list had come before.
    """

    def __init__(self, error: RequestError, received: int) -> None:
        """Keep what is known of it."""
        super().__init__(str(error))
        self.error = error
        self.received = received


def check_owners(walk: Walk, window: Window) -> None:
    """Look for records that don't say whose they are.

    Raises:
        UnownedListError: There are some in the window.
    """
    errors = [page.errors.get(NOBODY) for page in walk.pages]
    unowned = [error for error in errors if isinstance(error, UnownedError)]
    times = [time for error in unowned for time in error.times]
    within = [time for time in times if time is not None and time in window]
    if within or None in times:
        raise UnownedListError(str(unowned[0]), min(within, default=None))


def check_repeats(walk: Walk, capacity: Capacity) -> None:
    """Accept a list that stands still and names a record twice, if it counts both.

    Raises:
        RepeatsError: That is not known: where records of one time come in another order
            on each page, some come twice, and others never.
    """
    if not walk.counts_repeats:
        return
    if walk.is_of_one_page:
        capacity.counts_repeats = True
    elif not capacity.counts_repeats:
        raise RepeatsError(walk)


def check_size(first: Page, limits: Limits) -> None:
    """Look whether the records of a list take no more memory than they may.

    Raises:
        TooLargeError: They do, going by the first page.
    """
    size = first.size * first.total / max(first.received, 1)
    if size > limits.max_window_bytes:
        raise TooLargeError(size, limits.max_window_bytes)


def may_ask_too_much(error: RequestError, *, is_first: bool) -> bool:
    """Whether a server may have failed at how much it was asked for.

    Avaamo's has 30 seconds for an answer, and then sends a 504 (page Getting started).
    Other troubles of a first page are the bot's; a later one may lie beyond a limit.
    """
    if not isinstance(error, UnavailableError):
        return not is_first and error.status in _TOO_MUCH
    return error.is_slow or (
        not is_first and error.status != HTTPStatus.TOO_MANY_REQUESTS
    )


def in_vain(error: RequestError, attempts: int) -> RequestError:
    """The error where no part of a window is answered, however narrow."""
    msg = (
        f"{error}; {attempts} windows failed, each narrower than the one before; try "
        f"again later, or a smaller window_days"
    )
    return type(error)(msg, error.status)
