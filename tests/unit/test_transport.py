"""Errors: which are retried, which are final, and what they may show."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any
from urllib.parse import quote

import jwt
import pytest
import requests
import requests_mock

from tap_botsessions.engine.errors import RequestError, TransientError
from tap_botsessions.engine.options import Options
from tap_botsessions.engine.pages import Page
from tap_botsessions.engine.transport import ErrorFormat, Request, Transport
from tap_botsessions.vendors.avaamo.account import ERRORS as AVAAMO
from tap_botsessions.vendors.avaamo.account import AccessToken
from tap_botsessions.vendors.kore.account import ERRORS as KORE
from tap_botsessions.vendors.kore.account import SignedToken

TOKEN = "0123456789-very-secret"  # noqa: S105 -- made up


START = datetime(2026, 3, 1, tzinfo=UTC)

ASK = Request("GET", "/x.json", AccessToken(TOKEN))


def transport(errors: ErrorFormat = AVAAMO) -> Transport:
    config = {
        "request_timeout_seconds": 60,
        "outage_minutes": 10,
        "url": "https://c0.example",
    }
    options = Options(config, START, (TOKEN,))
    return Transport("url", options, errors)


def page_of(body: Any) -> Page:
    """A page that says how many entries a body has."""
    count = len(body["entries"])
    return Page([], count, count, more=False, next_position=0)


def send(answer: dict[str, Any], errors: ErrorFormat = AVAAMO) -> Page:
    """Ask a vendor that gives this answer."""
    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", [answer])
        return transport(errors).send(ASK, page_of)


def refused(answer: dict[str, Any], errors: ErrorFormat = AVAAMO) -> TransientError:
    """The error of an answer that may be another one next time."""
    with pytest.raises(TransientError) as raised:
        send(answer, errors)
    return raised.value


def test_an_answer_as_expected_is_parsed() -> None:
    assert send({"json": {"entries": [1]}}).received == 1


@pytest.mark.parametrize(
    ("text", "size"),
    [
        ('{"entries": [""]}', 17),
        ('{"entries": ["é"]}', 2 * 19),
        ('{"entries": ["\\u00e9"]}', 2 * 23),
        ('{"entries": ["Привет"]}', 2 * 29),
        ('{"entries": ["👋"]}', 4 * 21),
        ('{"entries": ["\\ud83d\\udc4b"]}', 4 * 29),
    ],
)
def test_a_page_is_as_large_as_its_texts_are_in_memory(text: str, size: int) -> None:
    assert send({"text": text}).size == size


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
def test_an_answer_that_may_be_right_another_time_is_requested_again(
    answer: dict[str, Any],
) -> None:
    assert str(refused(answer))


LISTED = {"entries": [1], "total_entries": 1}


@pytest.mark.parametrize("errors", [AVAAMO, KORE])
@pytest.mark.parametrize("rows", [[], [1]])
@pytest.mark.parametrize(
    "said",
    [
        {"errors": [{"msg": "No database", "code": 500}]},
        {"errors": ["No database"]},
        {"errors": [None]},
        {"errors": {"base": ["No database"]}},
        {"errors": "No database"},
        {"error": "No database"},
        {"error": {"message": "No database"}},
        {"error": True},
        {"error": "No database", "errors": []},
    ],
)
def test_an_error_in_an_answer_is_one_whatever_its_status(
    errors: ErrorFormat, rows: list[int], said: dict[str, Any]
) -> None:
    """Beside rows as well: nobody knows what is missing."""
    error = refused({"json": {"entries": rows, "total_entries": 0, **said}}, errors)
    assert str(error).startswith("answered 200, with an error")
    assert (error.limit, error.status) == (None, 200)


@pytest.mark.parametrize("errors", [AVAAMO, KORE])
@pytest.mark.parametrize("nothing", [None, "", [], {}, False, 0])
@pytest.mark.parametrize("name", ["error", "errors"])
def test_an_error_that_is_none_is_none(
    errors: ErrorFormat, nothing: object, name: str
) -> None:
    assert send({"json": {**LISTED, name: nothing}}, errors).received == 1


@pytest.mark.parametrize(
    ("errors", "said", "limit"),
    [
        (AVAAMO, {"error": "API rate limit exceeded."}, "minute"),
        (KORE, {"errors": [{"msg": "Slow down", "code": 429}]}, "minute"),
        (
            KORE,
            {"errors": [{"msg": "Rate limit for this API has been reached."}]},
            "minute",
        ),
        (KORE, {"errors": [{"msg": "You've exceeded the hourly rate limit."}]}, "hour"),
    ],
)
def test_a_limit_is_one_whatever_the_status(
    errors: ErrorFormat, said: dict[str, Any], limit: str
) -> None:
    answer = {"json": {**LISTED, **said}, "headers": {"Retry-After": "7"}}
    error = refused(answer, errors)
    assert (error.limit, error.status, error.wait) == (limit, 429, 7)


def test_no_content_is_what_the_request_says() -> None:
    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", status_code=204)
        request = Request(
            "GET", "/x.json", AccessToken(TOKEN), no_content={"entries": [1]}
        )
        assert transport().send(request, page_of).received == 1
        with pytest.raises(TransientError):
            transport().send(ASK, page_of)


def test_an_answer_that_is_nested_too_deeply_is_requested_again() -> None:
    def parse(_body: object) -> Page:
        raise RecursionError

    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", json={})
        with pytest.raises(TransientError):
            transport().send(ASK, parse)


@pytest.mark.parametrize("code", [400, 401, 402, 403, 404, 405, 422, 301, 302, 307])
def test_a_refusal_is_final(code: int) -> None:
    answer = {"status_code": code, "headers": {"Location": "https://other.example/"}}
    with pytest.raises(RequestError, match=str(code)):
        send(answer)


def test_a_status_that_the_vendor_also_gives_to_valid_requests_is_retried() -> None:
    with pytest.raises(TransientError):
        send({"status_code": 400}, KORE)


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


def test_retry_after_may_be_seconds_or_a_date() -> None:
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
def test_an_invalid_retry_after_is_ignored(value: str) -> None:
    error = refused({"status_code": 429, "headers": {"Retry-After": value}})
    assert (error.wait, error.limit) == (None, "minute")


def test_a_limit_of_the_hour_is_known_by_the_vendors_words() -> None:
    said = "You've exceeded the hourly rate limit. Please wait for sometime."
    body = {"errors": [{"msg": said, "code": 429}]}
    assert refused({"status_code": 429, "json": body}, KORE).limit == "hour"
    assert refused({"status_code": 429, "json": body}, AVAAMO).limit == "minute"


def test_an_error_has_the_vendors_words_but_nothing_secret_or_personal() -> None:
    said = f"No access for jane.doe@example.com with {TOKEN} or {'ab12' * 10}\r\nX: y"
    with pytest.raises(RequestError, match="No access for") as final:
        send({"status_code": 403, "json": {"error": said}})
    assert "whether it may see the agent" in str(final.value)
    body = {"errors": [{"msg": said, "code": 1}]}
    for error in (final.value, refused({"status_code": 500, "json": body}, KORE)):
        assert TOKEN not in str(error)
        assert "jane" not in str(error)
        assert "ab12ab12" not in str(error)
        assert "\n" not in str(error)


WROTE = "Cannot parse: my order of yesterday never came"


@pytest.mark.parametrize("code", [400, 405, 409, 500, 502, 302, 200])
@pytest.mark.parametrize("errors", [AVAAMO, KORE], ids=["avaamo", "kore"])
def test_words_that_nobody_knows_are_told_at_debug_alone(
    code: int, errors: ErrorFormat, caplog: pytest.LogCaptureFixture
) -> None:
    """They may be a user's."""
    caplog.set_level("DEBUG")
    said = f"{WROTE} {quote(TOKEN)}"
    body = {"error": said, "errors": [{"msg": said, "code": 1}]}
    with pytest.raises((RequestError, TransientError)) as raised:
        send({"status_code": code, "json": body}, errors)
    assert "yesterday" not in str(raised.value)
    [record] = [each for each in caplog.records if each.name == "tap-botsessions"]
    assert record.levelname == "DEBUG"
    assert f"{WROTE} [secret]" in record.getMessage()


