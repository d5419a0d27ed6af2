"""Which bots of a Kore.ai account the settings ask for."""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence


@dataclass(frozen=True)
class Choice:
    """Which bots are read, as the setting says.

    Attributes:
        entries: Ids of bots, and patterns such as `*` or `support-*` of ids or names;
            after a `!`, what is not to be read.
    """

    entries: Sequence[str]

    @property
    def is_open(self) -> bool:
        """Whether the bots of the account have to be known."""
        return any(is_pattern(entry) for entry in self.entries)

    def of(self, names: Mapping[str, str]) -> list[str]:
        """The bots that are read of an account's, by their ids, each with its name."""
        wanted = [each for each in self.entries if not each.startswith("!")]
        unwanted = [each[1:] for each in self.entries if each.startswith("!")]
        listed = [
            each
            for each in wanted
            if not is_pattern(each)
            and not _matches(unwanted, each, names.get(each, ""))
        ]
        found = [
            bot
            for bot, name in names.items()
            if _matches(wanted, bot, name) and not _matches(unwanted, bot, name)
        ]
        return list(dict.fromkeys([*listed, *sorted(found)]))

    def without_a_match(self, names: Mapping[str, str]) -> list[str]:
        """The patterns that match none of an account's bots."""
        return [
            each
            for each in self.entries
            if is_pattern(each)
            and not any(
                _matches([each.removeprefix("!")], bot, name)
                for bot, name in names.items()
            )
        ]


def is_pattern(entry: str) -> bool:
    """Whether an entry is no bot's id, but tells which bots are read or are not."""
    return entry.startswith("!") or any(sign in entry for sign in "*?[")


def _matches(patterns: Iterable[str], bot: str, name: str) -> bool:
    return any(fnmatchcase(bot, each) or fnmatchcase(name, each) for each in patterns)
