"""Certificates are verified, by the public authorities or by those of ca_bundle."""

from __future__ import annotations

import json
import ssl
import subprocess
import sys
import time
from contextlib import contextmanager
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING, Any

import pytest
import trustme
from typing_extensions import override

from tests import programs

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

WAITING_FOR_NO_HOST = """
from dataclasses import replace
from tap_botsessions.__main__ import main
from tap_botsessions.tap import TapBotsessions

TapBotsessions.limits = replace(TapBotsessions.limits, max_unreached=0.0)
main()
"""
TOKEN = "a-token-that-must-not-be-told"  # noqa: S105 -- made up


class Vendor(BaseHTTPRequestHandler):
    """An Avaamo without any session, which keeps the tokens that it is shown.

    Attributes:
        tokens: These.
        pace: Seconds between the bytes of a body.
    """

    tokens: list[str | None]
    pace: float

    def do_GET(self) -> None:
        """Answer with an empty list."""
        self.tokens.append(self.headers["access-token"])
        body = json.dumps({"entries": [], "total_entries": 0}).encode()
        self.send_response(200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        for byte in body:
            time.sleep(self.pace)
            self.wfile.write(bytes([byte]))

    @override
    def log_message(self, format: str, *args: object) -> None:
        """Stay silent."""


@pytest.fixture(scope="module")
def authority() -> trustme.CA:
    return trustme.CA()


@contextmanager
def serving(
    authority: trustme.CA, pace: float = 0
) -> Iterator[tuple[str, list[str | None]]]:
    """Serve over TLS with a certificate of an authority.

    Yields:
        The URL, and the tokens that come.
    """
    tokens: list[str | None] = []
    handler = type("Handler", (Vendor,), {"tokens": tokens, "pace": pace})
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    authority.issue_cert("localhost").configure_cert(context)
    with ThreadingHTTPServer(("127.0.0.1", 0), handler) as server:
        server.socket = context.wrap_socket(server.socket, server_side=True)
        thread = Thread(target=server.serve_forever)
        thread.start()
        yield f"https://localhost:{server.server_port}", tokens
        server.shutdown()
        thread.join()


def run(
    folder: Path, url: str, environment: dict[str, str] | None = None, **settings: Any
) -> subprocess.CompletedProcess[str]:
    """Read sessions, without a proxy that the machine may have."""
    config, catalog = folder / "config.json", folder / "catalog.json"
    config.write_text(
        json.dumps(
            {
                "start_date": "2026-03-01",
                "end_date": "2026-03-02",
                "avaamo_base_url": url,
                "avaamo_access_token": TOKEN,
                "avaamo_agent_ids": ["201"],
                "max_retries": 0,
                "outage_minutes": 0,
                **settings,
            }
        )
    )
    catalog.write_text(json.dumps({"streams": [{"tap_stream_id": "avaamo_sessions"}]}))
    command = "--config", config, "--catalog", catalog
    if environment:  # a library may read it when it is loaded
        return subprocess.run(  # noqa: S603 -- ours
            [sys.executable, "-c", WAITING_FOR_NO_HOST, *command],
            capture_output=True,
            check=False,
            env={"LOGLEVEL": "DEBUG", **environment},
            text=True,
            timeout=programs.PATIENCE,
        )
    return programs.run(programs.TAP, *command, environment={"LOGLEVEL": "DEBUG"})


def bundle(authority: trustme.CA, folder: Path) -> str:
    path = folder / "ca.pem"
    authority.cert_pem.write_to_path(str(path))
    return str(path)


def test_an_authority_of_ones_own_is_trusted_if_it_is_named(
    authority: trustme.CA, tmp_path: Path
) -> None:
    with serving(authority) as (url, tokens):
        done = run(tmp_path, url, ca_bundle=bundle(authority, tmp_path))
    assert done.returncode == 0, done.stderr
    assert set(tokens) == {TOKEN}


@pytest.mark.parametrize(
    "environment",
    [
        {},
        {"CURL_CA_BUNDLE": ""},
        {"REQUESTS_CA_BUNDLE": ""},
        {"PYTHONHTTPSVERIFY": "0"},
    ],
    ids=lambda each: next(iter(each), "nothing"),
)
def test_an_authority_that_is_not_named_is_not_trusted(
    authority: trustme.CA, tmp_path: Path, environment: dict[str, str]
) -> None:
    with serving(authority) as (url, tokens):
        done = run(tmp_path, url, environment)
    assert done.returncode == 1
    assert "check avaamo_base_url, and ca_bundle for a private CA" in done.stderr
    assert "Traceback" not in done.stderr
    assert TOKEN not in done.stderr
    assert tokens == []


def test_an_answer_that_trickles_is_not_waited_for(
    authority: trustme.CA, tmp_path: Path
) -> None:
    ca = bundle(authority, tmp_path)
    with serving(authority, pace=0.4) as (url, tokens):
        done = run(tmp_path, url, ca_bundle=ca, request_timeout_seconds=0.5)
    assert done.returncode == 1
    assert "no whole answer within 0.5 s" in done.stderr
    assert set(tokens) == {TOKEN}


def test_another_authority_is_not_trusted(
    authority: trustme.CA, tmp_path: Path
) -> None:
    with serving(authority) as (url, tokens):
        done = run(tmp_path, url, ca_bundle=bundle(trustme.CA(), tmp_path))
    assert done.returncode == 1
    assert tokens == []


def test_a_certificate_of_another_host_is_not_trusted(
    authority: trustme.CA, tmp_path: Path
) -> None:
    with serving(authority) as (url, tokens):
        other = url.replace("localhost", "127.0.0.1")
        done = run(tmp_path, other, ca_bundle=bundle(authority, tmp_path))
    assert done.returncode == 1
    assert tokens == []


@pytest.mark.parametrize("content", [None, "", "no certificate"])
def test_a_bundle_that_holds_no_certificate_is_a_mistake(
    tmp_path: Path, content: str | None
) -> None:
    path = tmp_path / "ca.pem"
    if content is not None:
        path.write_text(content)
    done = run(tmp_path, "https://localhost:1", ca_bundle=str(path))
    assert done.returncode == 1
    assert "ca_bundle: can't be read as certificates in PEM" in done.stderr
    assert "Traceback" not in done.stderr
