"""Items that a cascade spares the dear voter, asked of it after all: to score it, and to keep its votes."""

from typing import TYPE_CHECKING

from jobs import cards, votes
from jobs.items import targets, units
from jobs.lake import Lake
from jobs.seen import seen
from kdsl.config import Settings
from kdsl.fusion.cascade import DEAR
from kdsl.models.voter import looked_at
from kdsl.release import Release
from udfs.predict import PREDICTED, predict_batches

if TYPE_CHECKING:
    from pyspark.sql import DataFrame


def asked(lake: Lake, settings: Settings, release: Release, rows: "DataFrame") -> "DataFrame":
    """Rows of `labels` (with item_id, task, votes, error_code), `votes` those of every voter; labels stay as they are.

    What the dear voter says is kept in the table `votes`, as of any row that it is asked of.
    """
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    tasks = [task for task in release.manifest.voters if release.fusion(task).cascade]
    if not tasks:
        return rows
    spared = F.col("task").isin(tasks) & F.col("error_code").isNull() & F.col("votes").isNotNull()
    spared = spared & ~F.exists("votes", lambda vote: vote["voter"] == DEAR)
    left = rows.where(spared).select("item_id", "task", "event_date").localCheckpoint()
    dates = [row[0] for row in left.select("event_date").distinct().collect()]
    if not dates:
        return rows
    wanted = targets(lake, units(release.taxonomy, tasks), F.col("event_date").isin(dates))
    wanted = wanted.join(F.broadcast(left), ["item_id", "task", "event_date"], "left_semi")
    items = seen(lake, wanted, release.manifest.reader_version, looked_at(release.manifest.voters))
    limits = settings.ingest.max_turn_chars, settings.ingest.image_root
    predict = predict_batches(str(release.path), release.manifest.release_id, *limits, dear_alone=True)
    if cards.alone(settings, release):
        items = items.coalesce(1)
    said = items.mapInArrow(predict, from_arrow_schema(PREDICTED)).localCheckpoint()
    votes.keep(lake, release.manifest, said, dates)
    further = said.select("item_id", "task", F.col("votes").alias("further"))
    known = rows.join(further, ["item_id", "task"], "left")
    return known.withColumn("votes", F.coalesce(F.concat("votes", "further"), "votes")).drop("further").cache()
