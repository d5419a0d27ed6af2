"""HTTP to one vendor: what is retried, what is final, what may be told of an answer."""

from __future__ import annotations

import logging
import re
import threading
import time
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from http import HTTPStatus
from typing import TYPE_CHECKING, Any, TypeVar

import requests
import tenacity

from tap_botsessions.errors import RequestError
from tap_botsessions.records import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from requests.auth import AuthBase

logger = logging.getLogger("tap-botsessions")

T = TypeVar("T")

LONGEST_WAIT = 3600.0
"""Seconds: a vendor that asks for a longer pause than this is not waited for."""

_LONGEST_BACKOFF = 60.0

_ADVICE = {
    HTTPStatus.UNAUTHORIZED: "check the credentials",
    HTTPStatus.FORBIDDEN: "check the permissions",
    HTTPStatus.NOT_FOUND: "check the id and the base URL",
}


@dataclass(frozen=True)
class Request:
    """What is asked of a vendor.

    Attributes:
        method: GET or POST.
        path: Below the base URL, with a leading slash.
        what: The stream and the bot, for messages.
        params: The query.
        body: The JSON body, if any.
        auth: Signs the request.
    """

    method: str
    path: str
    what: str
    auth: AuthBase
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


class _TransientError(Exception):
    """An answer, or the lack of one, that may be another one next time."""

    def __init__(self, message: str, wait: float | None = None) -> None:
        super().__init__(message)
        self.wait = wait


@dataclass(frozen=True)
class Transport:
    """Makes requests to one vendor's host.

    Attributes:
        base_url: Scheme, host and perhaps a path, without a slash at the end.
        user_agent: The User-Agent header.
        timeout: Seconds to wait for a connection, and again for each piece of a body.
        retries: How often one request is repeated.
        secrets: What must never be told.
        retried: Statuses that are retried beside 408, 429 and 5xx.
        pause: Seconds to wait before repeating a request that was refused for its
            rate, from the vendor's message, where the answer has no `Retry-After`.
        sleep: Waits for so many seconds.
    """

    base_url: str
    user_agent: str
    timeout: float
    retries: int
    secrets: Sequence[str]
    retried: frozenset[int] = frozenset()
    pause: Callable[[str], float] = lambda _message: _to_next_minute()
    sleep: Callable[[float], None] = time.sleep
    _local: threading.local = field(default_factory=threading.local, init=False)

    def fetch(self, request: Request, parse: Callable[[Any], T]) -> T:
        """Make a request, repeat it while that may help, and parse the answer.

        Args:
            request: What to ask.
            parse: Makes a page of the decoded body; raises KeyError, TypeError or
                ValueError if it isn't what the vendor documents.

        Raises:
            RequestError: The request was refused, or failed too often.
        """
        retrying = tenacity.Retrying(
            retry=tenacity.retry_if_exception_type(_TransientError),
            stop=tenacity.stop_after_attempt(self.retries + 1),
            wait=_wait,
            sleep=self.sleep,
            before_sleep=lambda state: self._log_retry(request, state),
            reraise=True,
        )
        try:
            answer: T = retrying(self._attempt, request, parse)
        except _TransientError as error:
            msg = (
                f"{error}, in {self.retries + 1} attempts; try again later, or raise "
                f"max_retries or request_timeout_seconds"
            )
            raise RequestError(msg) from None
        return answer

    def _attempt(self, request: Request, parse: Callable[[Any], T]) -> T:
        response = self._send(request)
        if not response.ok or response.is_redirect:
            raise self._refusal(response)
        try:
            return parse(decode(response.content))
        except (KeyError, TypeError, ValueError):
            told = self._vendor_message(response)
            msg = f"the answer is not the JSON expected{told}"
            raise _TransientError(msg) from None

    def _send(self, request: Request) -> requests.Response:
        try:
            return self._session().request(
                request.method,
                f"{self.base_url}{request.path}",
                params=request.params,
                json=request.body,
                auth=request.auth,
                timeout=self.timeout,
                allow_redirects=False,
            )
        except requests.Timeout:
            msg = f"no answer within {self.timeout:g} s"
            raise _TransientError(msg) from None
        except (
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            raise _TransientError(self._connection_message(error)) from None

    def _session(self) -> requests.Session:
        """The thread's own session: sessions are not made to be shared by threads."""
        if not hasattr(self._local, "session"):
            self._local.session = requests.Session()
            self._local.session.headers["User-Agent"] = self.user_agent
        session: requests.Session = self._local.session
        return session

    def _refusal(self, response: requests.Response) -> Exception:
        """The error that an answer without the data amounts to."""
        status = response.status_code
        told = self._vendor_message(response)
        message = f"answered {status}{told}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            wait = _retry_after(response)
            wait = self.pause(told) if wait is None else wait
            if wait <= LONGEST_WAIT:
                return _TransientError(message, wait)
        elif (
            status in self.retried
            or status == HTTPStatus.REQUEST_TIMEOUT
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return _TransientError(message, _retry_after(response))
        if response.is_redirect:
            message += ", a redirect, which is not followed; check the base URL"
        elif status in _ADVICE:
            message += f"; {_ADVICE[HTTPStatus(status)]}"
        return RequestError(message)

    def _vendor_message(self, response: requests.Response) -> str:
        """The vendor's own words on an error, cut and cleaned, or nothing.

        Avaamo has `{"error": "..."}` (analytics pages), Kore.ai
        `{"errors": [{"msg": "...", "code": 4002}]}`.
        """
        try:
            body = decode(response.content)
            said = body["errors"][0]["msg"] if "errors" in body else body["error"]
        except (IndexError, KeyError, TypeError, ValueError):
            return ""
        return f' ("{self._redacted(said)}")' if isinstance(said, str) else ""

    def _connection_message(self, error: requests.RequestException) -> str:
        cause: object = error.args[0] if error.args else error
        cause = getattr(cause, "reason", cause)
        return f"the connection failed ({self._redacted(str(cause))})"

    def _redacted(self, text: str) -> str:
        for secret in self.secrets:
            text = text.replace(secret, "[secret]")
        text = re.sub(r"\S+@\S+", "[address]", text)
        text = re.sub(r"[\w./+=-]{24,}", "[...]", text)
        return " ".join(re.sub(r"[^\x20-\x7e]", " ", text).split())[:200]

    def _log_retry(self, request: Request, state: tenacity.RetryCallState) -> None:
        error = state.outcome.exception() if state.outcome else None
        logger.warning(
            "%s: %s; attempt %d of %d, the next one in %.1f s",
            request.what,
            error,
            state.attempt_number,
            self.retries + 1,
            state.upcoming_sleep,
        )


_backoff = tenacity.wait_random_exponential(multiplier=0.5, max=_LONGEST_BACKOFF)


def _wait(state: tenacity.RetryCallState) -> float:
    error = state.outcome.exception() if state.outcome else None
    if isinstance(error, _TransientError) and error.wait is not None:
        return error.wait
    return _backoff(state)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait: RFC 9110, in seconds or as a date."""
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    try:
        until = parsedate_to_datetime(value)
    except ValueError:
        return None
    return max(until.timestamp() - time.time(), 0.0)


def _to_next_minute() -> float:
    return 60.0 - time.time() % 60.0
