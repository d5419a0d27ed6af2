"""What is misspelt in a catalog or a state is warned of in a run."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING, Any

from tests.conftest import Synced, Tap, config_for, sync

if TYPE_CHECKING:
    import pytest

    from simulator.server import Simulator


def warnings_of(
    caplog: pytest.LogCaptureFixture, simulator: Simulator, **given: Any
) -> list[str]:
    """Run the tap with a catalog or a state, and return the warnings that it logs."""
    caplog.clear()
    Tap(config=config_for(simulator), message_writer=Synced(), **given).sync()
    return [each.getMessage() for each in caplog.records if each.levelname == "WARNING"]


def test_a_misspelt_stream_in_the_catalog_is_named(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    catalog = Tap(config=config_for(simulator)).catalog_dict
    [wanted] = [
        each for each in catalog["streams"] if each["tap_stream_id"] == "kore_sessions"
    ]
    assert warnings_of(caplog, simulator, catalog={"streams": [wanted]}) == []
    misspelt = {**copy.deepcopy(wanted), "tap_stream_id": "kore_session"}
    assert warnings_of(caplog, simulator, catalog={"streams": [misspelt]}) == [
        (
            "catalog: there is no stream kore_session, so nothing is read of it; "
            "did you mean kore_sessions?"
        ),
        "no stream is selected, so nothing is read",
    ]


def test_a_bookmark_that_no_bot_uses_is_named(
    simulator: Simulator, caplog: pytest.LogCaptureFixture
) -> None:
    state = sync(simulator).state
    assert warnings_of(caplog, simulator, state=copy.deepcopy(state)) == []
    state["bookmarks"]["avaamo_usage"]["partitions"][0]["context"]["agent_id"] = "2O1"
    assert warnings_of(caplog, simulator, state=state) == [
        (
            "state: avaamo_usage: the bookmarks of 2O1 are kept and not used, as none "
            "of these bots is in the settings"
        )
    ]
