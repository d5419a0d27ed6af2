"""The parts of documents and definitions that say what the code says.

`python -m tests.docs` writes them anew; a test holds them against the code.
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from pathlib import Path
from textwrap import fill, indent
from typing import TYPE_CHECKING, Any

from simulator.streams import DAILY, STREAMS, WHOLE
from tap_botsessions.config.settings import SCHEMA
from tap_botsessions.engine.personal import KEYWORD
from tap_botsessions.tap import TapBotsessions
from tests import definitions
from tests.definitions import types_of
from tests.schemas import columns, form_of

if TYPE_CHECKING:
    from singer_sdk import Stream

Write = Callable[[str], str]
ROOT = Path(__file__).parents[1]


def settings_table() -> str:
    """The settings as a Markdown table."""
    rows = [
        f"| `{name}` | {kind_of(setting)} | {default_of(name, setting)} | "
        f"{setting['description']}{example_of(setting)} |"
        for name, setting in SCHEMA["properties"].items()
    ]
    header = ["| setting | type | default | meaning |", "|---|---|---|---|"]
    return "\n".join([*header, *rows])


def kind_of(setting: dict[str, Any]) -> str:
    """The type of a setting in words, with its bounds."""
    [kind] = types_of(setting)
    if "enum" in setting:
        return ", ".join(f"`{value}`" for value in setting["enum"] if value)
    words = {"date-time": "date-time"}.get(setting.get("format", ""), kind)
    items = setting.get("items", {})
    if names := items.get("enum") or items.get("properties"):
        listed = ", ".join(f"`{each}`" for each in names)
        words += f" of {listed}" if "enum" in items else f" of objects with {listed}"
    low = setting.get("minimum", setting.get("exclusiveMinimum"))
    high = setting.get("maximum")
    if low is not None and high is not None:
        words += f", {'> ' if 'exclusiveMinimum' in setting else ''}{low} to {high}"
    elif low is not None:
        words += f", at least {low}"
    return f"{words}, secret" if setting.get("secret") else words


def example_of(setting: dict[str, Any]) -> str:
    """The examples of a setting, if it has any."""
    examples = " or ".join(
        f"`{json.dumps(each)}`" for each in setting.get("examples", ())
    )
    return f" For example {examples}." if examples else ""


def default_of(name: str, setting: dict[str, Any]) -> str:
    """The default of a setting, or whether it must be given."""
    if "default" in setting:
        return f"`{setting['default']}`"
    return "required" if name in SCHEMA["required"] else ""


METHODS = {"avaamo": "GET", "kore": "POST"}
"""How a list is asked for, by its vendor."""


def streams_table() -> str:
    """The streams as a Markdown table."""
    rows = []
    for stream in STREAMS.values():
        noun = stream.bot_key.removesuffix("_id")
        path = stream.path.replace("{bot}", f"{{{noun}}}")
        method = "GET" if stream.name in WHOLE else METHODS[stream.vendor]
        request = f"{method} {path}"
        cells = (
            f"`{stream.name}`",
            f"`{request}`{', a day each' if stream.name in DAILY else ''}",
            stream.about + ("" if stream.is_selected else "; not read by default"),
            ", ".join(f"`{key}`" for key in stream.key),
            f"`{stream.replication_key}`" if stream.replication_key else "none",
        )
        rows.append(f"| {' | '.join(cells)} |")
    header = [
        "| stream | request | a row is | key | replication key |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*header, *rows])


def personal_table() -> str:
    """The personal columns, and what becomes of them."""
    rows = []
    for stream in TapBotsessions(validate_config=False).streams.values():
        for name, field in stream.schema["properties"].items():
            if kind := field.get(KEYWORD):
                hashed = "dropped, or kept" if kind == "text" else "hashed"
                dropped = "dropped" if "null" in field["type"] else "hashed"
                cells = (f"`{stream.name}`", f"`{name}`", kind, hashed, dropped)
                rows.append(f"| {' | '.join(cells)} |")
    header = [
        "| stream | column | what it is | `hash` | `drop` |",
        "|---|---|---|---|---|",
    ]
    return "\n".join([*header, *rows])


def streams_reference(_: str) -> str:
    """docs/streams.md: every column of every stream, as its schema has it."""
    streams = TapBotsessions(validate_config=False).streams.values()
    intro = (
        "# Streams\n\nMade from the schemas in `tap_botsessions/schemas/`. A column "
        "without *null* is never null. What is personal can be hashed or dropped by "
        "`personal_data`.\n\nAll times are in UTC and end in `Z`; `timetoken` is "
        "Avaamo's `created_at` in UNIX epoch seconds, `created_at` the same instant as "
        "a date-time. Kore.ai's names are in snake_case, so `sessionId` is "
        "`session_id`. NUL characters and lone surrogates, which databases refuse, "
        "become U+FFFD.\n"
    )
    return "\n".join([intro, *map(stream_reference, streams)])


def stream_reference(stream: Stream) -> str:
    """The part on one stream."""
    keys = ", ".join(f"`{key}`" for key in stream.primary_keys)
    facts = f"Key: {keys}."
    if stream.replication_key:
        facts += f" Replication key: `{stream.replication_key}`."
    if not stream.selected_by_default:
        facts += " Not selected by default."
    if stream.name in STREAMS:
        facts += f"\n\nWhat may change later: {STREAMS[stream.name].changes}"
    rows = [
        f"| `{name}` | {column_type(column)} | {column['description']} | "
        f"{column.get(KEYWORD, '')} |"
        for name, column in stream.schema["properties"].items()
    ]
    header = ["| column | type | meaning | personal |", "|---|---|---|---|"]
    lines = [f"## {stream.name}", "", facts, "", *header, *rows, ""]
    return "\n".join(lines)


def column_type(column: dict[str, Any]) -> str:
    """The types of a column, a string's format in its place."""
    types = [
        column.get("format", kind) if kind == "string" else kind
        for kind in column["type"]
    ]
    return " or ".join(f"*{kind}*" if kind == "null" else kind for kind in types)


