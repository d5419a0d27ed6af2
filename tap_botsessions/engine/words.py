"""What may be shown of the words of others: of a vendor, or of a library."""

from __future__ import annotations

import logging
import re
from http import HTTPStatus
from typing import TYPE_CHECKING

from tap_botsessions.engine.masking import Mask

if TYPE_CHECKING:
    from collections.abc import Iterable

logger = logging.getLogger("tap-botsessions")

_REFUSALS = frozenset({401, 403, 404, 412, 422, 429})
"""Statuses with which a vendor says what is wrong with a request."""


class Words:
    """Quotes others, without secrets, addresses, and all that is long or unreadable."""

    def __init__(self, secrets: Iterable[str], phrases: Iterable[str]) -> None:
        """Prepare to quote.

        Args:
            secrets: Those of the settings.
            phrases: What a vendor is known to say.
        """
        self._mask = Mask(secrets)
        self._known = {*map(_plain, phrases)} | _HTTP_PHRASES

    def quoted(self, said: object, status: int) -> str:
        """A vendor's words on an error, in brackets, or nothing.

        Words that nobody knows may be those of a user. They are shown where a request
        is refused, as they say why, and otherwise in the log at DEBUG alone.

        Args:
            said: The words, if they are a string.
            status: The status of the answer.
        """
        if not isinstance(said, str):
            return ""
        shown = f' ("{self.redacted(said)}")'
        if status in _REFUSALS or _plain(said) in self._known:
            return shown
        logger.debug("an answer of %d that is not expected says%s", status, shown)
        return ""

    def redacted(self, text: str) -> str:
        """A text that may be shown, in a line of 200 characters at the most."""
        text = self._mask(text)
        text = re.sub(r"\S+@\S+", "[address]", text)
        text = re.sub(r"[\w./+=-]{24,}", "[...]", text)
        return " ".join(re.sub(r"[^\x20-\x7e]", " ", text).split())[:200]


def _plain(words: str) -> str:
    """Words without what does not distinguish them: case, white space, full stops."""
    return " ".join(words.split()).rstrip(".").casefold()


_HTTP_PHRASES = {_plain(status.phrase) for status in HTTPStatus}
