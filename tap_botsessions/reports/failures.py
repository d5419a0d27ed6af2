"""What is incomplete at the end of a run."""

from __future__ import annotations

from collections import Counter
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_botsessions.engine.errors import Failure
    from tap_botsessions.engine.stream import VendorStream


def summarize(
    failures: Sequence[Failure], streams: Iterable[VendorStream]
) -> Iterator[str]:
    """Say what is incomplete: a line a bot, or one for a vendor if all fail alike.

    Args:
        failures: The bots that failed.
        streams: The streams that were read.
    """
    bots = Counter(stream.vendor for stream in streams for _ in stream.bots)
    errors = Counter((failure.vendor, str(failure.error)) for failure in failures)
    for failure in failures:
        vendor, error = failure.vendor, str(failure.error)
        if 1 < bots[vendor] == errors[vendor, error]:
            yield f"{vendor}, all of it: {error}"
            errors[vendor, error] = 0
        elif errors[vendor, error]:
            yield f"{failure.label}: {error}"
