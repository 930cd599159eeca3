"""Score a release on the gold rows of one split that it did not learn from; labels what is missing first."""

import argparse
import json
from collections import defaultdict
from collections.abc import Mapping
from pathlib import Path
from statistics import fmean
from typing import TYPE_CHECKING, Any

from jobs import console, figures, options, registry, scores, spared, unlearned
from jobs.items import targets, units
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.metrics import Cells
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SUMMARY = "score a release on gold rows of one split that it did not learn from"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("--split", default="test", help="split of gold_labels to score on (default: test)")
    parser.add_argument("--release", metavar="ID", help="the release to score (default: the promoted one)")
    parser.add_argument("--json", metavar="FILE", help="write the figures there too")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Score, print, and write JSON where `args.json` says."""
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    release = registry.find(lake, settings, args.release)
    report = evaluate(lake, settings, release, args.split)
    if args.json:
        options.write("--json", Path(args.json), json.dumps(report, ensure_ascii=False, indent=2))


def evaluate(lake: Lake, settings: Settings, release: Release, split: str) -> dict[str, Any]:
    """Weighted F1, macro F1, accuracy, n with 95 % bootstrap intervals, by task, label and voter; confused pairs.

    Items that `sample` drew at random count by 1 / probability, those it picked for doubt not at all. Every voter is
    asked of every item, whatever a cascade spares.

    Raises:
        ConfigError: the split holds no gold that the release did not learn from.
    """
    from pyspark.sql import functions as F

    gold = unlearned.held_out(lake, unlearned.learned(lake, release)).where(F.col("split") == split)
    everything = targets(lake, units(release.taxonomy, release.manifest.voters), F.lit(True))
    wanted = (
        everything.join(F.broadcast(gold), ["item_id", "task"])
        .select("item_id", "task", "event_date", "gold", "weight")
        .cache()
    )
    first, last = wanted.agg(F.min("event_date"), F.max("event_date")).collect()[0]
    if first is None:
        splits = sorted(row[0] for row in lake.df("gold_labels").select("split").distinct().collect())
        raise ConfigError(
            f"--split: {split!r} holds no gold that release {release.manifest.release_id} did not learn from; splits "
            f"with gold are {', '.join(splits) or 'none'}. Ingest held-out gold with --split {split}."
        )
    # What analysts read is the promoted release's: a candidate is scored on what it would have said.
    into = "labels" if release.manifest.release_id in registry.history(lake)[:1] else "shadow_labels"
    label(lake, settings, release, Days(first, last), only=wanted.select("item_id", "task"), into=into)
    labels = lake.df(into).where(F.col("release_id") == release.manifest.release_id)
    scored = wanted.join(labels, ["item_id", "task", "event_date"], "left").cache()
    asked = spared.asked(lake, settings, release, scored)
    fused = sorted(_cells(scored, "label").items())
    tasks = {task: scores.of_task(cells) for task, cells in fused}
    voters: dict[str, dict[str, Any]] = {}
    for voter in sorted({name for names in release.manifest.voters.values() for name in names}):
        # A row without this voter's vote (an error row) counts as wrong, like any missing label.
        vote = F.expr(f"get(filter(votes, vote -> vote.voter = '{voter}'), 0).label")
        for task, cells in _cells(asked.withColumn("said", vote), "said").items():
            if voter in release.manifest.voters[task]:
                voters.setdefault(voter, {})[task] = scores.figures(cells)
    report = {
        "release_id": release.manifest.release_id,
        "split": split,
        "overall_weighted_f1": fmean(task["weighted_f1"] for task in tasks.values()),
        "tasks": tasks,
        "voters": voters,
    }
    scores.show(report, release.manifest.called)
    gold_rows = ((task, given, n) for task, cells in fused for (given, *_), n in cells.items())
    if told := figures.foreign(gold_rows, release.taxonomy):
        console.say(told)
    return report


def _cells(scored: "DataFrame", predicted: str) -> Mapping[str, Cells]:
    """Counts of (gold, predicted, weight) by task."""
    cells: dict[str, dict[tuple[str | None, str | None, float], int]] = defaultdict(dict)
    for row in sorted(scored.groupBy("task", "gold", predicted, "weight").count().collect(), key=str):
        cells[row["task"]][row["gold"], row[predicted], row["weight"]] = row["count"]
    return cells
