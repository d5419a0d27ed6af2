"""What `--check` and `--plan` print: a table for people, or JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Protocol

import click
import msgspec
from rich.console import Console

if TYPE_CHECKING:
    from rich.console import RenderableType


class Report(Protocol):
    """Something to print."""

    def data(self) -> dict[str, Any]:
        """All of it, for machines."""

    def lines(self) -> RenderableType:
        """All of it, for people."""


def show(report: Report, form: str | None) -> None:
    """Print a report on standard output.

    Args:
        report: The report.
        form: `json`; anything else is for people.
    """
    if form == "json":
        written = msgspec.json.format(msgspec.json.encode(report.data()), indent=2)
        click.echo(written)
    else:
        Console(highlight=False, soft_wrap=False).print(report.lines())
