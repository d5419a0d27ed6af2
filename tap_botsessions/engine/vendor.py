"""A vendor: its settings, its account and its streams."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from tap_botsessions.engine.comparison import Comparison
from tap_botsessions.engine.options import Config, Options
from tap_botsessions.engine.stream import VendorStream

Streams = Callable[[Options], Sequence[VendorStream]]
Comparisons = Callable[[Mapping[str, VendorStream]], Iterable[Comparison]]


@dataclass(frozen=True)
class Vendor:
    """All that the rest of the tap has to know of a vendor.

    Attributes:
        name: The vendor's name, for people.
        prefix: What its settings begin with, before an underscore.
        settings: The JSON schema of each of its settings, by name.
        needs: What has to be given at the least, in words.
        named_by: The settings that show that the vendor is meant, its secrets aside.
        urls: The settings that hold a URL.
        headers: The settings that are sent in an HTTP header as they are.
        never_blank: The settings in which a blank text is a mistake.
        is_configured: Whether its credentials are given.
        problems: Says what is missing, a line each; the settings may be of any form.
        unused: Says which of the settings have no effect, a line each.
        secrets: The secrets in the settings.
        streams: Makes its streams.
        comparisons: What it says twice, by the streams' names.
    """

    name: str
    prefix: str
    settings: Mapping[str, Mapping[str, Any]]
    needs: str
    named_by: Sequence[str]
    urls: Sequence[str]
    headers: Sequence[str]
    never_blank: Sequence[str]
    is_configured: Callable[[Config], bool]
    problems: Callable[[Config], Iterator[str]]
    unused: Callable[[Config], Iterator[str]]
    secrets: Callable[[Config], Iterable[str]]
    streams: Streams
    comparisons: Comparisons
