"""Whatever a vendor answers: sound rows, or a clear line and no bookmark."""

from __future__ import annotations

import gzip
import zlib
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from io import BytesIO
from socketserver import StreamRequestHandler, ThreadingTCPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import hypothesis
import pytest
from hypothesis import strategies as st
from typing_extensions import override

from simulator import Rule, Simulator, World
from simulator.emitted import instant
from simulator.exchange import Call, Reply
from simulator.streams import STREAMS
from tap_botsessions.engine.errors import RequestError, TransientError
from tap_botsessions.engine.gaps import GapError
from tap_botsessions.engine.options import Options
from tap_botsessions.engine.pages import Page
from tap_botsessions.engine.transport import (
    ErrorFormat,
    Request,
    Transport,
    discreet_urllib3,
)
from tap_botsessions.engine.windows import Window, parse_instant, to_rfc3339
from tap_botsessions.singer.writer import PieceWriter
from tap_botsessions.vendors.avaamo.account import AccessToken
from tests.conftest import Tap, config_for, hand_in
from tests.junk import (
    DIARY,
    EMAIL,
    NUMBERS,
    SECRET,
    TOKEN,
    VALUES,
    damaged,
    spoilt,
    tried,
    written,
)
from tests.sound import (
    Log,
    Messages,
    assert_discreet,
    assert_sound,
    strict,
    undisturbed,
)
from tests.truth import key_of

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterator, Mapping, Sequence

    from hypothesis.strategies import DrawFn, SearchStrategy

    from simulator.faults import Answer
    from tap_botsessions.engine.errors import Failure

MOST_REQUESTS = 5_000
"""A run that makes more is taken for one that never ends."""

AGENT, BOT = "201", "st-1"
START = datetime(2026, 3, 1, tzinfo=UTC)
END = START + timedelta(seconds=20)
EPOCH = int(START.timestamp())


@dataclass(frozen=True)
class Endpoint:
    """What is read of one endpoint, and how.

    Attributes:
        stream: The stream.
        end: Where the range ends that is read from START on.
        settings: More settings.
        partition: What the state of the bot holds beforehand.
    """

    stream: str
    end: datetime = END
    settings: Mapping[str, Any] = field(default_factory=dict)
    partition: Mapping[str, Any] = field(default_factory=dict)

    @property
    def bot(self) -> dict[str, str]:
        """The context of the one bot that is read."""
        stream = STREAMS[self.stream]
        return {stream.bot_key: BOT if stream.vendor == "kore" else AGENT}

    @property
    def state(self) -> dict[str, Any]:
        """The state beforehand."""
        partition = {"context": self.bot, **self.partition}
        return {"bookmarks": {self.stream: {"partitions": [partition]}}}


ENDPOINTS = {
    "sessions": Endpoint("avaamo_sessions"),
    "messages": Endpoint(
        "avaamo_messages",
        partition={"replication_key": "timetoken", "replication_key_value": EPOCH + 1},
    ),
    "usage": Endpoint("avaamo_usage", START + timedelta(days=1)),
    "kore": Endpoint("kore_sessions"),
    "account": Endpoint("kore_sessions", settings={"kore_api": "account"}),
    "types": Endpoint(
        "kore_sessions", settings={"kore_containment_types": ["agent", "selfService"]}
    ),
    "hashed": Endpoint(
        "avaamo_messages",
        settings={"personal_data": "hash", "personal_data_key": SECRET},
    ),
    "dropped": Endpoint(
        "kore_sessions",
        settings={"personal_data": "drop", "personal_data_key": SECRET},
    ),
    "ids": Endpoint("kore_sessions", settings={"kore_session_ids": ["s-1", "s-2"]}),
    "open": Endpoint(
        "kore_sessions",
        partition={
            "replication_key": "start_time",
            "replication_key_value": to_rfc3339(START),
            "open_sessions": {
                "s-0": [to_rfc3339(START - timedelta(days=1)), "00000000"],
                "s-1": [to_rfc3339(START), ""],
            },
        },
    ),
}


