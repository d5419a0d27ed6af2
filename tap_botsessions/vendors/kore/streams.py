"""Kore.ai: sessions of bots.

Source: Kore.ai XO Platform documentation, the pages Sessions History API, its legacy
form, and API Introduction (how requests are signed).
"""

from __future__ import annotations

import time
import uuid
import warnings
from collections import defaultdict
from dataclasses import dataclass, replace
from datetime import timedelta
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar
from urllib.parse import quote

import jwt
from requests.auth import AuthBase
from typing_extensions import override

from tap_botsessions.config.settings import (
    base_url,
    bot_credentials,
    given,
    secrets,
    user_agent,
)
from tap_botsessions.engine.counts import count
from tap_botsessions.engine.errors import BotError, RecordError
from tap_botsessions.engine.pacing import Budget
from tap_botsessions.engine.reader import Fetch, Page, Taken, first_page, hold_to, take
from tap_botsessions.engine.records import (
    Columns,
    Row,
    boolean,
    instant,
    integer,
    mapping,
    require,
    sequence,
    shape_all,
    text,
    texts,
)
from tap_botsessions.engine.transport import Request, Transport
from tap_botsessions.engine.windows import parse_instant, to_rfc3339
from tap_botsessions.singer.stream import BotStream
from tap_botsessions.vendors.kore.open_sessions import OpenSessions

if TYPE_CHECKING:
    from collections.abc import (
        Callable,
        Collection,
        Iterable,
        Iterator,
        Mapping,
        Sequence,
    )
    from datetime import datetime

    from requests import PreparedRequest

    from tap_botsessions.config.settings import Config
    from tap_botsessions.engine.reader import Reading, Seen
    from tap_botsessions.engine.scheduler import Job
    from tap_botsessions.engine.windows import Window
    from tap_botsessions.singer.stream import Failures, Ids
    from tap_botsessions.tap import TapBotsessions

IDS_PER_REQUEST = 50
"""So many session ids may be asked for at once (page Sessions History API)."""

_TAGGED_FOR = timedelta(days=13)
_WIDEST = timedelta(days=6)
"""So wide a range is asked for; from seven days on it is refused (same page)."""

_MOST_TOLD = 10
"""So many ids are told in a line of the log."""

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


@dataclass(frozen=True)
class Host:
    """A Kore.ai host: how it is reached, and what its bots may be asked, by bot."""

    transport: Transport
    tokens: Mapping[str, SignedToken]
    budgets: Mapping[str, Budget]

    @classmethod
    def of(cls, config: Config) -> Host:
        """The host that is configured, with its bots, if any."""
        transport = Transport(
            base_url=base_url(config["kore_base_url"]),
            user_agent=user_agent(config),
            timeout=config["request_timeout_seconds"],
            secrets=secrets(config),
            advice={
                401: (
                    "check kore_client_id, kore_client_secret, the bot's id, and that "
                    "the app has the scope Bot Sessions and is published (App Settings "
                    "> Dev Tools > API Scope)"
                ),
                403: (
                    "check that the app has the scope Bot Sessions (App Settings > Dev "
                    "Tools > API Scope)"
                ),
                404: "check kore_base_url and kore_api",
            },
            # The API answers 400 to valid requests at times.
            retried=frozenset({400}),
            ca_bundle=config.get("ca_bundle"),
        )
        credentials = bot_credentials(config)
        signed = {
            app: SignedToken(*app, config["kore_jwt_algorithm"])
            for app in credentials.values()
        }
        tokens = {bot: signed[app] for bot, app in credentials.items()}
        return cls(transport, tokens, _budgets(config, list(credentials)))


def _budgets(config: Config, bots: Sequence[str]) -> dict[str, Budget]:
    """The budget of each bot; what the account's API is charged to is not documented.

    Page Rate limits: 60 calls a minute and 1,800 an hour, each rolling, for each bot.
    """
    rates = config["kore_requests_per_minute"], config["kore_requests_per_hour"]
    if config["kore_api"] == "account":
        return dict.fromkeys(bots, Budget("Kore.ai, the account", *rates))
    return {bot: Budget(f"Kore.ai, bot {bot}", *rates) for bot in bots}


