"""What is retried, what is final, and what an error may tell."""

from __future__ import annotations

import gc
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import TYPE_CHECKING, Any

import jwt
import pytest
import requests
import requests_mock

from simulator import Rule, Simulator
from simulator.faults import (
    bad_json,
    cut,
    hang,
    html,
    redirect,
    reset,
    status,
    trickle,
    wrong_total,
)
from simulator.streams import STREAMS as TABLE
from tap_botsessions.engine.errors import RequestError, TransientError
from tap_botsessions.engine.transport import Request, Transport
from tap_botsessions.vendors.avaamo.streams import AccessToken
from tap_botsessions.vendors.kore.streams import SignedToken
from tests.conftest import end_of, sync
from tests.truth import LISTS, STREAMS, assert_same, expected

if TYPE_CHECKING:
    from simulator.faults import Effect

TOKEN = "0123456789-very-secret"  # noqa: S105 -- made up
ASK = Request("GET", "/x.json", AccessToken(TOKEN))


def transport(**more: Any) -> Transport:
    return Transport(
        base_url="https://c0.example",
        user_agent="tests",
        timeout=60,
        secrets=[TOKEN],
        advice={403: "check the permissions"},
        **more,
    )


def send(answer: dict[str, Any], **more: Any) -> Any:
    """Ask a vendor that gives this answer."""
    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", [answer])
        return transport(**more).send(ASK, lambda body: body["entries"])


def refused(answer: dict[str, Any]) -> TransientError:
    """The error of an answer that may be another one next time."""
    with pytest.raises(TransientError) as raised:
        send(answer)
    return raised.value


def test_what_is_expected_is_parsed() -> None:
    assert send({"json": {"entries": [1]}}) == [1]


@pytest.mark.parametrize(
    "answer",
    [
        {"status_code": 500},
        {"status_code": 503, "text": "<html>"},
        {"status_code": 504},
        {"status_code": 408},
        {"status_code": 429},
        {"exc": requests.ConnectTimeout},
        {"exc": requests.ReadTimeout},
        {"exc": requests.ConnectionError},
        {"exc": requests.exceptions.ChunkedEncodingError},
        {"text": "<html>Log in</html>"},
        {"text": '{"entries": ['},
        {"text": ""},
        {"json": []},
        {"json": {"entrees": []}},
    ],
)
def test_what_may_be_another_time_may_be_asked_again(answer: dict[str, Any]) -> None:
    assert str(refused(answer))


def test_what_is_nested_too_deeply_for_the_parser_may_be_asked_again() -> None:
    def parse(_body: object) -> None:
        raise RecursionError

    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", json={})
        with pytest.raises(TransientError):
            transport().send(ASK, parse)


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 405, 422, 301, 302, 307])
def test_what_is_refused_is_final(code: int) -> None:
    answer = {"status_code": code, "headers": {"Location": "https://other.example/"}}
    with pytest.raises(RequestError, match=str(code)):
        send(answer)


def test_a_status_that_the_vendor_also_gives_to_valid_requests_is_retried() -> None:
    with pytest.raises(TransientError):
        send({"status_code": 400}, retried=frozenset({400}))


@pytest.mark.parametrize("location", ["http://[", "//[x", "\u2028"])
def test_the_target_of_a_redirect_is_not_even_read(location: str) -> None:
    with pytest.raises(RequestError, match="a redirect, which is not followed"):
        send({"status_code": 302, "headers": {"Location": location}})


@pytest.mark.parametrize("error", [requests.exceptions.InvalidURL("x"), OSError("y")])
def test_a_request_that_cannot_be_made_is_final(error: OSError) -> None:
    with pytest.raises(RequestError, match="the connection failed"):
        send({"exc": error})


def test_a_certificate_that_does_not_verify_is_final() -> None:
    why = "[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed"
    with pytest.raises(RequestError, match="ca_bundle"):
        send({"exc": requests.exceptions.SSLError(why)})


def test_retry_after_is_told_in_seconds_and_as_a_date() -> None:
    error = refused({"status_code": 429, "headers": {"Retry-After": "7"}})
    assert (error.wait, error.limit) == (7, "minute")
    date = format_datetime(datetime.now(UTC) + timedelta(seconds=90), usegmt=True)
    wait = refused({"status_code": 429, "headers": {"Retry-After": date}}).wait
    assert wait is not None
    assert 80 < wait <= 90
    error = refused({"status_code": 503, "headers": {"Retry-After": "3"}})
    assert (error.wait, error.limit) == (3, None)


