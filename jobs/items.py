"""Items as Spark frames: what there is to label in a range of dates, and its full rows."""

from collections.abc import Iterable, Mapping
from datetime import date
from typing import TYPE_CHECKING

from jobs.lake import Lake
from jobs.options import Days
from kdsl.arrow import ITEM, PICTURE
from kdsl.errors import ErrorCode
from kdsl.taxonomy import Taxonomy

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

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
        # Cast, since two releases may have no task in common: of no task there is nothing, which has no type.
        frame.withColumn("task", F.explode(F.array(*map(F.lit, by_unit[unit])).cast("array<string>"))).select(*TARGET)
        for unit, frame in (("conversation", conversations), ("image", images))
        if by_unit[unit] or not tasks
    ]
    return frames[0] if len(frames) == 1 else frames[0].unionByName(frames[1])


def within(days: Days) -> "Column":
    """The condition that event_date lies in a range."""
    from pyspark.sql import functions as F

    return F.col("event_date").between(*days)


def among(days: Iterable[date]) -> "Column":
    """The condition that event_date is one of `days`."""
    from pyspark.sql import functions as F

    return F.col("event_date").isin(list(days))


def shown(lake: Lake, wanted: "DataFrame", days: "Column") -> "DataFrame":
    """The pictures that those targets show, one row each: item_id, task, place, image_id, sha256, event_date.

    `place` counts in the order of the turns; date and hash are null where `images` has no such picture on those days.
    """
    from pyspark.sql import functions as F

    placed = F.posexplode(F.flatten("turns.image_ids")).alias("place", "image_id")
    known = lake.df("images").where(days).select("image_id", "sha256", "event_date")
    sent = wanted.where(F.col("turns").isNotNull()).select("item_id", "task", placed).join(known, "image_id", "left")
    alone = wanted.where(F.col("turns").isNull())
    of_itself = (F.lit(0).alias("place"), F.col("item_id").alias("image_id"))
    alone = alone.select("item_id", "task", *of_itself, "sha256", "event_date")
    return sent.select(*alone.columns).unionByName(alone)


def days_elsewhere(lake: Lake, pictures: "DataFrame") -> list[date]:
    """Dates of pictures that `shown` did not find on its days: one picture may be sent in dialogues of two dates."""
    from pyspark.sql import functions as F

    missing = pictures.where(F.col("sha256").isNull()).select("image_id").distinct()
    if missing.isEmpty():  # nearly always, and then `images` is not searched
        return []
    found = lake.df("images").join(F.broadcast(missing), "image_id", "left_semi").select("event_date").distinct()
    return [row["event_date"] for row in found.collect()]


def with_pictures(
    lake: Lake, wanted: "DataFrame", pictures: "DataFrame | None", reader_version: str, looked_at: Iterable[str] = ()
) -> "DataFrame":
    """The rows that voters see: item_id, task, event_date, input_hash, turns, pictures in the order of the turns.

    Beside them `again`, where `wanted` tells it (`jobs.pending`).
    `pictures` is what `shown` says of them; None: not one of them shows a picture. One that this reader never
    read has the code IMAGE_MISSING; one that never came in is left out. Only items of the tasks `looked_at` carry the
    files of their pictures, or where these lie.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_type

    own = [name for name in (*TARGET[:-1], "again") if name in wanted.columns]
    if pictures is None:
        none = F.array().cast(from_arrow_type(ITEM.field("pictures").type))
        return wanted.select(*own, none.alias("pictures"))
    read = (
        lake.df("image_features")
        .where(F.col("reader_version") == reader_version)
        .dropDuplicates(["sha256"])  # two jobs at once may have read the same picture
        .select("sha256", "width", "height", "lines", "error_code", "thumbnail", F.lit(True).alias("read"))
    )
    code = F.when(F.col("read"), F.col("error_code")).otherwise(ErrorCode.IMAGE_MISSING.value)
    gathered = (
        _with_files(lake, pictures.where(F.col("sha256").isNotNull()), list(looked_at))
        .join(read, "sha256", "left")
        .withColumn("error_code", code)
        .withColumn("picture", F.struct(*PICTURE.names))
        .groupBy("item_id", "task")
        .agg(F.array_sort(F.collect_list(F.struct("place", "picture"))).alias("placed"))
        .select("item_id", "task", F.transform("placed", lambda p: p["picture"]).alias("pictures"))
    )
    return wanted.join(gathered, ["item_id", "task"], "left").select(*own, "pictures")


def _with_files(lake: Lake, pictures: "DataFrame", looked_at: list[str]) -> "DataFrame":
    """Add content and path, null for tasks of which no voter looks at pictures."""
    from pyspark.sql import functions as F

    if not looked_at:  # no join, and no byte of a picture is read
        return pictures.withColumns({"content": F.lit(None).cast("binary"), "path": F.lit(None).cast("string")})
    first, last = pictures.agg(F.min("event_date"), F.max("event_date")).collect()[0]
    files = lake.df("images").where(F.col("event_date").between(first, last)).select("image_id", "content", "path")
    seen = F.col("task").isin(looked_at)
    kept = {name: F.when(seen, F.col(name)) for name in ("content", "path")}
    return pictures.join(files, "image_id", "left").withColumns(kept)


def units(taxonomy: Taxonomy, tasks: Iterable[str]) -> dict[str, str]:
    """What each of those tasks is asked of."""
    return {name: taxonomy.task(name).asked_of for name in tasks}
