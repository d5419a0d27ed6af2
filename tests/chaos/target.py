"""A strict reader of Singer messages that keeps what a state vouches for."""

from __future__ import annotations

import gzip
import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any
from urllib.parse import urlparse

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

Record = tuple[str, dict[str, Any]]
"""A stream and a record of it."""


class MessageError(Exception):
    """A line is no message that a target takes."""


@dataclass
class Commit:
    """Records that are kept at once, and the state that came after them."""

    records: list[Record]
    state: dict[str, Any]


@dataclass
class Read:
    """What a target read of one run.

    Attributes:
        commits: What it keeps.
        tail: The records after the last state.
        others: The lines that are no records.
        is_torn: Whether the output ends within a line.
    """

    commits: list[Commit] = field(default_factory=list)
    tail: list[Record] = field(default_factory=list)
    others: list[bytes] = field(default_factory=list)
    is_torn: bool = False

    @property
    def records(self) -> list[Record]:
        """All records, as they came."""
        kept = [record for commit in self.commits for record in commit.records]
        return kept + self.tail


def read(output: bytes) -> Read:
    """Read the output of a tap; what is left of a line that was cut is not taken.

    Raises:
        MessageError: A line is no message, or comes where it may not.
    """
    *lines, rest = output.split(b"\n")
    found = Read(is_torn=bool(rest))
    keys: dict[str, list[str]] = {}
    for line in lines:
        message = _message(line)
        if message["type"] in {"RECORD", "BATCH"}:
            found.tail += _records(message, keys)
        else:
            found.others.append(line)
        if message["type"] == "SCHEMA":
            keys[message["stream"]] = message["key_properties"]
        elif message["type"] == "STATE":
            found.commits.append(Commit(found.tail, message["value"]))
            found.tail = []
    return found


def _message(line: bytes) -> dict[str, Any]:
    try:
        message = json.loads(line)
    except ValueError as error:
        raise MessageError(f"no JSON: {line[:80]!r}") from error
    if message.get("type") not in {"RECORD", "BATCH", "SCHEMA", "STATE"}:
        raise MessageError(f"no message: {line[:80]!r}")
    return dict(message)


def _records(message: Mapping[str, Any], keys: Mapping[str, list[str]]) -> list[Record]:
    stream = message["stream"]
    if stream not in keys:
        raise MessageError(f"a record of {stream} before its schema")
    is_batch = message["type"] == "BATCH"
    records = list(_batched(message)) if is_batch else [message["record"]]
    for record in records:
        if any(record.get(name) is None for name in keys[stream]):
            raise MessageError(f"a record of {stream} without its key")
    return [(stream, record) for record in records]


def _batched(message: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """The records in the files that a BATCH message names."""
    for url in message["manifest"]:
        with gzip.open(urlparse(url).path) as lines:
            for line in lines:
                yield json.loads(line)
