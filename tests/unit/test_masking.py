"""A secret is found in whatever way it is written."""

from __future__ import annotations

import base64
import html
import json
import logging
import re
import subprocess
import sys
from typing import TYPE_CHECKING
from urllib.parse import quote, quote_plus

import pytest
from singer_sdk.logging import ConsoleFormatter, StructuredFormatter

from tap_botsessions.engine.masking import Mask, MaskedLog

if TYPE_CHECKING:
    from collections.abc import Callable

SECRETS = [
    "t0k/en+1=",
    "a b&c",
    "pä\"s\\s'wörd",
    "😀-key",
    "Very-Secret.Indeed_",
    "%41<>",
]


def lower_case(secret: str) -> str:
    """Percent-encoded as RFC 3986 would rather not have it."""
    return re.sub("%..", lambda found: found.group().lower(), quote(secret, safe=""))


def in_all_bytes(secret: str) -> str:
    return "".join(f"%{byte:02X}" for byte in secret.encode())


def within(before: str, encode: Callable[[bytes], bytes]) -> Callable[[str], str]:
    """As a part of something else in base64."""
    return lambda secret: encode(f"{before}{secret}:x".encode()).decode()


WAYS: dict[str, Callable[[str], str]] = {
    "plain": str,
    "upper case": str.upper,
    "lower case": str.lower,
    "percent-encoded": lambda secret: quote(secret, safe=""),
    "percent-encoded but for slashes": quote,
    "percent-encoded in lower case": lower_case,
    "every byte percent-encoded": in_all_bytes,
    "percent-encoded twice": lambda secret: quote(quote(secret, safe="")),
    "in a form": quote_plus,
    "in JSON": lambda secret: json.dumps(secret)[1:-1],
    "in JSON in JSON": lambda secret: json.dumps(json.dumps(secret))[3:-3],
    "in JSON as it is": lambda secret: json.dumps(secret, ensure_ascii=False)[1:-1],
    "in PHP's JSON": lambda secret: json.dumps(secret)[1:-1].replace("/", r"\/"),
    "in HTML": html.escape,
    **{
        f"in base64, {name}, {len(before)}": within(before, encode)
        for name, encode in (
            ("standard", base64.b64encode),
            ("for URLs", base64.urlsafe_b64encode),
        )
        for before in ("", "u", "u:", "us:")
    },
}


@pytest.mark.parametrize("secret", SECRETS)
@pytest.mark.parametrize("way", WAYS)
def test_a_secret_is_masked_however_it_is_written(secret: str, way: str) -> None:
    written = WAYS[way](secret)
    masked = Mask(["another", secret])(f"token={written}&x")
    assert masked.startswith("token=")
    assert "[secret]" in masked
    left = masked.removeprefix("token=").removesuffix("&x").replace("[secret]", "")
    # At the ends of base64 are characters that hold a part of what is beside, too.
    assert len(left) <= (10 if "base64" in way else 0)


def test_the_beginning_of_a_long_secret_is_looked_at_once() -> None:
    """An error may quote it cut short; no character must double the time."""
    subprocess.run(
        [
            sys.executable,
            "-c",
            (
                "from tap_botsessions.engine.masking import Mask;"
                "Mask(['0Az- ' * 20])('0Az- ' * 19)"
            ),
        ],
        check=True,
        timeout=60,
    )


def test_what_is_no_secret_stays() -> None:
    text = 'answered 403 ("No access to agent 201"); check the token'
    assert Mask(["t0ken", "x"], {})(text) == text
    assert Mask([], {})(text) == text
    assert Mask([""], {})(text) == text


def test_a_json_web_token_is_masked_and_each_piece_of_it() -> None:
    head, body = "eyJhbGciOiJIUzI1NiJ9", "eyJhcHBJZCI6IngifQ"
    mask = Mask([], {})
    assert mask(f"{head}.{body}.abc-_1 no") == "[secret] no"
    assert mask(f"in {body}") == "in [secret]"
    assert mask("the keyJunction stays") == "the keyJunction stays"


def test_a_longer_secret_is_masked_as_a_whole() -> None:
    assert Mask(["abcd", "abcdefgh"], {})("abcdefgh") == "[secret]"


def test_a_secret_of_few_letters_is_not_taken_for_a_part_of_a_word() -> None:
    assert Mask(["ab"], {})("ab about cab =ab") == "[secret] about cab =[secret]"


@pytest.mark.parametrize("name", ["HTTP_PROXY", "https_proxy", "All_Proxy"])
@pytest.mark.parametrize("character", "/?#:@\\%[ é")
def test_a_proxys_user_and_password_are_masked_in_whole_and_in_part(
    name: str, character: str
) -> None:
    """A character that is not encoded has a part taken for the host or the port."""
    password = f"hunt{character}er2x"
    mask = Mask([], {name: f"http://ursula:{password}@proxy.example:3128"})
    for text in (
        f"http://ursula:{password}@proxy.example:3128",
        f"Failed to parse: 'ursula:{re.split(r'[/?#:@]', password)[0]}'",
        f"Basic {base64.b64encode(f'ursula:{password}'.encode()).decode()}",
        f"password {quote(password, safe='')}",
    ):
        masked = mask(text)
        assert not re.search("hunt|er2x|ursula", masked), masked
        assert "[secret]" in masked
    assert mask("proxy.example:3128, ursulas") == "proxy.example:3128, ursulas"


def test_a_password_that_is_encoded_is_masked_as_it_is_decoded() -> None:
    mask = Mask([], {"HTTPS_PROXY": "ursula:hunt%2Fer%20x@proxy.example"})
    assert mask("hunt%2Fer%20x hunt/er x") == "[secret] [secret]"
    basic = base64.b64encode(b"ursula:hunt/er x").decode()
    assert mask(f"Basic {basic}") == "Basic [secret]"


@pytest.mark.parametrize(
    "url", ["", "@", "http://", "http://proxy.example", "http://@p", "\udcff:\udcff@p"]
)
def test_any_proxy_may_be_in_the_environment(url: str) -> None:
    assert Mask([], {"HTTP_PROXY": url})("all is well") == "all is well"


def fail(secret: str) -> None:
    """Raise an error that quotes a secret, and is caused by one that does."""
    try:
        _ = dict[str, str]()[secret]
    except KeyError as error:
        msg = f"what came was {secret}"
        raise RuntimeError(msg) from error


@pytest.mark.parametrize("formatter", [ConsoleFormatter(), StructuredFormatter()])
def test_the_log_masks_messages_and_tracebacks(formatter: logging.Formatter) -> None:
    secret = "t0k/en+1="  # noqa: S105 -- made up
    try:
        fail(secret)
    except RuntimeError:
        trace = sys.exc_info()
    record = logging.LogRecord("x", 40, "x.py", 1, "sent %s", (secret,), trace)
    assert MaskedLog(Mask([secret])).filter(record)
    shown = formatter.format(record)
    assert "sent [secret]" in shown
    assert secret not in shown
    assert secret not in str(vars(record))


def test_the_log_leaves_what_holds_no_secret() -> None:
    try:
        fail("nothing")
    except RuntimeError:
        trace = sys.exc_info()
    record = logging.LogRecord("x", 40, "x.py", 1, "sent %s", ("a",), trace)
    before = dict(vars(record))
    assert MaskedLog(Mask(["t0ken"])).filter(record)
    assert vars(record) == before


def test_a_line_of_the_log_that_cannot_be_made_breaks_nothing() -> None:
    record = logging.LogRecord("x", 40, "x.py", 1, "%d and %d", ("a",), None)
    assert MaskedLog(Mask(["t0ken"])).filter(record)
