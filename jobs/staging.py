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
    """A run's own folder below `root`, gone at the end; what lies there for a week goes first."""
    _sweep(spark, root)
    try:
        yield f"{root}/{run_id}"
    finally:
        fs, path = file_system(spark, f"{root}/{run_id}")
        fs.delete(path, True)


def _sweep(spark: "SparkSession", root: str) -> None:
    fs, path = file_system(spark, root)
    if not fs.exists(path):
        return
    for status in fs.listStatus(path):
        if status.getModificationTime() < (time.time() - STALE_SECONDS) * 1000:
            fs.delete(status.getPath(), True)
