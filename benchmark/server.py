"""A server that is never the bottleneck: Avaamo's messages.json, Kore.ai's getMessages.

The base URL's path says what it serves, in numbers: how many messages each agent has,
milliseconds until an answer, requests in any minute, with 0 for no limit, and
characters of each message's text, with 0 for texts as the simulator has them.

GET /requests returns how many requests were answered by status, and forgets them.
"""

from __future__ import annotations

import asyncio
import json
import re
import sys
import time
from collections import Counter
from datetime import datetime
from functools import cache, partial
from typing import Any, cast
from urllib.parse import parse_qs, urlsplit

from typing_extensions import override

from benchmark.entries import entry, kore_entry, long_entry
from benchmark.pages import END, START, Listing
from simulator.exchange import Call, RefusalError
from simulator.limits import Limits

answered: Counter[int] = Counter()

_LENGTH = re.compile(rb"content-length: *(\d+)", re.IGNORECASE)


class Connection(asyncio.Protocol):
    """A client's connection, kept alive."""

    def __init__(self) -> None:
        """Begin with nothing received."""
        self._received = b""

    @override
    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast("asyncio.Transport", transport)

    @override
    def data_received(self, data: bytes) -> None:
        self._received += data
        while b"\r\n\r\n" in self._received:
            request, _, rest = self._received.partition(b"\r\n\r\n")
            length = _LENGTH.search(request)
            size = int(length[1]) if length else 0
            if len(rest) < size:
                return
            content, self._received = rest[:size], rest[size:]
            target = request.split(b" ", 2)[1].decode()
            if target == "/requests":
                self._send(200, json.dumps(answered).encode())
                answered.clear()
            else:
                self._answer(target, content)

    def _answer(self, target: str, content: bytes) -> None:
        url = urlsplit(target)
        _, messages, latency, limit, text, _ = url.path.split("/", 5)
        status, body = 200, b""
        try:
            _limits(int(limit) or None).admit(_CALL)
        except RefusalError as refusal:
            status, body = refusal.reply.status, refusal.reply.encoded()
        else:
            body = (
                _kore_page(int(messages), json.loads(content))
                if content
                else _page(int(messages), int(text), url.query)
            )
        answered[status] += 1
        if int(latency):
            loop = asyncio.get_running_loop()
            loop.call_later(int(latency) / 1000, self._send, status, body)
        else:
            self._send(status, body)

    def _send(self, status: int, body: bytes) -> None:
        head = (
            f"HTTP/1.1 {status} -\r\nContent-Type: application/json; charset=utf-8\r\n"
            f"Content-Length: {len(body)}\r\n\r\n"
        )
        self._transport.write(head.encode() + body)


_CALL = Call(
    vendor="avaamo",
    endpoint="messages",
    bot=None,
    method="GET",
    params={},
    headers={},
    content=b"",
    at=time.monotonic(),
)


@cache
def _limits(per_minute: int | None) -> Limits:
    return Limits(avaamo_per_minute=per_minute)


def _page(messages: int, text: int, query: str) -> bytes:
    params = {name: values[0] for name, values in parse_qs(query).items()}
    start = float(params.get("from_timetoken", START.timestamp()))
    end = float(params.get("to_timetoken", END.timestamp()))
    form = partial(long_entry, text) if text else entry
    return Listing.between(messages, start, end).page(int(params["page"]), form)


def _kore_page(messages: int, asked: dict[str, Any]) -> bytes:
    start, end = (
        datetime.fromisoformat(asked[name]).timestamp() if name in asked else default
        for name, default in (
            ("dateFrom", START.timestamp()),
            ("dateTo", END.timestamp()),
        )
    )
    listing = Listing.between(messages, start, end)
    return listing.skipped(asked["skip"], asked["limit"], kore_entry)


async def serve() -> None:
    """Serve on a free port, which is printed, until this process is ended."""
    server = await asyncio.get_running_loop().create_server(Connection, "127.0.0.1", 0)
    host, port = server.sockets[0].getsockname()
    sys.stdout.write(f"http://{host}:{port}\n")
    sys.stdout.flush()
    await server.serve_forever()


if __name__ == "__main__":
    asyncio.run(serve())