@pytest.mark.parametrize(
    "value",
    ["soon", "-5", "nan", "Wed, 99 Oct", f"Thu, 01 Jan 2026 00:00:00 +{'9' * 20}"],
)
def test_a_retry_after_that_is_none_is_as_good_as_missing(value: str) -> None:
    error = refused({"status_code": 429, "headers": {"Retry-After": value}})
    assert (error.wait, error.limit) == (None, "minute")


def test_a_limit_of_the_hour_is_known_by_the_vendors_words() -> None:
    said = "You've exceeded the hourly rate limit. Please wait for sometime."
    body = {"errors": [{"msg": said, "code": 429}]}
    assert refused({"status_code": 429, "json": body}).limit == "hour"


def test_an_error_tells_the_vendors_words_but_nothing_secret_or_personal() -> None:
    said = f"No access for jane.doe@example.com with {TOKEN} or {'ab12' * 10}\r\nX: y"
    with pytest.raises(RequestError, match="No access for") as final:
        send({"status_code": 403, "json": {"error": said}})
    assert "check the permissions" in str(final.value)
    body = {"errors": [{"msg": said, "code": 1}]}
    for error in (final.value, refused({"status_code": 500, "json": body})):
        assert TOKEN not in str(error)
        assert "jane" not in str(error)
        assert "ab12ab12" not in str(error)
        assert "\n" not in str(error)


def test_a_body_of_an_error_is_never_echoed() -> None:
    error = refused({"status_code": 500, "text": "Traceback: user Jane wrote 'hello'"})
    assert str(error) == "answered 500"


def test_the_environment_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/hosts")
    asked = transport()
    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", json={})
        for _ in range(3):
            asked.send(ASK, lambda body: body)
            monkeypatch.delenv("HTTPS_PROXY", raising=False)
        for request in mocker.request_history:
            assert request.proxies["https"] == "http://proxy.example:3128"
            assert request.verify == "/etc/hosts"


def test_a_signed_token_is_one_that_a_strict_server_takes() -> None:
    secret = "s" * 64
    sign = SignedToken("cs-1", secret, "HS512")
    tokens = [
        sign(requests.Request("POST", "https://x.example").prepare()).headers["auth"]
        for _ in range(2)
    ]
    claims = [
        jwt.decode(
            token,
            secret,
            ["HS512"],
            options={"require": ["appId", "exp", "iat", "jti", "sub"]},
        )
        for token in tokens
    ]
    assert claims[0]["appId"] == "cs-1"
    assert claims[0]["jti"] != claims[1]["jti"]
    assert 60 < claims[0]["exp"] - claims[0]["iat"] <= 600


@pytest.mark.usefixtures("impatient")
@pytest.mark.parametrize(
    "effect",
    [
        bad_json(),
        cut(),
        html(),
        reset(),
        reset(after=40),
        status(500),
        status(503, headers={"Retry-After": "0"}),
        status(504),
        status(429, headers={"Retry-After": "0"}),
        hang(),
        trickle(0.05),
        wrong_total(2),
    ],
)
def test_a_fault_in_every_third_answer_loses_nothing(
    simulator: Simulator, effect: Effect
) -> None:
    simulator.faults.rules.append(Rule(effect, every=3, times=12))
    synced = sync(simulator, request_timeout_seconds=0.3)
    world = simulator.world
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(synced.records[stream], truth)
        assert len(synced.keys(stream)) == len(truth)
    assert synced.failures == []


@pytest.mark.parametrize(("asked", "growing"), [("0", 0.3), ("1", 50.0)])
def test_a_vendor_is_asked_again_when_it_says_but_not_at_once(
    simulator: Simulator,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    asked: str,
    growing: float,
) -> None:
    monkeypatch.setattr(
        "tap_botsessions.engine.scheduler.backoff", lambda _attempts: growing
    )
    refused = status(429, headers={"Retry-After": asked})
    simulator.faults.rules.append(Rule(refused, times=1))
    synced = sync(simulator, streams=("avaamo_sessions",), max_concurrent_requests=1)
    assert synced.failures == []
    wait = min(growing, 1.0)
    assert f"attempt 1 of 9, the next one in {wait:.1f} s" in caplog.text


@pytest.mark.usefixtures("impatient")
def test_an_object_in_place_of_a_list_is_no_empty_list(simulator: Simulator) -> None:
    body = {"entries": {}, "total_entries": 0, "sessions": {}, "total": 0}
    simulator.faults.rules.append(Rule(status(200, body)))
    synced = sync(simulator, streams=LISTS, max_retries=0)
    assert len(synced.failures) == 2 * len(LISTS)
    for failure in synced.failures:
        assert "not the JSON expected" in str(failure.error)


