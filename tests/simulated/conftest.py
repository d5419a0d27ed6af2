"""A smaller world than other tiers have, for the many whole syncs of this one."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from simulator import Simulator, World

if TYPE_CHECKING:
    from collections.abc import Iterator


@pytest.fixture
def simulator() -> Iterator[Simulator]:
    """Both vendors' APIs with eight days: two windows, the second a short one."""
    with Simulator(World(days=8, sessions_per_day=12)) as running:
        yield running
