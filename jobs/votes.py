"""`votes`: what every voter said of every item, so that another fusion of the same voters asks no model again."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from jobs.items import among
from jobs.lake import Lake
from kdsl.release import Manifest

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

KEY = ("item_id", "task", "voter_digest", "input_hash")


def keep(
    lake: Lake, manifest: Manifest, predicted: "DataFrame", dates: Collection[date], *, fresh: bool = False
) -> None:
    """Append the votes in `predicted` (rows of `PREDICTED`, of these dates) that are not there yet.

    `fresh`: the items were never labelled, so nobody looks for earlier votes; what a killed run left is a copy then.
    """
    from pyspark.sql import functions as F

    spoken = predicted.select("item_id", "task", "event_date", "input_hash", F.explode("said").alias("vote"))
    rows = spoken.select(
        "item_id",
        "task",
        "event_date",
        F.col("vote.voter").alias("voter"),
        _digest(manifest).alias("voter_digest"),
        "input_hash",
        F.col("vote.log_probs").alias("log_probs"),
        F.col("vote.log_probs").isNull().alias("abstained"),
    )
    if not fresh and lake.has("votes"):
        key = [*KEY, "event_date"]
        rows = rows.join(lake.df("votes").where(among(dates)).select(*key), key, "left_anti")
    path = lake.ensure("votes")
    lake.retry("votes", lambda: rows.write.format("delta").mode("append").save(path))


def _digest(manifest: Manifest) -> "Column":
    from pyspark.sql import functions as F

    pairs: list[Column] = []
    for task, names in manifest.voters.items():
        for voter in names:
            pairs += [F.lit(f"{task}/{voter}"), F.lit(manifest.voter_digest(task, voter))]
    return F.create_map(*pairs)[F.concat_ws("/", "task", "vote.voter")]
