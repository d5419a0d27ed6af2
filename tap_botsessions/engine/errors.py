"""What can go wrong with one bot, in a line that says what to do."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Literal, NamedTuple

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

FailureType = Literal["config_error", "system_error", "transient_error"]
"""What can fix a failure: the settings, neither, or another run."""

RateLimit = Literal["minute", "hour"]
"""The budget that a request was refused for."""

Trouble = Literal["unreached", "down", "slow", "unclear"]
"""What a failure tells of the host: that no connection to it could be made, that it
says itself that it is down, that it took too long, or that it may be down; the last two
may hold for one request only.
"""


class TransientError(Exception):
    """An answer, or the lack of one, that may be another one next time.

    Attributes:
        wait: Seconds that the vendor asks to wait, if it does.
        limit: The limit, of a minute or an hour, that the request was refused for.
        status: The status of the answer, if there was one.
        trouble: What it tells of the host, if it is a sign of trouble.
    """

    def __init__(
        self,
        message: str,
        wait: float | None = None,
        limit: RateLimit | None = None,
        status: int | None = None,
        trouble: Trouble | None = None,
    ) -> None:
        """Keep what happened."""
        super().__init__(message)
        self.wait = wait
        self.limit = limit
        self.status = status
        self.trouble = trouble

    @property
    def is_slow(self) -> bool:
        """Whether it took too long."""
        return self.trouble == "slow"


class OutputError(BaseException):
    """What is read can't be written: nobody takes it, or there is no room for it.

    Not an Exception: what catches those would report it as a bot's, or as unforeseen.

    Attributes:
        cause: What the system says.
    """

    def __init__(self, cause: OSError) -> None:
        """Keep what the system says."""
        super().__init__(str(cause))
        self.cause = cause


class BotError(Exception):
    """One bot or agent can't be read on; the others can.

    The message says what was asked, what came, and what to check. It holds no secret,
    no text of a message and no e-mail address.

    Attributes:
        failure_type: What can fix it.
    """

    failure_type: ClassVar[FailureType] = "system_error"

    @property
    def cause(self) -> str:
        """The message without what differs between bots that fail of the same."""
        return str(self)


class Failure(NamedTuple):
    """A bot that failed, in one stream.

    Attributes:
        vendor: The vendor's name.
        stream: The stream's name.
        label: The stream and the bot, for messages.
        error: Why.
    """

    vendor: str
    stream: str
    label: str
    error: BotError


class RequestError(BotError):
    """A request failed for good.

    Attributes:
        status: The status that it was refused with, if it was.
    """

    failure_type: ClassVar[FailureType] = "config_error"

    def __init__(self, message: str, status: int | None = None) -> None:
        """Keep what happened."""
        super().__init__(message)
        self.status = status


class UnavailableError(RequestError):
    """A request failed as often as it may be made.

    Attributes:
        is_slow: Whether its answer took too long.
        wait: Seconds that the vendor asks to wait, if that is why.
    """

    failure_type = "transient_error"

    def __init__(
        self,
        message: str,
        status: int | None = None,
        *,
        is_slow: bool = False,
        wait: float = 0.0,
        cause: str = "",
    ) -> None:
        """Keep what happened.

        Args:
            message: What happened, and what to do.
            status: The status of the last answer, if there was one.
            is_slow: Whether it took too long.
            wait: Seconds that the vendor asks to wait, if that is why.
            cause: The message without its figures; all of it if not given.
        """
        super().__init__(message, status)
        self.is_slow = is_slow
        self.wait = wait
        self._cause = cause

    @property
    @override
    def cause(self) -> str:
        return self._cause or super().cause


class OversizeError(BotError):
    """What came takes more memory than it may, while less can be asked for.

    Attributes:
        size: Bytes that the whole list would take, going by what came of it.
    """

    def __init__(self, size: float) -> None:
        """Keep how much it would be."""
        super().__init__(f"{size / 1e6:.0f} MB of records")
        self.size = size


class HostError(BotError):
    """The vendor's host is down, or can't be reached: nothing of it can be read."""

    failure_type: ClassVar[FailureType] = "transient_error"


class RecordError(BotError):
    """A record can't be used: it lacks its key or its time, or can't be written."""


class UnownedError(RecordError):
    """Records of a list that bots share don't say whose they are.

    Attributes:
        times: When they are of; none where that isn't known either.
    """

    def __init__(self, message: str, times: Sequence[datetime | None]) -> None:
        """Keep what is known of them."""
        super().__init__(message)
        self.times = times


class IncompleteError(BotError):
    """A window could not be read whole: the records don't add up to the count."""

    failure_type = "transient_error"


class FilterError(BotError):
    """The vendor sent a record that was not asked for."""


class MapError(BotError):
    """A record can't be written as the stream maps ask for."""

    failure_type: ClassVar[FailureType] = "config_error"


class AnswerError(BotError):
    """The vendor answered another question; the message says what to check."""

    failure_type = "config_error"


class SettingError(BotError):
    """A bot can't be read as the settings are; the message says what to change."""

    failure_type = "config_error"


class BookmarkError(BotError):
    """The state of a bot can't be used: its bookmark, or what is read again by id."""

    failure_type = "config_error"
