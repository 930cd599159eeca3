"""Independent actions side by side: while Spark plans one, which keeps one core busy, another runs."""

from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

A = TypeVar("A")
B = TypeVar("B")


def together(one: Callable[[], A], other: Callable[[], B]) -> tuple[A, B]:
    """The results of both; both have ended when this returns or raises, so that nothing writes behind a failed job."""
    with ThreadPoolExecutor(1) as pool:
        started = pool.submit(other)
        first = one()
        return first, started.result()
