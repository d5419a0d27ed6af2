"""Draws what a seed stands for."""

from __future__ import annotations

from dataclasses import replace
from datetime import timedelta
from random import Random
from typing import Any

from simulator import App, World
from simulator.streams import LISTS
from tests.chaos.flaws import FIXED, LARGE, answers, lists
from tests.chaos.plan import DAY, HOUR, MARGIN, MOST_SKEW, START, Plan, Step, Trouble
from tests.chaos.weather import Scope, weather
from tests.truth import OPTIONAL, STREAMS

OTHERS_FROM = 1000
"""The first seed that may read streams which are not read by default."""


SWEPT_FROM = 2000
"""The first seed whose runs look again at what was read before."""


def draw(seed: int) -> Plan:
    """What a seed stands for."""
    random = Random(seed)
    days = random.randint(2, 8)
    settings = _settings(random, days)
    clamp = random.choice((None, None, random.randint(2, 30)))
    page_size = settings["avaamo_page_size"]
    has_large_pages = min(page_size, clamp or 100) > LARGE
    options = _options(random, clamp, may_be_reshuffled=has_large_pages)
    options |= answers(random)
    options |= lists(random, options, page_size)
    fixed = {name: options.pop(name) for name in FIXED if name in options}
    # What is equal can't be told from what is listed twice.
    may_be_equal = has_large_pages and "listed_twice" not in options
    in_batches = random.random() < 0.05
    plan = Plan(
        seed,
        _world(random, days, settings, may_be_equal=may_be_equal)
        | ({"sessions_per_day": 12} if "list_cap" in options else {}),
        options,
        settings,
        _limits(random),
        vendors=random.choice((*3 * [("avaamo", "kore")], ("avaamo",), ("kore",))),
        streams=STREAMS,
        is_real=random.random() < 0.1,
        in_batches=in_batches,
        is_verbose=random.random() < 0.2,
        is_audited=not in_batches and random.random() < 0.4,
        fixed=fixed,
        steps=[],
    )
    plan = replace(plan, streams=_streams(Random(f"streams of {seed}"), plan))
    if seed >= SWEPT_FROM:
        plan = replace(plan, is_swept=True)
    plan = replace(plan, steps=_steps(random, plan, days))
    return _with_lists_of_channels(plan)


def _streams(random: Random, plan: Plan) -> tuple[str, ...]:
    """Draw the streams that are read: those of the default, or others as well.

    What the seeds before these stand for is known to show certain bugs.
    """
    if plan.seed < OTHERS_FROM or random.random() < 0.5:
        return STREAMS
    optional = [
        name
        for name in OPTIONAL
        if name in LISTS and LISTS[name].vendor in plan.vendors
    ]
    default = random.sample(STREAMS, random.randint(0, len(STREAMS)))
    return (*default, *random.sample(optional, random.randint(1, 2)))


def _with_lists_of_channels(plan: Plan) -> Plan:
    """Have lists hold one channel only unless they are told another.

    Only where all sessions can be seen, as it is by them that channels are known.
    """
    are_seen = not (
        plan.world["late_fraction"]
        or "list_cap" in plan.options
        or any(
            step.trouble.hides
            or step.trouble.disowns
            or any(each.kind != "clock" for each in step.weather.changes)
            or any(fault.is_final for fault in step.weather.faults)
            for step in plan.steps
        )
    )
    if not are_seen:
        return plan
    return replace(plan, options={**plan.options, "kore_default_channel": "rtm"})


