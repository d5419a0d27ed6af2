"""How Avaamo is asked for a range of time: by which parameters, in which unit.

The pages User sessions and Messages say "UNIX Epoch Timestamp" and no unit; samples are
in seconds, while the page of a sibling, Successful responses, says microseconds. Other
lists have had other names for the parameters, too. A server that takes another form
answers a range by an empty list, by its default, or by a refusal. None of the three may
be taken for an agent without records.

How the form is found:

1. A window is read in the form that is taken for the server's, the first one at first.
2. If records come, that is the proof; but where the window may hold the server's
   default range, one of them must not come for another time as well. Where it lies in
   that, this is looked at as soon as nothing comes of a window.
3. If nothing comes, the last six days of the list are asked for, once, in that form.
4. If it was a refusal, the last hour is: a server may refuse what it no longer holds.
5. Then the window is asked for in each other form. Records prove it; where the first
   form was refused, an answer is taken for a guess.
6. What nothing comes of in any form is an empty window. From the second one of a list
   on, a form in which all of the list's time is empty is not asked for any more.
"""

from __future__ import annotations

import logging
from collections import Counter
from contextlib import suppress
from dataclasses import dataclass, field, replace
from datetime import timedelta
from functools import partial
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import (
    BotError,
    FilterError,
    RequestError,
    UnavailableError,
)
from tap_botsessions.engine.pages import WindowResult
from tap_botsessions.vendors.avaamo.trials import (
    ListQuery,
    Proof,
    comes_anyway,
    may_be_the_default,
    may_be_the_form,
    may_hold_some_of_the_default,
    only_once,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Generator, Sequence

    from tap_botsessions.engine.pages import Fetch, Page, Reading, Requests
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.vendors.avaamo.time_forms import TimeForm

logger = logging.getLogger("tap-botsessions")

_NONSENSE = {HTTPStatus.INTERNAL_SERVER_ERROR, HTTPStatus.OK}

_SLOW_ATTEMPTS = 2
"""At a range that may be too long for an answer in time."""


@dataclass
class TimeTokens:
    """What is known of the form in which an account takes ranges of some lists.

    Attributes:
        forms: Those that it may be, the most likely one first.
        form: The one that is taken for it.
        is_proven: Whether the server has shown it, by records of a range asked for.
    """

    forms: tuple[TimeForm, ...]
    form: TimeForm = field(init=False)
    is_proven: bool = False
    _tried: set[str] = field(default_factory=set)
    _nonsense: set[TimeForm] = field(default_factory=set)
    _trials: Counter[tuple[str, TimeForm]] = field(default_factory=Counter)
    _vain: set[tuple[str, TimeForm]] = field(default_factory=set)
    _doubt: Proof | None = None

    def __post_init__(self) -> None:
        """Begin with the most likely form."""
        self.form = self.forms[0]

    @property
    def is_as_documented(self) -> bool:
        """Whether it is the form that is tried first."""
        return self.form == self.forms[0]

    def settle(self, query: ListQuery, read: Callable[[TimeForm], Reading]) -> Reading:
        """Read a window in the server's form; look for that if nothing comes.

        Args:
            query: What is read.
            read: Reads it in a form.

        Raises:
            BotError: It can't be read, or it can't be said in which form.
        """
        refused: set[TimeForm] = set()
        while True:
            form = self.form
            outcome: WindowResult | BotError
            try:
                outcome = yield from read(form)
            except (FilterError, RequestError) as error:
                is_right = self.is_proven and form == self.form
                if is_right or not may_be_the_form(error):
                    raise
                outcome = error
                refused.add(form)
            yield from self._dispel_doubt(outcome)
            if not self.is_proven:
                outcome = yield from self._verified(query, form, outcome, refused)
            if form != self.form:
                continue  # the search has found another form: read again in it
            if isinstance(outcome, BotError):
                raise outcome
            return outcome

    def _dispel_doubt(self, outcome: WindowResult | BotError) -> Requests:
        """Look at a proof again where nothing comes, if it may be none.

        What proved it may have been all that the server sends of its last days, and it
        may have passed the range by. The form is to be looked for then.
        """
        is_empty = isinstance(outcome, WindowResult) and not outcome.received
        if self._doubt is None or not is_empty:
            return
        (row, form, query), self._doubt = self._doubt, None
        if (yield from comes_anyway(row, form, query)) and form == self.form:
            self.is_proven = False

    def _verified(
        self,
        query: ListQuery,
        form: TimeForm,
        outcome: WindowResult | BotError,
        refused: Collection[TimeForm],
    ) -> Generator[Sequence[Fetch], Sequence[Page], WindowResult | BotError]:
        """Prove the form by what came in it, or look for another.

        Args:
            query: What is read.
            form: In which form it was.
            outcome: What came of it.
            refused: The forms in which it has been refused.

        Returns:
            What came, or what is wrong with it.
        """
        if isinstance(outcome, WindowResult) and outcome.received:
            row, is_default, doubt = next(iter(outcome.rows), None), False, None
            if row and may_be_the_default(query):
                is_default = yield from comes_anyway(row, form, query)
            elif row and may_hold_some_of_the_default(query):
                doubt = Proof(row, form, query)
            if not is_default:
                self._prove(form, doubt)
                return outcome
            msg = f"{query.window}: the server ignores the range"
            outcome = FilterError(msg)
        yield from self._find_form(
            query, form, refused, is_refused=isinstance(outcome, RequestError)
        )
        return outcome

    def _find_form(
        self,
        query: ListQuery,
        form: TimeForm,
        refused: Collection[TimeForm],
        *,
        is_refused: bool,
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Look for the form: nothing came of a window, or a refusal."""
        if query.label not in self._tried:
            # Many lists are empty for an hour, and few for days.
            self._tried.add(query.label)
            days = query.last(timedelta(days=6))
            with suppress(UnavailableError):
                yield from self._try(days, form, query)
        if is_refused:
            # A server may refuse what it no longer holds.
            hour = query.last(timedelta(hours=1))
            is_refused = not (yield from self._try(hour, form, query))
        for other in [
            each for each in self.forms if each != form and each not in self._nonsense
        ]:
            if self.is_proven:
                return
            if not is_refused and (yield from self._is_in_vain(query, other)):
                continue
            is_answered = yield from self._try(query.window, other, query)
            may_be = is_answered and is_refused and other not in refused
            if may_be and not self.is_proven:
                self.form = other  # a guess: records alone are a proof
                return

    def _is_in_vain(
        self, query: ListQuery, form: TimeForm
    ) -> Generator[Sequence[Fetch], Sequence[Page], bool]:
        """Whether no window of a list need be tried in a form.

        Either because there is nothing in all of its time, or because nothing at all is
        answered. That is found out once, at the second window of which nothing came; a
        server that can't say it of so long a time is asked for each window.
        """
        key = query.label, form
        self._trials[key] += 1
        if self._trials[key] == 2:  # noqa: PLR2004 -- the second, see above
            is_settled = yield from self._answers(query.whole, form, query)
            if not is_settled:
                hour = query.last(timedelta(hours=1))
                is_settled = (yield from self._answers(hour, form, query)) is False
            if is_settled:
                self._vain.add(key)
        return key in self._vain or self.is_proven

    def _answers(
        self, window: Window, form: TimeForm, query: ListQuery
    ) -> Generator[Sequence[Fetch], Sequence[Page], bool | None]:
        """Ask once for a range in a form, as `_try`, which may be too long for it.

        Returns:
            Whether there was an answer; none if that can't be said.
        """
        fetch = query.fetch_count(window, form)
        try:
            [page] = yield [replace(fetch, send=partial(only_once, fetch.send))]
        except UnavailableError:
            return None
        except BotError:
            return False
        yield from self._learn(page, form, query)
        return True if page.rows or not page.total else None

    def _try(
        self, window: Window, form: TimeForm, query: ListQuery
    ) -> Generator[Sequence[Fetch], Sequence[Page], bool]:
        """Ask for a range in a form; records of it are the proof.

        Returns:
            Whether there was an answer.

        Raises:
            UnavailableError: That can't be said, after as many attempts as may be.
        """
        fetch = query.fetch_count(window, form)
        try:
            [page] = yield [replace(fetch, slow_attempts=_SLOW_ATTEMPTS)]
        except UnavailableError as error:
            # In a larger form than its own, a server sees a longer range, which may be
            # too long; in its own it has an answer for an hour.
            hour = query.last(timedelta(hours=1))
            if error.is_slow and window.width > hour.width:
                is_answered = yield from self._try(hour, form, query)
                if is_answered and not self.is_proven:
                    [page] = yield [fetch]
                    yield from self._learn(page, form, query)
                return is_answered
            # These are what a server may well make of a time that is no time.
            if not error.is_slow and error.status not in _NONSENSE:
                raise
            if form != self.form:
                self._nonsense.add(form)
            return False
        except BotError:
            return False
        yield from self._learn(page, form, query)
        return True

    def _learn(
        self, page: Page, form: TimeForm, query: ListQuery
    ) -> Generator[Sequence[Fetch], Sequence[Page], None]:
        """Take records of a range for the proof, if they don't come anyway."""
        if page.rows and not self.is_proven:
            is_default = yield from comes_anyway(page.rows[0], form, query)
            if not is_default:
                self._prove(form)

    def _prove(self, form: TimeForm, doubt: Proof | None = None) -> None:
        if self.is_proven:
            return
        self.form, self.is_proven, self._doubt = form, True, doubt
        if not self.is_as_documented:
            logger.warning("Avaamo takes %s; so does this run", form)
