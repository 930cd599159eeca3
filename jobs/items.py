"""Items as Spark frames: what there is to label in a range of dates, what of it is pending, and its full rows."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from jobs.lake import Lake
from jobs.options import Days
from kdsl.arrow import ITEM
from kdsl.errors import ErrorCode
from kdsl.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

# A mount that was away, a voter that ran out of memory: another night may go better.
PASSING = (ErrorCode.IMAGE_MISSING.value, ErrorCode.VOTER_FAILED.value)
TARGET = ("item_id", "task", "event_date", "input_hash", "turns", "sha256")


def targets(lake: Lake, tasks: Mapping[str, str], days: "Column") -> "DataFrame":
    """Every item of the given tasks (name -> what it is asked of) on the days for which `days` holds.

    Columns `TARGET`; `turns` is null for pictures, `sha256` for conversations.
    """
    from pyspark.sql import functions as F

    by_unit = {
        unit: [name for name, asked_of in tasks.items() if asked_of == unit] for unit in ("conversation", "image")
    }
    conversations = (
        lake.df("conversations")
        .where(days)
        .withColumnsRenamed({"conversation_id": "item_id", "content_hash": "input_hash"})
        .withColumn("sha256", F.lit(None).cast("string"))
    )
    images = (
        lake.df("images")
        .where(days)
        .withColumnsRenamed({"image_id": "item_id"})
        .withColumn("input_hash", F.col("sha256"))
        .withColumn("turns", F.lit(None).cast(conversations.schema["turns"].dataType))
    )
    frames = [
        frame.withColumn("task", F.explode(F.array(*map(F.lit, by_unit[unit])))).select(*TARGET)
        for unit, frame in (("conversation", conversations), ("image", images))
        if by_unit[unit]
    ]
    return frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1])


def labelled(lake: Lake, release_id: str, days: "Column") -> "DataFrame":
    """Keys of the labels that this release has given on those days; faults that may pass are pending again."""
    from pyspark.sql import functions as F

    stored = lake.df("labels").where(days).where(F.col("release_id") == release_id)
    stored = stored.where(~F.coalesce(F.col("error_code").isin(*PASSING), F.lit(False)))
    return stored.select("item_id", "task", "event_date", "input_hash")


def within(days: Days) -> "Column":
    """The condition that event_date lies in a range."""
    from pyspark.sql import functions as F

    return F.col("event_date").between(*days)


def among(days: Iterable[date]) -> "Column":
    """The condition that event_date is one of `days`."""
    from pyspark.sql import functions as F

    return F.col("event_date").isin(list(days))


def with_pictures(lake: Lake, wanted: "DataFrame", days: "Column", reader_version: str) -> "DataFrame":
    """The rows that voters see: item_id, task, event_date, input_hash, turns, pictures in the order of the turns."""
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_type

    if not lake.has("images") or lake.df("images").where(days).isEmpty():
        none = F.array().cast(from_arrow_type(ITEM.field("pictures").type))
        return wanted.select("item_id", "task", "event_date", "input_hash", "turns", none.alias("pictures"))
    read = (
        lake.df("image_features")
        .where(F.col("reader_version") == reader_version)
        .dropDuplicates(["sha256"])  # two jobs at once may have read the same picture
        .select("sha256", F.struct("sha256", "width", "height", "lines", "error_code").alias("picture"))
    )
    sent = (
        wanted.where(F.col("turns").isNotNull())
        .select("item_id", "task", F.posexplode(F.flatten("turns.image_ids")).alias("place", "image_id"))
        .join(lake.df("images").where(days).select("image_id", "sha256"), "image_id")
        .select("item_id", "task", "place", "sha256")
    )
    alone = wanted.where(F.col("turns").isNull()).select("item_id", "task", F.lit(0).alias("place"), "sha256")
    pictures = (
        sent.unionByName(alone)
        .join(read, "sha256")
        .groupBy("item_id", "task")
        .agg(F.array_sort(F.collect_list(F.struct("place", "picture"))).alias("placed"))
        .select("item_id", "task", F.transform("placed", lambda p: p["picture"]).alias("pictures"))
    )
    return wanted.join(pictures, ["item_id", "task"], "left").select(
        "item_id", "task", "event_date", "input_hash", "turns", "pictures"
    )


def pictures_of(lake: Lake, wanted: "DataFrame", days: "Column") -> "DataFrame":
    """Rows of `images` that those targets show."""
    from pyspark.sql import functions as F

    sent = wanted.where(F.col("turns").isNotNull()).select(F.explode(F.flatten("turns.image_ids")).alias("image_id"))
    alone = wanted.where(F.col("turns").isNull()).select(F.col("item_id").alias("image_id"))
    return lake.df("images").where(days).join(sent.unionByName(alone), "image_id", "left_semi")


def units(taxonomy: Taxonomy, tasks: Iterable[str]) -> dict[str, str]:
    """What each of those tasks is asked of."""
    return {name: taxonomy.task(name).asked_of for name in tasks}
