"""Labels whose item is no longer there on their date."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from jobs.items import among, targets, units
from jobs.lake import Lake
from jobs.ledger import Run
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame


def drop(lake: Lake, release: Release, days: "Column", run: Run) -> None:
    """Take out labels of items that are no longer there on that date: removed, or moved while a night was running."""
    from pyspark.sql import functions as F

    tasks = units(release.taxonomy, release.manifest.voters)
    key = ["item_id", "task", "event_date"]
    stored = lake.df("labels").where(days).where(F.col("task").isin(list(tasks))).select(*key)
    gone = stored.join(targets(lake, tasks, days).select(*key), key, "left_anti")
    run.count("orphans", gone.count())
    if run.counts["orphans"]:
        same = " AND ".join(f"t.{column} = s.{column}" for column in key)
        lake.remove("labels", gone, same)


def drop_moved(lake: Lake, items: "DataFrame", dates: Collection[date]) -> None:
    """Take out the labels on `dates` of `items` (id, event_date) whose date is another one."""
    from pyspark.sql import functions as F

    if not dates:
        return
    stored = lake.df("labels").where(among(dates)).select(F.col("item_id").alias("id"), "event_date").distinct()
    gone = (
        stored.alias("t")
        .join(items.alias("s"), "id")
        .where("t.event_date <> s.event_date")
        .select("id", "t.event_date")
    )
    if not gone.isEmpty():  # else an empty MERGE would add a version
        lake.remove("labels", gone, "t.item_id = s.id AND t.event_date = s.event_date", dates)
