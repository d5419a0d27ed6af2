"""A backfill and the nightly runs on Airflow 3, by shards over any number of workers.

What is read is in botsessions.json beside this file. A shard is a bot, and a range from
one border to the next. Shards of a bot run one after another, since they share its
budget, and those of an account of Avaamo's as well, which share a pool of one slot.
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

# A vendor counts the calls of a minute, whichever process has made them.
PAUSE = "code=$?; sleep 61; exit $code"

DEFAULTS = {
    "retries": 9,
    "retry_delay": timedelta(minutes=1),
    "retry_exponential_backoff": 2,
    "max_retry_delay": timedelta(hours=1),
    "append_env": True,
    "do_xcom_push": False,
}


def run(source: dict, task_id: str, env: dict, **settings: object) -> BashOperator:
    """A run of tap and target, from the state of the run before."""
    exports = "".join(f"export {name.upper()}={settings[name]}; " for name in settings)
    return BashOperator(
        task_id=task_id,
        bash_command=f"{exports}{PLAN['command']}; {PAUSE}",
        env=env,
        pool=source.get("pool", "default_pool"),
    )


def environment(source: dict, bots: list[str], shard: str) -> dict[str, str]:
    """What a run is to read, and how its state is called."""
    return {
        **source["environment"],
        source["bots_setting"]: json.dumps(bots),
        "SHARD": shard,
    }


@dag(schedule=None, max_active_runs=1, default_args=DEFAULTS)
def botsessions_backfill() -> None:
    """All bots between the first border and the last."""

    @task
    def are_past() -> None:
        """A shard counts as complete once it has been read."""
        if BORDERS[-1] > datetime.now(UTC):
            raise AirflowFailException(f"the border {BORDERS[-1]} is not past")

    # Targets that make the same table at once fail.
    tables = [
        BashOperator(
            task_id=f"tables_{name}",
            bash_command=PLAN["tables"],
            env=environment(source, source["bots"], "tables"),
        )
        for name, source in PLAN["sources"].items()
    ]
    chain(are_past(), *tables)

    for name, source in PLAN["sources"].items():

        @task_group(group_id=name)
        def of_bot(env: dict, source: dict = source) -> None:
            chain(
                *(
                    run(
                        source,
                        f"from_{start:%Y_%m_%d}",
                        env,
                        shard=f"$SHARD/{start:%Y-%m-%d}",
                        tap_botsessions_start_date=start.isoformat(),
                        tap_botsessions_end_date=end.isoformat(),
                        tap_botsessions_lookback_hours=0,
                    )
                    for start, end in pairwise(BORDERS)
                )
            )

        bots = [environment(source, [bot], f"{name}/{bot}") for bot in source["bots"]]
        tables[-1] >> of_bot.expand(env=bots)


@dag(
    schedule="0 3 * * *",
    start_date=BORDERS[-1],
    catchup=False,
    max_active_runs=1,
    default_args=DEFAULTS,
)
def botsessions_nightly() -> None:
    """All bots from the last border on."""
    for name, source in PLAN["sources"].items():
        run(
            source,
            name,
            environment(source, source["bots"], f"{name}/nightly"),
            tap_botsessions_start_date=BORDERS[-1].isoformat(),
        )


botsessions_backfill()
botsessions_nightly()