class Vendor:
    """A vendor that answers as it is told; the simulator does the HTTP.

    Attributes:
        answer: Makes the answer to a request, given how many came before.
        asked: How many requests came.
    """

    def __init__(self, simulator: Simulator) -> None:
        """Answer in a simulator's stead."""
        self._simulator = simulator
        simulator.faults.rules.append(Rule(self._effect))
        self.begin(lambda _number, _call: Reply(200, b""))

    def begin(self, answer: Callable[[int, Call], Reply]) -> None:
        """Answer in another way from now on."""
        self.answer = answer
        self.asked = 0
        self._simulator.requests.clear()

    async def _effect(self, _answer: Answer) -> Reply:
        number, self.asked = self.asked, self.asked + 1
        if number >= MOST_REQUESTS:
            return Reply(403, b"")
        return self.answer(number, self._simulator.requests[-1])

    def read(self, endpoint: Endpoint, **settings: Any) -> Run:
        """Run the tap over an endpoint."""
        out = BytesIO()
        with undisturbed(), Log() as log:
            tap = Tap(
                config=config_for(
                    self._simulator,
                    avaamo_access_token=TOKEN,
                    avaamo_agent_ids=[AGENT],
                    kore_client_secret=SECRET,
                    kore_bot_ids=[BOT],
                    start_date=to_rfc3339(START),
                    end_date=to_rfc3339(endpoint.end),
                    lookback_hours=0,
                    max_concurrent_requests=1,
                    **{"max_retries": 1, **endpoint.settings, **settings},
                ),
                state=endpoint.state,
                message_writer=PieceWriter(1 << 16, out),
            )
            for name, stream in tap.streams.items():
                stream.selected = name == endpoint.stream
            tap.sync_all()
        assert self.asked <= MOST_REQUESTS, "the run would never end"
        return Run(endpoint, strict(out.getvalue()), tap.run.failures, log.lines)


@dataclass
class Run:
    """What a run over one endpoint and one bot came to."""

    endpoint: Endpoint
    messages: Messages
    failures: list[Failure]
    logged: Sequence[str]

    @property
    def records(self) -> list[dict[str, Any]]:
        """The records as they came."""
        return [each["record"] for each in self.messages if each["type"] == "RECORD"]

    @property
    def keys(self) -> list[tuple[str, ...]]:
        """The keys as they came."""
        return [key_of(self.endpoint.stream, record) for record in self.records]

    @property
    def partition(self) -> dict[str, Any]:
        """The last state of the bot."""
        [*_, last] = [each for each in self.messages if each["type"] == "STATE"]
        [partition] = last["value"]["bookmarks"][self.endpoint.stream]["partitions"]
        return dict(partition)

    def assert_sound(self) -> None:
        """Hold the rows against their schema, and what was told against what may be."""
        assert_sound(self.messages)
        assert_discreet([*self.logged, *(str(each.error) for each in self.failures)])

    def assert_kept(self) -> None:
        """Of a bot that failed, nothing in the state vouches for the whole range."""
        before, after = self.endpoint.partition, self.partition
        followed = before.get("open_sessions", {}).keys()
        dropped = followed - after.get("open_sessions", {}).keys()
        emitted = {name for _, name, *_ in self.keys}
        gone = {name for name in dropped if f": {name}" in "".join(self.logged)}
        assert dropped <= emitted | gone
        if after.get("replication_key_value") != before.get("replication_key_value"):
            form = STREAMS[self.endpoint.stream].bookmark
            is_named = bool(after.get("gaps"))
            assert is_named or after["replication_key_value"] != BOOKMARKS[form]


BOOKMARKS = {
    "seconds": EPOCH + 20,
    "date": "2026-03-02",
    "date-time": "2026-03-01T00:00:20Z",
}
"""The bookmark after all has been read, in each form."""


