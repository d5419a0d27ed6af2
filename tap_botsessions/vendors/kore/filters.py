"""The filters of sessions that the settings may ask for.

Source: Kore.ai XO Platform documentation, page Sessions History API.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tap_botsessions.engine.options import is_given

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from tap_botsessions.engine.options import Config

_FIELDS = {
    "sessionType": "kore_session_type",
    "tags": "kore_tags",
    "userId": "kore_user_id",
}
"""The settings that the API takes in the body, by its fields."""

SELF_SERVICE = "selfService"


def follows_open_sessions(config: Config) -> bool:
    """Whether sessions that are open are followed until they are closed."""
    return bool(config["kore_open_session_days"])


def wanted_types(config: Config) -> Sequence[str]:
    """The containment types that are asked for; all of them if there are none."""
    return config.get("kore_containment_types") or ()


def listed_types(config: Config) -> Sequence[str | None]:
    """The containment types of the lists to read, of which the API takes one each.

    While it is open, a session is served as selfService, whatever it turns out to be.
    These come first: what closes meanwhile is then in a list to come.
    """
    wanted = wanted_types(config)
    reads_open = bool(wanted) and follows_open_sessions(config)
    first = [SELF_SERVICE] if reads_open or SELF_SERVICE in wanted else []
    return [*first, *sorted(set(wanted) - {SELF_SERVICE})] or [None]


def body_filters(config: Config) -> dict[str, Any]:
    """The filters that go into the body of a request."""
    return {
        field: config[setting]
        for field, setting in _FIELDS.items()
        if is_given(config, setting)
    }


ALL = ("kore_containment_types", *_FIELDS.values())
"""The settings that leave sessions out."""


def is_filtered(config: Config) -> bool:
    """Whether any filter leaves sessions out."""
    return any(is_given(config, name) for name in ALL)


def without(config: Config) -> Config:
    """The same settings without filters."""
    return {**config, **dict.fromkeys(ALL)}


def is_wanted(config: Config, record: Mapping[str, Any]) -> bool:
    """Whether a session passes the two filters whose fields change until it is closed.

    Only for sessions that the vendor has not filtered itself: a list of open sessions
    holds all types, and one by ids knows no filters.
    """
    types, session_type = wanted_types(config), config.get("kore_session_type")
    return _is_any_of(types, record["containment_type"]) and _is_any_of(
        [session_type] if session_type else [], record["session_type"]
    )


def _is_any_of(wanted: Sequence[str], value: str | None) -> bool:
    """Whether a value is listed, or unknown, or there is no list.

    The page writes selfService and selfservice alike, so letters' case is no matter.
    """
    return (
        not wanted
        or value is None
        or value.casefold() in {each.casefold() for each in wanted}
    )


def is_open(record: Mapping[str, Any]) -> bool:
    """Whether a session goes on; servers before 10.1.3 have no status."""
    status = record["session_status"]
    if status is None:
        return record["end_time"] is None
    return bool(status.casefold() == "active")
