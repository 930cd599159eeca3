"""What parsing left in the staging table, settled: duplicates out, records and refusals counted."""

from collections import Counter
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from kdsl.errors import ErrorCode
from kdsl.importers.staged import BAD, CONVERSATION, GOLD, IMAGE, UNLABELLED

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

_RECORD = ["file", "line", "record_key"]
_PICTURE = [*_RECORD, "pos"]


@dataclass
class Staged:
    """The staging rows of one run.

    `good` holds conversations, pictures and gold labels, each id once; `bad` the rows for quarantine (`file`,
    `row_key`, `error_code`, `message`, `hash`); `codes` counts refused records by code.
    """

    good: "DataFrame"
    bad: "DataFrame"
    records: int = 0
    gold: int = 0
    collapsed: int = 0
    unlabelled: int = 0
    codes: Counter[str] = field(default_factory=Counter)

    @property
    def refused(self) -> int:
        """Records in quarantine."""
        return self.codes.total()

    @property
    def bad_share(self) -> float:
        """Refused records as a share of all; 0 where there are none."""
        return self.refused / self.records if self.records else 0.0


def settle(spark: "SparkSession", staging: str) -> Staged:
    """Read the staging table at `staging/records`; of records with one id, the first by file and line stays.

    Others of the same content are dropped and counted, others of different content are refused.
    """
    from pyspark.sql import functions as F

    rows = spark.read.format("delta").load(f"{staging}/records")
    counted = rows.groupBy("kind", "error_code").agg(
        F.count("*").alias("rows"),
        F.sum("records").alias("records"),
        F.count_distinct("id", F.coalesce("task", F.lit(""))).alias("ids"),
        F.count_distinct("file", "row_key").alias("places"),
    )
    staged = Staged(rows.where(~F.col("kind").isin(BAD, UNLABELLED)), rows.where(F.col("kind") == BAD))
    twice = False
    for row in counted.collect():
        staged.records += row["records"]
        if row["kind"] == BAD:
            staged.codes[row["error_code"]] += row["places"]
            continue
        if row["kind"] == UNLABELLED:
            staged.unlabelled += row["rows"]
            continue
        if row["kind"] == GOLD:
            staged.gold += row["rows"]
        twice |= row["rows"] > row["ids"]
    if twice:
        _drop_twins(spark, staging, staged)
    return staged


def _drop_twins(spark: "SparkSession", staging: str, staged: Staged) -> None:
    from pyspark.sql import functions as F

    records = _twins(staged.good, CONVERSATION)
    # A refused conversation takes its pictures with it: only those of the others are compared.
    pictures = _twins(staged.good.join(records, _RECORD, "left_anti"), IMAGE)
    gold = _twins(staged.good.join(records, _RECORD, "left_anti").join(pictures, _PICTURE, "left_anti"), GOLD)
    # Written once: finding them sorts all ids, and every later statement asks for them.
    records.unionByName(pictures).unionByName(gold).write.format("delta").save(f"{staging}/twins")
    twins = spark.read.format("delta").load(f"{staging}/twins")
    records, pictures, gold = (twins.where(F.col("kind") == kind) for kind in (CONVERSATION, IMAGE, GOLD))
    staged.good = staged.good.join(records, _RECORD, "left_anti").join(pictures, _PICTURE, "left_anti")
    one_label = [*_PICTURE, "kind", "task"]  # a record's gold labels stand in one place, and with it
    staged.good = staged.good.join(gold, one_label, "left_anti")
    message = F.concat(F.lit("the id was used before, with other content, at "), F.col("first_key"))
    differing = twins.where("differs").select(
        "file",
        "row_key",
        F.lit(ErrorCode.DUPLICATE_ID.value).alias("error_code"),
        message.alias("message"),
        F.sha2("told", 256).alias("hash"),
    )
    staged.bad = staged.bad.select(differing.columns).unionByName(differing)
    refused = twins.where("differs").select("file", "row_key").distinct().count()
    staged.collapsed = twins.where("NOT differs").count()
    staged.gold = staged.good.where(F.col("kind") == GOLD).count()
    if refused:
        staged.codes[ErrorCode.DUPLICATE_ID.value] += refused


def _twins(rows: "DataFrame", kind: str) -> "DataFrame":
    from pyspark.sql import Window
    from pyspark.sql import functions as F

    same_id = Window.partitionBy("id", "task").orderBy("file", "line", "pos", "row_key")
    told = F.coalesce("fingerprint", F.concat_ws("\t", "label", "split"))  # of a gold label that is all there is
    return (
        rows.where(F.col("kind") == kind)
        .select("kind", "id", "task", told.alias("told"), *_PICTURE, "row_key")
        .withColumn("nth", F.row_number().over(same_id))
        .withColumn("differs", F.col("told") != F.first("told").over(same_id))
        .withColumn("first_key", F.first("row_key").over(same_id))
        .where("nth > 1")
        .select("kind", *_PICTURE, "row_key", "task", "told", "differs", "first_key")
    )
