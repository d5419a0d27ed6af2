"""Both vendors' side of the runs: what they show and serve, and what changes there."""

from __future__ import annotations

import traceback
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from random import Random
from typing import TYPE_CHECKING, Any, TypeVar

from simulator import Rule
from simulator.avaamo.api import UNITS
from simulator.faults import hook
from simulator.streams import DAILY, LISTS, STREAMS, served_by
from tap_botsessions.engine.windows import Window
from tests.chaos.history import Page, Run, bot_of_key, keyed
from tests.chaos.plan import MARGIN, START, Plan, Step, Trouble
from tests.chaos.truth import bot_of, kinds, shaped, time_of, truth

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from simulator import Simulator
    from simulator.exchange import Call, Reply
    from tests.chaos.history import Key, Record
    from tests.chaos.nemesis import Change
    from tests.chaos.truth import Kinds, Truth


T = TypeVar("T")

_EARLIEST, _LATEST = 10**9, 10**10
"""In seconds of the epoch; what lies outside is in another unit."""


@dataclass
class Vendors:
    """Both vendors, as a plan has them.

    Attributes:
        plan: The plan.
        simulator: Serves its world.
        run: The run under way.
    """

    plan: Plan
    simulator: Simulator
    run: Run = field(init=False)
    _rules: list[tuple[str, Rule]] = field(init=False)
    _changes: list[Change] = field(init=False)

    def begin(self, number: int, step: Step, state: dict[str, Any] | None) -> Run:
        """Prepare for a run: all that goes wrong at the vendors' is set up."""
        now = step.begin(self.simulator.world)
        end = self.plan.end(now, step)
        shown = self.shown(max(now, end))
        self.run = Run(number, step, state, now, end, shown, self.kinds())
        self._trouble(step.trouble, shown)
        self.run.note(f"begins at {now:%F %T.%f}, to read up to {end:%F %T.%f}")
        self._changes = list(step.weather.changes)
        self._rules = [(fault.kind, fault.rule()) for fault in step.weather.faults]
        self.simulator.faults.rules[:] = [rule for _, rule in self._rules]
        self.simulator.faults.limits = step.weather.limited()
        self.simulator.requests.clear()
        self.simulator.watch = self.watch
        return self.run

    def _trouble(self, trouble: Trouble, shown: Truth) -> None:
        """Put right some records that there was trouble with, and choose others."""
        random, world, run = Random(trouble.seed), self.simulator.world, self.run
        for marked in (world.ghosts, world.ownerless):
            for each in sorted(marked):
                if random.random() < trouble.heals:
                    marked.discard(each)
                    run.note(f"{each} is put right")
        records = [
            (name, each) for name in LISTS for each in shown.get(name, {}).values()
        ]
        for stream, record in _some(random, records, trouble.hides):
            world.hide(stream, bot_of(stream, record), time_of(stream, record))
        sessions = [*shown.get("kore_sessions", {}).values()]
        for record in _some(random, sessions, trouble.disowns):
            world.disown(record["bot_id"], time_of("kore_sessions", record))
        run.hidden = self._marked(world.ghosts, shown)
        run.disowned = self._marked(world.ownerless, shown)
        for words, keys in ("hidden", run.hidden), ("of nobody", run.disowned):
            self.run.counts[f"trouble: {words}"] += len(keys)
            for key in sorted(keys):
                run.note(f"{key} is {words}")

    def _marked(self, marks: set[tuple[str, str, int]], shown: Truth) -> set[Key]:
        """The keys of records that are marked by their bot and their time."""
        return {
            (stream, key)
            for stream in {stream for stream, *_ in marks} & shown.keys()
            for key, record in shown[stream].items()
            if (
                stream,
                bot_of(stream, record),
                round(time_of(stream, record).timestamp() * 1000),
            )
            in marks
        }

    def over(self) -> None:
        """Record what there is to see at the end of the run."""
        self.simulator.watch = lambda *_: None
        self.simulator.faults.rules.clear()
        self.run.counts["requests"] = len(self.simulator.requests)
        for kind, rule in self._rules:
            self.run.counts[f"fault: {kind}"] += rule.fired
        self.run.kinds_after = self.kinds()
        self.run.note(f"ends with {self.run.code}")

    def at_request(self, number: int, act: Callable[[], object]) -> None:
        """Have something done before a request of the run is answered, from 1."""
        self.simulator.faults.rules.insert(0, Rule(hook(act), nth=number))

    def shown(self, end: datetime) -> Truth:
        """What the vendors show now, before an instant."""
        return truth(self.plan, self.simulator.world, end)

    def kinds(self) -> Kinds:
        """Of what kind each session is now."""
        return kinds(self.plan, self.simulator.world)

    def watch(self, call: Call, reply: Reply) -> None:
        """Record what is sent, and have happen what is due then."""
        try:
            is_midway = self._served(call, reply)
            for change in list(self._changes):
                is_due = self.run.requests.total() >= change.after
                if is_due and (is_midway or not change.is_midway):
                    self._changes.remove(change)
                    self._happen(change)
        except Exception:  # noqa: BLE001 -- the server would answer with 500
            self.run.log += traceback.format_exc()

    def _served(self, call: Call, reply: Reply) -> bool:
        """Record what is sent, and return whether it is a part of a list."""
        run, stream = self.run, served_by(call.vendor, call.endpoint).name
        run.requests[stream, call.bot or ""] += 1
        records = keyed(self._records(stream, call, reply))
        for key, record in records:
            run.served[key].append(record)
        window, total = _window(stream, call), _total(reply)
        # A single record is asked for to learn the unit of time, not to be kept.
        is_kept = call.params.get("per_page") != "1"
        if call.vendor == "kore":
            is_kept = call.body.get("limit") != 1
        if records and window and is_kept and reply.is_whole:
            run.pages.append(Page(window, total, records))
        sent = f"{len(records)} of {total}{'' if reply.is_whole else ', torn'}"
        run.note(f"{stream} {_described(call)}: {reply.status}, {sent}")
        return reply.is_whole and 0 < len(records) < total

    def _records(
        self, stream: str, call: Call, reply: Reply
    ) -> Iterator[tuple[str, Record]]:
        """The records that an answer makes."""
        body = reply.body if isinstance(reply.body, dict) else {}
        raws = [body] if "aggregate_stats" in body else []
        if stream in LISTS:
            raws = body.get(LISTS[stream].field) or []
        if isinstance(raws, list):
            for raw in raws:
                if bot := raw.get("botId") or call.bot:
                    yield stream, shaped(self.plan, stream, bot, raw)

    def _happen(self, change: Change) -> None:
        """Have something change."""
        random = Random(change.seed)
        self.run.counts[f"change: {change.kind}"] += 1
        pages = self.run.pages
        key, record = random.choice(pages[-1].records) if pages else (None, {})
        if change.kind == "clock":
            hours = random.choice((0.2, 1, 5, 30))
            self.simulator.world.now += hours * 3600
            self.run.note(f"{hours} hours pass")
        elif change.kind == "late":
            self._add(random, key, record)
        elif key:
            self._remove(key, record)

    def _remove(self, key: Key, record: Record) -> None:
        """Have a record that has just been served leave its list."""
        stream, bot = bot_of_key(key)
        at = time_of(stream, record)
        try:
            raw = self.simulator.world.remove(stream, bot, at)
        except KeyError:
            return  # it has left before
        [(gone, _)] = keyed([(stream, shaped(self.plan, stream, bot, raw))])
        self.run.gone.add(gone)
        self.run.note(f"{gone} leaves its list")

    def _add(self, random: Random, key: Key | None, record: Record) -> None:
        """Have a record come late, if possible near one that has just been served."""
        age = self.plan.lookback - MARGIN
        if self.plan.is_swept:
            age = self.run.now - START
        at = self.run.now - random.random() * age
        if key:
            stream, bot = bot_of_key(key)
            near = timedelta(seconds=random.uniform(-300, 300))
            if not self.plan.is_swept or random.random() < 0.5:
                at = max(at, time_of(stream, record) + near)
        else:
            stream = random.choice([name for name in self.plan.bots if name in LISTS])
            bot = random.choice(self.plan.bots[stream])
        at = max(min(at, self.run.now - timedelta(seconds=1)), START)
        self.simulator.world.add_late(stream, bot, at)
        self.run.note(f"{stream} {bot} has a late record of {at:%F %T.%f}")