def loaded_rows() -> str:
    """The first part of the audit trail's query: when each row that is loaded was."""
    lines: list[str] = []
    for stream in sorted(STREAMS.values(), key=lambda each: not each.is_selected):
        if stream.replication_key is None:
            continue  # it is read as a whole, not in windows
        values = f"'{stream.name}'", stream.bot_key, stream.time
        names = ("", "", "") if lines else (" AS stream", " AS bot", " AS at")
        named = ", ".join(map("".join, zip(values, names, strict=True)))
        union = "UNION ALL " if lines else ""
        comment = "" if stream.is_selected else "-- "
        words = [f"{comment}{union}SELECT", named, "FROM", stream.name]
        lines.append(" ".join(words))
    first = next(place for place, line in enumerate(lines) if line.startswith("--"))
    lines.insert(first, "-- of these, those that are read:")
    return indent("\n".join(lines), "  ")


DUCKDB_TYPES = {
    "string": "VARCHAR",
    "date-time": "TIMESTAMPTZ",
    "date": "DATE",
    "integer": "BIGINT",
    "number": "DOUBLE",
    "boolean": "BOOLEAN",
    "strings": "VARCHAR[]",
    "json": "JSON",
}
"""The type of a column in DuckDB by its form."""

DUCKDB_HEAD = """\
-- Tables in DuckDB out of the files of target-jsonl: one row for each key, the last one
-- that was written. Leave out the streams of a vendor that is not read.
--
-- The columns are declared, since read_json would guess types from the data: ids that
-- look like UUIDs would become some, and the fields of nested objects would be merged.
"""

DUCKDB_TABLE = """
CREATE OR REPLACE TABLE {name} AS
SELECT * EXCLUDE (filename, line)
FROM (
  SELECT *, row_number() OVER () AS line
  FROM read_json(
    'loaded/{name}-*.jsonl',
    filename = true,
    columns = {{
{columns}
    }}
  )
)
QUALIFY 1 = row_number() OVER (
  PARTITION BY {key} ORDER BY filename DESC, line DESC
);
"""


def duckdb(_: str) -> str:
    """examples/duckdb.sql: a table for each stream that is read by default."""
    return DUCKDB_HEAD + duckdb_tables(is_selected=True)