@pytest.fixture(scope="module")
def vendor() -> Iterator[Vendor]:
    with Simulator(World(bots=(BOT,))) as simulator, pytest.MonkeyPatch.context() as to:
        hand_in(to, max_backoff=0.0)
        yield Vendor(simulator)


# Any answer


def session(number: int, at: float) -> dict[str, Any]:
    return {
        "layer_id": f"u-{number}",
        "created_at": EPOCH + at,
        "first_name": "Ada",
        "last_name": EMAIL,
    }


def message(number: int, at: float) -> dict[str, Any]:
    return {
        "message_uuid": f"m-{number}",
        "created_at": EPOCH + at,
        "content": DIARY,
        "score": 0.5,
        "intent_type": None,
        "user": {"first_name": EMAIL, "layer_id": 17},
    }


def kore_session(number: int, at: float) -> dict[str, Any]:
    return {
        "sessionId": f"s-{number}",
        "botId": BOT,
        "userId": EMAIL,
        "start_time": instant(EPOCH + at),
        "end_time": "2026-03-01T00:05:00.000Z",
        "session_lang": ["en"],
        "sessionStatus": "active" if number else "closed",
        "containmentType": "selfService",
        "isDeveloper": 0,
        "tags": {"userTags": [{"name": DIARY, "value": EMAIL}], "sessionTags": []},
        "noOfMessagesExchanged": 3,
    }


PAGES: dict[str, Any] = {
    "sessions": {
        "total_entries": 2,
        "total_pages": 1,
        "entries": [session(0, 2), session(1, 3.25)],
    },
    "messages": {
        "total_entries": 2,
        "total_pages": 1,
        "entries": [message(0, 2), message(1, 3.25)],
    },
    "usage": {
        "aggregate_stats": {
            "start_time": EPOCH,
            "end_time": EPOCH + 86_399,
            "session_count": 3,
            "success_rate": 0.5,
        },
        "previous_interval_stats": {"session_count": 1},
        "stats": [{"session_count": 3}],
    },
    "kore": {
        "total": 2,
        "moreAvailable": False,
        "sessions": [kore_session(0, 2), kore_session(1, 3.25)],
    },
}
LISTED = {
    "total": 2,
    "moreAvailable": False,
    "sessions": [kore_session(1, 3.25)],
    "invalidSessions": ["s-0", "s-2"],
}
ERRORS = [
    {"error": f"No access for {EMAIL} with {TOKEN} or {SECRET}\r\n"},
    {"errors": [{"msg": f"{DIARY} {TOKEN} {SECRET} {EMAIL}\n", "code": 4002}]},
]


FORMS: dict[str, Callable[[bytes], bytes]] = {
    "gzip": gzip.compress,
    "gzip, cut": lambda body: gzip.compress(body)[:-9],
    "gzip, a bomb": lambda body: gzip.compress(b" " * 3_000_000 + body),
    "gzip, but not": bytes,
    "deflate": zlib.compress,
    "br": bytes,
    "x-unknown": bytes,
}
"""Ways to pack a body, right or wrong; each begins with what it is said to be."""


@st.composite
def answers(draw: DrawFn, name: str) -> Reply:
    """An answer of an endpoint: mostly its page, more or less spoilt."""
    page = PAGES.get(name.replace("hashed", "messages"), PAGES["kore"])
    pages = [page, page, page, LISTED] if page is PAGES["kore"] else [page]
    body = draw(
        st.one_of(
            st.sampled_from(pages).flatmap(spoilt).map(written).flatmap(damaged),
            st.sampled_from(pages).flatmap(spoilt).map(written),
            st.sampled_from(ERRORS).flatmap(spoilt).map(written),
            VALUES.map(written),
            st.binary(),
        )
    )
    form = draw(st.sampled_from([*[None] * 9, *FORMS]))
    if form is None:
        kind = draw(st.sampled_from(["application/json", "text/html; charset=utf-16"]))
        return Reply(200, body, {"Content-Type": kind})
    said, *_ = form.split(",")
    return Reply(200, FORMS[form](body), {"Content-Encoding": said})


