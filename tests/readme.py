"""What the documents tell to write and to run, for the tests that do it."""

from __future__ import annotations

import re

from tests.docs import ROOT


def blocks(section: str, language: str) -> list[str]:
    """The blocks of code of one language in a section, as they stand there.

    Raises:
        ValueError: There is no such section.
    """
    pages = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
    text = "\n## \n".join(page.read_text() for page in pages)
    found = re.search(
        rf"^## {section}\n(.*?)(?=^## |\Z)", text, re.MULTILINE | re.DOTALL
    )
    if found is None:
        msg = f"there is no section named {section}"
        raise ValueError(msg)
    return re.findall(
        rf"^```{language}\n(.*?)^```$", found[1], re.MULTILINE | re.DOTALL
    )
