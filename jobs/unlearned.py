"""Gold that a release did not learn from, and what the release said there."""

from typing import TYPE_CHECKING

import pyarrow as pa

from jobs.items import within
from jobs.lake import Lake
from jobs.options import Days
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, Row


def learned(lake: Lake, release: Release) -> "DataFrame":
    """The items (item_id, task) that the release learned from, small enough to be sent to every worker."""
    from pyspark.sql import functions as F

    rows = [{"item_id": item_id, "task": task} for task, ids in release.learned().items() for item_id in ids]
    return F.broadcast(lake.spark.createDataFrame(pa.Table.from_pylist(rows)))


def held_out(lake: Lake, known: "DataFrame") -> "DataFrame":
    """Gold rows (item_id, task, gold, split, weight) that a release did not learn from (`known`: see `learned`).

    None of them was picked for doubt.

    `weight` is 1 / probability of one that `sample` drew at random, 1 of any other.
    """
    from pyspark.sql import functions as F

    gold = lake.df("gold_labels").select("item_id", "task", F.col("label").alias("gold"), "split")
    gold = unknown(gold, known)
    if not lake.has("draws"):
        return gold.withColumn("weight", F.lit(1.0))
    drawn = lake.df("draws").select("item_id", "task", "part", "inclusion")
    return (
        gold.join(drawn, ["item_id", "task"], "left")
        .where(~F.col("part").eqNullSafe(F.lit("doubt")))
        .select(*gold.columns, F.coalesce(1 / F.col("inclusion"), F.lit(1.0)).alias("weight"))
    )


def unknown(rows: "DataFrame", known: "DataFrame") -> "DataFrame":
    """Those of the rows (with item_id and task) that a release did not learn from (`known`: see `learned`)."""
    return rows.join(known, ["item_id", "task"], "left_anti")


def labelled(lake: Lake, release: Release, days: Days) -> "DataFrame":
    """What the release said on those days, without its reasons.

    Columns item_id, task, event_date, input_hash, label, score, abstained, decided_by, error_code, run_id.
    """
    from pyspark.sql import functions as F

    said = lake.df("labels").where(within(days)).where(F.col("release_id") == release.manifest.release_id)
    return said.select(
        "item_id",
        "task",
        "event_date",
        "input_hash",
        "label",
        "score",
        "abstained",
        "decided_by",
        "error_code",
        "run_id",
    )


def drawn(labels: "DataFrame", most: int) -> "DataFrame":
    """At most so many rows of each date and task, drawn by hash of the id; `rows` is how many there are."""
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    batch = Window.partitionBy("event_date", "task")
    place = F.row_number().over(batch.orderBy(F.xxhash64("item_id"), "item_id"))
    numbered = labels.withColumns({"rows": F.count("*").over(batch), "place": place})
    return numbered.where(F.col("place") <= most).drop("place")


def counted(lake: Lake, known: "DataFrame", labels: "DataFrame") -> "list[Row]":
    """Rows (event_date, task, gold, label, abstained, failed, weight, count) of `labels` (see `labelled`).

    `gold` is null where there is none, or where the release learned from it (`known`: see `learned`).
    """
    from pyspark.sql import functions as F

    return (
        labels.join(F.broadcast(held_out(lake, known)), ["item_id", "task"], "left")
        .withColumn("failed", F.col("error_code").isNotNull())
        .groupBy("event_date", "task", "gold", "label", "abstained", "failed", "weight")
        .count()
        .collect()
    )