@pytest.mark.parametrize("name", ENDPOINTS)
@tried(80)
@hypothesis.given(data=st.data())
def test_any_answer_makes_sound_rows_or_puts_the_bot_down(
    vendor: Vendor, name: str, data: st.DataObject
) -> None:
    replies = data.draw(st.lists(answers(name), min_size=1, max_size=4))
    vendor.begin(lambda number, _call: replies[min(number, len(replies) - 1)])
    run = vendor.read(ENDPOINTS[name])
    run.assert_sound()
    if run.failures:
        run.assert_kept()
        assert len(run.failures) == 1
    elif name == "usage":
        [record] = run.records
        assert record["start_time"] == "2026-03-01T00:00:00Z"


# Any status


RETRY_AFTER = st.sampled_from(
    [
        "",
        "0",
        "-1",
        "1.5",
        "1e9",
        "soon",
        "\u0663",
        "9" * 20,
        "9" * 400,
        "Wed, 21 Oct 2015 07:28:00 GMT",
        "Fri, 31 Dec 9999 23:59:59 GMT",
        "Mon, 01 Jan 0001 00:00:00 +9999",
        "Mon, 01 Jan 2026 00:00:00 +99999999999999999999",
        "Mon, 01 Jan 99999999999 00:00:00 GMT",
        "Mon, 01 Jan 2026 99:99:99 -0000",
        EMAIL,
    ]
)
LOCATION = st.sampled_from(
    ["", "//", "http://[", f"https://{EMAIL}/?{SECRET}", "\u2028"]
)
# The simulator has more to say of 401, and 204 is an empty list.
STATUSES = st.integers(200, 599).filter(
    lambda status: status not in {204, 401}
) | st.just(999)


@pytest.mark.parametrize("name", ["sessions", "kore"])
@tried(100)
@hypothesis.given(
    status=STATUSES,
    headers=st.fixed_dictionaries(
        {}, optional={"Retry-After": RETRY_AFTER, "Location": LOCATION}
    ),
    body=st.sampled_from(ERRORS).flatmap(spoilt).map(written).flatmap(damaged),
)
def test_any_refusal_puts_the_bot_down(
    vendor: Vendor, name: str, status: int, headers: dict[str, str], body: bytes
) -> None:
    vendor.begin(lambda _number, _call: Reply(status, body, headers))
    run = vendor.read(ENDPOINTS[name], max_retries=0)
    run.assert_sound()
    run.assert_kept()
    [_] = run.failures
    assert run.records == []
    assert vendor.asked <= 4  # Avaamo is asked in other words of its time, too


# Any list


