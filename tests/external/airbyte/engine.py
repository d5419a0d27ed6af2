"""The Dockerfile's images, built by buildah and run without an engine.

Both take root. buildah and debootstrap are the system's if it has them; else Debian's
packages are unpacked beside the other environments of the tests, and nothing is
installed. The base of the images is a Debian with its own Python, which is kept there.
"""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from tempfile import TemporaryDirectory, TemporaryFile
from typing import IO, TYPE_CHECKING, Any

from tests.docs import ROOT
from tests.pins import ENVIRONMENTS, locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME, LOCK = ENVIRONMENTS / "image", ENVIRONMENTS / "image.lock"
STORAGE = HOME / "storage", HOME / "run"
PLACES = f"--root={STORAGE[0]}", f"--runroot={STORAGE[1]}"
PACKAGES = "buildah", "debootstrap"

PATIENCE = 60.0
"""Seconds after which a program that should end counts as hung."""

SUITE = "bookworm"
CONTENTS = "python3,python3-venv,python3-pip,ca-certificates"
BASE = "localhost/debian-with-python"
CERTIFICATES = Path("/etc/ssl/certs")
VARIABLES = {
    "PIP_BREAK_SYSTEM_PACKAGES": "1",
    "SSL_CERT_FILE": f"{CERTIFICATES}/ca-certificates.crt",
    "UV_SYSTEM_CERTS": "1",
}
"""With these the base trusts whom this machine trusts, and lets pip install into it."""

PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
"""Where an engine has programs looked for."""

FILES = Path("/mnt")
"""The folder of files that an image is given."""

AS_AN_ENGINE = f"""
root=$1 files=$2 user=$3
shift 3
mount --bind "$root" "$root"
mount --bind "$files" "$root{FILES}"
mount -t proc proc "$root/proc"
mount --rbind /dev "$root/dev"
mount -o remount,bind,ro "$root{FILES}"
mount -o remount,bind,ro "$root"
exec chroot --userspec="$user:0" "$root" "$@"
"""
"""Runs a program of an image as process 1, with its files and no place to write to."""

AS_INSTALLED = """
for folder in usr etc; do
  mount -t overlay overlay -o "lowerdir=$0/$folder:/$folder" "/$folder"
done
exec "$@"
"""
"""Runs a program of packages that were unpacked, as if they were installed."""

ENGINE = {
    "BUILDAH_ISOLATION": "chroot",
    "PATH": f"{os.environ['PATH']}:{PATH}",
}


class UnavailableError(Exception):
    """Images can't be built here; the message says what that takes."""


@dataclass(frozen=True)
class Run:
    """A program of an image that was started.

    Attributes:
        process: What started it; it ends with the same exit code.
        output: What it writes.
        log: What it logs.
    """

    process: subprocess.Popen[bytes]
    output: IO[bytes]
    log: IO[bytes]

    def signal(self, signum: int) -> None:
        """Send a signal to process 1."""
        pid = self.process.pid
        children = Path(f"/proc/{pid}/task/{pid}/children").read_text()
        os.kill(int(children), signum)

    def ended(self) -> tuple[int, list[bytes], str]:
        """Wait for its end: the exit code, the lines that it wrote, and its log."""
        code = self.process.wait(PATIENCE)
        for file in self.output, self.log:
            file.seek(0)
        return code, self.output.read().splitlines(), self.log.read().decode()


@dataclass(frozen=True)
class Image:
    """An image whose files are at hand.

    Attributes:
        root: The folder in place of its `/`.
        config: What it says of itself, as the OCI has it: `Env`, `User` and others.
    """

    root: Path
    config: Mapping[str, Any]

    @property
    def variables(self) -> dict[str, str]:
        """Its variables."""
        return dict(each.split("=", 1) for each in self.config["Env"])

    @contextmanager
    def started(self, folder: Path, *command: str | Path) -> Iterator[Run]:
        """Run a program of the image, with a folder as `FILES`, for the block at most.

        Nothing can be written, and it has the user and the variables of the image.
        """
        with (
            TemporaryFile() as output,
            TemporaryFile() as log,
            subprocess.Popen(  # noqa: S603 -- of our own image
                [
                    *("/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child"),
                    *("/bin/sh", "-euc", AS_AN_ENGINE, "engine"),
                    *(self.root, folder, self.config["User"]),
                    *command,
                ],
                env={"PATH": PATH, "HOME": "/"} | self.variables,
                stdin=subprocess.DEVNULL,
                stdout=output,
                stderr=log,
            ) as process,
        ):
            try:
                yield Run(process, output, log)
            finally:
                process.kill()


