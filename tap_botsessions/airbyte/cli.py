"""The source's command line: arguments, standard output and the exit code."""

from __future__ import annotations

import argparse
import logging
import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

from tap_botsessions.airbyte.messages import AirbyteLog, AirbyteWriter
from tap_botsessions.airbyte.source import SettingsError, Source
from tap_botsessions.config.inputs import load
from tap_botsessions.engine.errors import OutputError
from tap_botsessions.singer.writer import exit_broken_output

if TYPE_CHECKING:
    from tap_botsessions.engine.options import Json


def run() -> int:
    """Run the command that the arguments ask for.

    Returns:
        The exit code, 1 if something failed.
    """
    arguments = _parser().parse_args()
    try:
        # A file of its own: what anything else prints must not come between messages.
        writer = AirbyteWriter(os.fdopen(os.dup(1), "wb", buffering=0))
        sys.stdout = sys.stderr
        log = AirbyteLog(writer)
        logging.basicConfig(level=logging.INFO, format="%(message)s", handlers=[log])
        return 0 if _told(arguments, writer) else 1
    except OSError as error:
        exit_broken_output(OutputError(error))
    except OutputError as error:
        exit_broken_output(error)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="source-botsessions",
        description="Chatbot analytics of Avaamo and Kore.ai, as an Airbyte source.",
    )
    commands = parser.add_subparsers(dest="command", required=True)
    commands.add_parser("spec", help="write the form of the settings")
    check = commands.add_parser("check", help="try to read each bot")
    discover = commands.add_parser("discover", help="write the catalog")
    read = commands.add_parser("read", help="write records and states")
    for command in (check, discover, read):
        command.add_argument("--config", type=Path, required=True, metavar="FILE")
    read.add_argument("--catalog", type=Path, required=True, metavar="FILE")
    read.add_argument("--state", type=Path, metavar="FILE")
    return parser


def _told(arguments: argparse.Namespace, writer: AirbyteWriter) -> bool:
    """Run a command, and have Airbyte be told of what goes wrong."""
    try:
        return _do(arguments, Source(writer))
    except SettingsError as error:
        writer.error(str(error), "config_error")
    except Exception as error:  # noqa: BLE001 -- whatever it is
        message = "an error that was not foreseen; please report it"
        writer.error(message, "system_error", error=error)
    return False


def _do(arguments: argparse.Namespace, source: Source) -> bool:
    if arguments.command == "spec":
        return source.spec()
    config = _load(arguments.config)
    if arguments.command == "check":
        return source.check(config)
    if arguments.command == "discover":
        return source.discover(config)
    configured = _load(arguments.catalog)
    states = _load(arguments.state) if arguments.state else []
    return source.read(config, configured, states)


def _load(path: Path) -> Json:
    try:
        return load(path.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise SettingsError(f"{path}: can't be read as JSON ({error})") from error