def _world(
    random: Random, days: int, settings: dict[str, Any], *, may_be_equal: bool
) -> dict[str, Any]:
    # Equal records can't be distinguished from one that came on two pages, unless a
    # page holds all of a second.
    equal = random.choice((0.0, 0.2)) if may_be_equal else 0.0
    bots = [f"st-0000000{n}-aaaa-5000-8000-00000000000{n}" for n in range(1, 4)]
    agents = ["201", "202", "203"]
    algorithm = settings["kore_jwt_algorithm"]
    app = World.app._replace(algorithm=algorithm)
    apps = {}
    if settings["kore_api"] != "account" and random.random() < 0.3:
        apps[bots[0]] = App(
            "cs-another-client", "another-secret-" + "1" * 50, algorithm
        )
    rate: float | dict[str, float] = random.choice((0.4, 4, 8, 12))
    if random.random() < 0.2:
        rate = {bots[0]: 12, agents[0]: 12}
    return {
        "seed": random.getrandbits(16),
        "start": START,
        "days": days,
        "now": START.timestamp(),
        "agents": tuple(agents[: random.randint(1, 3)]),
        "bots": tuple(bots[: random.randint(1, 3)]),
        "sessions_per_day": rate,
        "messages_per_session": random.choice((0.5, 1, 2)),
        "late_fraction": random.choice((0.0, 0.0, 0.1, 0.3)),
        "equal_sessions": equal,
        "open_fraction": random.choice((0.02, 0.1, 0.4)),
        "hostile_text": random.random() < 0.2,
        "kore_version": random.choice(
            ("v10",) * 5 + ("2025", "mixed", "v7", "v8", "v9")
        ),
        "app": app,
        "apps": apps,
    }


def _options(
    random: Random, clamp: int | None, *, may_be_reshuffled: bool
) -> dict[str, Any]:
    orders = ["descending", "descending", "ascending", "shuffled"]
    if may_be_reshuffled:
        # Nor can a second that holds more than a page be read in such an order.
        orders.append("reshuffled")
    extra = {"new_field": [1, {"deep": None}], "newer": "<i>"}
    return {
        "bounds": random.choice(("closed", "half_open", "open_start")),
        "extra_fields": random.choice(({}, {}, extra)),
        "avaamo_order": random.choice(orders),
        "avaamo_page_clamp": clamp,
        "kore_page_clamp": random.choice((None, None, random.randint(1, 30))),
        "kore_short_pages": random.random() < 0.2,
    }


def _settings(random: Random, days: int) -> dict[str, Any]:
    start = START + random.choice((0, 0, 0, -1.5, random.uniform(0, 0.4))) * DAY
    settings: dict[str, Any] = {
        "start_date": start.isoformat(),
        "lookback_hours": random.choice((0, 0, 1, 8, 8, 30)),
        "avaamo_page_size": random.choice((3, 7, 20, 50, 100)),
        "avaamo_utc_offset": random.choice((0, 0, 19_800, -12_345)),
        "kore_api": random.choice(("bot", "bot", "account", "stream")),
        "kore_jwt_algorithm": random.choice(("HS256", "HS512")),
        "kore_open_session_days": random.choice((14, 14, 40, 3, 1, 0)),
    }
    types = random.choice(
        (
            *(None,) * 5,
            ["agent"],
            ["dropOff", "agent"],
            ["selfService"],
            ["selfService", "agent"],
            ["agent", "dropOff", "selfService"],
        )
    )
    if types:
        settings["kore_containment_types"] = types
    if random.random() < 0.1:
        kinds = ("interactive", "non-interactive")
        settings["kore_session_type"] = random.choice(kinds)
    if random.random() < 0.15:
        end = START + random.uniform(0.5, days) * DAY
        settings["end_date"] = end.isoformat()
    if random.random() < 0.1:
        settings["accept_gaps_after_days"] = 0
    return settings


def _budget(random: Random) -> int:
    """Draw requests in a minute; most seeds have as many as they like."""
    return random.choice((1_000_000,) * 5 + (5, 20))


def _limits(random: Random) -> dict[str, int]:
    return {
        "max_window_rows": random.choice((3000, 3000, 40, 9)),
        "max_rows_ahead": random.choice((6000, 6000, 60, 1)),
        "max_followed": random.choice((2000, 2000, 2000, 3)),
        "max_ids_per_request": random.choice((50, 50, 2)),
        "rows_per_write": random.choice((500, 7, 1)),
        "bytes_per_write": random.choice((1 << 16, 1 << 16, 2000, 1)),
        "max_gaps": random.choice((50, 50, 2)),
        "max_rows_unvouched": random.choice((20_000, 40, 0, 0)),
    }


