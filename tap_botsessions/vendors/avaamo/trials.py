"""What is asked of a server to find the form in which it takes ranges of time."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING, NamedTuple

from tap_botsessions.engine.errors import (
    BotError,
    FilterError,
    RequestError,
    TransientError,
    UnavailableError,
)
from tap_botsessions.engine.windows import Window

if TYPE_CHECKING:
    from collections.abc import Callable, Generator, Sequence

    from tap_botsessions.engine.pages import Fetch, Page
    from tap_botsessions.engine.records import Row
    from tap_botsessions.vendors.avaamo.time_forms import TimeForm

_REFUSALS = {400, 422}


@dataclass(frozen=True)
class ListQuery:
    """What is asked of a server whose form may not be known.

    Attributes:
        label: The list that is read, for messages.
        window: What is read of it.
        whole: All that may be read of it in this run.
        default: How far back goes a list that is asked for without a range; none if
            no page says it.
        fetch_count: Makes a request for any range of it in a form; one record will do.
    """

    label: str
    window: Window
    whole: Window
    default: timedelta | None
    fetch_count: Callable[[Window, TimeForm], Fetch]

    def last(self, time: timedelta) -> Window:
        """The last part of all that may be read."""
        return Window(self.whole.end - time, self.whole.end)


class Proof(NamedTuple):
    """A record that came of a range in a form, which may have passed the range by."""

    row: Row
    form: TimeForm
    query: ListQuery


def only_once(send: Callable[[], Page]) -> Page:
    """Make the only attempt at a request, unless it is refused for want of budget.

    Raises:
        UnavailableError: It fails, in a way that another attempt might not.
        TransientError: The budget is spent.
    """
    try:
        return send()
    except TransientError as error:
        if error.limit:
            raise
        raise UnavailableError(str(error), error.status) from None


def may_be_the_form(error: BotError) -> bool:
    """Whether a server may have failed so because it counts in another form."""
    return isinstance(error, FilterError) or (
        isinstance(error, RequestError) and error.status in _REFUSALS
    )


def may_be_the_default(query: ListQuery) -> bool:
    """Whether a window holds all that a server sends that ignores the range."""
    if query.default is None:
        return True
    start = datetime.now(UTC) - query.default + timedelta(hours=1)
    return query.window.start <= start and may_hold_some_of_the_default(query)


def may_hold_some_of_the_default(query: ListQuery) -> bool:
    """Whether a window holds some of what such a server sends."""
    if query.default is None:
        return True
    return datetime.now(UTC) - query.default < query.window.end


def comes_anyway(
    row: Row, form: TimeForm, query: ListQuery
) -> Generator[Sequence[Fetch], Sequence[Page], bool]:
    """Whether a record comes where another time is asked for, too.

    A server that takes a token for nonsense may answer with its default.
    """
    far, second = timedelta(seconds=10), timedelta(seconds=1)
    start = row.time + far
    if start + second > query.whole.end:  # a server may refuse what is yet to come
        start = row.time - far - second
    try:
        [page] = yield [query.fetch_count(Window(start, start + second), form)]
    except FilterError:
        return True
    return any(other.key == row.key for other in page.rows)
