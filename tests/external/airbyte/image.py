"""What the Dockerfile makes, made in a folder in place of an image."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from string import Template
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING

from uv import find_uv_bin

from tests.docs import ROOT

if TYPE_CHECKING:
    from collections.abc import Iterator


@dataclass
class Image:
    """The Dockerfile's steps, taken one by one; all stages are in one folder.

    Attributes:
        root: The folder in place of its `/`.
        base: The image that all is made from.
        arguments: The arguments of the build, as they are unless they are given.
        stages: The names of the stages.
        copied: What is taken from the project.
        labels: The labels.
        variables: The variables.
        user: Who runs the entry point.
        entry_point: The entry point.
    """

    root: Path
    base: str = ""
    arguments: dict[str, str] = field(default_factory=dict)
    stages: set[str] = field(default_factory=set)
    copied: set[str] = field(default_factory=set)
    labels: dict[str, str] = field(default_factory=dict)
    variables: dict[str, str] = field(default_factory=dict)
    user: str = ""
    entry_point: list[str] = field(default_factory=list)
    _folder: Path = Path()

    def take(self, instruction: str, text: str) -> None:
        """Take a step.

        Raises:
            NotImplementedError: It is of a kind that is not known here.
        """
        words = [self._placed(word) for word in text.split()]
        match instruction:
            case "ARG":
                name, self.arguments[name] = text.split("=", 1)
            case "FROM":
                self._begin(base=words[0], stage=words[2])
            case "WORKDIR":
                self._folder = Path(words[0])
                self._folder.mkdir()
            case "COPY":
                self._copy(*words)
            case "RUN":
                self._run(*words)
            case "LABEL":
                name, self.labels[name] = text.split("=")
            case "ENV":
                name, value = text.split("=")
                self.variables[name] = self._placed(value)
            case "USER":
                self.user = text
            case "ENTRYPOINT":
                self.entry_point = [self._placed(word) for word in json.loads(text)]
            case _:
                raise NotImplementedError(instruction)

    def _begin(self, base: str, stage: str) -> None:
        if base not in self.stages:
            self.base = Template(base).substitute(self.arguments)
        self.stages.add(stage)

    def _placed(self, word: str) -> str:
        return f"{self.root}{word}" if word.startswith("/") else word

    def _copy(self, *words: str) -> None:
        *names, target = words
        if names[0].startswith("--from="):
            assert names[1:] == [target], "a stage's files stay where they are"
            return
        for name in names:
            self.copied.add(name.rstrip("/"))
            if name.endswith("/"):
                shutil.copytree(ROOT / name, self._folder / target)
            else:
                shutil.copy(ROOT / name, self._folder / target)

    def _run(self, program: str, *arguments: str) -> None:
        if program == "pip":
            assert arguments[-1].startswith("uv==")  # it is at hand
            return
        assert program == "uv"
        subprocess.run(  # noqa: S603 -- from our own Dockerfile
            [find_uv_bin(), *arguments],
            cwd=self._folder,
            env=os.environ | {"UV_PYTHON": sys.executable},
            check=True,
        )


@contextmanager
def built() -> Iterator[Image]:
    """Take all steps, in a folder that any user may enter."""
    with TemporaryDirectory() as name:
        root = Path(name)
        root.chmod(0o755)
        image = Image(root)
        for line in (ROOT / "Dockerfile").read_text().splitlines():
            if line and not line.startswith("#"):
                image.take(*line.split(maxsplit=1))
        yield image