def test_a_date_to_wait_for_is_one_of_the_servers_clock() -> None:
    now = datetime.now(UTC) + timedelta(days=400)
    headers = {
        "Date": format_datetime(now, usegmt=True),
        "Retry-After": format_datetime(now + timedelta(seconds=7), usegmt=True),
    }
    assert refused({"status_code": 503, "headers": headers}).wait == 7


def test_a_body_that_cannot_be_unpacked_leaves_no_socket_open(
    simulator: Simulator,
) -> None:
    """Pytest fails on the warning that the collector gives of one."""
    packed = status(200, b"not packed" * 10_000, {"Content-Encoding": "gzip"})
    simulator.faults.rules.append(Rule(packed))
    synced = sync(simulator, streams=("avaamo_sessions",), max_retries=0)
    assert "the connection failed" in str(synced.failures[0].error)
    gc.collect()


@pytest.mark.usefixtures("impatient")
def test_a_400_of_kores_is_retried_and_one_of_avaamos_final(
    simulator: Simulator,
) -> None:
    simulator.faults.rules.append(Rule(status(400), every=3, times=9))
    synced = sync(simulator)
    assert_same(
        synced.records["kore_sessions"],
        expected(
            simulator.world,
            "kore_sessions",
            simulator.world.start,
            end_of(simulator.world),
        ),
    )
    assert {failure.stream for failure in synced.failures} == {
        stream for stream in STREAMS if TABLE[stream].vendor == "avaamo"
    }


@pytest.mark.parametrize(
    ("effect", "told"),
    [
        (status(401, {"error": "Access token missing or invalid"}), "check"),
        (status(403), "check"),
        (status(404), "check"),
        (redirect("https://other.example/"), "redirect, which is not followed"),
    ],
)
def test_a_refused_bot_keeps_its_bookmark_and_the_others_go_on(
    simulator: Simulator, effect: Effect, told: str
) -> None:
    world = simulator.world
    simulator.faults.rules += [
        Rule(effect, bot="201"),
        Rule(effect, bot=world.bots[0]),
    ]
    synced = sync(simulator)
    assert len(synced.failures) == len(STREAMS)
    assert all(told in str(failure.error) for failure in synced.failures)
    healthy = {"202", world.bots[1]}
    for stream in STREAMS:
        truth = expected(world, stream, world.start, end_of(world))
        assert_same(
            synced.records[stream],
            {key: record for key, record in truth.items() if key[0] in healthy},
        )
    for (_, bot), bookmark in synced.bookmarks.items():
        assert (bookmark is not None) == (bot in healthy)


def test_a_server_that_ignores_the_range_is_found_out(simulator: Simulator) -> None:
    """Records of another time are not taken for an answer."""
    stray = {"layer_id": "u1", "first_name": "You", "created_at": 1_600_000_000}
    page = {
        "current_page": 1,
        "per_page": 100,
        "total_entries": 1,
        "total_pages": 1,
        "time_token": 1_700_000_000.5,
        "entries": [stray],
    }
    simulator.faults.rules.append(Rule(status(200, page), endpoint="sessions"))
    synced = sync(simulator, streams=("avaamo_sessions",))
    assert synced.all_records == []
    assert len(synced.failures) == 2
    assert "a record of another time" in str(synced.failures[0].error)


@pytest.mark.parametrize(
    ("broken", "field"),
    [
        ({"layer_id": None}, "layer_id"),
        ({"created_at": "yesterday"}, "created_at"),
        ({"created_at": None}, "created_at"),
        ({"created_at": 10**21}, "created_at"),
    ],
)
def test_a_record_without_its_key_or_time_is_not_dropped_in_silence(
    simulator: Simulator, broken: dict[str, Any], field: str
) -> None:
    entry = {"layer_id": "u1", "first_name": "You", "created_at": 1_772_400_000}
    page = {"total_entries": 1, "total_pages": 1, "entries": [entry | broken]}
    simulator.faults.rules.append(Rule(status(200, page), endpoint="sessions"))
    synced = sync(simulator, streams=("avaamo_sessions",))
    assert synced.all_records == []
    assert f"'{field}'" in str(synced.failures[0].error)
    assert "avaamo_sessions" in str(synced.failures[0].error)
    assert synced.bookmarks["avaamo_sessions", "201"] is None