def _some(random: Random, those: Sequence[T], number: int) -> list[T]:
    """So many of these, or all that there are."""
    return random.sample(those, min(number, len(those)))


def _window(stream: str, call: Call) -> Window | None:
    """The window that a request for a page of a list asks for."""
    if STREAMS[stream].vendor == "kore":
        asked = call.body.get("filters", call.body)
        names = ("from", "to") if "filters" in call.body else ("dateFrom", "dateTo")
        ends = [asked[name] for name in names if name in asked]
        return Window(*map(datetime.fromisoformat, ends)) if ends else None
    if stream in DAILY:
        return None
    start, end, unit = LISTS[stream].form
    seconds = [
        int(call.params.get(name, 0)) / UNITS[unit or "seconds"]
        for name in (start, end)
    ]
    if not _EARLIEST < seconds[0] < _LATEST:
        return None  # in another form than the simulator's
    return Window(*(datetime.fromtimestamp(each, UTC) for each in seconds))


def _total(reply: Reply) -> int:
    body = reply.body if isinstance(reply.body, dict) else {}
    counts = ("total_entries", "total", "totalCount")
    return next((int(body[name]) for name in counts if body.get(name)), 0)


def _described(call: Call) -> str:
    """A request in a few words."""
    query = call.params | (call.body if call.vendor == "kore" else {})
    names = query.keys() - {"per_page", "utc_offset", "to_date", "limit"}
    return " ".join(
        [call.bot or "", *(f"{name}={query[name]}" for name in sorted(names))]
    )
