"""Whether every bot can be read, by one request for each."""

from __future__ import annotations

from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING

from tap_botsessions.ahead import Job, ReadAhead
from tap_botsessions.errors import BotError
from tap_botsessions.stream import Failure
from tap_botsessions.windows import Window

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from tap_botsessions.stream import BotStream

_SPAN = timedelta(hours=1)
_RETRIES = 1
"""Of a request: somebody is waiting for the answer."""


def check(streams: Sequence[BotStream], workers: int) -> Iterator[Failure]:
    """Ask for a page of each bot, all bots of a stream at once.

    Args:
        streams: The streams to ask for.
        workers: Requests in flight at most.

    Yields:
        The bots that can't be read.
    """
    for stream in streams:
        window = Window(stream.run_start - _SPAN, stream.run_start)
        jobs = [
            Job(bot, partial(stream.take, bot), [], _SPAN, stream.probe(bot, window))
            for bot in stream.bots
        ]
        with ReadAhead(jobs, workers, _RETRIES) as ahead:
            for bot, outcome in ahead:
                if isinstance(outcome, BotError):
                    yield Failure(stream.name, stream.what(bot), outcome)