def duckdb_optional(_: str) -> str:
    """examples/duckdb-optional.sql: a table for each of the others."""
    return DUCKDB_OPTIONAL_HEAD + duckdb_tables(is_selected=False)


def duckdb_tables(*, is_selected: bool) -> str:
    """The tables of some streams."""
    return "".join(
        DUCKDB_TABLE.format(
            name=stream.name,
            columns=duckdb_columns(stream.name),
            key=", ".join(stream.key),
        )
        for stream in STREAMS.values()
        if stream.is_selected == is_selected
    )


DUCKDB_OPTIONAL_HEAD = """\
-- As duckdb.sql, for the streams that are read only if a catalog selects them: leave
-- out those that are not.
"""


def duckdb_columns(stream: str) -> str:
    """The columns of a table in DuckDB, as many in a line as it holds."""
    # A column and its type are kept in one line.
    text = ", ".join(
        f"{name}:\0'{DUCKDB_TYPES[form_of(column)]}'"
        for name, column in columns(stream).items()
    )
    lines = fill(
        text,
        width=88,
        initial_indent=6 * " ",
        subsequent_indent=6 * " ",
        break_on_hyphens=False,
        break_long_words=False,
    )
    return lines.replace("\0", " ")


def screen(name: str) -> str:
    """A screen that `python -m tests.screens` has made."""
    return f"```text\n{(ROOT / 'docs' / f'{name}.txt').read_text()}```"


def rewritten(text: str, name: str, content: str, comment: str) -> str:
    """A text with the part between two comments replaced."""
    begin, end = (comment.format(f"{name}: {place}") for place in ("begin", "end"))
    return between(text, begin, end, content)


def between(text: str, begin: str, end: str, content: str) -> str:
    """A text with the lines between two others replaced."""
    pattern = re.compile(rf"({re.escape(begin)}\n).*?([ ]*{re.escape(end)})", re.DOTALL)
    found, count = pattern.subn(lambda match: f"{match[1]}{content}\n{match[2]}", text)
    if count != 1:
        msg = f"there must be one part from {begin} to {end}"
        raise ValueError(msg)
    return found


def readme(text: str) -> str:
    """README.md as it must be."""
    return rewritten(text, "streams", streams_table(), "<!-- {} -->")


def settings(text: str) -> str:
    """docs/settings.md as it must be."""
    text = rewritten(text, "settings", settings_table(), "<!-- {} -->")
    return rewritten(text, "personal", personal_table(), "<!-- {} -->")


def running(text: str) -> str:
    """docs/running.md as it must be."""
    for name in ("check", "plan", "progress"):
        text = rewritten(text, name, screen(name), "<!-- {} -->")
    return text


def pipelines(text: str) -> str:
    """docs/pipelines.md as it must be."""
    plugin = f"```yaml\n{definitions.in_short()}\n```"
    return rewritten(text, "plugin", plugin, "<!-- {} -->")


def warehouse(text: str) -> str:
    """docs/warehouse.md as it must be."""
    return between(text, "WITH loaded AS (", "), windows AS (", loaded_rows())


def meltano(text: str) -> str:
    """meltano.yml as it must be."""
    # Meltano selects all that there is, so what is not for all has to be named.
    listed = definitions.dump([definitions.plugin(pip_url="-e .")])
    return rewritten(text, "definition", indent(listed, "  "), "# {}")


def hub(text: str) -> str:
    """meltano-hub.yml as it must be: in the Hub's order, that of the alphabet."""
    definition = definitions.dump(definitions.hub(), sort_keys=True)
    return rewritten(text, "definition", definition, "# {}")


WRITERS: dict[str, Write] = {
    "README.md": readme,
    "meltano.yml": meltano,
    "meltano-hub.yml": hub,
    "docs/pipelines.md": pipelines,
    "docs/running.md": running,
    "docs/settings.md": settings,
    "docs/streams.md": streams_reference,
    "docs/warehouse.md": warehouse,
    "examples/duckdb.sql": duckdb,
    "examples/duckdb-optional.sql": duckdb_optional,
}


if __name__ == "__main__":
    for file, write in WRITERS.items():
        path = ROOT / file
        path.write_text(write(path.read_text()))
