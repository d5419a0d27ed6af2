"""The file that a state comes from, into which another run may write meanwhile."""

from __future__ import annotations

import os
import stat
from contextlib import suppress
from pathlib import Path
from typing import IO, TYPE_CHECKING

import msgspec

if TYPE_CHECKING:
    from collections.abc import Callable


class StateFile:
    """A file with a state.

    Attributes:
        name: Its name.
        text: What it held when the run began.
    """

    def __init__(self, file: IO[str]) -> None:
        """Read it.

        Args:
            file: The file, which may be a pipe.

        Raises:
            ValueError: It is no text.
        """
        self.name = file.name
        self.text = file.read()
        self._is_kept = _is_kept(file)

    def warning(self, has_written: Callable[[object], bool]) -> str | None:
        """What to say if another run has written it since.

        Args:
            has_written: Whether this run has written a state; the file may be where a
                target of this run puts it.
        """
        now = self._text_now()
        if now is None or now == self.text:
            return None
        newest = _newest(now)
        if newest is None or newest == _newest(self.text) or has_written(newest):
            return None
        return (
            f"the state in {self.name} has changed since this run began, which was not "
            f"its doing: another run seems to work with the same state. Nothing is "
            f"lost, but both have read the same records, and the next run begins where "
            f"the one that ends last has stopped; have them run one after another"
        )

    def _text_now(self) -> str | None:
        if not self._is_kept:
            return None
        try:
            return Path(self.name).read_text(encoding="utf-8")
        except (OSError, ValueError):  # it was removed, or is being written
            return None


def _is_kept(file: IO[str]) -> bool:
    """Whether what was read can be read again, as it can't from a pipe."""
    with suppress(OSError):
        return stat.S_ISREG(os.fstat(file.fileno()).st_mode) and file.name != "<stdin>"
    return False


def _newest(text: str) -> object:
    """The state in a file, the last one of a file with one in each line, if any."""
    for each in (text, *reversed(text.splitlines())):
        with suppress(ValueError, RecursionError):
            return msgspec.json.decode(each)
    return None
