"""What a person sees of the demo, 80 columns wide."""

from __future__ import annotations

import time
from collections import Counter
from contextlib import contextmanager
from datetime import datetime
from operator import itemgetter
from typing import TYPE_CHECKING

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from simulator.streams import LISTS, STREAMS

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import date
    from pathlib import Path

    from demo.truth import Record, Records, Snapshot

VENDORS = {"Avaamo": "avaamo_sessions", "Kore.ai": "kore_sessions"}
"""The table of each vendor's sessions."""

BAR = 24
EXAMPLES = 3

console = Console(width=80, highlight=False)


def introduce() -> None:
    """Say what is about to run."""
    console.rule("[bold]tap-botsessions: the demo", align="left")
    console.print(
        """
Chatbot sessions, messages and usage go from two vendors, Avaamo and Kore.ai,
into PostgreSQL. The vendors are simulated on this machine; all else is real:
HTTP, the database server, and two programs joined by a pipe, which run twice:

  [cyan]tap-botsessions --config … --state … | target-postgres --config …[/]
"""
    )


@contextmanager
def step(label: str) -> Iterator[None]:
    """Show that something is going on, and in the end how long it took."""
    begin = time.monotonic()
    with console.status(label):
        yield
    seconds = time.monotonic() - begin
    console.print(f"[green]✓[/] {label:<70}[dim]{seconds:6.1f} s")


def moment(instant: datetime) -> str:
    """An instant, for people."""
    return f"{instant:%a %-d %b %H:%M} UTC"


def show_tables(first: Snapshot, second: Snapshot) -> None:
    """Print the number of rows in each table, and how it came about."""
    table = grid("Rows in PostgreSQL")
    for heading in ("first sync", "second: added", "corrected", "in all"):
        table.add_column(heading, justify="right")
    for name, rows in second.items():
        before, after = len(first[name]), len(rows)
        corrected = len(corrections(first[name], rows))
        counts = (before, after - before, corrected, after)
        table.add_row(name, *(f"{count:,}" for count in counts))
    console.print("", table)


def grid(*headings: str) -> Table:
    """A table without lines."""
    return Table(*headings, box=None, padding=(0, 2, 0, 0), pad_edge=False)


def corrections(first: Records, second: Records) -> list[tuple[Record, Record]]:
    """The rows that are not as they were, each as it was and as it is, by their keys.

    A table's own order is that in which its rows came, and not the same in each run.
    """
    return [
        (first[key], row)
        for key, row in sorted(second.items(), key=itemgetter(0))
        if key in first and row != first[key]
    ]


def show_days(first: Snapshot, second: Snapshot) -> None:
    """Print a bar of sessions for each day and vendor."""
    before = {vendor: days(first, vendor) for vendor in VENDORS}
    after = {vendor: days(second, vendor) for vendor in VENDORS}
    scale = BAR / max(max(counts.values()) for counts in after.values())
    table = grid("Sessions a day", *VENDORS)
    for day in sorted(set().union(*after.values())):
        bars = (bar(before[name][day], after[name][day], scale) for name in VENDORS)
        table.add_row(f"{day:%a %e %b}", *bars)
    console.print("", table)
    console.print("[dim]in UTC: [blue]█[/] first sync, [yellow]▒[/] second sync")


def days(snapshot: Snapshot, vendor: str) -> Counter[date]:
    """Count a vendor's sessions by their day."""
    name = VENDORS[vendor]
    return Counter(moment_of(name, row).date() for row in snapshot[name].values())


def moment_of(table: str, row: Record) -> datetime:
    """When something happened that a row is of."""
    return datetime.fromisoformat(row[STREAMS[table].time])


def bar(before: int, after: int, scale: float) -> str:
    """Draw how many sessions there were before and after the second sync."""
    old = round(before * scale)
    new = round(after * scale) - old
    return f"[blue]{'█' * old}[/][yellow]{'▒' * new}[/] {after}"


def show_corrections(first: Snapshot, second: Snapshot, first_sync: datetime) -> None:
    """Print what the second sync put right that was before the first one's end."""
    usage, sessions = (
        corrections(first[name], second[name])
        for name in ("avaamo_usage", "kore_sessions")
    )
    late = late_rows(first, second, first_sync)
    console.print(
        f"""
What the second sync put right of the time before the first one's end:
  [bold]{late}[/] records were added that the vendors showed late, by minutes to hours
  [bold]{len(usage)}[/] rows of usage were corrected, of the day that was not over then
  [bold]{len(sessions)}[/] Kore.ai sessions were corrected that were open then, such as
"""
    )
    table = grid("  session_id", "status", "containment", "messages", "end_time")
    closed_first = sorted(
        sessions, key=lambda pair: pair[1]["session_status"] != "closed"
    )
    for old, new in closed_first[:EXAMPLES]:
        table.add_row(
            f"  {new['session_id'][:10]}…",
            change(old["session_status"], new["session_status"]),
            change(old["containment_type"], new["containment_type"]),
            change(old["no_of_messages_exchanged"], new["no_of_messages_exchanged"]),
            change(old["end_time"][11:16], new["end_time"][11:16]),
        )
    console.print(table)


def late_rows(first: Snapshot, second: Snapshot, first_sync: datetime) -> int:
    """Count the rows that the first sync would have had, had they been there."""
    return sum(
        moment_of(name, row) < first_sync
        for name in second.keys() & LISTS.keys()
        for key, row in second[name].items()
        if key not in first[name]
    )


def change(old: object, new: object) -> str:
    """What a value was and is, or only what it is if that is the same."""
    return f"{new}" if old == new else f"{old} → [bold]{new}[/]"


def judge(second: Snapshot, differences: Sequence[str], folder: Path) -> None:
    """Say whether the tables hold the truth, and where the state is."""
    console.print()
    if differences:
        console.print("[bold red]✗ The tables differ from the simulator's records:")
        for line in differences:
            console.print(f"  {line}", markup=False)
    else:
        total = sum(map(len, second.values()))
        console.print(
            f"[bold green]✓ The tables equal the simulator's records:[/] of {total:,} "
            f"rows none is\n  missing, doubled, invented or out of date."
        )
    console.print(
        f"\nThe state, from which a third sync would go on, is in "
        f"[cyan]{folder / 'state.json'}[/];\nthe configuration and the logs of both "
        f"programs are beside it."
    )


def fail(message: str) -> None:
    """Say what went wrong."""
    console.print(f"[bold red]✗[/] {escape(message)}", soft_wrap=True)


def stop() -> None:
    """Say that the demo was stopped."""
    console.print("Stopped. Nothing is left running.")
