"""How fast the tap is beside others: `uv run -m benchmark`."""

from __future__ import annotations

import argparse
from importlib import metadata
from pathlib import Path
from tempfile import TemporaryDirectory

from benchmark.cases import CASES, LONG, Case
from benchmark.measure import ProgramError
from benchmark.programs import PINS, Runner
from benchmark.report import machine, note, show
from benchmark.serving import serving
from demo.stopping import stop_on_signals


def main() -> int:
    """Measure, and print the tables.

    Returns:
        The exit code, 1 if a program did not do what it is measured for.
    """
    arguments = _parse()
    names = arguments.only or [
        name for name in CASES if not (arguments.quick and name in LONG)
    ]
    runs = arguments.runs or (1 if arguments.quick else 3)
    show(f"{machine()}; {runs} runs, medians; {', '.join(_versions())}\n")
    try:
        with serving() as root, TemporaryDirectory() as folder:
            case = Case(Runner(Path(folder)), root, runs, arguments.quick)
            for name in names:
                show(CASES[name](case).markdown())
    except ProgramError as error:
        note(str(error))
        return 1
    return 0


def _versions() -> list[str]:
    own = metadata.version("tap-botsessions")
    return [
        f"tap-botsessions {own}",
        *(pin.replace("==", " ") for pin in PINS.values()),
    ]


def _parse() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="benchmark", description=__doc__)
    parser.add_argument(
        "--quick", action="store_true", help="one run of each, and nothing long"
    )
    parser.add_argument(
        "--only",
        type=_names,
        metavar="CASE,...",
        help=f"of the cases {', '.join(CASES)}",
    )
    parser.add_argument("--runs", type=int, help="how often each program is run")
    return parser.parse_args()


def _names(text: str) -> list[str]:
    names = text.split(",")
    for name in names:
        if name not in CASES:
            msg = f"no case: {name}"
            raise argparse.ArgumentTypeError(msg)
    return names


if __name__ == "__main__":
    stop_on_signals()
    raise SystemExit(main())
