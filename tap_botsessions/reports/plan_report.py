"""What `--plan` prints."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from rich.console import Group
from rich.table import Column, Table
from rich.text import Text

from tap_botsessions.engine.listing import many
from tap_botsessions.engine.windows import to_rfc3339
from tap_botsessions.reports.alike import grouped, in_lines, name_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from rich.console import RenderableType

    from tap_botsessions.reports.plan import BotPlan, Plan, Share

_HEAD = ("windows", "rows", "requests", "minutes")
_HOUR = 3600
_LEAST_MINUTES = 0.1


@dataclass
class PlanReport:
    """A plan, and what could not be found out, in words."""

    plan: Plan
    problems: Sequence[str] = ()

    def data(self) -> dict[str, Any]:
        """All of it, for machines."""
        plan = self.plan
        return {
            "is_whole": plan.is_whole,
            "is_counted": plan.is_counted,
            "rows": plan.rows,
            "requests": plan.requests,
            "seconds": round(plan.seconds),
            "decided_by": [_share_data(share) for share in plan.shares],
            "bots": [_bot_data(plan, bot) for bot in plan.bots],
            "requests_made": plan.requests_made,
        }

    def lines(self) -> RenderableType:
        """All of it, for people."""
        plan = self.plan
        if not plan.bots:
            return Text("No stream is selected: a sync would read nothing.")
        end = plan.bots[0].stream.options.end
        return Group(
            Text(f"A sync would read up to {end:%Y-%m-%d %H:%M} UTC:"),
            _table(plan),
            "",
            *_problems(self.problems),
            Text(_verdict(plan), "bold"),
            *(Text(note, "dim") for note in _notes(plan)),
        )


def _problems(problems: Sequence[str]) -> Iterable[RenderableType]:
    if problems:
        lines = Table.grid(padding=(0, 1))
        for problem in problems:
            lines.add_row(Text("✗", "red"), Text(problem))
        yield lines
        yield ""


def _share_data(share: Share) -> dict[str, Any]:
    return {
        "budget": share.budget.label,
        "requests_per_minute": share.budget.per_minute,
        "requests_per_hour": share.budget.per_hour,
        "requests": share.requests,
        "seconds": round(share.seconds),
    }


def _bot_data(plan: Plan, bot: BotPlan) -> dict[str, Any]:
    forecast = bot.forecast
    return {
        "stream": bot.stream.name,
        "bot": bot.bot,
        "from": to_rfc3339(bot.ranges[0].start) if bot.ranges else None,
        "to": to_rfc3339(bot.ranges[-1].end) if bot.ranges else None,
        "windows": forecast.windows if forecast else None,
        "rows": forecast.rows if forecast else None,
        "is_counted": forecast.is_counted if forecast else None,
        "by_id": bot.ids,
        "gaps": [str(gap) for gap in bot.gaps],
        "sweep_requests": bot.sweep,
        "requests": bot.requests if forecast else None,
        "seconds": round(plan.seconds_of([bot])) if forecast else None,
        "problem": str(bot.error) if bot.error else None,
        "failure_type": bot.error.failure_type if bot.error else None,
    }


def _table(plan: Plan) -> Table:
    numbers = [Column(justify="right", no_wrap=True) for _ in _HEAD]
    table = Table.grid(Column(overflow="fold"), *numbers, padding=(0, 1))
    streams = grouped(plan.bots, lambda bot: bot.stream.name)
    for name, bots in streams.items():
        _add_head(table, name)
        for start, those in grouped(bots, _start).items():
            table.add_row(Text(start, "dim"))
            for line in in_lines(those, lambda bot: _figures(plan, bot)):
                _add_line(table, line, *_figures(plan, line[0]))
    _add_head(table, "in all")
    for name, bots in streams.items():
        noun = bots[0].stream.bot_noun
        label = f"  {name}, {many(len(bots), noun)}"
        table.add_row(label, *_cells(plan, bots))
    return table


def _figures(plan: Plan, bot: BotPlan) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """The figures of a bot, and what else there is to say of it."""
    notes = []
    if bot.ids:
        notes.append(f"    and {many(bot.ids, 'session')} by id")
    if bot.gaps:
        notes.append(f"    and {many(len(bot.gaps), 'gap')} again")
    if bot.sweep:
        notes.append(f"    and a sweep, {many(bot.sweep, 'request')} at least")
    return tuple(_cells(plan, [bot])), tuple(notes)


def _add_line(
    table: Table, bots: Sequence[BotPlan], cells: Iterable[str], notes: Iterable[str]
) -> None:
    table.add_row(Text(f"  {name_of(bots, bots[0].stream.bot_noun)}"), *cells)
    for note in notes:
        table.add_row(Text(note, "dim"))


def _add_head(table: Table, name: str) -> None:
    table.add_row()
    table.add_row(Text(name, "bold"), *(Text(head, "dim") for head in _HEAD))


def _start(bot: BotPlan) -> str:
    if not bot.ranges:
        return "range not known" if bot.error else "no range"
    return f"from {bot.ranges[0].start:%Y-%m-%d %H:%M}"


def _cells(plan: Plan, bots: Sequence[BotPlan]) -> list[str]:
    """The figures of some bots, as far as they are known."""
    known = [bot for bot in bots if bot.forecast]
    if not known:
        return ["?"] * len(_HEAD)
    forecasts = [bot.forecast for bot in known if bot.forecast]
    is_counted = all(forecast.is_counted for forecast in forecasts)
    figures = (
        sum(forecast.windows for forecast in forecasts),
        sum(forecast.rows for forecast in forecasts),
        sum(bot.requests for bot in known),
    )
    return [
        *(_figure(figure, is_counted=is_counted) for figure in figures),
        _minutes(plan.seconds_of(known) / 60),
    ]


def _minutes(minutes: float) -> str:
    return f"{minutes:,.1f}" if minutes >= _LEAST_MINUTES else f"<{_LEAST_MINUTES}"


def _figure(number: int, *, is_counted: bool) -> str:
    return f"{number:,}" if is_counted else f"~{_rough(number):,}"


def _rough(number: int) -> int:
    """A number with three digits that count."""
    return round(number, min(3 - len(str(number)), 0))


def _verdict(plan: Plan) -> str:
    if silent := sorted(_silent_vendors(plan)):
        return f"No totals: nothing could be counted of {' and '.join(silent)}."
    rows, requests, about = plan.rows, plan.requests, ""
    if not plan.is_counted:
        rows, requests, about = _rough(rows), _rough(requests), "About "
    words = f"{about}{many(rows, 'row')} in {many(requests, 'request')}: "
    words += _duration(plan.seconds)
    deciding = [share for share in plan.shares if share.seconds]
    if len(deciding) == 1:
        words += f", decided by {_budget(deciding[0])}"
    elif deciding:
        parts = [
            f"{_budget(each)} takes {_duration(each.seconds)}" for each in deciding
        ]
        words += f", of which {' and '.join(parts)}"
    left_out = sum(bot.error is not None for bot in plan.bots)
    if left_out:
        words += f", without the {left_out} of {len(plan.bots)} that can't be counted"
    return f"{words}."


def _silent_vendors(plan: Plan) -> set[str]:
    """The vendors of which nothing that had to be asked for is known."""
    return {bot.stream.vendor for bot in plan.asked} - {
        bot.stream.vendor for bot in plan.asked if bot.forecast
    }


def _duration(seconds: float) -> str:
    if seconds < _HOUR / 60:
        return "under a minute"
    if seconds < 2 * _HOUR:
        return many(round(seconds / 60), "minute")
    return f"{seconds / _HOUR:,.1f} hours"


def _budget(share: Share) -> str:
    """The budget that decides, and the limit of it that does."""
    budget = share.budget
    vendor, _, whose = budget.label.partition(", ")
    rate = many(budget.per_minute, "request") + " a minute"
    if budget.per_hour is not None and share.requests > budget.per_hour:
        rate = many(budget.per_hour, "request") + " an hour"
    words = f"{vendor}'s budget of {rate}"
    return f"{words} for {whose}" if whose else words


def _notes(plan: Plan) -> Iterable[str]:
    if not plan.is_counted:
        yield "~ is worked out from a part of the windows; the others were not counted."
    shared = {bot.stream.vendor for bot in plan.bots if bot.stream.is_shared}
    for vendor in sorted(shared):
        yield (
            f"{vendor} counts and serves the records of the whole account; they are "
            f"read once, and shown in the line of the first of its bots."
        )
    made = many(plan.requests_made, "request")
    yield f"It took {made} of the same budgets to find out. Nothing was synced."
