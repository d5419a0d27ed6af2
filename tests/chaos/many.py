"""Many things at once, in processes of their own."""

from __future__ import annotations

from concurrent.futures import ProcessPoolExecutor, as_completed
from multiprocessing import get_context
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

T = TypeVar("T")
R = TypeVar("R")


def in_processes(
    function: Callable[[T], R], arguments: Iterable[T], processes: int | None = None
) -> Iterator[R]:
    """Call a function with each argument, a process for each processor.

    Yields:
        What it returns, as it is done.
    """
    with ProcessPoolExecutor(processes, get_context("spawn")) as pool:
        futures = [pool.submit(function, argument) for argument in arguments]
        for future in as_completed(futures):
            yield future.result()
