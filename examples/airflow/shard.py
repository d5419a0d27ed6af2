"""A run of tap and target, whose state is kept where every machine reaches it.

    TARGET="target-postgres --config target.json" bin/python shard.py STATE CONFIG

It is run by the Python of the environment that the tap is in. TARGET is a command as a
shell takes it. STATE is a URL that fsspec knows, such as s3://bucket/states/kore.json,
of an object that belongs to this run alone. CONFIG is the tap's file of settings; those
of the environment go before it.

A state is stored as soon as the target has confirmed it, so that the next run goes on
from there, on whatever machine, however this one has ended. The exit code is the
tap's, or the target's if the tap's is 0. SIGTERM ends the tap, and the target stores
what has come.
"""

from __future__ import annotations

import json
import os
import shlex
import signal
import sys
from contextlib import suppress
from pathlib import Path
from subprocess import PIPE, Popen
from tempfile import TemporaryDirectory
from typing import cast

import fsspec

TAP = Path(sys.executable).with_name("tap-botsessions")


class State:
    """What the target has confirmed.

    Attributes:
        text: The last state that is stored, as JSON.
    """

    def __init__(self, url: str) -> None:
        """Read what the run before has stored, if there was one."""
        self._url = url
        self._files, self._path = fsspec.url_to_fs(url)
        self.text = self._read()

    def store(self, text: str) -> None:
        """Put a state in the place of the one before; a kill leaves one or the other.

        Raises:
            RuntimeError: Another run has stored one meanwhile.
        """
        if self._read() != self.text:
            raise RuntimeError(f"another run has changed {self._url}")
        if "file" in self._files.protocol:
            path = Path(self._path)
            path.parent.mkdir(parents=True, exist_ok=True)
            new = path.with_suffix(".new")
            new.write_text(text)
            new.replace(path)
        else:
            self._files.pipe_file(self._path, text.encode())
        self.text = text

    def _read(self) -> str:
        try:
            return cast("bytes", self._files.cat_file(self._path)).decode()
        except FileNotFoundError:
            return "{}"


def is_state(line: bytes) -> bool:
    """Whether a line of a target's is a state, and a whole one."""
    with suppress(ValueError):
        return line.endswith(b"\n") and isinstance(json.loads(line), dict)
    return False


def run(state: State, config: str, known: Path) -> int:
    """Run both programs to their end, and store what the target confirms.

    Returns:
        The exit code.
    """
    known.write_text(state.text)
    tap = Popen(
        [TAP, "--config", config, "--config=ENV", "--state", known],
        stdout=PIPE,
    )
    # In a session of its own, a signal to the group of this process spares it.
    command = shlex.split(os.environ["TARGET"])
    target = Popen(command, stdin=tap.stdout, stdout=PIPE, start_new_session=True)
    signal.signal(signal.SIGTERM, lambda *_: tap.terminate())
    if tap.stdout:
        tap.stdout.close()  # the target alone reads it
    try:
        for line in target.stdout or ():
            if is_state(line):
                state.store(line.decode())
    except BaseException:
        tap.terminate()
        raise
    finally:
        if target.stdout:
            target.stdout.close()
        codes = tap.wait(), target.wait()
    return next((code if code > 0 else 128 - code for code in codes if code), 0)


if __name__ == "__main__":
    url, config = sys.argv[1:]
    with TemporaryDirectory() as folder:
        sys.exit(run(State(url), config, Path(folder, "state.json")))
