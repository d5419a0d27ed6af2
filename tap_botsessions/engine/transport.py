"""HTTP to one vendor: what may be retried, what is final, what may be shown of it."""

from __future__ import annotations

import logging
import re
import time
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import cached_property
from http import HTTPStatus
from threading import Lock
from typing import TYPE_CHECKING, Any

import requests
from typing_extensions import override
from urllib3.exceptions import ReadTimeoutError

from tap_botsessions.engine.answers import (
    TROUBLES,
    memory_of,
    retry_after,
    timestamp,
    trouble_of,
)
from tap_botsessions.engine.clock import VendorClock
from tap_botsessions.engine.errors import RequestError, TransientError
from tap_botsessions.engine.health import Health
from tap_botsessions.engine.options import base_url, user_agent
from tap_botsessions.engine.records import decode
from tap_botsessions.engine.words import Words

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping

    from requests.auth import AuthBase
    from urllib3 import BaseHTTPResponse

    from tap_botsessions.engine.errors import RateLimit
    from tap_botsessions.engine.options import Json, Options
    from tap_botsessions.engine.pages import Page

_RATE_LIMITED = re.compile(r"rate.?limit|too many requests|\b429\b", re.IGNORECASE)

_CONNECTION = re.compile(r"^<?[\w.]*Connection\b[^:]*: ")
"""What urllib3 says of a connection that failed, before it says why."""

_CONNECT_TIMEOUT = 10.0
"""Seconds for a connection to be made; an answer may take longer."""


@dataclass(frozen=True)
class Request:
    """What is asked of a vendor.

    Attributes:
        method: GET or POST.
        path: Below the base URL, with a leading slash.
        auth: Signs the request.
        params: The query.
        body: The JSON body, if any.
        no_content: The decoded body that an answer without content (204) stands for;
            such an answer is not expected where there is none.
        needs: What it needs to be allowed, for the advice.
    """

    method: str
    path: str
    auth: AuthBase
    params: Mapping[str, str | int] = field(default_factory=dict)
    body: Mapping[str, Any] | None = None
    no_content: Json = None
    needs: str = ""


@dataclass(frozen=True)
class ErrorFormat:
    """How a vendor words its refusals.

    Attributes:
        message: The vendor's own words, from the decoded body of a refusal; it may
            raise an IndexError, KeyError, TypeError or ValueError where there are none.
        advice: What to check where a status is final; `{}` stands for the needs.
        phrases: Words that the vendor documents, which are shown with any status.
        retried: Statuses that may be retried beside 408, 429 and 5xx.
        rate_limit: The limit that was exceeded, from the words of a 429.
        fields: The fields of an answer that hold errors, whatever its status; what is
            empty is none.
    """

    message: Callable[[Json], object]
    advice: Mapping[int, str]
    phrases: frozenset[str] = frozenset()
    retried: frozenset[int] = frozenset()
    rate_limit: Callable[[str], RateLimit] = lambda _message: "minute"
    fields: tuple[str, ...] = ("errors", "error")

    def error_in(self, body: Json) -> object:
        """The error that a decoded body tells of; none if there is none."""
        if not isinstance(body, dict):
            return None
        return next((body[name] for name in self.fields if body.get(name)), None)


