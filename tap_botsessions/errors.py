"""What can go wrong with one bot, told in a line that says what to do."""

from __future__ import annotations

from typing import Literal


class TransientError(Exception):
    """An answer, or the lack of one, that may be another one next time.

    Attributes:
        wait: Seconds that the vendor asks to wait, if it does.
        limit: The limit, of a minute or an hour, that the request was refused for.
    """

    def __init__(
        self,
        message: str,
        wait: float | None = None,
        limit: Literal["minute", "hour"] | None = None,
    ) -> None:
        """Put down what happened."""
        super().__init__(message)
        self.wait = wait
        self.limit = limit


class BotError(Exception):
    """One bot or agent can't be read on; the others can.

    The message says what was asked, what came, and what to check. It holds no secret,
    no text of a message and no e-mail address.
    """


class RequestError(BotError):
    """A request failed for good: refused, or in vain as often as it may be retried."""


class RecordError(BotError):
    """The vendor sent a record without its key or its time."""


class IncompleteError(BotError):
    """A window could not be read whole: the records don't add up to the count."""


class BookmarkError(BotError):
    """The state holds a bookmark that is no instant."""