@dataclass
class Listed:
    """A list that a vendor serves, and how it does so.

    Attributes:
        entries: All of it, each entry with its seconds after START.
        page: So many entries are on a page, at most.
        totals: What it says to count, in turn; nothing for the truth.
        more: What it says of further pages, in turn; nothing for the truth.
        empty: The requests that are answered by an empty page.
        turns_pages: Whether it heeds which page is asked for.
        filters: Whether it heeds the range.
        served: The places of the entries that it has served.
    """

    entries: Sequence[tuple[float, dict[str, Any]]]
    page: int
    totals: Sequence[Any]
    more: Sequence[Any]
    empty: frozenset[int]
    turns_pages: bool
    filters: bool
    served: set[int] = field(default_factory=set)

    def answer(self, number: int, call: Call) -> Reply:
        """Answer a request."""
        if call.vendor == "avaamo":
            first, last = (
                float(call.params[name]) for name in ("from_timetoken", "to_timetoken")
            )
            skip = (int(call.params["page"]) - 1) * self.page
        else:
            asked = call.body
            first, last = (
                datetime.fromisoformat(asked[name]).timestamp()
                for name in ("dateFrom", "dateTo")
            )
            skip = asked["skip"]
        found = [
            place
            for place, (at, _) in enumerate(self.entries)
            if not self.filters or first <= EPOCH + at <= last
        ]
        skip = skip if self.turns_pages else 0
        places = [] if number in self.empty else found[skip : skip + self.page]
        self.served.update(places)
        entries = [self.entries[place][1] for place in places]
        total = _told(self.totals, number, len(found))
        if call.vendor == "avaamo":
            pages = _told(self.more, number, -(-len(found) // self.page))
            names = ("entries", "total_entries", "total_pages")
            body = dict(zip(names, (entries, total, pages), strict=True))
        else:
            more = _told(self.more, number, skip + self.page < len(found))
            body = {"sessions": entries, "total": total, "moreAvailable": more}
        return Reply(200, written(body))

    def owed(self, until: float) -> set[int]:
        """The places of the entries that a run must have emitted."""
        known: Collection[int] = (
            self.served if self.totals else range(len(self.entries))
        )
        if self.totals and self.empty:
            known = ()  # an empty page with a false count may pass for the truth
        return {place for place in known if self.entries[place][0] < until}


def _told(lies: Sequence[Any], number: int, truth: Any) -> Any:
    return lies[number % len(lies)] if lies else truth


SHALLOW = VALUES.filter(lambda value: b"[[[" not in written(value))
LIES: SearchStrategy[list[Any]] = st.lists(
    st.integers(-1, 15) | NUMBERS | st.sampled_from(["3", "x", None, True, [], {}]),
    max_size=5,
)
MAKERS = {"sessions": session, "messages": message, "kore": kore_session}
OWN = {"layer_id", "message_uuid", "created_at", "sessionId", "start_time"}
"""Fields that are not spoilt, since a record can't be without them."""


@st.composite
def lists(draw: DrawFn, make: Callable[[int, float], dict[str, Any]]) -> Listed:
    """A list whose entries can be told apart and placed in time."""
    seconds = draw(st.lists(st.integers(0, 79).map(lambda at: at / 4), max_size=12))
    entries = []
    for number, at in enumerate(seconds):
        entry = make(number, at)
        own = {name: value for name, value in entry.items() if name in OWN}
        rest = {name: value for name, value in entry.items() if name not in OWN}
        others = draw(spoilt(rest, most=1, junk=SHALLOW))
        entries.append((at, {**others, **own} if isinstance(others, dict) else own))
    return Listed(
        entries,
        page=draw(st.integers(1, 5)),
        totals=draw(st.just([]) | LIES),
        more=draw(st.just([]) | LIES | st.lists(st.booleans(), max_size=3)),
        empty=draw(st.frozensets(st.integers(0, 9), max_size=2)),
        turns_pages=draw(st.sampled_from([True, True, True, False])),
        filters=draw(st.sampled_from([True, True, True, False])),
    )


@pytest.mark.parametrize("name", MAKERS)
@tried(100)
@hypothesis.given(data=st.data())
def test_of_a_list_that_counts_all_is_emitted_or_the_bot_is_put_down(
    vendor: Vendor, name: str, data: st.DataObject
) -> None:
    offered = data.draw(lists(MAKERS[name]))
    vendor.begin(offered.answer)
    run = vendor.read(Endpoint(ENDPOINTS[name].stream))
    run.assert_sound()
    emitted = [int(identity.partition("-")[2]) for _, identity, *_ in run.keys]
    assert len(emitted) == len(set(emitted))
    until = run.partition.get("replication_key_value", EPOCH)
    if isinstance(until, str):
        until = datetime.fromisoformat(until).timestamp()
    has_failed = [each for each in run.failures if not isinstance(each.error, GapError)]
    assert (until == EPOCH + 20) == (not has_failed)
    gaps = [
        Window(parse_instant(gap["start"]), parse_instant(gap["end"]))
        for gap in run.partition.get("gaps", ())
    ]
    for place in offered.owed(until - EPOCH) - set(emitted):
        at = START + timedelta(seconds=offered.entries[place][0])
        assert any(at in gap for gap in gaps)


# Any bytes


class Raw(ThreadingTCPServer):
    """A server that answers each request by the same bytes, and hangs up.

    Attributes:
        answer: The bytes.
    """

    block_on_close = False
    daemon_threads = True
    answer = b""

    def __init__(self) -> None:
        """Take a free port of this machine."""
        super().__init__(("127.0.0.1", 0), RawHandler)

    @override
    def handle_error(self, request: object, client_address: object) -> None:
        """Say nothing of a client that hung up first."""


class RawHandler(StreamRequestHandler):
    """Reads the head of a request, and answers."""

    server: Raw

    @override
    def handle(self) -> None:
        while self.rfile.readline().strip():
            pass
        self.wfile.write(self.server.answer)


@pytest.fixture(scope="module")
def raw() -> Iterator[Raw]:
    with Raw() as server:
        thread = Thread(target=server.serve_forever, args=[0.01])
        thread.start()
        yield server
        server.shutdown()
        thread.join()


HEADERS = [
    b"Content-Length: 13",
    b"Content-Length: 99999999999999999999",
    b"Content-Length: -1",
    b"Content-Length: 1, 2",
    b"Content-Type: \xff\0",
    b"Content-Encoding: gzip",
    b"Content-Encoding: gzip, deflate, br, zstd, x",
    b"Transfer-Encoding: chunked",
    b"Transfer-Encoding: gzip, chunked",
    b"Set-Cookie: a=b; expires=Thu, 99 Foo 99999 00:00:00 GMT; domain=\xff",
    b"Location: http://[",
    b"Retry-After: " + b"9" * 400,
    b"no colon",
    b": nameless",
    b" folded",
    b"X: " + b"x" * 70_000,
    b"\r\n".join(b"X-%d: y" % number for number in range(150)),
]
STARTS = [
    b"HTTP/1.1 200 OK",
    b"HTTP/1.1 200",
    b"HTTP/1.0 200 OK",
    b"HTTP/1.1 302 Found",
    b"HTTP/1.1 429 Too Many Requests",
    b"HTTP/1.1 503 " + TOKEN.encode(),
    b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK",
    b"HTTP/1.1 204 No Content",
    b"HTTP/1.1 0 \xff",
    b"HTTP/1.1 99999999999999999999 x",
    b"HTTP/9.9 200 OK",
    b"ICY 200 OK",
    b"<html>",
    b"",
]
CHUNKS = [
    b'd\r\n{"entries":[]\r\n1\r\n}\r\n0\r\n\r\n',
    b"zz\r\n{}",
    b"ffffffffffffffff\r\n{}",
]
BODIES = st.sampled_from([b'{"entries":1}', *CHUNKS]).flatmap(damaged)


@tried(300)
@hypothesis.example(start=STARTS[0], headers=[b"no colon"], body=b'{"entries":1}')
@hypothesis.given(
    start=st.sampled_from([STARTS[0]] * 5 + STARTS).flatmap(damaged),
    headers=st.lists(st.sampled_from(HEADERS).flatmap(damaged), max_size=3),
    body=BODIES,
)
def test_any_bytes_are_an_answer_or_a_failed_request(
    raw: Raw, start: bytes, headers: list[bytes], body: bytes
) -> None:
    raw.answer = b"\r\n".join([start, *headers, b"", body])
    transport = Transport(
        "url",
        Options(
            {
                "url": f"http://127.0.0.1:{raw.server_address[1]}",
                "request_timeout_seconds": 5,
                "outage_minutes": 0,
            },
            START,
            (SECRET, TOKEN),
        ),
        ErrorFormat(lambda body: body["error"], advice={}),
    )
    with Log() as log, discreet_urllib3():
        try:
            transport.send(
                Request("GET", "/", AccessToken(TOKEN)),
                lambda body: Page(body["entries"], 0, 0, more=False, next_position=0),
            )
        except (RequestError, TransientError) as error:
            assert_discreet([str(error)])
    assert_discreet(log.lines)
