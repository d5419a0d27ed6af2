"""What is incomplete at the end of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

from tap_botsessions.engine.errors import UnavailableError
from tap_botsessions.engine.listing import listed

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_botsessions.engine.errors import BotError, Failure
    from tap_botsessions.engine.stream import VendorStream


def summarize(
    failures: Sequence[Failure], streams: Iterable[VendorStream]
) -> Iterator[str]:
    """Say what is incomplete: a line for each reason, with the bots that it holds for.

    Args:
        failures: The bots that failed.
        streams: The streams that were asked for.
    """
    bots = Counter(stream.vendor for stream in streams for _ in stream.bots)
    alike = defaultdict(list)
    for failure in failures:
        alike[failure.vendor, failure.error.cause].append(failure)
    for (vendor, _), those in alike.items():
        labels = [failure.label for failure in those]
        error = longest(failure.error for failure in those)
        if 1 < bots[vendor] == len(labels):
            yield f"{vendor}, all of it: {error}"
            continue
        yield f"{listed(labels, separator='; ')}: {error}"


def longest(errors: Iterable[BotError]) -> BotError:
    """The error, of those of one cause, with the longest wait that is asked for."""
    return max(
        errors,
        key=lambda error: error.wait if isinstance(error, UnavailableError) else 0.0,
    )