@pytest.mark.parametrize("code", [401, 403, 404, 412, 422, 429])
@pytest.mark.parametrize("errors", [AVAAMO, KORE], ids=["avaamo", "kore"])
def test_words_of_a_refusal_are_told(code: int, errors: ErrorFormat) -> None:
    said = "The agent is archived"
    body = {"error": said, "errors": [{"msg": said, "code": 1}]}
    with pytest.raises((RequestError, TransientError), match=f'{code} \\("{said}"\\)'):
        send({"status_code": code, "json": body}, errors)


@pytest.mark.parametrize("code", [400, 500, 200])
@pytest.mark.parametrize(
    ("errors", "said"),
    [
        *((AVAAMO, said) for said in sorted(AVAAMO.phrases)),
        *((KORE, said) for said in sorted(KORE.phrases)),
        (AVAAMO, "to date cannot be  before from date."),
        (KORE, "Internal Server Error"),
    ],
)
def test_words_that_are_documented_are_told_whatever_the_status(
    code: int, errors: ErrorFormat, said: str
) -> None:
    body = {"error": said, "errors": [{"msg": said, "code": 1}]}
    with pytest.raises((RequestError, TransientError)) as raised:
        send({"status_code": code, "json": body}, errors)
    assert " ".join(said.split()) in str(raised.value)


def test_words_that_only_begin_as_documented_are_not_told() -> None:
    said = f"Invalid SDK credentials. {WROTE}"
    error = refused({"status_code": 400, "json": {"errors": [{"msg": said}]}}, KORE)
    assert str(error) == "answered 400"


@pytest.mark.parametrize("name", ["HTTPS_PROXY", "all_proxy"])
def test_a_proxy_that_is_no_url_is_named_without_its_password(
    name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(name, "http://ursula:hunter2/word@127.0.0.1:9")
    with pytest.raises(RequestError, match="check the proxy") as raised:
        transport().send(ASK, page_of)
    assert not re.search("ursula|hunter2|word@", str(raised.value))


def test_a_body_of_an_error_is_never_echoed() -> None:
    error = refused({"status_code": 500, "text": "Traceback: user Jane wrote 'hello'"})
    assert str(error) == "answered 500"


def test_the_environment_is_looked_up_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HTTPS_PROXY", "http://proxy.example:3128")
    monkeypatch.setenv("REQUESTS_CA_BUNDLE", "/etc/hosts")
    used = transport()
    with requests_mock.Mocker() as mocker:
        mocker.get("https://c0.example/x.json", json={"entries": []})
        for _ in range(3):
            used.send(ASK, page_of)
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


def test_a_date_to_wait_for_is_one_of_the_servers_clock() -> None:
    now = datetime.now(UTC) + timedelta(days=400)
    headers = {
        "Date": format_datetime(now, usegmt=True),
        "Retry-After": format_datetime(now + timedelta(seconds=7), usegmt=True),
    }
    assert refused({"status_code": 503, "headers": headers}).wait == 7
