"""Read the pictures that were never read: OCR on executors, committed in chunks, each picture once ever."""

from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from datetime import date
from typing import TYPE_CHECKING

from jobs import console
from jobs.items import among, days_elsewhere, shown
from jobs.lake import Lake
from jobs.ledger import Run
from kdsl.config import ReaderSettings, Settings
from kdsl.ocr import reader_version
from udfs.perceive import READ, read_pictures

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

Place = tuple[date, str]
"""Event date and id of a picture."""
TRIED = 3  # places at which one picture is looked for: one that is kept by path may be gone from the first alone


def perceive(lake: Lake, settings: Settings, reader: ReaderSettings, pictures: "DataFrame", run: Run) -> bool:
    """Fill `image_features` for `pictures` (see `jobs.items.shown`); whether there are any.

    What was read before is counted as a cache hit; what is not there is told and stays out. Pictures go by date and
    id, `label.perceive_chunk` between two commits: a kill costs at most one chunk.
    """
    from pyspark.sql import functions as F

    version = reader_version(reader)
    known = lake.df("image_features").where(F.col("reader_version") == version).select("sha256").distinct()
    there = pictures.where(F.col("sha256").isNotNull())
    places = F.slice(F.array_sort(F.collect_set(F.struct("event_date", "image_id"))), 1, TRIED)
    distinct = there.groupBy("sha256").agg(places.alias("places"))
    rows = distinct.join(known.withColumn("known", F.lit(True)), "sha256", "left").collect()
    todo = sorted(([*map(tuple, row["places"])], row["sha256"]) for row in rows if not row["known"])
    run.count("pictures_cached", len(rows) - len(todo))
    lost = 0
    for begin in range(0, len(todo), settings.label.perceive_chunk):
        chunk = todo[begin : begin + settings.label.perceive_chunk]
        read = len(chunk) - len(_missing(lake, settings, reader, chunk, run))
        run.count("pictures_read", read)
        lost += len(chunk) - read
        if len(todo) > settings.label.perceive_chunk:
            console.say(f"  read {begin + len(chunk):,} of {len(todo):,} new pictures")
    if lost:
        run.count("pictures_missing", lost)
        console.say(
            f"  {lost:,} of {len(todo):,} new pictures are gone from ingest.image_root "
            f"({settings.ingest.image_root!r}), or changed. Their dialogues go without them until a run finds them as "
            "they came in; ingest anew what is gone for good."
        )
    return bool(rows)


@contextmanager
def perceived(
    lake: Lake, settings: Settings, reader: ReaderSettings, todo: "DataFrame", dates: Collection[date], *, run: Run
) -> "Iterator[DataFrame | None]":
    """The pictures that those items show (see `jobs.items.shown`), each of them read; None where there is none."""
    if not lake.has("images"):
        yield None
        return
    pictures = shown(lake, todo, among(dates)).persist()
    try:
        with run.stage("read pictures"):
            if elsewhere := days_elsewhere(lake, pictures):
                pictures.unpersist()
                pictures = shown(lake, todo, among({*dates, *elsewhere})).persist()
            found = perceive(lake, settings, reader, pictures, run)
        yield pictures if found else None
    finally:
        pictures.unpersist()


def _missing(
    lake: Lake, settings: Settings, reader: ReaderSettings, chunk: Sequence[tuple[list[Place], str]], run: Run
) -> set[str]:
    """Read the pictures of a chunk; the hashes of those that are at none of their places."""
    missing = {sha256 for _, sha256 in chunk}
    for nth in range(TRIED):
        keys = [places[nth] for places, sha256 in chunk if sha256 in missing and nth < len(places)]
        missing -= _read_chunk(lake, settings, reader, keys, run) if keys else set()
    return missing


def _read_chunk(lake: Lake, settings: Settings, reader: ReaderSettings, chunk: Sequence[Place], run: Run) -> set[str]:
    """Read the pictures at those places; the hashes of those that were there."""
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    spark = lake.spark
    keys = F.broadcast(spark.createDataFrame(chunk, "event_date DATE, image_id STRING"))
    rows = (
        lake.df("images")
        .where(among({day for day, _ in chunk}) & _span([image_id for _, image_id in chunk]))
        .join(keys, ["event_date", "image_id"], "left_semi")
        .select("sha256", "content", "path")
        # A picture takes a second, its bytes little: many small tasks keep every core busy to the end.
        .repartition(min(len(chunk), 4 * spark.sparkContext.defaultParallelism))
    )
    limits = settings.ingest.image_root, settings.ingest.max_image_bytes
    read = rows.mapInArrow(read_pictures(reader, *limits), from_arrow_schema(READ))
    # No coalesce: it would pull the reading itself into one task.
    stamped = read.withColumn("run_id", F.lit(run.run_id)).repartition(1 + len(chunk) // 10_000).persist()
    try:
        if found := {row["sha256"] for row in stamped.select("sha256").collect()}:  # none would still add a version
            lake.append("image_features", stamped)
        return found
    finally:
        stamped.unpersist()


def _span(image_ids: Sequence[str]) -> "Column":
    """Ids between the chunk's first and last: lets Delta and Parquet skip files and row groups with pictures inside."""
    from pyspark.sql import functions as F

    return F.col("image_id").between(min(image_ids), max(image_ids))
