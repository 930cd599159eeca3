"""What a run's workers count beside their rows: models loaded, and loaded again, batches halved, items cut."""

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from typing import TYPE_CHECKING

from jobs.ledger import Run
from udfs.counted import Adds, Summed, summary

if TYPE_CHECKING:
    from pyspark.sql import SparkSession


@contextmanager
def counted(spark: "SparkSession", run: Run) -> Iterator[Adds]:
    """For the functions of `udfs.predict`; at the end what workers counted stands in the run, see `udfs.counted`."""
    counts = spark.sparkContext.accumulator(Counter[str](), Summed())
    before = _slots(spark)
    try:
        yield counts
    finally:
        if counts.value:
            for name, more in summary(counts.value, max(before, _slots(spark))).items():
                run.count(name, more)


def _slots(spark: "SparkSession") -> int:
    """Tasks that the executors there are run at once."""
    cores = spark.sparkContext.defaultParallelism
    return max(1, cores // int(spark.conf.get("spark.task.cpus", None) or 1))
