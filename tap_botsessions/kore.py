"""Kore.ai: sessions of bots.

Source: Kore.ai XO Platform documentation, the pages Sessions History API, its legacy
form, and API Introduction (how requests are signed).
"""

from __future__ import annotations

import time
import uuid
import warnings
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import jwt
from requests.auth import AuthBase
from typing_extensions import override

from tap_botsessions.errors import IncompleteError
from tap_botsessions.reader import Page, take
from tap_botsessions.records import (
    Columns,
    Row,
    boolean,
    instant,
    integer,
    mapping,
    require,
    shape,
    text,
    texts,
)
from tap_botsessions.settings import (
    base_url,
    bot_credentials,
    given,
    secrets,
    user_agent,
)
from tap_botsessions.stream import BotStream
from tap_botsessions.transport import Request, Transport
from tap_botsessions.windows import parse_instant, to_rfc3339

if TYPE_CHECKING:
    from collections.abc import Collection, Iterator, Mapping, Sequence
    from datetime import datetime

    from requests import PreparedRequest
    from singer_sdk import Tap

    from tap_botsessions.reader import Reading, Taken
    from tap_botsessions.settings import Config
    from tap_botsessions.windows import Window

IDS_PER_REQUEST = 50
"""So many session ids may be asked for at once (page Sessions History API)."""

_PATHS = {
    "account": "/api/public/getSessions",
    "bot": "/api/public/bot/{}/getSessions",
    "stream": "/api/public/stream/{}/getSessions",
}

# How long a client secret is, is the vendor's choice; a user can't act on the advice.
warnings.filterwarnings("ignore", category=jwt.InsecureKeyLengthWarning)


class SignedToken(AuthBase):
    """Signs a request with a JWT of its own, valid for minutes.

    The page API Introduction documents the claim `appId`; apps may be set up to refuse
    a token without a `jti`. `iat` lies back a minute, for a server whose clock is slow.
    """

    def __init__(self, client_id: str, client_secret: str, algorithm: str) -> None:
        """Keep the credentials of an app."""
        self._client_id = client_id
        self._client_secret = client_secret
        self._algorithm = algorithm

    @override
    def __call__(self, r: PreparedRequest) -> PreparedRequest:
        now = int(time.time())
        claims = {
            "appId": self._client_id,
            "sub": self._client_id,
            "iat": now - 60,
            "exp": now + 300,
            "jti": str(uuid.uuid4()),
        }
        r.headers["auth"] = jwt.encode(claims, self._client_secret, self._algorithm)
        return r


def connect(config: Config) -> Transport:
    """A transport to the Kore.ai host that is configured.

    It retries the status 400 too, which the API answers to valid requests at times.
    """
    return Transport(
        base_url=base_url(config["kore_base_url"]),
        user_agent=user_agent(config),
        timeout=config["request_timeout_seconds"],
        retries=config["max_retries"],
        secrets=secrets(config),
        retried=frozenset({400}),
    )


