"""No secret, no message text and no e-mail address is told, whatever happens."""

from __future__ import annotations

import json
import re
import subprocess
import sys
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any
from urllib.parse import quote, quote_plus

import pytest

from simulator import Rule, Simulator, World
from simulator.faults import hang, redirect, status
from tap_botsessions.config.settings import SCHEMA
from tests import programs
from tests.conftest import config_for, end_of
from tests.truth import expected

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from simulator.faults import Effect

JWT = re.compile(r"eyJ[\w-]+\.")
ADDRESS = "ada.lovelace@example.com"
LETTER = f"Dear {ADDRESS}, my order of yesterday never came"


@dataclass
class Shown:
    """All that a command shows beside its records."""

    code: int
    text: str


@pytest.fixture(scope="module")
def served() -> Iterator[Simulator]:
    with Simulator(World(sessions_per_day=8, days=3)) as running:
        yield running


@pytest.fixture
def simulator(served: Simulator) -> Iterator[Simulator]:
    yield served
    served.faults.rules = []


@pytest.fixture
def config(simulator: Simulator) -> dict[str, Any]:
    world = simulator.world
    own = {
        "bot_id": world.bots[0],
        "client_id": world.app.client_id,
        "client_secret": world.app.client_secret,
    }
    return config_for(
        simulator,
        kore_bot_credentials=[own],
        personal_data_key="a-key-for-hashes-which-is-long",
        max_retries=0,
    )


def secrets_of(config: dict[str, Any]) -> set[str]:
    named = {name for name, at in SCHEMA["properties"].items() if at.get("secret")}
    assert named <= config.keys()
    own = {each["client_secret"] for each in config["kore_bot_credentials"]}
    return own | {config[name] for name in named if isinstance(config[name], str)}


def show(
    folder: Path,
    program: str,
    *arguments: str,
    config: Any,
    environment: Mapping[str, str] | None = None,
) -> Shown:
    """Run a program with a configuration; keep all it writes but the records."""
    file = folder / "config.json"
    file.write_text(json.dumps(config))
    done = programs.run(
        program,
        *arguments,
        "--config",
        file,
        environment={"LOGLEVEL": "DEBUG", **(environment or {})},
    )
    lines = [line for line in done.stdout.splitlines() if '"RECORD"' not in line]
    return Shown(done.returncode, "\n".join([*lines, done.stderr]))


def assert_tells_none(shown: Shown, config: dict[str, Any], world: World) -> None:
    assert shown.text
    told = [secret for secret in secrets_of(config) if secret in shown.text]
    assert not told
    assert not JWT.search(shown.text)
    assert "Traceback" not in shown.text
    assert "@example" not in shown.text
    contents = {
        record["content"]
        for record in expected(
            world, "avaamo_messages", world.start, end_of(world)
        ).values()
    }
    assert not [text for text in contents | {LETTER} if text and text in shown.text]


def echo(config: dict[str, Any]) -> dict[str, Any]:
    """What a careless vendor says: the credentials, and what a user wrote."""
    said = " ".join([*secrets_of(config), ADDRESS, "of", LETTER])
    return {"error": said, "errors": [{"msg": said, "code": 4002}]}


WAYS = [
    ("tap-botsessions",),
    ("tap-botsessions", "--discover"),
    ("tap-botsessions", "--test"),
    ("tap-botsessions", "--about"),
    ("tap-botsessions", "--about", "--format=json"),
    ("tap-botsessions", "--about", "--format=markdown"),
    ("source-botsessions", "check"),
    ("source-botsessions", "discover"),
]


@pytest.mark.parametrize("way", WAYS, ids=" ".join)
def test_no_command_tells_any_at_the_noisiest_level(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path, way: tuple[str, ...]
) -> None:
    shown = show(tmp_path, *way, config=config)
    assert shown.code == 0
    assert_tells_none(shown, config, simulator.world)


