"""Items that a cascade spares the dear voter, asked of it after all, once: to score it, and to keep its votes."""

from collections.abc import Collection
from datetime import date
from typing import TYPE_CHECKING

from jobs import cards, votes
from jobs.items import among, targets, units
from jobs.lake import Lake
from jobs.seen import seen
from kdsl.config import Settings
from kdsl.fusion.cascade import DEAR
from kdsl.models.voter import looked_at
from kdsl.release import Release
from udfs.predict import PREDICTED, predict_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame

_KEY = ["item_id", "task", "event_date", "input_hash"]


def asked(lake: Lake, settings: Settings, release: Release, rows: "DataFrame") -> "DataFrame":
    """Rows of `labels` (with `_KEY`, votes, error_code), `votes` those of every voter; labels stay as they are.

    What the dear voter says is kept in the table `votes`, as of any row that it is asked of; there it is looked for
    first. A vote from there has no score.
    """
    from pyspark.sql import functions as F

    tasks = [task for task in release.manifest.voters if release.fusion(task).cascade]
    if not tasks:
        return rows
    spared = F.col("task").isin(tasks) & F.col("error_code").isNull() & F.col("votes").isNotNull()
    spared = spared & ~F.exists("votes", lambda vote: vote["voter"] == DEAR)
    wanted = rows.where(spared).select(*_KEY).localCheckpoint()
    dates = [row[0] for row in wanted.select("event_date").distinct().collect()]
    if not dates:
        return rows
    left = wanted.join(_stored(lake, release, tasks, dates), _KEY, "left_anti").localCheckpoint()
    if not left.isEmpty():
        _ask(lake, settings, release, left, tasks=tasks, dates=dates)
    further = wanted.join(_stored(lake, release, tasks, dates), _KEY).select("item_id", "task", _vote(release, tasks))
    known = rows.join(further, ["item_id", "task"], "left")
    whole = F.when(F.col("vote").isNotNull(), F.concat("votes", F.array("vote"))).otherwise(F.col("votes"))
    return known.withColumn("votes", whole).drop("vote").cache()


def _stored(lake: Lake, release: Release, tasks: Collection[str], dates: Collection[date]) -> "DataFrame":
    from pyspark.sql import functions as F

    digests = [release.manifest.voter_digest(task, DEAR) for task in tasks]
    kept = lake.df("votes").where(among(dates) & F.col("voter_digest").isin(digests))
    return kept.select(*_KEY, "log_probs", "abstained").dropDuplicates(_KEY)


def _ask(
    lake: Lake,
    settings: Settings,
    release: Release,
    left: "DataFrame",
    *,
    tasks: Collection[str],
    dates: Collection[date],
) -> None:
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    wanted = targets(lake, units(release.taxonomy, tasks), among(dates))
    wanted = wanted.join(F.broadcast(left), ["item_id", "task", "event_date"], "left_semi")
    items = seen(lake, wanted, release.manifest.reader_version, looked_at(release.manifest.voters))
    limits = settings.ingest.max_turn_chars, settings.ingest.image_root
    predict = predict_batches(str(release.path), release.manifest.release_id, *limits, dear_alone=True)
    if cards.alone(settings, release):
        items = items.coalesce(1)
    said = items.mapInArrow(predict, from_arrow_schema(PREDICTED)).localCheckpoint()
    votes.keep(lake, release.manifest, said, dates)


def _vote(release: Release, tasks: Collection[str]) -> "Column":
    """A stored vote as `labels.votes` has it: the first label of the highest log-probability."""
    from pyspark.sql import functions as F

    labels: list[Column] = []
    for task in tasks:
        labels += [F.lit(task), F.array(*map(F.lit, release.taxonomy.task(task).label_names))]
    best = F.array_position("log_probs", F.array_max("log_probs")).cast("int")
    return F.struct(
        F.lit(DEAR).alias("voter"),
        F.get(F.create_map(*labels)[F.col("task")], best - 1).alias("label"),
        F.lit(None).cast("double").alias("score"),
        F.col("abstained").alias("abstained"),
    ).alias("vote")
