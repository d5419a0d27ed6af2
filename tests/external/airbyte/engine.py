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
from typing import TYPE_CHECKING, Any

from tests.docs import ROOT
from tests.pins import ENVIRONMENTS, locked

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

HOME = ENVIRONMENTS / "image"
PACKAGES = "buildah", "debootstrap"

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


class UnavailableError(Exception):
    """Images can't be built here; the message says what that takes."""


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
    def started(
        self, folder: Path, *command: str | Path
    ) -> Iterator[subprocess.Popen[bytes]]:
        """Run a program of the image, with a folder as `FILES`, for the block at most.

        Nothing can be written, and it has the user and the variables of the image.
        """
        with subprocess.Popen(  # noqa: S603 -- of our own image
            [
                *("/usr/bin/unshare", "--mount", "--pid", "--fork", "--kill-child"),
                *("/bin/sh", "-euc", AS_AN_ENGINE, "engine"),
                *(self.root, folder, self.config["User"]),
                *command,
            ],
            env={"PATH": PATH, "HOME": "/"} | self.variables,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
        ) as process:
            try:
                yield process
            finally:
                process.kill()


def first_process(process: subprocess.Popen[bytes]) -> int:
    """The process 1 of a program that was started in an image, as others know it."""
    children = Path(f"/proc/{process.pid}/task/{process.pid}/children")
    [pid] = children.read_text().split()
    return int(pid)


@contextmanager
def built(target: str) -> Iterator[Image]:
    """Build a target of the Dockerfile, and have its files at hand for the block.

    Raises:
        UnavailableError: It can't be built on this machine.
    """
    with locked(ENVIRONMENTS / "image.lock"):
        make_base()
    image = buildah(
        *("build", "--quiet", "--network", "host", "--target", target),
        *("--volume", f"{CERTIFICATES}:{CERTIFICATES}:ro"),
        *("--build-arg", f"BASE={BASE}", str(ROOT)),
    )
    try:
        config = json.loads(buildah("inspect", "--type", "image", image))
        container = buildah("from", image)
        try:
            root = Path(buildah("mount", container))
            yield Image(root, config["OCIv1"]["config"])
        finally:
            buildah("rm", container)
    finally:
        buildah("rmi", image)


def make_base() -> None:
    """Make the base, unless it is there."""
    version = repr((SUITE, CONTENTS, VARIABLES))
    marker = HOME / "made-of"
    if marker.exists() and marker.read_text() == version:
        return
    shutil.rmtree(HOME / "storage", ignore_errors=True)
    container = buildah("from", "scratch")
    try:
        root = buildah("mount", container)
        include = f"--include={CONTENTS}"
        execute("debootstrap", "--variant=minbase", include, SUITE, root)
        variables = [f"--env={name}={value}" for name, value in VARIABLES.items()]
        buildah("config", *variables, container)
        buildah("commit", "--quiet", container, BASE)
    except RuntimeError as error:
        msg = f"the base of the images can't be made: {error}"
        raise UnavailableError(msg) from error
    finally:
        buildah("rm", container)
    marker.write_text(version)


def buildah(command: str, *arguments: str) -> str:
    """Run a command of buildah's.

    Returns:
        What it prints.

    Raises:
        RuntimeError: It failed; the message is what it logged.
        UnavailableError: It can't be had.
    """
    places = f"--root={HOME}/storage", f"--runroot={HOME}/run"
    return execute("buildah", *places, command, *arguments)


def execute(program: str, *arguments: str) -> str:
    """Run a program of the packages, as `buildah` does."""
    own = variables()
    path = shutil.which(program, path=own["PATH"])
    assert path is not None
    done = subprocess.run(  # noqa: S603 -- one of Debian's
        [path, *arguments],
        env=os.environ | own,
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode != 0:
        raise RuntimeError(done.stderr + done.stdout)
    return done.stdout.strip()


@cache
def variables() -> dict[str, str]:
    """The variables with which the programs of the packages run.

    Raises:
        UnavailableError: They can't be had, or could do nothing.
    """
    if os.geteuid() != 0:
        msg = "only root can build images without an engine"
        raise UnavailableError(msg)
    path = f"{os.environ['PATH']}:/usr/sbin:/sbin"
    own = {"BUILDAH_ISOLATION": "chroot", "STORAGE_DRIVER": "vfs", "PATH": path}
    if all(shutil.which(name, path=path) for name in PACKAGES):
        return own
    folder = unpacked()
    libraries = ":".join(map(str, (folder / "usr" / "lib").glob("*-linux-*")))
    return own | {
        "PATH": f"{folder}/usr/bin:{folder}/usr/sbin:{path}",
        "LD_LIBRARY_PATH": libraries,
        "DEBOOTSTRAP_DIR": f"{folder}/usr/share/debootstrap",
        "HOME": str(folder),
    }


def unpacked() -> Path:
    """The folder of the packages' files, with those of what they need.

    Raises:
        UnavailableError: They can't be had.
    """
    folder = HOME / "unpacked"
    policy = folder / ".config" / "containers" / "policy.json"
    if policy.exists():
        return folder
    shutil.rmtree(folder, ignore_errors=True)
    lists, archives = HOME / "lists" / "partial", HOME / "archives" / "partial"
    for path in lists, archives, policy:
        path.parent.mkdir(parents=True, exist_ok=True)
        (path if path is not policy else folder).mkdir(exist_ok=True)
    apt = (
        *("apt-get", "--quiet", "--option", "Debug::NoLocking=1"),
        *("--option", f"Dir::State::lists={lists.parent}"),
        *("--option", f"Dir::Cache::archives={archives.parent}"),
    )
    install = "install", "--download-only", "--yes", "--no-install-recommends"
    try:
        subprocess.run(  # noqa: S603
            [*apt, "update"], check=False, capture_output=True
        )
        subprocess.run(  # noqa: S603
            [*apt, *install, *PACKAGES], check=True, capture_output=True
        )
    except (FileNotFoundError, subprocess.CalledProcessError) as error:
        msg = f"needs Debian's packages {' and '.join(PACKAGES)}, which can't be had"
        raise UnavailableError(msg) from error
    for package in archives.parent.glob("*.deb"):
        subprocess.run(  # noqa: S603
            ["/usr/bin/dpkg-deb", "--extract", package, folder], check=True
        )
    policy.write_text('{"default": [{"type": "insecureAcceptAnything"}]}')
    return folder
