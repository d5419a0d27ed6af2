"""The threads that make requests, and the clock by which their answers are awaited."""

from __future__ import annotations

import time
from concurrent.futures import ThreadPoolExecutor, wait
from queue import Empty, SimpleQueue
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Callable
    from concurrent.futures import Future

    from tap_botsessions.engine.jobs import Attempt


class Workers:
    """Threads that make requests, a number of them at once.

    Tests hand in others, whose time passes as they say.

    Attributes:
        count: How many requests may be in flight.
    """

    def __init__(self, count: int) -> None:
        """Prepare so many threads; they are started when there is something to do."""
        self.count = count
        self._answers: SimpleQueue[tuple[Attempt, object]] = SimpleQueue()
        self._executor = ThreadPoolExecutor(count, "tap-botsessions")
        self._calls: set[Future[None]] = set()

    def now(self) -> float:
        """The time, in seconds since whenever."""
        return time.monotonic()

    def send(self, attempt: Attempt) -> None:
        """Have a request made."""
        call = self._executor.submit(self._work, attempt)
        self._calls.add(call)
        call.add_done_callback(self._calls.discard)

    def _work(self, attempt: Attempt) -> None:
        answer: object
        try:
            answer = attempt.fetch.send()
        except BaseException as error:  # noqa: BLE001 -- raised where it is taken in
            answer = error
        self._answers.put((attempt, answer))

    def next_answer(self, seconds: float) -> tuple[Attempt, object] | None:
        """What came of a request, a page or an error; none if none comes in time."""
        try:
            return self._answers.get(timeout=seconds) if seconds else self._at_hand()
        except Empty:
            return None

    def _at_hand(self) -> tuple[Attempt, object]:
        return self._answers.get_nowait()

    def abandon(self) -> None:
        """Make no further request, and wait for none."""
        self._executor.shutdown(wait=False, cancel_futures=True)

    def close(self, tick: float, on_tick: Callable[[], None]) -> None:
        """Make no further request, and wait for those in flight.

        Args:
            tick: Seconds between two calls of the following.
            on_tick: Called again and again meanwhile.
        """
        try:
            self.abandon()
            while wait([*self._calls], tick).not_done:
                on_tick()
        finally:
            self._executor.shutdown()
