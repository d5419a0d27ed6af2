"""Pictures of screens: SVG that needs nothing but a monospace font of the machine's."""

from __future__ import annotations

from io import StringIO
from typing import TYPE_CHECKING

from rich.console import Console

if TYPE_CHECKING:
    from rich.text import Text

COLUMNS = 80

FORMAT = """\
<svg viewBox="0 0 {width} {height}" xmlns="http://www.w3.org/2000/svg">
<style>
.{unique_id}-matrix {{
  font-family: ui-monospace, Menlo, Consolas, "DejaVu Sans Mono", monospace;
  font-size: {char_height}px;
  line-height: {line_height}px;
}}
.{unique_id}-title {{
  font-family: sans-serif;
  font-size: 18px;
  font-weight: bold;
}}
{styles}
</style>
<defs>
<clipPath id="{unique_id}-clip-terminal">
<rect x="0" y="0" width="{terminal_width}" height="{terminal_height}"/>
</clipPath>
{lines}
</defs>
{chrome}
<g transform="translate({terminal_x}, {terminal_y})" \
clip-path="url(#{unique_id}-clip-terminal)">
{backgrounds}
<g class="{unique_id}-matrix">
{matrix}
</g>
</g>
</svg>
"""
"""rich's own, but that it names a host to load a font from."""


def picture(name: str, text: Text) -> str:
    """A screen as an SVG, the same to the byte for the same text and styles.

    Args:
        name: The title above it, and what the ids within it begin with.
        text: The lines, none longer than `COLUMNS`.
    """
    console = Console(record=True, width=COLUMNS, file=StringIO())
    console.print(text, no_wrap=True, overflow="ignore")
    console.print()  # rich defines no clip path for the last line
    drawn = console.export_svg(title=name, code_format=FORMAT, unique_id=name)
    return "".join(f"{line.rstrip()}\n" for line in drawn.splitlines())
