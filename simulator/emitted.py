"""How a tap must write the values of the vendors."""

from __future__ import annotations

import re
from datetime import UTC, datetime


def instant(seconds: float) -> str:
    """Return epoch seconds as RFC 3339 in UTC, with milliseconds if there are any."""
    written = datetime.fromtimestamp(seconds, UTC).isoformat(timespec="milliseconds")
    return written.replace(".000", "").replace("+00:00", "Z")


def storable(text: str) -> str:
    """Return a text without the characters that no database takes."""
    return re.sub("[\0\ud800-\udfff]", "\ufffd", text)


def string(value: object) -> str | None:
    """Return a value as a string; None stays."""
    return None if value is None else str(value)
