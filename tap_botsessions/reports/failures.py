"""What is incomplete at the end of a run."""

from __future__ import annotations

from collections import Counter, defaultdict
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Sequence

    from tap_botsessions.engine.errors import Failure
    from tap_botsessions.engine.stream import VendorStream


def summarize(
    failures: Sequence[Failure], streams: Iterable[VendorStream]
) -> Iterator[str]:
    """Say what is incomplete: a line for each reason, with the bots that it holds for.

    Args:
        failures: The bots that failed.
        streams: The streams that were read.
    """
    bots = Counter(stream.vendor for stream in streams for _ in stream.bots)
    alike = defaultdict(list)
    for failure in failures:
        alike[failure.vendor, str(failure.error)].append(failure.label)
    for (vendor, error), labels in alike.items():
        if 1 < bots[vendor] == len(labels):
            yield f"{vendor}, all of it: {error}"
            continue
        yield f"{'; '.join(labels)}: {error}"
