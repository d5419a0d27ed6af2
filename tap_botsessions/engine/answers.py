"""What an answer, or the lack of one, tells beside its content."""

from __future__ import annotations

import time
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING

import requests
from urllib3.exceptions import ConnectTimeoutError, NewConnectionError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from tap_botsessions.engine.errors import Trouble

TROUBLES: Mapping[int, Trouble] = {
    HTTPStatus.BAD_GATEWAY: "down",
    HTTPStatus.SERVICE_UNAVAILABLE: "down",
    HTTPStatus.GATEWAY_TIMEOUT: "slow",
}
"""What an answer tells of the host; others are unclear."""


def trouble_of(error: requests.RequestException) -> Trouble | None:
    """What a connection that failed tells of the host."""
    if isinstance(error, requests.exceptions.ContentDecodingError):
        return None  # there was an answer
    cause: object = error.args[0] if error.args else error
    cause = getattr(cause, "reason", cause)
    is_unreached = isinstance(cause, (ConnectTimeoutError, NewConnectionError))
    if is_unreached or isinstance(error, requests.exceptions.ProxyError):
        return "unreached"
    return "unclear"


def retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait: RFC 9110, in seconds or as a date.

    A date is one of the server's clock, so it counts from the date of the answer.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    until = timestamp(value)
    if until is None:
        return None
    now = timestamp(response.headers.get("Date", "")) or time.time()
    return max(until - now, 0.0)


def timestamp(date: str) -> float | None:
    """The UNIX time of a date in the form of HTTP's headers; none if it is none."""
    try:
        return parsedate_to_datetime(date).timestamp()
    except (OverflowError, ValueError):
        return None


def memory_of(body: bytes) -> int:
    """Bytes that the texts of a body take once they are decoded, or a little less.

    Python keeps all characters of a text as wide as the widest of them: four bytes each
    where one is an emoji, two where one is of another script than the Latin.
    """
    if b"\xf0" in body or b"\\ud" in body:
        return 4 * len(body)
    return len(body) if body.isascii() and b"\\u" not in body else 2 * len(body)
