"""`votes`: what every voter said of every item, so that another fusion of the same voters asks no model again."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from jobs.items import among, targets, units
from jobs.lake import Lake
from jobs.seen import seen
from kdsl.manifest import Manifest
from kdsl.release import Release
from kdsl.revote import model_digests
from udfs.revote import SAYS, revote_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

KEY = ("item_id", "task", "voter_digest", "input_hash")


def keep(
    lake: Lake, manifest: Manifest, predicted: "DataFrame", dates: Collection[date], *, fresh: bool = True
) -> None:
    """Append the votes in `predicted` (rows of `PREDICTED`, of these dates) that are not there yet.

    They may be there although the release is new: another one had the same voter. Where the caller does not know that
    rows are `fresh`, somebody looks first whether there are any: to append none would still add a version.
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
    if not fresh and rows.isEmpty():
        return
    # Few files, each of a run's dates: Delta finds a date by a file's first and last, as if it were a partition.
    lake.append("votes", rows.hint("rebalance"))


def _digest(manifest: Manifest) -> "Column":
    from pyspark.sql import functions as F

    pairs: list[Column] = []
    for task, names in manifest.voters.items():
        for voter in names:
            pairs += [F.lit(f"{task}/{voter}"), F.lit(manifest.voter_digest(task, voter))]
    return F.create_map(*pairs)[F.concat_ws("/", "task", "vote.voter")]


def compare(lake: Lake, old: Release, new: Release, days: "Column") -> "DataFrame":
    """What two releases say of the labelled items of those days: item_id, task, old, new (null: abstains), known.

    No model is asked: their votes are taken as stored, and an item of which one is missing is not `known`. Rules are
    asked again, and may overrule.
    """
    from pyspark.sql import functions as F

    labelled = lake.df("labels").where(days & F.col("error_code").isNull()).select("item_id", "task", "input_hash")
    shared = [task for task in old.manifest.voters if task in new.manifest.voters]
    wanted = targets(lake, units(new.taxonomy, shared), days)
    wanted = wanted.join(labelled, ["item_id", "task", "input_hash"], "left_semi")
    sides = [
        _says(lake, release, wanted, days).withColumnsRenamed({"says": name, "known": f"{name}_known"})
        for name, release in (("old", old), ("new", new))
    ]
    both = sides[0].join(sides[1], ["item_id", "task"])
    return both.select("item_id", "task", "old", "new", (F.col("old_known") & F.col("new_known")).alias("known"))


def _says(lake: Lake, release: Release, wanted: "DataFrame", days: "Column") -> "DataFrame":
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    digests = [digest for voters in model_digests(release.manifest).values() for digest in voters.values()]
    stored = lake.df("votes").where(days & F.col("voter_digest").isin(digests)).dropDuplicates(list(KEY))
    votes = stored.groupBy("item_id", "task", "input_hash").agg(
        F.map_from_entries(F.collect_list(F.struct("voter_digest", "log_probs"))).alias("votes")
    )
    rows = seen(lake, wanted, release.manifest.reader_version).join(votes, ["item_id", "task", "input_hash"], "left")
    revote = revote_batches(str(release.path), release.manifest.release_id)
    return rows.mapInArrow(revote, from_arrow_schema(SAYS))
