"""Why an item has the label that it has: who said what, which rules fired, who decided."""

import argparse
from typing import TYPE_CHECKING

from jobs import console
from jobs.lake import Lake
from jobs.shelf import Shelf
from kdsl.config import Settings
from kdsl.errors import ConfigError, ReleaseError
from kdsl.explain import explain
from kdsl.release import Release

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "say in words why an item has its label"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("--item", metavar="ID", required=True, help="id of the conversation or of the image")
    parser.add_argument("--task", metavar="T", help="only this task's label (default: all)")
    parser.add_argument("--shadow", metavar="ID", help="what this release wrote into shadow_labels, instead of labels")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Print the words.

    Raises:
        ConfigError: the item has no label.
        ReleaseError: the release that gave it is gone, or was altered.
    """
    from pyspark.sql import functions as F

    lake = Lake(spark, settings.lake).must_exist()
    rows = lake.df("shadow_labels" if args.shadow else "labels").where(F.col("item_id") == args.item)
    if args.shadow:
        rows = rows.where(F.col("release_id") == args.shadow)
    if args.task:
        rows = rows.where(F.col("task") == args.task)
    found = sorted(rows.collect(), key=lambda row: (row["task"], row["event_date"]))
    if not found:
        of = f" of task {args.task!r}" if args.task else ""
        by = f" by {args.shadow!r:.80} in shadow_labels" if args.shadow else ""
        raise ConfigError(
            f"--item: {args.item!r:.80} has no label{of}{by} in {lake.root}; label its date first, or mend the id."
        )
    for row in found:
        release = _release(lake, settings, row["release_id"], args.item)
        for line in explain(row.asDict(recursive=True), release.fusion(row["task"])):
            console.say(line)
        score = release.manifest.score(row["task"])
        console.say(f"  release {row['release_id']}: held-out weighted F1 {score}")


def _release(lake: Lake, settings: Settings, release_id: str, item: str) -> Release:
    from pyspark.sql import functions as F

    shelf = Shelf(lake.spark, settings)
    if shelf.has(release_id):
        return shelf.open(release_id)
    noted = lake.df("releases").where(F.col("release_id") == release_id).select("path").head()
    known = (
        f"by the table `releases` it lies at {noted['path']}" if noted else "the table `releases` has none of that id"
    )
    raise ReleaseError(
        f"--item: {item!r:.80} was labelled by release {release_id}, which is not in {settings.releases}; {known}. "
        "Restore that folder, name the one that holds it with --releases, or label the item's date by another release."
    )
