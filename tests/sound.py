"""What holds of all that the tap writes and logs, whatever it was given."""

from __future__ import annotations

import gc
import json
import logging
import re
import sys
import warnings
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Self

from jsonschema import Draft202012Validator
from typing_extensions import override

from tests.junk import DIARY, EMAIL, SECRET, TOKEN
from tests.unit.test_records import FORMATS, UNSTORABLE, strings_of

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

Messages = list[dict[str, Any]]


class Log(logging.Handler):
    """What is logged within the context, and goes nowhere else.

    Attributes:
        lines: The messages.
        errors: Those that are errors.
        tracebacks: What came with one.
    """

    def __init__(self) -> None:
        """Begin with nothing."""
        super().__init__()
        self.lines: list[str] = []
        self.errors: list[str] = []
        self.tracebacks: list[object] = []

    @override
    def emit(self, record: logging.LogRecord) -> None:
        self.lines.append(record.getMessage())
        if record.levelno >= logging.ERROR:
            self.errors.append(record.getMessage())
        if record.exc_info:
            self.tracebacks.append(record.exc_info)

    def __enter__(self) -> Self:
        """Begin to listen."""
        root = logging.getLogger()
        self._kept = root.handlers, root.level
        root.handlers = [self]
        root.setLevel(logging.INFO)
        return self

    def __exit__(self, *_: object) -> None:
        """Listen no more."""
        root = logging.getLogger()
        root.handlers, level = self._kept
        root.setLevel(level)
        assert self.tracebacks == []


@contextmanager
def undisturbed() -> Iterator[None]:
    """Put back what a run changes of its process.

    The collector waits, since it could call on something in the depth of a recursion.
    """
    thresholds, hook = gc.get_threshold(), sys.excepthook
    gc.disable()
    with warnings.catch_warnings():
        yield
    logging.captureWarnings(capture=False)
    sys.excepthook = hook
    gc.set_threshold(*thresholds)
    gc.unfreeze()
    gc.enable()


def strict(lines: bytes) -> Messages:
    """Read lines of JSON by the letter."""

    def refuse(constant: str) -> None:
        raise AssertionError(constant)

    return [
        json.loads(line, parse_constant=refuse)
        for line in lines.splitlines()  # of bytes: JSON's strings hold other breaks
    ]


def assert_sound(messages: Messages) -> None:
    """Hold records against the schemas that came before them."""
    validators: dict[str, Draft202012Validator] = {}
    keys: dict[str, list[str]] = {}
    for message in messages:
        if message["type"] == "SCHEMA":
            name, schema = message["stream"], message["schema"]
            validators[name] = Draft202012Validator(schema, format_checker=FORMATS)
            keys[name] = message["key_properties"]
        elif message["type"] == "RECORD":
            name, record = message["stream"], message["record"]
            wrong = [error.message for error in validators[name].iter_errors(record)]
            assert wrong == [], (name, wrong)
            assert not UNSTORABLE.search("".join(strings_of(record)))
            assert all(record[key] is not None for key in keys[name])


def assert_discreet(lines: Iterable[str]) -> None:
    """What is logged fits a line, and holds nothing secret or personal."""
    for line in lines:
        assert line.isprintable()
        assert len(line) < 1_000, line
        assert SECRET not in line
        assert TOKEN not in line
        assert EMAIL not in line
        assert DIARY not in re.sub(r'\(".*"\)', "", line)  # the vendor's own words