class KoreSessions(BotStream):
    """Sessions of bots, by their start."""

    name = "kore_sessions"
    bot_key = "bot_id"
    primary_keys = ("bot_id", "session_id")
    replication_key = "start_time"
    # The legacy page has the first seven only, with session_lang as a string, and
    # isDeveloper is documented as 0 or 1, but served as a boolean.
    columns: ClassVar[Columns] = {
        "sessionId": ("session_id", text),
        "botId": ("bot_id", text),
        "channel": ("channel", text),
        "userId": ("user_id", text),
        "start_time": ("start_time", instant),
        "end_time": ("end_time", instant),
        "session_lang": ("session_lang", texts),
        "sessionType": ("session_type", text),
        "containmentType": ("containment_type", text),
        "sessionStatus": ("session_status", text),
        "isDeveloper": ("is_developer", boolean),
        "tags": ("tags", mapping),
        "noOfMessagesExchanged": ("no_of_messages_exchanged", integer),
        "noOfTasksExecuted": ("no_of_tasks_executed", integer),
    }

    def __init__(
        self,
        tap: Tap,
        transport: Transport,
        failures: list[str],
    ) -> None:
        """Prepare to read the bots that are configured, by a transport."""
        credentials = bot_credentials(tap.config)
        super().__init__(tap, list(credentials), failures)
        self.transport = transport
        self._tokens = {
            bot: SignedToken(client_id, secret, tap.config["kore_jwt_algorithm"])
            for bot, (client_id, secret) in credentials.items()
        }

    @override
    def take(
        self,
        bot: str,
        window: Window,
        seen: dict[tuple[str, ...], Row],
    ) -> Reading:
        # The API filters by one containment type a request.
        types = self.config.get("kore_containment_types") or [None]
        return take(
            lambda part: [_Sessions(self, bot, part, kind) for kind in types],
            window,
            seen,
        )

    @override
    def read(self, bot: str, span: Window) -> Iterator[Taken]:
        if not self.config.get("kore_session_ids"):
            yield from super().read(bot, span)

    @override
    def revisit(self, bot: str) -> Iterator[Row]:
        yield from self.by_id(bot, self.config.get("kore_session_ids") or ())

    @override
    def to_bookmark(self, instant: datetime) -> str:
        return to_rfc3339(instant)

    def request(
        self,
        bot: str,
        body: Mapping[str, Any],
        containment_type: str | None = None,
    ) -> Request:
        """A request for sessions of a bot."""
        path = _PATHS[self.config["kore_api"]].format(quote(bot, safe=""))
        return Request(
            method="POST",
            path=path,
            what=self.what(bot),
            auth=self._tokens[bot],
            params={"containmentType": containment_type} if containment_type else {},
            body=body,
        )

    def rows(self, bot: str, sessions: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows that sessions make; the account's API serves other bots' too."""
        if self.config["kore_api"] == "account":
            sessions = [session for session in sessions if session["botId"] == bot]
        return [self._row(bot, session) for session in sessions]

    def _row(self, bot: str, session: Mapping[str, Any]) -> Row:
        record = shape(session, self.columns)
        fields = {"session_id": "sessionId", "start_time": "start_time"}
        require(record, self.name, **fields)
        record["bot_id"] = bot
        time = parse_instant(record["start_time"])
        return Row((record["session_id"],), time, record)

    def by_id(self, bot: str, ids: Sequence[str]) -> Iterator[Row]:
        """Read sessions by their ids, as they are now; unknown ones are logged.

        Raises:
            IncompleteError: The server says nothing of sessions that it was asked for.
        """
        ids = list(dict.fromkeys(ids))
        while ids:
            asked = ids[:IDS_PER_REQUEST]
            # That a limit is ignored beside ids is documented, a default limit is not.
            body = {"sessionId": asked, "skip": 0, "limit": IDS_PER_REQUEST}
            request = self.request(bot, body)
            rows, told, invalid = self.transport.fetch(
                request, partial(self._found, bot)
            )
            yield from rows
            if invalid:
                listed = ", ".join(invalid)
                self.logger.warning("%s: no such sessions: %s", self.what(bot), listed)
            left = [name for name in ids if name not in told]
            if len(left) == len(ids):
                msg = "the server is silent on sessions that were asked for by id"
                raise IncompleteError(msg)
            ids = left

    def _found(
        self, bot: str, body: Mapping[str, Any]
    ) -> tuple[list[Row], Collection[str], Collection[str]]:
        invalid = set(body.get("invalidSessions") or ())
        told = {session["sessionId"] for session in body["sessions"]} | invalid
        return self.rows(bot, body["sessions"]), told, invalid


@dataclass(frozen=True)
class _Sessions:
    """The sessions of one bot in one window; a position is how many are skipped."""

    stream: KoreSessions
    bot: str
    window: Window
    containment_type: str | None
    first: int = 0

    def fetch(self, position: int) -> Page:
        # The list may exclude its start or its end: no page says. The end of a window
        # is not part of it, and a millisecond before its start, rows are left out.
        config = self.stream.config
        body = {
            "skip": position,
            "limit": config["kore_page_size"],
            "dateFrom": _milliseconds(self.window.start - timedelta(milliseconds=1)),
            "dateTo": _milliseconds(self.window.end + timedelta(microseconds=999)),
        }
        for field, setting in _FILTERS.items():
            if given(config, setting):
                body[field] = config[setting]
        request = self.stream.request(self.bot, body, self.containment_type)
        page = self.stream.transport.fetch(request, partial(self._page, position))
        self.stream.hold_to(self.window, page.rows)
        return page

    def ahead(self, first: Page) -> range:
        return range(first.received, first.total, max(first.received, 1))

    def _page(self, position: int, body: Mapping[str, Any]) -> Page:
        received = len(body["sessions"])
        return Page(
            self.stream.rows(self.bot, body["sessions"]),
            received,
            total=integer(body["total"]),
            more=bool(body.get("moreAvailable")),
            following=position + received,
        )


_FILTERS = {
    "sessionType": "kore_session_type",
    "tags": "kore_tags",
    "userId": "kore_user_id",
}


def _milliseconds(instant: datetime) -> str:
    return f"{instant.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
