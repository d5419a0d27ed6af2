"""What a catalog and a state hold and no run uses: most likely, it is misspelt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tap_botsessions.config.inputs import one_line
from tap_botsessions.config.schema_errors import did_you_mean
from tap_botsessions.engine.listing import listed

if TYPE_CHECKING:
    from collections.abc import Collection, Iterable, Iterator, Mapping


@dataclass(frozen=True)
class Partitions:
    """The bookmarks that a stream can have.

    Attributes:
        bot_key: The field by which a bookmark says whose it is.
        bots: The bots that are read.
        replication_key: What a bookmark is a value of; none if there are none.
    """

    bot_key: str
    bots: Collection[str]
    replication_key: str | None


def unused_in_catalog(
    entries: Iterable[Mapping[str, Any]],
    schemas: Mapping[str, Mapping[str, Any]],
    unconfigured: Collection[str],
) -> Iterator[str]:
    """Name what a catalog selects and does not exist.

    Args:
        entries: The catalog's entries; their form has been checked.
        schemas: The streams that there are, each with its JSON schema.
        unconfigured: The streams whose vendor is not configured.

    Yields:
        A line for each stream and each field.
    """
    for entry in entries:
        name = entry["tap_stream_id"]
        if name in schemas:
            yield from _unknown_fields(entry, schemas[name])
        elif name not in unconfigured:
            hint = did_you_mean(name, [*schemas, *unconfigured])
            yield one_line(
                f"catalog: there is no stream {name}, so nothing is read of it{hint}"
            )
        elif _is_selected(entry):
            yield f"catalog: {name} is not read, as its vendor is not configured"


def unused_in_state(
    state: Mapping[str, Any],
    streams: Mapping[str, Partitions],
    others: Collection[str],
) -> Iterator[str]:
    """Name the bookmarks that are not used.

    Args:
        state: The state; its form has been checked.
        streams: The streams that are read, and what bookmarks they can have.
        others: The streams that are not read in this run.

    Yields:
        A line for each stream and reason.
    """
    for name, found in state.get("bookmarks", {}).items():
        if name in streams:
            for line in _unused_bookmarks(found, streams[name]):
                yield one_line(f"state: {name}: {line}")
        elif name not in others:
            hint = did_you_mean(name, [*streams, *others])
            yield one_line(f"state: there is no stream {name}{hint}")


def _unused_bookmarks(found: Mapping[str, Any], known: Partitions) -> Iterator[str]:
    if found.get("replication_key_value") is not None:
        yield "its own bookmark is not used; each bot has one, in partitions"
    strangers, others = [], []
    for part in found.get("partitions", ()):
        bot = part["context"].get(known.bot_key)
        if len(part["context"]) != 1 or bot not in known.bots:
            strangers.append(str(bot or dict(part["context"])))
        elif part.get("replication_key") not in {None, known.replication_key}:
            others.append(bot)
    if strangers:
        yield (
            f"the bookmarks of {listed(strangers)} are kept and not used, as none of "
            f"these bots is in the settings"
        )
    if others:
        yield (
            f"the bookmarks of {listed(others)} are of something else than "
            f"{known.replication_key}; reading begins at start_date"
        )


def _is_selected(entry: Mapping[str, Any]) -> bool:
    return any(
        each["metadata"].get("selected") is True
        for each in entry.get("metadata", ())
        if not each["breadcrumb"]
    )


def _unknown_fields(
    entry: Mapping[str, Any], schema: Mapping[str, Any]
) -> Iterator[str]:
    """Name the fields in an entry's schema and metadata that a stream does not have."""
    breadcrumbs = [each["breadcrumb"] for each in entry.get("metadata", ())]
    columns = [
        ["properties", name] for name in entry.get("schema", {}).get("properties", {})
    ]
    lines = (
        _unknown_field(entry["tap_stream_id"], path[1::2], schema)
        for path in (*columns, *breadcrumbs)
        if set(path[::2]) == {"properties"}
    )
    yield from dict.fromkeys(filter(None, lines))


def _unknown_field(
    stream: str, path: Iterable[str], schema: Mapping[str, Any]
) -> str | None:
    """Say which field on a path there is not; none where the schema leaves it open."""
    seen: list[str] = []
    for name in path:
        known = schema.get("properties")
        if not known:
            return None
        seen.append(name)
        if name not in known:
            where = f"{stream} has no field {'.'.join(seen)}"
            return one_line(f"catalog: {where}{did_you_mean(name, known)}")
        schema = known[name]
    return None
