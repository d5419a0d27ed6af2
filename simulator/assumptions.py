"""Switches for what the vendors' documents leave open."""

from __future__ import annotations

import math
from dataclasses import dataclass, field
from email.utils import formatdate
from typing import TYPE_CHECKING, Any, Literal

from simulator.exchange import Reply

if TYPE_CHECKING:
    from decimal import Decimal


@dataclass
class Assumptions:
    """Every choice a client must not depend on; change them while it runs.

    Attributes:
        bounds: Which ends of a time window belong to it (both vendors):
            ``closed`` from<=t<=to, ``half_open`` from<=t<to,
            ``open_start`` from<t<=to.
        extra_fields: Fields no page knows, put on every served record.
        extra_fields_of: Likewise, on every record of a bot, by its id.
        nothing: How a list without records is served.
        widest_seconds: How wide a window may be; a wider one is not answered in time.
            None: any.
        too_wide: What comes of that: 504 (documented by Avaamo), or nothing.
        last_position: How many records may come before a page. None: any number.
        beyond_last: The status of a page beyond that, or none of its records.
        list_cap: How many records of a list are counted and served. None: all.
        listed_twice: The share of records that a list names once more at its end.
        repeats_are_counted: Whether those are counted twice.
        ties: Whether records of one instant are listed in one order, or in another one
            on each page, as a database may that sorts by the time alone.
        ghosts: Where pages go on after records that are counted and not served (see
            `World.hide`): as if there were none, or each page is short of its own.
        date: Whose clock the header Date shows: this machine's or the world's, the
            latter as it was three days ago, as in a cache, or none that can be read.
        avaamo_order: Order of sessions and messages. ``shuffled`` is one
            order as long as the window's rows stay the same, ``reshuffled``
            another order at every request.
        avaamo_over_maximum: What per_page above the documented 100 does.
        avaamo_page_clamp: A maximum of per_page below the documented one.
        avaamo_unit: The unit of from_timetoken and to_timetoken.
        avaamo_forms: The parameters of a range and their unit by the streams that have
            others than documented.
        avaamo_other_units: Whether tokens too small or large for that unit are taken
            as they are, refused with 422, or passed by for the default window.
        avaamo_to_date: Whether the to_date of usage is the last day, as in the sample,
            the day after that, or passed by for the default, today.
        avaamo_today: Where a day of usage ends that is not over: with the day, or now.
        avaamo_removed_dates: What the removed from_date and to_date do on
            sessions and messages: be ignored, so that the default window of
            three days applies, or be refused with 422.
        kore_bots_offset: Whether the offset of the list of bots counts bots or pages.
        kore_default_channel: Whether lists of messages and analytics that are not told
            a channel hold all of them, or rtm alone.
        kore_default_limit: Rows of a page where `limit` is missing.
        kore_page_clamp: A maximum of `limit`; the live API showed none.
        kore_short_pages: Every page after the first has a row less than asked.
        kore_date_only_to: Whether a dateTo without a time means the start of
            that day or takes the day in.
        kore_tags_for_days: For how long a session that is asked for by its id has
            its tags; later its time has to be asked for as well. None: for ever.
        kore_erasure_keeps_sessions: Whether getSessions goes on to list sessions whose
            conversation was deleted, as release notes have it that keep "analytics-
            critical data".
        kore_erasure_keeps_analytics: Whether getAnalytics and
            getFeedbackSurveyResponses go on to list what is of them.
        kore_spelling: Whether the words for containment types, session types and states
            are written as the page's samples have them, or in lower or upper case.
        kore_silent_ids: Whether ids that are not known are passed over in silence.
    """

    bounds: Literal["closed", "half_open", "open_start"] = "closed"
    extra_fields: dict[str, Any] = field(default_factory=dict)
    extra_fields_of: dict[str, dict[str, Any]] = field(default_factory=dict)
    nothing: Literal["list", "null", "204"] = "list"
    widest_seconds: float | None = None
    too_wide: Literal["504", "nothing"] = "504"
    last_position: int | None = None
    beyond_last: Literal["400", "422", "500", "empty"] = "422"
    list_cap: int | None = None
    listed_twice: float = 0.0
    repeats_are_counted: bool = True
    ties: Literal["stable", "by_page"] = "stable"
    ghosts: Literal["omitted", "missing"] = "omitted"
    date: Literal["machine", "world", "cached", "nonsense"] = "machine"
    avaamo_order: Literal["descending", "ascending", "shuffled", "reshuffled"] = (
        "descending"
    )
    avaamo_over_maximum: Literal["clamp", "422"] = "clamp"
    avaamo_page_clamp: int | None = None
    avaamo_unit: Literal["seconds", "milliseconds", "microseconds"] = "seconds"
    avaamo_forms: dict[str, tuple[str, str, str]] = field(default_factory=dict)
    avaamo_other_units: Literal["take", "reject", "ignore"] = "take"
    avaamo_to_date: Literal["last", "after", "ignored"] = "last"
    avaamo_today: Literal["whole", "now"] = "whole"
    avaamo_removed_dates: Literal["ignore", "reject"] = "ignore"
    kore_bots_offset: Literal["bots", "pages"] = "bots"
    kore_default_channel: Literal["all", "rtm"] = "all"
    kore_default_limit: int = 20
    kore_page_clamp: int | None = None
    kore_short_pages: bool = False
    kore_date_only_to: Literal["start", "end"] = "end"
    kore_tags_for_days: float | None = None
    kore_erasure_keeps_sessions: bool = True
    kore_erasure_keeps_analytics: bool = False
    kore_spelling: Literal["samples", "lower", "upper"] = "samples"
    kore_silent_ids: bool = False

    @property
    def erased_streams(self) -> tuple[str, ...]:
        """The streams whose records Kore.ai deletes with a conversation."""
        analytics = ("kore_feedback", "kore_analytics")
        return (
            "kore_messages",
            *(() if self.kore_erasure_keeps_analytics else analytics),
            *(() if self.kore_erasure_keeps_sessions else ("kore_sessions",)),
        )

    def spelt(self, record: dict[str, Any]) -> dict[str, Any]:
        """Return a session of Kore's with its words as they are to be written."""
        if self.kore_spelling == "samples":
            return record
        write = str.lower if self.kore_spelling == "lower" else str.upper
        words = ("containmentType", "sessionType", "sessionStatus")
        return record | {name: write(record[name]) for name in words if name in record}

    def extended(self, record: dict[str, Any], bot: str) -> dict[str, Any]:
        """Return a record of a bot with the fields that no page knows."""
        return record | self.extra_fields | self.extra_fields_of.get(bot, {})

    def page(self, body: dict[str, Any], records: str) -> Reply:
        """Return a page of a list, which may be served otherwise where it is empty.

        Args:
            body: The page.
            records: Its field that holds the records.
        """
        counts = ("total", "total_entries", "totalCount")
        is_counted = any(body.get(name) for name in counts)
        if body[records] or is_counted or self.nothing == "list":
            return Reply(200, body)
        return Reply(204, b"") if self.nothing == "204" else Reply(200, {records: None})

    def date_headers(self, now: float) -> dict[str, str]:
        """Return the header Date, unless it is to be this machine's.

        Args:
            now: The world's clock, in epoch seconds.
        """
        match self.date:
            case "machine":
                return {}
            case "world":
                date = formatdate(now, usegmt=True)
            case "cached":
                date = formatdate(now - 3 * 86_400, usegmt=True)
            case "nonsense":
                date = "once upon a time"
        return {"Date": date}

    def window(self, start: Decimal | int, end: Decimal | int) -> tuple[int, int]:
        """Return the first and the last millisecond of a window.

        Args:
            start: Lower end in epoch milliseconds, of any precision.
            end: Upper end, likewise.
        """
        first = (
            math.floor(start) + 1 if self.bounds == "open_start" else math.ceil(start)
        )
        last = math.ceil(end) - 1 if self.bounds == "half_open" else math.floor(end)
        return first, last