def _steps(random: Random, plan: Plan, days: int) -> list[Step]:
    troubles = [_trouble(random, plan) for _ in range(random.randint(1, 4))]
    scope = Scope(
        plan.bots,
        is_account=plan.is_account,
        may_be_late=plan.reaches_back or plan.is_swept,
        # As it passes, sessions leave a filtered list, and what is late enters it.
        may_pass=not (plan.filters and plan.world["late_fraction"]),
        is_real=plan.is_real,
        is_silent=plan.is_silent,
        is_haunted=any(trouble.hides for trouble in troubles),
    )
    steps = []
    after = random.uniform(0.2, 0.8) * days * DAY
    for trouble in troubles:
        unit = random.choice((timedelta(milliseconds=1), timedelta(seconds=1), DAY))
        # The vendor's own clock may say how far to go, or the lookback is long enough.
        may_be_off = plan.shows_time or plan.lookback >= MARGIN
        is_off = may_be_off and random.random() < 0.4
        ahead = 8 if plan.shows_time else 1
        skew = random.uniform(-1, ahead) * MOST_SKEW if is_off else timedelta(0)
        forgets = random.choice((*7 * (0,), random.randrange(1, 30)))
        wrong, tuning = weather(random, scope), _tuning(random, plan)
        steps.append(Step(after, unit, skew, forgets, tuning, wrong, trouble))
        passed = (0, 0.02, random.random(), *(random.uniform(0, 5) for _ in range(2)))
        after = random.choice(passed) * DAY
    last = Step(after, settings=_tuning(random, plan))
    # The first one may find that records took the place of others.
    again = Step(HOUR, settings=_tuning(random, plan)) if plan.is_swept else None
    return [*steps, last, *([again] * 3 if again else [])]


def _trouble(random: Random, plan: Plan) -> Trouble:
    """Draw which records the vendors have trouble with, and which the tap."""
    may_hide = "listed_twice" not in plan.options
    hides = random.randint(1, 3) if may_hide and random.random() < 0.25 else 0
    disowns = plan.is_account and random.random() < 0.2
    return Trouble(
        hides=hides,
        disowns=random.randint(1, 3) if disowns else 0,
        heals=random.choice((0.0, 0.5, 1.0)),
        unmappable=random.choice(plan.all_bots) if random.random() < 0.06 else None,
        seed=random.getrandbits(32),
    )


def _tuning(random: Random, plan: Plan) -> dict[str, Any]:
    """Draw what must not matter to what comes."""
    return {
        "window_days": random.choice((0.3, 1, 1, 1.7, 6)),
        "max_concurrent_requests": random.choice((1, 2, 4, 8, 16)),
        "avaamo_requests_per_minute": _budget(random),
        "kore_page_size": random.choice((2, 5, 20, 1000, 10_000)),
        "kore_requests_per_minute": _budget(random),
        "kore_requests_per_hour": 1_000_000,
        **_tuning_of_talks(Random(f"talks of {plan.seed}")),
        **_tuning_of_sweeps(Random(f"sweeps of {plan.seed}"), plan),
    } | plan.fixed


def _tuning_of_sweeps(random: Random, plan: Plan) -> dict[str, Any]:
    """Have each run sweep all that there is; a span is read whole each time or not."""
    if not plan.is_swept:
        return {}
    return {
        "sweep_days": 36_500,
        "sweep_hours": 0,
        "sweep_full_every": random.choice((1, 1, 3)),
    }


def _tuning_of_talks(random: Random) -> dict[str, Any]:
    """Likewise, for the streams that are not read by default."""
    return {
        "kore_messages_page_size": random.choice((2, 5, 20, 100, 10_000)),
        "kore_messages_api": random.choice(("v1", "v2")),
        "kore_budget_per_api": random.random() < 0.5,
    }
