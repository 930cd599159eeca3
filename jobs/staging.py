"""Folders in which runs stage what they computed before they merge it, and the sweeping of what killed runs left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.hadoop import file_system

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

STALE_SECONDS = 7 * 24 * 3600  # no chunk of a living run is that old


@contextmanager
def folder(spark: "SparkSession", root: str, run_id: str) -> Iterator[str]:
    """A run's own folder below `root`, gone at the end; what lies there for a week goes first.

    Its name ends in the second in which it was begun: stores tell of a folder no time, or the time of the question.
    """
    _sweep(spark, root)
    own = f"{root}/{run_id}.{time.time():.0f}"
    try:
        yield own
    finally:
        fs, path = file_system(spark, own)
        fs.delete(path, True)


def _sweep(spark: "SparkSession", root: str) -> None:
    fs, path = file_system(spark, root)
    if not fs.exists(path):
        return
    for status in fs.listStatus(path):
        begun = status.getPath().getName().rpartition(".")[2]
        if begun.isdecimal() and int(begun) < time.time() - STALE_SECONDS:
            fs.delete(status.getPath(), True)
