"""Draws what is wrong with the vendors' lists for good, or other than documented."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from random import Random

LARGE = 15
"""More records than there are of any bot in a few seconds."""

DENSEST = 20
"""More records than there are of all bots in a few seconds."""

HOUR = 3600.0

FIXED = ("kore_page_size", "kore_messages_page_size", "window_days")
"""Settings that must stay the same where there is a limit."""

LIMITS = {"list_cap", "last_position", "widest_seconds", "listed_twice"}
"""The options by which lists are not whole, or repeat themselves."""


def answers(random: Random) -> dict[str, Any]:
    """Draw how answers are worded and dated; records are the same either way."""
    return {
        "nothing": random.choice(("list", "list", "null", "204")),
        "date": random.choice(
            (*4 * ("machine",), *3 * ("world",), "cached", "nonsense")
        ),
        "kore_spelling": random.choice((*3 * ("samples",), "lower", "upper")),
        "ghosts": random.choice(("omitted", "missing")),
    }


def lists(random: Random, options: dict[str, Any], page_size: int) -> dict[str, Any]:
    """Draw a limit that lists have, or one way in which they repeat themselves.

    None that makes a second unreadable: that is what ghosts are for.

    Args:
        random: Draws.
        options: Those of the simulator so far.
        page_size: How many records of Avaamo's are asked for at once.

    Returns:
        Options of the simulator, and among them settings of the tap that must stay as
        they are (`FIXED`).
    """
    kind = random.choice((*4 * (None,), "cap", "far", "wide", "wide", "twice"))
    clamps = {"avaamo_page_clamp": None, "kore_page_clamp": None}
    match kind:
        case "cap" if page_size <= DENSEST:
            # Of limits, the tap looks for round ones, and for a few pages. A low one is
            # met by wide windows alone.
            pages = -(-DENSEST // page_size) + random.randint(0, 2)
            return {
                "list_cap": pages * page_size,
                "kore_page_size": page_size,
                "kore_messages_page_size": page_size,
                "window_days": 6,
            }
        case "far":
            beyond = random.choice(("400", "422", "500", "empty"))
            last = random.randint(DENSEST, 3 * DENSEST)
            return {"last_position": last, "beyond_last": beyond}
        case "wide":
            return {
                "widest_seconds": random.choice((6, 24, 72)) * HOUR + 10,
                # The tap waits for nothing by the real clock, not by the fast one.
                "too_wide": random.choice((*19 * ("504",), "nothing")),
            }
        case "twice" if page_size > LARGE and options["avaamo_order"] != "reshuffled":
            # A page that comes twice as a whole looks like a server that can't page.
            return clamps | {
                "listed_twice": random.uniform(0.02, 0.3),
                "repeats_are_counted": random.random() < 0.5,
                "kore_page_size": page_size,
                "kore_messages_page_size": page_size,
            }
    return {}
