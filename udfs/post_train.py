"""Work that is learning: done on executors, a Spark task each, on the GPU that Spark grants it if it schedules any."""

import logging
from collections.abc import Callable, Iterable, Iterator
from typing import TYPE_CHECKING, TypeVar

from kdsl.errors import KdslError
from udfs import gpu
from udfs.unquoted import unquoted

if TYPE_CHECKING:
    from pyspark import Broadcast

T = TypeVar("T")
EVERY = 20.0  # seconds between two lines about one piece of work


class Sparing(logging.Filter):
    """Lets a record pass if the last one is long enough ago."""

    last = float("-inf")

    def filter(self, record: logging.LogRecord) -> bool:
        """Whether it passes."""
        passes = record.created - self.last >= EVERY
        self.last = record.created if passes else self.last
        return passes


def away(work: "Broadcast[Callable[[], T]]") -> Callable[[Iterable[int]], Iterable[T | KdslError]]:
    """A function for `mapPartitions` over one row: what the work gives, or the error that it raised on purpose.

    How far it is goes to the worker's standard error: the terminal of a local session, an executor's log on a cluster.
    """

    @unquoted
    def task(rows: Iterable[int]) -> Iterator[T | KdslError]:
        told, line = logging.getLogger("kdsl"), logging.StreamHandler()
        line.setFormatter(logging.Formatter("  %(message)s"))
        line.addFilter(Sparing())
        told.addHandler(line)
        told.setLevel(logging.INFO)
        try:
            for _ in rows:
                gpu.claim()
                try:
                    yield work.value()
                except KdslError as error:  # as a value: Spark would wrap it into its own
                    yield error
        finally:
            told.removeHandler(line)

    return task
