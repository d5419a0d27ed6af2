"""What tests install into environments of their own, pinned and with hashes.

A `.in` file says what is wanted, the `.txt` file beside it what that was resolved to;
`python -m tests.pins` resolves all of them anew, and requirements.txt.
"""

from __future__ import annotations

import fcntl
import shutil
import subprocess
import sys
from contextlib import contextmanager
from functools import cache
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

from uv import find_uv_bin

if TYPE_CHECKING:
    from collections.abc import Iterator

ROOT = Path(__file__).parents[2]
FOLDER = Path(__file__).parent
REQUIREMENTS = ROOT / "requirements.txt"
LOWEST = FOLDER / "lowest.txt"
"""The lowest versions that pyproject.toml allows, and what tests need beside them."""

BUILD = FOLDER / "build.txt"
"""What builds the package."""

ENVIRONMENTS = Path(sys.prefix) / "environments"
"""Where environments are kept."""

SOURCES: dict[Path, tuple[str, ...]] = {
    REQUIREMENTS: ("pyproject.toml",),
    LOWEST: (
        *("pyproject.toml", "--group", "test-in-process"),
        *("--resolution", "lowest-direct"),
    ),
    **{
        path.with_suffix(".txt"): (str(path.relative_to(ROOT)),)
        for path in sorted(FOLDER.glob("*.in"))
    },
}
"""What each file of pins is made from."""


def uv(*arguments: str | Path, folder: Path = ROOT) -> str:
    """Run uv in a folder.

    Returns:
        What it prints.

    Raises:
        RuntimeError: It failed; the message has what it printed.
    """
    done = subprocess.run(  # noqa: S603 -- uv
        [find_uv_bin(), *arguments],
        cwd=folder,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stdout + done.stderr)
    return done.stdout


def renew(pins: Path) -> None:
    """Resolve what a file of pins is made from, up to the date in pyproject.toml."""
    uv(
        *(
            "pip",
            "compile",
            *SOURCES[pins],
            "--output-file",
            str(pins.relative_to(ROOT)),
        ),
        *("--upgrade", "--universal", "--python-version", "3.11"),
        *("--generate-hashes", "--custom-compile-command", "python -m tests.pins"),
    )


def install(pins: Path, folder: Path, python: str) -> Path:
    """Make an environment in an empty folder, with what a file pins and no more.

    Returns:
        The folder of its programs.
    """
    uv("venv", "--python", python, ".", folder=folder)
    sync = ("pip", "sync", "--require-hashes", "--python", folder / "bin" / "python")
    try:
        uv(*sync, "--offline", pins, folder=folder)
    except RuntimeError:  # uv's cache lacks some of it
        uv(*sync, pins, folder=folder)
    return folder / "bin"


@cache
def environment(name: str, python: str = "3.11") -> Path:
    """The folder of the programs of an environment.

    It is made once, whichever process asks first, and is kept beside the environment of
    this process until its pins change: tests leave it as it is.

    Args:
        name: What the file of its pins is called, without the suffix.
        python: The version of Python or its path; some packages run on no later one.
    """
    pins = FOLDER / f"{name}.txt"
    version = sha256(f"{python} {sys.version}\n{pins.read_text()}".encode())
    folder = ENVIRONMENTS / name
    marker = folder / "made-of"
    ENVIRONMENTS.mkdir(exist_ok=True)
    with locked(ENVIRONMENTS / f"{name}.lock"):
        if not marker.exists() or marker.read_text() != version.hexdigest():
            shutil.rmtree(folder, ignore_errors=True)
            folder.mkdir()
            install(pins, folder, python)
            marker.write_text(version.hexdigest())
    return folder / "bin"


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Keep other processes out of blocks that lock the same file."""
    with file.open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        yield
