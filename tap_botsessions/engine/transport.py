"""HTTP to one vendor: what may be retried, what is final, what may be shown of it."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from email.utils import parsedate_to_datetime
from functools import cached_property
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any, TypeVar

import requests
from typing_extensions import override

from tap_botsessions.engine.errors import RequestError, TransientError
from tap_botsessions.engine.options import base_url, user_agent
from tap_botsessions.engine.records import decode

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests.auth import AuthBase
    from urllib3 import BaseHTTPResponse

    from tap_botsessions.engine.errors import RateLimit
    from tap_botsessions.engine.options import Json, Options

T = TypeVar("T")


@dataclass(frozen=True)
class Request:
    """What is asked of a vendor.

    Attributes:
        method: GET or POST.
        path: Below the base URL, with a leading slash.
        auth: Signs the request.
        params: The query.
        body: The JSON body, if any.
    """

    method: str
    path: str
    auth: AuthBase
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None


@dataclass(frozen=True)
class ErrorFormat:
    """How a vendor words its refusals.

    Attributes:
        message: The vendor's own words, from the decoded body of a refusal; it may
            raise an IndexError, KeyError, TypeError or ValueError where there are none.
        advice: What to check where a status is final.
        retried: Statuses that may be retried beside 408, 429 and 5xx.
        rate_limit: The limit that was exceeded, from the words of a 429.
    """

    message: Callable[[Json], object]
    advice: Mapping[int, str]
    retried: frozenset[int] = frozenset()
    rate_limit: Callable[[str], RateLimit] = lambda _message: "minute"


class Transport:
    """Makes requests to one vendor's host; used by many threads at once.

    Attributes:
        base_url: Scheme, host and perhaps a path, without a slash at the end.
        listeners: Called with each answer, by the thread that it came to.
    """

    def __init__(self, url: str, options: Options, errors: ErrorFormat) -> None:
        """Prepare to make requests.

        Args:
            url: Where to; `https://` is added where no scheme is given.
            options: Of the run: its time-out, its certificates, its secrets.
            errors: How the vendor words its refusals.
        """
        self.base_url = base_url(url)
        self.listeners: list[Callable[[requests.Response], object]] = []
        self._user_agent = user_agent(options.config)
        self._timeout: float = options.config["request_timeout_seconds"]
        self._ca_bundle: str | None = options.config.get("ca_bundle")
        self._secrets = options.secrets
        self._errors = errors
        self._lock = Lock()
        self._sessions: list[requests.Session] = []
        self._due: dict[BaseHTTPResponse, float] = {}

    def send(self, request: Request, parse: Callable[[Any], T]) -> T:
        """Make one attempt at a request, and parse the answer.

        Args:
            request: What to ask.
            parse: Makes a page of the decoded body; raises KeyError, TypeError or
                ValueError if it isn't what the vendor documents.

        Raises:
            TransientError: Another attempt may succeed.
            RequestError: The request was refused.
        """
        response = self._answer(request)
        for listener in self.listeners:
            listener(response)
        if not response.ok or response.is_redirect:
            raise self._refusal(response)
        try:
            return parse(decode(response.content))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            said = self._vendor_message(response)
            msg = f"the answer is not the JSON expected{said}"
            raise TransientError(msg) from None

    def _answer(self, request: Request) -> requests.Response:
        try:
            with (
                self._session() as session,
                session.request(
                    request.method,
                    f"{self.base_url}{request.path}",
                    params=request.params,
                    json=request.body,
                    auth=request.auth,
                    timeout=self._timeout,
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                self._read(response)  # here: if it is broken, its socket is closed
                return response
        except requests.Timeout:
            msg = f"no whole answer within {self._timeout:g} s"
            raise TransientError(msg, is_slow=True) from None
        except (
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            message = self._connection_message(error)
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                message += "; check the base URL, and ca_bundle for a private CA"
                raise RequestError(message) from None
            raise TransientError(message) from None
        except (OSError, ValueError) as error:  # of the settings' making, or the host's
            raise RequestError(self._connection_message(error)) from None

    def _read(self, response: requests.Response) -> None:
        """Read a body, which may take as long to come as the answer to begin.

        Raises:
            requests.Timeout: It takes longer.
        """
        raw: BaseHTTPResponse = response.raw
        with self._lock:
            self._due[raw] = time.monotonic() + self._timeout
        error: requests.RequestException | None = None
        try:
            _ = response.content
        except requests.RequestException as broken:
            error = broken
        finally:
            with self._lock:
                is_overdue = self._due.pop(raw, None) is None
        if is_overdue:
            raise requests.Timeout
        if error is not None:
            raise error

    def end_overdue(self) -> None:
        """End the answers that take too long; not by the threads that read them.

        The time-out of requests is one for each piece: a server that sends a byte now
        and then would be waited for without end.
        """
        now = time.monotonic()
        with self._lock:
            overdue = [raw for raw, due in self._due.items() if due < now]
            for raw in overdue:
                del self._due[raw]
        for raw in overdue:
            with suppress(OSError, RuntimeError):  # it has just come to its end
                raw.shutdown()

    @contextmanager
    def _session(self) -> Iterator[requests.Session]:
        """A session of one's own: sessions are not made to be shared by threads."""
        with self._lock:
            session = self._sessions.pop() if self._sessions else None
        session = session or self._new_session()
        try:
            yield session
        finally:
            with self._lock:
                self._sessions.append(session)

    def _new_session(self) -> requests.Session:
        session = _Session()
        session.headers["User-Agent"] = self._user_agent
        session.proxies = self._environment["proxies"]
        session.verify = self._environment["verify"]
        session.trust_env = False
        return session

    @cached_property
    def _environment(self) -> Mapping[str, Any]:
        """What the environment says of proxies and certificates, looked up once."""
        with requests.Session() as session:
            return session.merge_environment_settings(
                self.base_url, {}, stream=None, verify=self._ca_bundle, cert=None
            )

    def _refusal(self, response: requests.Response) -> Exception:
        """The error that an answer without the data amounts to."""
        status = response.status_code
        said = self._vendor_message(response)
        message = f"answered {status}{said}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            limit = self._errors.rate_limit(said)
            return TransientError(message, _retry_after(response), limit, status)
        if (
            status in self._errors.retried
            or status == HTTPStatus.REQUEST_TIMEOUT
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            return TransientError(
                message,
                _retry_after(response),
                status=status,
                is_slow=status == HTTPStatus.GATEWAY_TIMEOUT,
            )
        if response.is_redirect:
            message += ", a redirect, which is not followed; check the base URL"
        elif status in self._errors.advice:
            message += f"; {self._errors.advice[status]}"
        return RequestError(message, status)

    def _vendor_message(self, response: requests.Response) -> str:
        """The vendor's own words on an error, cut and cleaned, or nothing."""
        try:
            said = self._errors.message(decode(response.content))
        except (IndexError, KeyError, TypeError, ValueError):
            return ""
        return f' ("{self._redacted(said)}")' if isinstance(said, str) else ""

    def _connection_message(self, error: Exception) -> str:
        cause: object = error.args[0] if error.args else error
        cause = getattr(cause, "reason", cause)
        return f"the connection failed ({self._redacted(str(cause))})"

    def _redacted(self, text: str) -> str:
        for secret in self._secrets:
            text = text.replace(secret, "[secret]")
        text = re.sub(r"\S+@\S+", "[address]", text)
        text = re.sub(r"[\w./+=-]{24,}", "[...]", text)
        return " ".join(re.sub(r"[^\x20-\x7e]", " ", text).split())[:200]


class _Session(requests.Session):
    """A session that leaves redirects alone; another fails on a broken target."""

    @override
    def get_redirect_target(self, resp: requests.Response) -> None:
        return None


@contextmanager
def discreet_urllib3() -> Iterator[None]:
    """Keep urllib3 from logging headers that it can't parse: it would quote them."""
    logger = logging.getLogger("urllib3.connection")
    level = logger.level
    logger.setLevel(logging.ERROR)
    try:
        yield
    finally:
        logger.setLevel(level)


def _retry_after(response: requests.Response) -> float | None:
    """Seconds that the server asks to wait: RFC 9110, in seconds or as a date.

    A date is one of the server's clock, so it counts from the date of the answer.
    """
    value = response.headers.get("Retry-After", "").strip()
    if value.isdecimal():
        return float(value)
    until = _timestamp(value)
    if until is None:
        return None
    now = _timestamp(response.headers.get("Date", "")) or time.time()
    return max(until - now, 0.0)


def _timestamp(date: str) -> float | None:
    try:
        return parsedate_to_datetime(date).timestamp()
    except (OverflowError, ValueError):
        return None
