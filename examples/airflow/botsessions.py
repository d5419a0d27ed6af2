"""A backfill and the nightly runs on Airflow 3, by shards over any number of workers.

What is read is in botsessions.json beside this file. A shard is a bot, and a range from
one border to the next. The shards of a bot run one after another, since they share its
budget. So do all of an account of Avaamo's, by a pool with one slot.
"""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from itertools import pairwise
from pathlib import Path

from airflow.providers.standard.operators.bash import BashOperator
from airflow.sdk import chain, dag, task, task_group
from airflow.sdk.exceptions import AirflowFailException

PLAN = json.loads(Path(__file__).with_name("botsessions.json").read_text())
BORDERS = [datetime.fromisoformat(border) for border in PLAN["borders"]]
if any(border.tzinfo is None for border in BORDERS) or sorted(BORDERS) != BORDERS:
    msg = "botsessions.json: borders need a time zone, and rise"
    raise ValueError(msg)

# A vendor counts the calls of a minute, whichever process has made them.
PAUSE = "code=$?; sleep 61; exit $code"

DEFAULTS = {
    "retries": 9,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(hours=1),
    "execution_timeout": timedelta(days=1),  # the next try goes on from there
    "append_env": True,
    "do_xcom_push": False,
}


def environment(source: dict, bots: list[str], shard: str) -> dict[str, str]:
    """What a run is to read, and how its state is called."""
    return {
        **source["environment"],
        source["bots_setting"]: json.dumps(bots),
        "SHARD": shard,
    }


def in_utc(instant: datetime) -> str:
    """An instant for a name."""
    return f"{instant.astimezone(UTC):%Y%m%dT%H%MZ}"


def make_tables() -> list[BashOperator]:
    """Make all tables, one source after another: targets that do so at once fail."""
    tables = [
        BashOperator(
            task_id=f"tables_{name}",
            bash_command=PLAN["tables"],
            env=environment(source, source["bots"], "tables"),
        )
        for name, source in PLAN["sources"].items()
    ]
    chain(*tables)
    return tables


@dag(schedule=None, max_active_runs=1, default_args=DEFAULTS)
def botsessions_backfill() -> None:
    """All bots between the first border and the last."""

    @task
    def are_past() -> None:
        """A shard counts as complete once it has been read."""
        if BORDERS[-1] > datetime.now(UTC):
            raise AirflowFailException(f"the border {BORDERS[-1]} is not past")

    tables = make_tables()
    are_past() >> tables[0]
    for name, source in PLAN["sources"].items():

        @task_group(group_id=name)
        def of_bot(env: dict, source: dict = source) -> None:
            chain(*(shard(source, env, *border) for border in pairwise(BORDERS)))

        bots = [environment(source, [bot], f"{name}/{bot}") for bot in source["bots"]]
        tables[-1] >> of_bot.expand(env=bots)


def shard(source: dict, env: dict, start: datetime, end: datetime) -> BashOperator:
    """One range of a bot."""
    settings = {
        "SHARD": f"$SHARD/{in_utc(start)}--{in_utc(end)}",
        "TAP_BOTSESSIONS_START_DATE": start.isoformat(),
        "TAP_BOTSESSIONS_END_DATE": end.isoformat(),
        "TAP_BOTSESSIONS_LOOKBACK_HOURS": "0",
    }
    exports = " ".join(f"{name}={value}" for name, value in settings.items())
    return BashOperator(
        task_id=f"from_{in_utc(start)}",
        bash_command=f"export {exports}; {PLAN['command']}; {PAUSE}",
        env=env,
        pool=source.get("pool", "default_pool"),
    )


@dag(
    schedule="0 3 * * *",
    start_date=BORDERS[-1].astimezone(UTC),
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
)
def botsessions_nightly() -> None:
    """All bots from the last border on."""
    tables = make_tables()
    for name, source in PLAN["sources"].items():
        start = {"TAP_BOTSESSIONS_START_DATE": BORDERS[-1].isoformat()}
        tables[-1] >> BashOperator(
            task_id=name,
            bash_command=f"{PLAN['command']}; {PAUSE}",
            env=environment(source, source["bots"], f"{name}/nightly") | start,
            pool=source.get("pool", "default_pool"),
            priority_weight=100,  # before the shards that wait for the same slot
            weight_rule="absolute",
            max_active_tis_per_dag=1,
        )


botsessions_backfill()
botsessions_nightly()
