"""`votes`: what every voter said of every item, so that another fusion of the same voters asks no model again."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from jobs.items import among, within
from jobs.lake import Lake
from jobs.options import Days
from kdsl.release import Manifest, Release
from udfs.fuse import COMPARED, Side, compare_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Change = tuple[str, str | None, str | None]
KEY = ("item_id", "task", "voter_digest", "input_hash")


def keep(lake: Lake, manifest: Manifest, predicted: "DataFrame", dates: Collection[date]) -> None:
    """Append the votes in `predicted` (rows of `PREDICTED`, of these dates) that are not there yet.

    They may be there although the release is new: another one had the same voter.
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
    if lake.has("votes"):
        key = [*KEY, "event_date"]
        rows = rows.join(lake.df("votes").where(among(dates)).select(*key), key, "left_anti")
    lake.append("votes", rows)


def _digest(manifest: Manifest) -> "Column":
    from pyspark.sql import functions as F

    pairs: list[Column] = []
    for task, names in manifest.voters.items():
        for voter in names:
            pairs += [F.lit(f"{task}/{voter}"), F.lit(manifest.voter_digest(task, voter))]
    return F.create_map(*pairs)[F.concat_ws("/", "task", "vote.voter")]


def compare(lake: Lake, old: Release, new: Release, days: Days) -> tuple[dict[Change, list[str]], int, int]:
    """Items of those days by change (task, old label, new label), how many lack a vote, and how many there are.

    Both labels are fused anew from the votes, so no model is asked; rules that overrule have no part in it.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    newest = (
        lake.df("labels").where(within(days) & F.col("error_code").isNull()).select("item_id", "task", "input_hash")
    )
    said = lake.df("votes").where(within(days)).dropDuplicates(list(KEY)).select(*KEY, "log_probs")
    grouped = (
        newest.join(said, ["item_id", "task", "input_hash"])
        .groupBy("item_id", "task")
        .agg(F.map_from_entries(F.collect_list(F.struct("voter_digest", "log_probs"))).alias("votes"))
    )
    compared = grouped.mapInArrow(compare_batches(_side(old), _side(new)), from_arrow_schema(COMPARED)).collect()
    changed: dict[Change, list[str]] = {}
    for row in sorted(compared, key=lambda row: row["item_id"]):
        if row["known"] and row["old"] != row["new"]:
            changed.setdefault((row["task"], row["old"], row["new"]), []).append(row["item_id"])
    return changed, sum(not row["known"] for row in compared), len(compared)


def _side(release: Release) -> Side:
    manifest = release.manifest
    return {
        task: (release.fusion(task), {voter: manifest.voter_digest(task, voter) for voter in voters})
        for task, voters in manifest.voters.items()
    }
