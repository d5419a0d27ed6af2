"""What passes between the server, the vendors' handlers and the faults."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

import msgspec

if TYPE_CHECKING:
    from collections.abc import Mapping

Vendor = Literal["avaamo", "kore"]


@dataclass
class Call:
    """One request, as the server recorded it.

    Attributes:
        vendor: Whose API was called.
        endpoint: As `Stream.endpoint` has it, such as ``sessions`` (Avaamo) or
            ``getSessions`` (Kore).
        bot: Agent or bot of the path; None for Kore's account-wide endpoint.
        method: HTTP method.
        params: Query parameters, the last one where a name repeats.
        headers: Request headers, names in lower case.
        content: Request body.
        at: Arrival, in seconds of the monotonic clock.
        status: Status of the answer; None while there is none.
        version: The endpoint as the path has it, its version included.
        item: What the path names of an endpoint, such as a job.
    """

    vendor: Vendor
    endpoint: str
    bot: str | None
    method: str
    params: dict[str, str]
    headers: dict[str, str]
    content: bytes
    at: float
    status: int | None = None
    version: str = ""
    item: str | None = None

    @property
    def body(self) -> dict[str, Any]:
        """The JSON object of the request body, empty where there is none.

        Raises:
            ValueError: If the body is no JSON object.
        """
        body = json.loads(self.content or b"{}")
        if not isinstance(body, dict):
            message = "not a JSON object"
            raise ValueError(message)  # noqa: TRY004 - the content is wrong, not its type
        return body


@dataclass(frozen=True)
class Reply:
    """An answer, and how its transmission ends.

    Attributes:
        status: HTTP status.
        body: A JSON value, or bytes to send as they are.
        headers: Response headers; the default Content-Type is JSON.
        cut: Bytes of the body to send before the connection ends; None: all.
        reset: End the connection by a reset; with `cut` None before any byte.
        stalled: Send the part that `cut` leaves, and then neither more nor the end.
        pace: Seconds; the rest of a body that was cut follows a byte at a time, so far
            apart.
    """

    status: int
    body: object
    headers: Mapping[str, str] = field(default_factory=dict)
    cut: int | None = None
    reset: bool = False
    stalled: bool = False
    pace: float | None = None

    @property
    def is_whole(self) -> bool:
        """Whether it is sent to its end."""
        return self.cut is None and not self.reset

    def encoded(self) -> bytes:
        """Return the body as bytes."""
        if isinstance(self.body, bytes):
            return self.body
        try:
            return msgspec.json.encode(self.body)
        except UnicodeEncodeError:
            # A lone surrogate has no UTF-8 form, only the escape json writes.
            return json.dumps(self.body).encode()


class RefusalError(Exception):
    """The request is refused with `reply`."""

    def __init__(
        self,
        status: int,
        body: object,
        headers: Mapping[str, str] | None = None,
        *,
        cut: int | None = None,
        stalled: bool = False,
    ) -> None:
        """Refuse with a reply of these parts."""
        super().__init__(status)
        self.reply = Reply(status, body, headers or {}, cut=cut, stalled=stalled)