@pytest.mark.parametrize(
    "way",
    [
        ("tap-botsessions",),
        ("tap-botsessions", "--test"),
        ("source-botsessions", "check"),
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("code", [200, 400, 401, 403, 404, 429, 500, 302])
def test_an_answer_that_echoes_them_is_not_told(
    simulator: Simulator,
    config: dict[str, Any],
    tmp_path: Path,
    way: tuple[str, ...],
    code: int,
) -> None:
    secret = config["kore_client_secret"]
    elsewhere = {"Location": f"https://{ADDRESS}/{secret}", "Retry-After": "9999"}
    simulator.faults.rules = [Rule(status(code, echo(config), elsewhere))]
    shown = show(tmp_path, *way, config=config)
    assert_tells_none(shown, config, simulator.world)
    if way[0] == "tap-botsessions":
        assert shown.code == 1


def test_credentials_do_not_travel_to_where_a_redirect_points(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    with Simulator(World(sessions_per_day=1, days=1)) as other:
        simulator.faults.rules = [Rule(redirect(f"{other.url}/bots"))]
        shown = show(tmp_path, "tap-botsessions", config=config)
        assert shown.code == 1
        assert "a redirect, which is not followed" in shown.text
        assert other.requests == []


@pytest.mark.parametrize(
    "unreachable",
    [
        {"avaamo_base_url": "http://127.0.0.1:9"},
        {"kore_base_url": "https://nowhere.invalid"},
    ],
    ids=["a closed port", "no such host"],
)
def test_an_error_of_a_library_does_not_tell_them(
    simulator: Simulator,
    config: dict[str, Any],
    tmp_path: Path,
    unreachable: dict[str, str],
) -> None:
    shown = show(tmp_path, "tap-botsessions", config=config | unreachable)
    assert shown.code == 1
    assert "the connection failed" in shown.text
    assert_tells_none(shown, config, simulator.world)


@pytest.mark.parametrize("program", ["tap-botsessions", "source-botsessions"])
@pytest.mark.parametrize("name", ["HTTP_PROXY", "http_proxy", "ALL_PROXY"])
@pytest.mark.parametrize("password", ["hunt/er2word", "hunt#er2word", "hunt%2Fer2word"])
def test_a_proxys_user_and_password_are_not_told(
    config: dict[str, Any], tmp_path: Path, program: str, name: str, password: str
) -> None:
    """One that is not percent-encoded as it has to be makes an error that quotes it."""
    way = [program, *["check"] * program.startswith("source")]
    proxy = {name: f"http://ursula:{password}@127.0.0.1:9"}
    shown = show(tmp_path, *way, config=config, environment=proxy)
    assert "the connection failed" in shown.text
    assert not re.search("ursula|hunt|er2word", shown.text)


@pytest.mark.parametrize("code", [200, 400, 401, 403, 404, 422, 429, 500])
def test_a_short_token_that_is_echoed_percent_encoded_is_not_told(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path, code: int
) -> None:
    token = "t0k/e n+1="  # noqa: S105 -- made up
    body = {"error": f"what is {quote(token)}, {quote_plus(token).lower()}?"}
    later = {"Retry-After": "9999"}
    simulator.faults.rules = [Rule(status(code, body, later), vendor="avaamo")]
    config |= {"avaamo_access_token": token}
    shown = show(tmp_path, "tap-botsessions", config=config)
    assert "what is [secret], [secret]?" in shown.text
    assert "t0k" not in shown.text


@pytest.mark.parametrize("code", [200, 400, 500, 502, 302])
@pytest.mark.parametrize("program", ["tap-botsessions", "source-botsessions"])
def test_a_message_that_an_error_quotes_is_not_told(
    simulator: Simulator,
    config: dict[str, Any],
    tmp_path: Path,
    program: str,
    code: int,
) -> None:
    said = "can't parse: My order of yesterday never came"
    body = {"error": said, "errors": [{"msg": said, "code": 1}]}
    simulator.faults.rules = [Rule(status(code, body, {"Location": "/x"}))]
    way = [program, *["check"] * program.startswith("source")]
    shown = show(tmp_path, *way, config=config, environment={"LOGLEVEL": "INFO"})
    assert shown.text
    assert "yesterday" not in shown.text


UNFORESEEN = """
from tap_botsessions.__main__ import main
from tap_botsessions.vendors.avaamo.streams import AvaamoMessages

def fail(self, *_):
    raise RuntimeError("sent " + self.config["avaamo_access_token"])

AvaamoMessages.read = fail
main()
"""


def test_an_error_that_was_not_foreseen_shows_no_secret(
    config: dict[str, Any], tmp_path: Path
) -> None:
    """Its traceback is in the log, for a report of it."""
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    done = subprocess.run(  # noqa: S603 -- ours
        [sys.executable, "-c", UNFORESEEN, "--config", file],
        capture_output=True,
        check=False,
        text=True,
        timeout=60,
    )
    assert done.returncode == 1
    assert "RuntimeError: sent [secret]" in done.stderr
    assert config["avaamo_access_token"] not in done.stderr


def test_a_process_shows_none_in_its_title(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path
) -> None:
    simulator.faults.rules = [Rule(hang())]
    file = tmp_path / "config.json"
    file.write_text(json.dumps(config))
    with subprocess.Popen(  # noqa: S603 -- ours
        [programs.TAP, "--config", file],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stderr
        for line in process.stderr:
            if ": reading " in line:
                break
        about = Path("/proc", str(process.pid))
        titles = [about / "cmdline", *about.glob("task/*/comm")]
        text = "".join(title.read_text() for title in titles)
        process.kill()
    assert "tap-botsessions" in text
    assert not [secret for secret in secrets_of(config) if secret in text]


@pytest.mark.parametrize("effect", [hang(), status(500)], ids=["a hang", "an error"])
def test_a_state_holds_none(
    simulator: Simulator, config: dict[str, Any], tmp_path: Path, effect: Effect
) -> None:
    simulator.faults.rules = [Rule(effect, vendor="kore")]
    shown = show(
        tmp_path, "tap-botsessions", config=config | {"request_timeout_seconds": 1}
    )
    assert '"type":"STATE"' in shown.text
    assert_tells_none(shown, config, simulator.world)