@contextmanager
def built(target: str) -> Iterator[Image]:
    """Build a target of the Dockerfile, and have its files at hand for the block.

    Raises:
        UnavailableError: It can't be built on this machine.
    """
    ENVIRONMENTS.mkdir(exist_ok=True)
    with TemporaryDirectory() as name:
        root = Path(name) / "root"
        with locked(LOCK):
            make_base()
            config = build(target, root)
        try:
            yield Image(root, config)
        finally:
            with locked(LOCK):  # another target may have used what was built for this
                buildah("rmi", "--prune", "--force")


def build(target: str, root: Path) -> dict[str, Any]:
    """Build a target, and copy its files.

    Returns:
        What it says of itself.
    """
    image = buildah(
        *("build", "--quiet", "--layers", "--network", "host", "--target", target),
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"),
        *("--build-arg", f"BASE={BASE}", str(ROOT)),
    )
    container = buildah("from", image)
    copy = 'cp --archive "$(buildah $0 mount "$1")" "$2"'
    try:
        execute("/bin/sh", "-euc", copy, " ".join(PLACES), container, str(root))
    finally:
        buildah("rm", container)
    inspected = json.loads(buildah("inspect", "--type", "image", image))
    config: dict[str, Any] = inspected["OCIv1"]["config"]
    return config


def make_base() -> None:
    """Make the base, unless it is there."""
    version = repr((SUITE, CONTENTS, VARIABLES))
    marker = HOME / "made-of"
    if marker.exists() and marker.read_text() == version:
        return
    for folder in *STORAGE, HOME / "root":
        shutil.rmtree(folder, ignore_errors=True)
    container = buildah("from", "scratch")
    try:
        include, root = f"--include={CONTENTS}", str(HOME / "root")
        execute("debootstrap", "--variant=minbase", include, SUITE, root)
        buildah("copy", "--quiet", container, root, "/")
        variables = [f"--env={name}={value}" for name, value in VARIABLES.items()]
        buildah("config", *variables, container)
        buildah("commit", "--quiet", container, BASE)
    except RuntimeError as error:
        msg = f"the base of the images can't be made: {error}"
        raise UnavailableError(msg) from error
    finally:
        buildah("rm", container)
    shutil.rmtree(HOME / "root")
    marker.write_text(version)


def buildah(command: str, *arguments: str) -> str:
    """Run a command of buildah's.

    Returns:
        What it prints.

    Raises:
        RuntimeError: It failed; the message is what it logged.
        UnavailableError: It can't be had.
    """
    return execute("buildah", *PLACES, command, *arguments)


def execute(program: str, *arguments: str) -> str:
    """Run a program of the packages, as `buildah` does."""
    done = subprocess.run(  # noqa: S603 -- one of Debian's
        [*prefix(), program, *arguments],
        env=os.environ | ENGINE,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr + done.stdout)
    return done.stdout.strip()


@cache
def prefix() -> tuple[str | Path, ...]:
    """The command that runs a program of the packages, wherever they are.

    Raises:
        UnavailableError: They can't be had, or could do nothing.
    """
    if os.geteuid() != 0:
        msg = "only root can build images without an engine"
        raise UnavailableError(msg)
    if all(shutil.which(name, path=ENGINE["PATH"]) for name in PACKAGES):
        return ()
    return "/usr/bin/unshare", "--mount", "/bin/sh", "-euc", AS_INSTALLED, unpacked()


def unpacked() -> Path:
    """The folder of the packages' files, with those of what they need.

    Raises:
        UnavailableError: They can't be had.
    """
    folder, marker = HOME / "unpacked", HOME / "unpacked-all"
    if marker.exists():
        return folder
    for name in "unpacked", "lists/partial", "archives/partial":
        (HOME / name).mkdir(parents=True, exist_ok=True)
    apt = (
        *("apt-get", "--quiet", "--option", "Debug::NoLocking=1"),
        *("--option", f"Dir::State::lists={HOME}/lists"),
        *("--option", f"Dir::Cache::archives={HOME}/archives"),
    )
    install = "install", "--download-only", "--yes", "--no-install-recommends"
    try:
        # Sources of this machine's that can't be reached may not be those that count.
        _run(*apt, "update", check=False)
        _run(*apt, *install, *PACKAGES)
        for package in (HOME / "archives").glob("*.deb"):
            _run("dpkg-deb", "--extract", str(package), str(folder))
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        msg = f"Debian's packages {' and '.join(PACKAGES)} can't be had: {error}"
        raise UnavailableError(msg) from error
    marker.touch()
    return folder


def _run(*command: str, check: bool = True) -> None:
    subprocess.run(command, check=check, capture_output=True)  # noqa: S603 -- apt's
