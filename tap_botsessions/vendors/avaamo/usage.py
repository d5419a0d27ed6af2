"""Usage of Avaamo's agents by calendar days.

Source: Avaamo Platform API documentation, Analytics API, the page Usage.
"""

from __future__ import annotations

from datetime import date, datetime, timedelta, timezone
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from typing_extensions import override

from tap_botsessions.engine.errors import AnswerError
from tap_botsessions.engine.pages import Fetch, Page, WindowResult
from tap_botsessions.engine.records import (
    Columns,
    Row,
    instant,
    integer,
    mapping,
    number,
    require,
    sequence,
    shape,
)
from tap_botsessions.engine.windows import (
    Window,
    cut_days,
    midnight,
    parse_instant,
)
from tap_botsessions.vendors.avaamo.lists import AvaamoStream

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from tap_botsessions.engine.pages import Reading, Seen


_ROUNDING = timedelta(seconds=2)
"""A range's last second counts or does not, and slices have fractions of one."""


class AvaamoUsage(AvaamoStream):
    """Usage of an agent on a calendar day, read by a request for each day.

    A request for more days would be answered by nine slices of equal length.
    """

    name = "avaamo_usage"
    path = "/bots/analytics/{}/usage.json"
    primary_keys = ("agent_id", "date")
    replication_key = "date"
    columns: ClassVar[Columns] = {
        "start_time": ("start_time", instant),
        "end_time": ("end_time", instant),
        "session_count": ("session_count", integer),
        "messages_count": ("messages_count", integer),
        "unhandled_messages_count": ("unhandled_messages_count", integer),
        "successful_responses_count": ("successful_responses_count", integer),
        "ambiguous_messages_count": ("ambiguous_messages_count", integer),
        "interventions_count": ("interventions_count", integer),
        "success_rate_count": ("success_rate_count", integer),
        "success_rate": ("success_rate", number),
        "previous_interval_stats": ("previous_interval_stats", mapping),
        "stats": ("stats", sequence),
    }

    @property
    def utc_offset(self) -> timedelta:
        """How far east of UTC a day begins."""
        return timedelta(seconds=self.config["avaamo_utc_offset"])

    @override
    def ranges(self, sync_range: Window) -> Iterable[Window]:
        return cut_days(sync_range, self.utc_offset)

    @property
    @override
    def max_window(self) -> timedelta:
        return timedelta(days=1)  # a day's figures can't be asked for in parts

    @override
    def read(self, bots: Sequence[str], window: Window, seen: Seen) -> Reading:
        [agent] = bots
        [page] = yield [self._fetch(agent, window)]
        return WindowResult(
            window, page.rows, expected=page.total, received=page.received
        )

    @override
    def to_bookmark(self, instant: datetime) -> str:
        return self._day(instant).isoformat()

    @override
    def from_bookmark(self, value: object) -> datetime:
        return midnight(date.fromisoformat(str(value)), self.utc_offset)

    def _day(self, instant: datetime) -> date:
        return instant.astimezone(timezone(self.utc_offset)).date()

    def _fetch(self, agent: str, window: Window) -> Fetch:
        day = self._day(window.start)
        # All three parameters are sent: a default that the server fills in follows its
        # own time zone.
        params: dict[str, str | int] = {
            "from_date": f"{day:%d/%m/%Y}",
            "to_date": f"{day:%d/%m/%Y}",
            "utc_offset": self.config["avaamo_utc_offset"],
        }
        return self.fetch(agent, params, partial(self._page, agent, window))

    def _check_range(self, record: Mapping[str, Any], midnight: datetime) -> None:
        """Compare the range of an answer with the day that was asked for.

        The page's sample ends with a day's last second. No page says where a day ends
        that is not over: with the day, or now. A date that a server can't read is
        replaced by a default without a word (a captured response of 2019).

        Raises:
            AnswerError: It is another range.
        """
        start, end = (
            parse_instant(record[name]) for name in ("start_time", "end_time")
        )
        day = Window(midnight, midnight + timedelta(days=1))
        is_over = day.end <= self.transport.clock.run_start
        earliest = day.end - _ROUNDING if is_over else max(start, midnight)
        begins_as_asked = abs(start - midnight) <= _ROUNDING
        if begins_as_asked and start < end and earliest <= end <= day.end + _ROUNDING:
            return
        advice = (
            "the server does not read from_date and to_date as documented"
            if begins_as_asked
            else "check avaamo_utc_offset"
        )
        msg = (
            f"asked for the day {self._day(midnight)}, {day}, the server sent figures "
            f"of {record['start_time']} to {record['end_time']}; {advice}"
        )
        raise AnswerError(msg)

    def _page(self, agent: str, window: Window, body: Mapping[str, Any]) -> Page:
        day = self._day(window.start)
        stats = {name: body[name] for name in body.keys() - {"aggregate_stats"}}
        record = {
            "agent_id": agent,
            "date": day.isoformat(),
            "utc_offset": self.config["avaamo_utc_offset"],
            **shape({**stats, **body["aggregate_stats"]}, self.columns),
        }
        self.personal.protect([record])
        require(record, self.name, start_time="start_time", end_time="end_time")
        self._check_range(record, window.start)
        row = Row((record["date"],), window.start, record, agent)
        return Page([row], received=1, total=1, more=False, next_position=1)
