"""What must never be shown, taken out of texts in whatever way it is written."""

from __future__ import annotations

import base64
import html
import json
import logging
import os
import re
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import unquote

from typing_extensions import override

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping

MASKED = "[secret]"

_SHORT = 4
"""A secret of fewer characters is one only where no letter or digit is beside it."""


class Mask:
    """Takes secrets out of texts: those of the settings and of the proxies.

    Each is found as it is, percent-encoded, escaped as in JSON or HTML, or in base64,
    whatever the case of its letters; and so is every JSON Web Token.
    """

    def __init__(
        self, secrets: Iterable[str] = (), environ: Mapping[str, str] = os.environ
    ) -> None:
        """Learn what to take out.

        Args:
            secrets: The secrets of the settings.
            environ: The environment, which may name proxies with a user and a password.
        """
        users, passwords = _proxy_credentials(environ)
        hidden = {*secrets, *passwords} - {""}
        # The longest first: a shorter one may be a part of it.
        longest_first = sorted(hidden, key=len, reverse=True)
        patterns = [
            *(
                _word(each) if len(each) < _SHORT else _any(each)
                for each in longest_first
            ),
            *(_word(each) for each in users - {""}),
            # A JSON Web Token, or a piece of one: what `{"` is in base64, and on.
            r"(?<![A-Za-z])(?-i:eyJ[\w-]+(?:\.[\w-]+)*)",
        ]
        self._pattern = re.compile("|".join(patterns), re.IGNORECASE)

    def __call__(self, text: str) -> str:
        """The text without them."""
        return self._pattern.sub(MASKED, text)


class MaskedLog(logging.Filter):
    """Masks all that a handler of the log is given, tracebacks included."""

    def __init__(self, mask: Mask) -> None:
        """Mask by a mask."""
        super().__init__()
        self._mask = mask

    @override
    def filter(self, record: logging.LogRecord) -> bool:
        with suppress(
            TypeError, ValueError
        ):  # its arguments don't fit: not ours to say
            message = record.getMessage()
            masked = self._mask(message)
            if masked != message:
                record.msg, record.args = masked, ()
        if record.exc_info:
            trace = logging.Formatter().formatException(record.exc_info)
            hidden = self._mask(trace)
            if hidden != trace:  # a formatter would write it anew from the exception
                record.exc_info, record.exc_text = None, hidden
        return True


def mask_log(secrets: Iterable[str]) -> None:
    """Have the log of this process show no secret."""
    masked = MaskedLog(Mask(secrets))
    for handler in logging.getLogger().handlers:
        handler.addFilter(masked)


def _proxy_credentials(environ: Mapping[str, str]) -> tuple[set[str], set[str]]:
    """The users and the passwords of proxies, with the parts that errors may quote.

    A character that would have to be percent-encoded, such as a slash, ends what is
    taken for the host, so that an error names a part of the password as its port.
    """
    users: set[str] = set()
    passwords: set[str] = set()
    for name, url in environ.items():
        credentials, has_some, _ = url.rpartition("@")
        if name.lower().endswith("_proxy") and has_some:
            _, _, credentials = credentials.rpartition("://")
            user, _, password = credentials.partition(":")
            users |= {user, unquote(user)}
            passwords |= {password, unquote(password)}
            passwords |= {*re.split(r"[/?#:@\\]", password)}
            passwords.add(base64.b64encode(_bytes(unquote(credentials))).decode())
    return users, passwords


def _any(secret: str) -> str:
    """What finds a secret wherever it is."""
    return "|".join([_written(secret), *map(re.escape, _in_base64(secret))])


def _word(secret: str) -> str:
    """What finds a secret that may be a part of an ordinary word, but not there."""
    return rf"(?<!\w){_written(secret)}(?!\w)"


def _written(secret: str) -> str:
    return "".join(map(_character, secret))


def _character(character: str) -> str:
    """What finds a character, plain or encoded, even twice over."""
    escaped = json.dumps(character)[1:-1]
    if len(escaped) < len(r"\u0000"):
        escaped = rf"\u{ord(character):04x}"
    ways = {
        rf"\\*{re.escape(character)}",
        "".join(f"%(?:25)*{byte:02x}" for byte in _bytes(character)),
        escaped.replace("\\", r"\\+"),
    }
    # Two ways to find the same would double the time with each character of a text
    # that has but the beginning of a secret.
    if (entity := html.escape(character)) != character:
        ways.add(re.escape(entity))
    if character == " ":
        ways.add(r"\+")
    return f"(?:{'|'.join(sorted(ways))})"


def _in_base64(secret: str) -> Iterator[str]:
    """A secret within something else in base64: the part that the rest can't change."""
    for before, start in enumerate((0, 2, 3)):
        data = bytes(before) + _bytes(secret)
        end = len(data) * 8 // 6
        for encode in (base64.b64encode, base64.urlsafe_b64encode):
            yield encode(data).decode()[start:end]


def _bytes(text: str) -> bytes:
    return text.encode(errors="surrogatepass")  # the environment may hold any bytes
