"""Two accounts that a vendor gives of the same, compared."""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

if TYPE_CHECKING:
    from tap_botsessions.engine.pages import Reading
    from tap_botsessions.engine.windows import Window

Found = Mapping[str, Sequence[Mapping[str, Any]]]
"""The records that were read of a bot, by stream, with the columns asked for."""


@dataclass(frozen=True)
class Difference:
    """Where two accounts differ.

    Attributes:
        of: What they are of, such as a session or a day.
        said: What one of them says.
        found: What the other one says.
        ids: The records that only one of them has, where that is known.
        known: Why they may differ so by definition; none if they must not.
    """

    of: str
    said: int
    found: int
    ids: Sequence[str] = ()
    known: str | None = None


@dataclass(frozen=True)
class Compared:
    """What came of a comparison for one bot.

    Attributes:
        number: How many sessions, days or records were compared.
        differences: Where they differ.
        until: Up to when, where that is part of what is said.
    """

    number: int
    differences: Sequence[Difference] = field(default_factory=list)
    until: str | None = None


class Comparison(ABC):
    """Two accounts of the same.

    Attributes:
        name: What is compared with what.
        reads: The columns that are needed of each stream that is read for it.
    """

    name: ClassVar[str]
    reads: ClassVar[Mapping[str, Sequence[str]]]

    def window(self, window: Window) -> Window:
        """The part of a window that can be compared: all of it, or its whole days."""
        return window

    def ask(self, bot: str, window: Window, found: Found) -> Reading | None:
        """Ask the vendor for the other account, where no stream has it.

        Args:
            bot: The bot.
            window: What was read.
            found: Its records.
        """
        del bot, window, found
        return None

    @abstractmethod
    def compare(
        self, window: Window, found: Found, told: Sequence[Mapping[str, Any]]
    ) -> Compared:
        """Compare what was found with what the vendor told.

        Args:
            window: What was read.
            found: The records of a bot.
            told: Those of the answer to `ask`.
        """


def counted(
    said: Mapping[str, int],
    found: Mapping[str, int],
    noun: str,
    known: str | None = None,
) -> Iterator[Difference]:
    """Where two counts differ, each by a name; what one of them lacks is none."""
    for name in sorted(said.keys() | found.keys()):
        one, other = said.get(name, 0), found.get(name, 0)
        if one != other:
            yield Difference(f"{noun} {name}", one, other, known=known)
