"""Resolves all pins anew, or those of the files that are named."""

from __future__ import annotations

import sys
from pathlib import Path

from tests.pins import SOURCES, renew

if __name__ == "__main__":
    for pins in (
        map(Path.absolute, map(Path, sys.argv[1:])) if sys.argv[1:] else SOURCES
    ):
        renew(pins)
