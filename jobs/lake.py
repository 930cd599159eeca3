"""A lake: Delta tables under one folder, created on first use and written by MERGE only where rows differ."""

import re
import time
from collections.abc import Callable, Iterable
from datetime import date
from typing import TYPE_CHECKING, Any, TypeVar

from jobs import races, roots, staging
from jobs.hadoop import file_system
from jobs.tables import TABLES
from kdsl.errors import LakeError

if TYPE_CHECKING:
    from contextlib import AbstractContextManager

    from delta.tables import DeltaTable
    from pyspark.sql import DataFrame, SparkSession

T = TypeVar("T")
COMING = 40  # quarters of a second in which another writer's table must be there
_COMMIT = re.compile(r"(\d{20})\.json")


class Lake:
    """The tables of `jobs.tables.TABLES` under `root`, a local folder (else LakeError) or a URI that Spark can use."""

    def __init__(self, spark: "SparkSession", root: str, retries: int = 8) -> None:
        self.spark = spark
        self.root = roots.resolved(root)
        self.retries = retries
        self._there: set[str] = set()

    def must_exist(self, tables: Iterable[str] = ("conversations", "images")) -> "Lake":
        """This lake.

        Raises:
            LakeError: there is none of those tables at `root`.
        """
        if not any(map(self.has, tables)):
            raise LakeError(
                f"--lake: {self.root} holds no lake; fill one first: ./spark-submit.sh ingest --lake ... --input ..."
            )
        return self

    def path(self, name: str) -> str:
        """Where the table lies."""
        return f"{self.root}/{name}"

    def has(self, name: str) -> bool:
        """Whether the table was created."""
        from delta.tables import DeltaTable

        if name not in self._there:  # a table that was there stays there; asking costs a listing
            if not DeltaTable.isDeltaTable(self.spark, self.path(name)):
                return False
            self._there.add(name)
        return True

    def ensure(self, name: str) -> str:
        """Create the table where it is missing; its path."""
        if not self.has(name):
            try:
                self.spark.sql(TABLES[name].ddl(self.path(name)))
            except Exception:
                if not self._comes(name):  # else another writer was first, and made the same
                    raise
        return self.path(name)

    def _comes(self, name: str) -> bool:
        """Whether the table is there, or soon: another writer makes its folder some time before its first commit."""
        for _ in range(COMING):
            if self.has(name):
                return True
            time.sleep(0.25)
        return False

    def df(self, name: str) -> "DataFrame":
        """The table's rows as of now; an empty frame of its schema where it was never written."""
        if not self.has(name):
            none: list[tuple[object, ...]] = []
            return self.spark.createDataFrame(none, TABLES[name].columns)
        return self._up_to_date(name, self.spark.read.format("delta").load(self.path(name)))

    def _up_to_date(self, name: str, rows: "DataFrame") -> "DataFrame":
        """The rows with null in the columns that were added to the table's schema since the lake was made."""
        from pyspark.sql import functions as F
        from pyspark.sql.types import StructType

        stored = set(rows.columns)
        declared: Any = StructType.fromDDL(TABLES[name].columns)
        missing = {f.name: F.lit(None).cast(f.dataType) for f in declared.fields if f.name not in stored}
        return rows.withColumns(missing) if missing else rows

    def delta(self, name: str) -> "DeltaTable":
        """The table, to merge into or delete from."""
        from delta.tables import DeltaTable

        return DeltaTable.forPath(self.spark, self.ensure(name))

    def staged(self, run_id: str) -> "AbstractContextManager[str]":
        """A folder for what a run computes before it merges; gone at the end, as what killed runs left a week ago."""
        return staging.folder(self.spark, f"{self.root}/_staging", run_id)

    def version(self, name: str) -> int:
        """The table's newest version, by its log's file names (a Spark job each would cost half a second); -1: none."""
        if not self.has(name):
            return -1
        fs, log = file_system(self.spark, f"{self.path(name)}/_delta_log")  # pathlib knows local roots only
        names = (status.getPath().getName() for status in fs.listStatus(log))
        return max(int(commit[1]) for commit in map(_COMMIT.fullmatch, names) if commit)

    def versions(self, names: Iterable[str] = tuple(TABLES)) -> dict[str, int]:
        """Newest version by table name."""
        return {name: self.version(name) for name in names}

    def upsert(self, name: str, rows: "DataFrame", dates: Iterable[date] | None = None, *, fresh: bool = False) -> None:
        """Insert new rows and update those that differ in more than stamps; same rows again add no version.

        Args:
            name: the table.
            rows: all its columns, at most one row a key, computed once (no Python UDF behind it).
            dates: pins the MERGE to these partitions, so that it reads nothing else.
            fresh: the caller knows that rows differ, so that nobody looks first.

        Raises:
            LostToConcurrentWriter: another writer won every retry.
        """
        from pyspark.sql import functions as F

        table = TABLES[name]
        same_key = " AND ".join(f"t.{column} <=> s.{column}" for column in table.key)
        pinned = f"{same_key} AND t.event_date IN ({_literals(dates)})" if dates is not None else same_key
        compared = [c for c in rows.columns if c not in (*table.key, *table.stamps)]
        differs = " OR ".join(f"NOT (t.{column} <=> s.{column})" for column in compared) or "false"
        there = self.spark.read.format("delta").load(self.ensure(name))
        if set(rows.columns) - set(there.columns):  # made by an earlier version: a MERGE names every column
            self.append(name, rows.limit(0))
        stored = self._up_to_date(name, there)
        if dates is not None:
            stored = stored.where(F.col("event_date").isin(list(dates)))
        on = F.expr(f"{same_key} AND NOT ({differs})")
        # A MERGE that changes nothing would still add a version.
        if not fresh and rows.alias("s").join(stored.alias("t"), on, "left_anti").isEmpty():
            return

        def merge() -> None:
            merging = self.delta(name).alias("t").merge(rows.alias("s"), pinned)
            merging.whenMatchedUpdateAll(condition=differs).whenNotMatchedInsertAll().execute()

        self.retry(name, merge)

    def remove(self, name: str, gone: "DataFrame", same: str, dates: Iterable[date] | None = None) -> None:
        """Delete the rows `t` of a table for which `gone` has a row `s` with `same`; no table, no rows.

        `dates` pins it to these partitions.

        Raises:
            LostToConcurrentWriter: another writer won every retry.
        """

        pinned = f"{same} AND t.event_date IN ({_literals(dates)})" if dates is not None else same

        def delete() -> None:
            self.delta(name).alias("t").merge(gone.alias("s"), pinned).whenMatchedDelete().execute()

        if self.has(name):
            self.retry(name, delete)

    def append(self, name: str, rows: "DataFrame") -> None:
        """Add rows; a table made by an earlier version gets the columns that it lacks.

        Raises:
            LostToConcurrentWriter: another writer won every retry.
        """
        writer = rows.write.format("delta").mode("append").option("mergeSchema", "true")
        path = self.ensure(name)
        self.retry(name, lambda: writer.save(path))

    def retry(self, name: str, commit: Callable[[], T]) -> T:
        """Run a commit, again after each lost race, with a growing random pause.

        Raises:
            LostToConcurrentWriter: another writer won every time.
        """
        return races.retried(commit, self.retries, f"table {name} at {self.path(name)}")


def _literals(dates: Iterable[date]) -> str:
    return ", ".join(f"DATE'{day.isoformat()}'" for day in sorted(set(dates)))