class KoreSessions(BotStream):
    """Sessions of bots, by their start."""

    name = "kore_sessions"
    vendor = "Kore.ai"
    bot_key = "bot_id"
    primary_keys = ("bot_id", "session_id")
    replication_key = "start_time"
    page_size_setting = "kore_page_size"
    margin = timedelta(milliseconds=1)
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

    def __init__(self, tap: TapBotsessions, host: Host, failures: Failures) -> None:
        """Prepare to read the bots that are configured, of a host."""
        super().__init__(tap, list(host.tokens), failures)
        self.host = host
        self._open: dict[str, OpenSessions] = {}
        self._unsound: dict[str, RecordError] = {}

    @property
    def types(self) -> Sequence[str]:
        """The containment types that are asked for; all of them if there are none."""
        return self.config.get("kore_containment_types") or ()

    @property
    @override
    def transport(self) -> Transport:
        return self.host.transport

    @override
    def budget(self, bot: str) -> Budget:
        return self.host.budgets[bot]

    @override
    def probe(self, bot: str, window: Window) -> Reading:
        return first_page(_Sessions(self, bot, window, self._lists[0]), window)

    @property
    @override
    def lists(self) -> int:
        return len(self._lists)

    @override
    def count(self, bot: str, windows: Iterable[Window]) -> Reading:
        return count(
            lambda window: [
                _Sessions(self, bot, window, kind).count() for kind in self._lists
            ],
            windows,
        )

    @override
    def take(self, bot: str, window: Window, seen: Seen) -> Reading:
        return take(
            lambda part: [_Sessions(self, bot, part, kind) for kind in self._lists],
            window,
            seen,
        )

    @property
    def _follows(self) -> bool:
        """Whether sessions that are open are followed until they are closed."""
        return bool(self.config["kore_open_session_days"])

    @property
    def _lists(self) -> Sequence[str | None]:
        """The containment types to ask for, of which the API takes one a request.

        While it is open, a session is served as selfService, whatever it turns out to
        be. These come first: what closes meanwhile is then in a list to come.
        """
        is_first = "selfService" in self.types or (self.types and self._follows)
        first = ["selfService"] if is_first else []
        return [*first, *sorted(set(self.types) - {"selfService"})] or [None]

    def _followed(self, bot: str) -> OpenSessions | None:
        """The sessions of a bot that are followed, if any are."""
        if self._follows and bot not in self._open:
            context = self.context_of(bot)
            self._open[bot] = OpenSessions(
                self.get_context_state(context),
                self.bookmark(context),
                self.end - timedelta(days=self.config["kore_open_session_days"]),
            )
        return self._open.get(bot)

    @override
    def span(self, bot: str) -> Window:
        span = super().span(bot)
        sessions = self._followed(bot)
        if sessions and sessions.since:
            return replace(span, start=min(span.start, sessions.since))
        return span

    @override
    def spans(self, span: Window) -> Iterable[Window]:
        return [] if self.config.get("kore_session_ids") else super().spans(span)

    @override
    def ids(self, bot: str, spans: Sequence[Window]) -> Ids:
        if asked := self.config.get("kore_session_ids"):
            return dict.fromkeys(asked)
        sessions = self._followed(bot)
        if sessions is None:
            return {}
        # The windows show the others, unless a filter leaves them out.
        filters = ("kore_containment_types", *_FILTERS.values())
        is_filtered = any(given(self.config, name) for name in filters)
        starts = [] if is_filtered else [span.start for span in spans]
        return sessions.starts(before=min(starts, default=None))

    @property
    @override
    def is_shared(self) -> bool:
        return bool(self.config["kore_api"] == "account")

    @override
    def alike(self, spans: Mapping[str, Sequence[Window]]) -> dict[str, list[str]]:
        if not self.is_shared:
            return super().alike(spans)
        groups: dict[object, list[str]] = {}
        for bot, those in spans.items():
            groups.setdefault((self.host.tokens[bot], *those), []).append(bot)
        return {bots[0]: bots for bots in groups.values()}

    def _alike(self, bot: str) -> Sequence[str]:
        """The bots that are read together with one, itself included."""
        return self.together.get(bot, [bot])

    @override
    def shares(
        self, bot: str, outcome: Taken | BotError
    ) -> Iterable[tuple[str, Taken | BotError]]:
        if not self.is_shared:
            return super().shares(bot, outcome)
        if isinstance(outcome, BotError):
            return [(each, outcome) for each in self._alike(bot)]
        return list(self._shares(bot, outcome))

    def _shares(self, bot: str, taken: Taken) -> Iterator[tuple[str, Taken | BotError]]:
        """Divide what was taken; its requests go to one bot, they were made once."""
        requests = taken.requests
        for each in [*self._alike(bot)]:
            if error := self._unsound.get(each):
                self.together[bot].remove(each)
                yield each, error
                continue
            rows = [row for row in taken.rows if row.record["bot_id"] == each]
            yield each, replace(taken, rows=rows, requests=requests)
            requests = 0

    @override
    def job(self, bot: str, spans: Sequence[Window]) -> Job:
        job = super().job(bot, spans)
        ids = self.ids_of(self._alike(bot), spans)
        return replace(job, first=self.by_id(bot, ids)) if ids else job

    @override
    def batches(self, ids: Ids) -> Sequence[Ids]:
        # The tags of a session that is older than two weeks come only if its time is
        # asked for as well (newer page Sessions History API).
        recent = self.run_start - _TAGGED_FOR
        groups: defaultdict[int | None, list[tuple[str, datetime | None]]]
        groups = defaultdict(list)
        for name, start in ids.items():
            if start is None or start > recent:
                groups[None].append((name, None))
            else:
                groups[(recent - start) // _WIDEST].append((name, start))
        return [
            dict(group[place : place + IDS_PER_REQUEST])
            for group in groups.values()
            for place in range(0, len(group), IDS_PER_REQUEST)
        ]

    @override
    def to_emit(self, bot: str, taken: Taken) -> Iterable[Row]:
        sessions = self._followed(bot)
        if sessions is None or self.config.get("kore_session_ids"):
            return taken.rows
        if taken.window is not None:
            return [row for row in taken.rows if self._emits(sessions, row)]
        sessions.drop(taken.gone)
        changed = [row for row in taken.rows if sessions.has_changed(row)]
        rows = [row for row in changed if self._emits(sessions, row)]
        sessions.drop_old()
        return rows

    def _emits(self, sessions: OpenSessions, row: Row) -> bool:
        """Put down what a session has come to, and say whether it is emitted."""
        emits = self._is_asked_for(row.record) or sessions.was_emitted(row)
        sessions.observe(row, is_open=_is_open(row.record), emitted=emits)
        return emits

    def _is_asked_for(self, record: dict[str, Any]) -> bool:
        """Whether a session matches the filters that it may come to match or leave.

        A list of open sessions holds all types, and one by ids knows no filters.
        """
        session_type = self.config.get("kore_session_type")
        return (
            not self.types or record["containment_type"] in {None, *self.types}
        ) and (not session_type or record["session_type"] in {None, session_type})

    @override
    def to_state(self, bot: str, end: datetime | None) -> dict[str, Any]:
        sessions = self._followed(bot)
        open_sessions = sessions.to_state(end) if sessions else {}
        return super().to_state(bot, end) | open_sessions

    @override
    def to_bookmark(self, instant: datetime) -> str:
        return to_rfc3339(instant)

    def fetch(
        self,
        bot: str,
        body: Mapping[str, Any],
        parse: Callable[[Any], Page],
        containment_type: str | None = None,
    ) -> Fetch:
        """A request for sessions of a bot."""
        path = _PATHS[self.config["kore_api"]].format(quote(bot, safe=""))
        params = {"containmentType": containment_type} if containment_type else {}
        request = Request("POST", path, self.host.tokens[bot], params, body)
        send = partial(self.host.transport.send, request, parse)
        return Fetch(send, self.budget(bot), self.what(*self._alike(bot)))

    def rows(self, bot: str, sessions: Sequence[Mapping[str, Any]]) -> list[Row]:
        """The rows that sessions make, of a bot and those alike.

        The account's API serves other bots' too. There a bot of which a record is
        unsound is put down by itself.

        Raises:
            RecordError: A record is unsound.
        """
        if not self.is_shared:
            return [self._row(bot, record) for record in self._records(sessions)]
        bots = self._alike(bot)
        records = self._records([each for each in sessions if each["botId"] in bots])
        rows = []
        for record in records:
            try:
                rows.append(self._row(record["bot_id"], record))
            except RecordError as error:
                self._unsound[record["bot_id"]] = error
        return rows

    def _records(self, sessions: Sequence[Mapping[str, Any]]) -> list[dict[str, Any]]:
        return self.personal.protect(shape_all(sessions, self.columns))

    def _row(self, bot: str, record: dict[str, Any]) -> Row:
        fields = {"session_id": "sessionId", "start_time": "start_time"}
        require(record, self.name, **fields)
        record["bot_id"] = bot
        time = parse_instant(record["start_time"])
        return Row((record["session_id"],), time, record)

    def by_id(self, bot: str, ids: Ids) -> Reading:
        """Read sessions by their ids, as they are now.

        What the server tells of others is left out. Those that it does not know are
        gone; those of which it says nothing are not. Both are logged.
        """
        found: dict[str, Row] = {}
        unknown: set[str] = set()
        left = ids
        while left:
            pages = yield [self._fetch_ids(bot, batch) for batch in self.batches(left)]
            found |= {row.key[0]: row for page in pages for row in page.rows}
            unknown |= {name for page in pages for name in page.gone}
            told = {name for page in pages for name in page.told}
            if told.isdisjoint(left):
                self._warn(bot, "the server says nothing of these sessions", left)
                break
            left = {name: left[name] for name in left if name not in told}
        rows = [found[name] for name in ids if name in found]
        gone = [name for name in ids if name in unknown - found.keys()]
        if gone:
            self._warn(bot, "no such sessions", gone)
        return Taken(
            None,
            rows,
            gone=gone,
            expected=len(ids),
            received=len(rows) + len(gone),
        )

    def _warn(self, bot: str, words: str, names: Collection[str]) -> None:
        told = ", ".join(list(names)[:_MOST_TOLD])
        more = len(names) - _MOST_TOLD
        told += f" and {more} more" if more > 0 else ""
        self.logger.warning("%s: %s: %s", self.what(*self._alike(bot)), words, told)

    def _fetch_ids(self, bot: str, ids: Ids) -> Fetch:
        # That a limit is ignored beside ids is documented, a default limit is not.
        body = {"sessionId": list(ids), "skip": 0, "limit": IDS_PER_REQUEST}
        starts = [start for start in ids.values() if start]
        if starts:
            body |= _range(min(starts), max(starts))
        return self.fetch(bot, body, partial(self._found, bot))

    def _found(self, bot: str, body: Mapping[str, Any]) -> Page:
        gone = [text(name) for name in body.get("invalidSessions") or ()]
        sessions = sequence(body["sessions"])
        told = [text(session["sessionId"]) for session in sessions]
        rows = self.rows(bot, sessions)
        return Page(
            rows,
            len(told),
            len(told),
            more=False,
            following=0,
            gone=gone,
            told=[*told, *gone],
        )


@dataclass(frozen=True)
class _Sessions:
    """The sessions of one bot in one window; a position is how many are skipped."""

    stream: KoreSessions
    bot: str
    window: Window
    containment_type: str | None
    first: int = 0

    def fetch(self, position: int) -> Fetch:
        return self._fetch(position, self.stream.config["kore_page_size"])

    def count(self) -> Fetch:
        """A request for how many sessions there are, and for one of them."""
        return self._fetch(self.first, 1)

    def _fetch(self, position: int, size: int) -> Fetch:
        config = self.stream.config
        body = {
            "skip": position,
            "limit": size,
            **_range(self.window.start, self.window.end),
        }
        for field, setting in _FILTERS.items():
            if given(config, setting):
                body[field] = config[setting]
        parse = partial(self._page, position)
        return self.stream.fetch(self.bot, body, parse, self.containment_type)

    def ahead(self, first: Page) -> range:
        return range(first.received, first.total, max(first.received, 1))

    def _page(self, position: int, body: Mapping[str, Any]) -> Page:
        sessions = sequence(body["sessions"])
        received = len(sessions)
        rows = self.stream.rows(self.bot, sessions)
        hold_to(self.window, rows)
        if self.containment_type and self.containment_type not in self.stream.types:
            # It is read for sessions that are open, and these tell their type.
            rows = [row for row in rows if row.record["containment_type"]]
        return Page(
            rows,
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


def _range(start: datetime, end: datetime) -> dict[str, str]:
    """The parameters for what starts between two instants, both included.

    A list may exclude its start or its end: no page says. What it sends beside what is
    asked for is left out.
    """
    return {
        "dateFrom": _milliseconds(start - timedelta(milliseconds=1)),
        "dateTo": _milliseconds(end + timedelta(microseconds=999)),
    }


def _is_open(record: dict[str, Any]) -> bool:
    """Whether a session goes on; servers before 10.1.3 tell of no status."""
    status = record["session_status"]
    return bool(status == "active" or (status is None and record["end_time"] is None))


def _milliseconds(instant: datetime) -> str:
    return f"{instant.replace(tzinfo=None).isoformat(timespec='milliseconds')}Z"
