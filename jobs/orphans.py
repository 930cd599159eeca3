"""Labels whose item is no longer there on their date."""

from typing import TYPE_CHECKING

from jobs.items import targets, units
from jobs.lake import Lake
from jobs.ledger import Run
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import Column


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
