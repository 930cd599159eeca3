"""Items that go, with what releases said of them; and labels whose item is no longer there on their date."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from jobs.items import among, targets, units
from jobs.lake import Lake
from jobs.ledger import Run
from jobs.tables import TABLES
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

SAID = ("labels", "shadow_labels")  # tables of what releases say of items

_SAME = "t.{} = s.id AND t.event_date = s.event_date"


def drop(lake: Lake, release: Release, days: "Column", into: str, run: Run) -> None:
    """Take out labels of items that are no longer there on that date: removed, or moved while a night was running.

    Out of `into` and, where that is `labels`, of shadows too; another release's tasks say nothing of labels.
    """
    from pyspark.sql import functions as F

    tasks = units(release.taxonomy, release.manifest.voters)
    key = ["item_id", "task", "event_date"]
    for table in filter(lake.has, SAID if into == "labels" else (into,)):
        stored = lake.df(table).where(days).where(F.col("task").isin(list(tasks))).select(*key)
        gone = stored.join(targets(lake, tasks, days).select(*key), key, "left_anti")
        found = gone.count()
        run.count("orphans", found)
        if found:
            same = " AND ".join(f"t.{column} = s.{column}" for column in key)
            lake.remove(table, gone, same)


def drop_moved(lake: Lake, items: "DataFrame", dates: Collection[date]) -> None:
    """Take out the labels on `dates` of `items` (id, event_date) whose date is another one."""
    from pyspark.sql import functions as F

    if not dates:
        return
    for table in filter(lake.has, SAID):
        stored = lake.df(table).where(among(dates)).select(F.col("item_id").alias("id"), "event_date").distinct()
        gone = (
            stored.alias("t")
            .join(items.alias("s"), "id")
            .where("t.event_date <> s.event_date")
            .select("id", "t.event_date")
        )
        if not gone.isEmpty():  # else an empty MERGE would add a version
            lake.remove(table, gone, _SAME.format("item_id"), dates)


def drop_items(lake: Lake, table: str, gone: "DataFrame") -> int:
    """Take the items `gone` (id, event_date) out of their table, and before that what was said of them; how many."""
    from pyspark.sql import functions as F

    found, dates = gone.agg(F.count("*"), F.collect_set("event_date")).collect()[0]
    if found:
        for name in SAID:
            lake.remove(name, gone, _SAME.format("item_id"), dates)
        lake.remove(table, gone, _SAME.format(*TABLES[table].key), dates)
    return int(found)


def unnamed(lake: Lake, conversations: "DataFrame", others: "DataFrame") -> "DataFrame":
    """Pictures (id, event_date) of these conversations (conversation_id) that none of the `others` shows."""
    from pyspark.sql import functions as F

    shown = others.select(F.explode(F.flatten("turns.image_ids")).alias("image_id"))
    stored = lake.df("images").select("image_id", "conversation_id", "event_date")
    own = stored.join(conversations, "conversation_id", "left_semi").join(shown, "image_id", "left_anti")
    return own.select(F.col("image_id").alias("id"), "event_date")


def leave_one_date(lake: Lake, table: str, ids: "DataFrame") -> int:
    """Leave each of those ids one date in a table of items, the one that was ingested last; how many rows that cost.

    Two ingests at once that bring an id in on two dates both commit, since neither touches the other's partitions.
    """
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    [key] = TABLES[table].key
    items = lake.df(table).select(F.col(key).alias("id"), "event_date", "ingested_at")
    last = F.max(F.struct("ingested_at", "event_date")).over(Window.partitionBy("id"))
    dated = items.join(ids, "id", "left_semi").withColumn("last", last)
    earlier = dated.where("event_date <> last.event_date").select("id", "event_date")
    dropped = drop_items(lake, table, earlier)
    if dropped and table == "conversations":  # with the pictures that nobody shows any more
        own = ids.withColumnRenamed("id", "conversation_id")
        drop_items(lake, "images", unnamed(lake, own, lake.df("conversations")))
    return dropped