class Transport:
    """Makes requests to one vendor's host; used by many threads at once.

    Attributes:
        base_url: Scheme, host and perhaps a path, without a slash at the end.
        health: Whether the host is up.
        listeners: Called with each answer, by the thread that it came to.
        clock: What the answers show of the vendor's clock.
    """

    def __init__(self, setting: str, options: Options, errors: ErrorFormat) -> None:
        """Prepare to make requests.

        Args:
            setting: The setting that says where to, a URL; `https://` is added where
                no scheme is given.
            options: Of the run: its time-outs, its certificates, its secrets.
            errors: How the vendor words its refusals.
        """
        self.base_url = base_url(options.config.get(setting) or "")
        patience = 60 * options.config["outage_minutes"]
        self.health = Health(self.base_url, patience, setting)
        self._setting = setting
        self.listeners: list[Callable[[requests.Response], object]] = []
        self.clock = VendorClock(options.run_start)
        self._user_agent = user_agent(options.config)
        self._timeout: float = options.config["request_timeout_seconds"]
        self._connect_timeout = min(_CONNECT_TIMEOUT, self._timeout)
        self._ca_bundle: str | None = options.config.get("ca_bundle")
        self._words = Words(options.secrets, errors.phrases)
        self._errors = errors
        self._lock = Lock()
        self._sessions: list[requests.Session] = []
        self._due: dict[BaseHTTPResponse, float] = {}

    def send(self, request: Request, parse: Callable[[Any], Page]) -> Page:
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
            raise self._refusal(response, request.needs)
        try:
            is_empty = response.status_code == HTTPStatus.NO_CONTENT
            body = request.no_content if is_empty else decode(response.content)
            if (error := self._errors.error_in(body)) is None:
                return parse(body)._replace(size=memory_of(response.content))
        except (AttributeError, KeyError, RecursionError, TypeError, ValueError):
            said = self._vendor_message(response)
            msg = f"the answer is not the JSON expected{said}"
            raise TransientError(msg) from None
        raise self._error_within(response, str(error))

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
                    timeout=(self._connect_timeout, self._timeout),
                    allow_redirects=False,
                    stream=True,
                ) as response,
            ):
                if response.ok:  # what is not may come of a gateway on the way
                    self.clock.note(timestamp(response.headers.get("Date", "")))
                self._read(response)  # here: if it is broken, its socket is closed
                return response
        except requests.ConnectTimeout:
            msg = f"no connection within {self._connect_timeout:g} s"
            raise TransientError(msg, trouble="unreached") from None
        except requests.Timeout:
            msg = f"no whole answer within {self._timeout:g} s"
            raise TransientError(msg, trouble="slow") from None
        except (
            requests.ConnectionError,
            requests.exceptions.ChunkedEncodingError,
            requests.exceptions.ContentDecodingError,
        ) as error:
            message = self._connection_message(error)
            if "CERTIFICATE_VERIFY_FAILED" in str(error):
                message += f"; check {self._setting}, and ca_bundle for a private CA"
                raise RequestError(message) from None
            raise TransientError(message, trouble=trouble_of(error)) from None
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
        except requests.ConnectionError as broken:
            error = broken
            if broken.args and isinstance(broken.args[0], ReadTimeoutError):
                error = requests.ReadTimeout()  # which requests calls otherwise
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
            with suppress(OSError, RuntimeError, ValueError):  # it has just ended
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

    def _refusal(self, response: requests.Response, needs: str) -> Exception:
        """The error that an answer without the data amounts to."""
        status = response.status_code
        said = self._vendor_message(response)
        message = f"answered {status}{said}"
        if status == HTTPStatus.TOO_MANY_REQUESTS:
            limit = self._errors.rate_limit(said)
            return TransientError(message, retry_after(response), limit, status)
        if (
            status in self._errors.retried
            or status == HTTPStatus.REQUEST_TIMEOUT
            or status >= HTTPStatus.INTERNAL_SERVER_ERROR
        ):
            trouble = None
            if status not in self._errors.retried:
                trouble = TROUBLES.get(status, "unclear")
            wait = retry_after(response)
            return TransientError(message, wait, status=status, trouble=trouble)
        if response.is_redirect:
            message += f", a redirect, which is not followed; check {self._setting}"
        elif status in self._errors.advice:
            message += f"; {self._errors.advice[status].format(needs)}"
        return RequestError(message, status)

    def _error_within(self, response: requests.Response, error: str) -> TransientError:
        """The error of an answer that tells of one, and has a status of success."""
        status = response.status_code
        message = f"answered {status}, with an error{self._vendor_message(response)}"
        wait = retry_after(response)
        if _RATE_LIMITED.search(error):
            limit = self._errors.rate_limit(error)
            return TransientError(message, wait, limit, HTTPStatus.TOO_MANY_REQUESTS)
        return TransientError(message, wait, status=status)

    def _vendor_message(self, response: requests.Response) -> str:
        """The vendor's own words on an error, as far as they may be shown."""
        try:
            said = self._errors.message(decode(response.content))
        except (IndexError, KeyError, TypeError, ValueError):
            return ""
        return self._words.quoted(said, response.status_code)

    def _connection_message(self, error: Exception) -> str:
        cause: object = error.args[0] if error.args else error
        cause = getattr(cause, "reason", cause)
        words = _CONNECTION.sub("", self._words.redacted(str(cause)))
        message = f"the connection failed ({words})"
        if isinstance(error, requests.exceptions.InvalidURL):  # not the base URL
            message += (
                "; check the proxy in the environment, whose user and password must be "
                "percent-encoded"
            )
        return message


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
