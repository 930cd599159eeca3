"""Label the pending items of a range of dates: the night and the backfill are the same command."""

import argparse
from collections.abc import Iterator, Sequence
from datetime import date
from typing import TYPE_CHECKING

from jobs import console, ledger, options, orphans, quality, registry, unreliable, votes
from jobs.cards import tasks
from jobs.items import among, targets, units, with_pictures, within
from jobs.lake import Lake
from jobs.pending import pending, survey
from jobs.perceive import perceived
from jobs.together import together
from jobs.workers import counted
from kdsl.config import Settings
from kdsl.fusion.cascade import DEAR
from kdsl.models.voter import looked_at
from kdsl.release import Release
from udfs.counted import Adds
from udfs.predict import PREDICTED, predict_batches

if TYPE_CHECKING:
    from pyspark.sql import Column, DataFrame, SparkSession

SUMMARY = "label the pending items of a range of dates"
READS = ("conversations", "images", "gold_labels")
WRITES = ("image_features", "labels", "shadow_labels", "votes", "batch_metrics")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    options.add_range(parser, required=True)
    which = parser.add_mutually_exclusive_group()
    which.add_argument("--release", metavar="ID", help="the release to label with (default: the promoted one)")
    which.add_argument("--shadow", metavar="ID", help="write what this release says into shadow_labels, labels stay")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Label `args.start` to `args.end` with the release that `args.release` names, or the promoted one."""
    days = options.days_of(args)
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    release = registry.find(lake, settings, args.shadow or args.release)
    label(lake, settings, release, days, into="shadow_labels" if args.shadow else "labels")


def label(
    lake: Lake,
    settings: Settings,
    release: Release,
    days: options.Days,
    *,
    only: "DataFrame | None" = None,
    into: str = "labels",
) -> ledger.Run:
    """Bring `labels` and `batch_metrics` of those days up to date; `only` (item_id, task) narrows it to some items.

    With `into` shadow_labels what the release says goes there, and nothing is measured.
    """
    arguments = {"from": days.start, "to": days.end, "narrowed": only is not None, "into": into}
    with ledger.recorded(lake, "label", arguments, READS, WRITES) as run:
        run.release_id = release.manifest.release_id
        with run.stage("find pending"):
            whole = only is None
            wanted = _wanted(lake, release, within(days), only)
            found = survey(lake, release, wanted, within(days), into, whole=whole)
            counts = {at.event_date: at.pending for at in found if at.pending}
            run.count("pending", sum(counts.values()))
        with counted(lake.spark, run) as told:
            for chunk in _chunks(list(counts.items()), settings.label.chunk_rows):
                dates = [day for day, _ in chunk]
                # Kept: it is asked for several times, and every scan of a small table costs a listing of its files.
                wanted = _wanted(lake, release, among(dates), only)
                todo = pending(lake, release.manifest.release_id, wanted, among(dates), into).persist()
                try:
                    _label_chunk(lake, settings, release, todo, dates, run=run, into=into, told=told)
                finally:
                    todo.unpersist()
        with run.stage("measure"):
            # A label may have lost its item before this run, or meanwhile.
            if any(at.orphans for at in found) or _ingested_since(lake, run):
                orphans.drop(lake, release, within(days), into, run)
            if whole and into == "labels":
                retried = {at.event_date for at in found if at.pending == at.again}
                doubtful = quality.write(lake, release, days, run, counts, retried=retried)
                unreliable.warn(lake, settings, release, doubtful)
        done = run.counts["pending"]
        console.say(f"labelled {done:,} items of {len(counts)} dates" if done else "nothing to do: no item is pending")
    return run


def _wanted(lake: Lake, release: Release, days: "Column", only: "DataFrame | None") -> "DataFrame":
    wanted = targets(lake, units(release.taxonomy, release.manifest.voters), days)
    return wanted if only is None else wanted.join(only, ["item_id", "task"], "left_semi")


def _ingested_since(lake: Lake, run: ledger.Run) -> bool:
    return any(lake.version(table) != run.input_versions[table] for table in ("conversations", "images"))


def _chunks(counts: Sequence[tuple[date, int]], most: int) -> Iterator[list[tuple[date, int]]]:
    """Days in order, gathered until a further one would pass `most` rows."""
    chunk: list[tuple[date, int]] = []
    for day, rows in counts:
        if chunk and sum(n for _, n in chunk) + rows > most:
            yield chunk
            chunk = []
        chunk.append((day, rows))
    if chunk:
        yield chunk


def _label_chunk(
    lake: Lake,
    settings: Settings,
    release: Release,
    todo: "DataFrame",
    dates: Sequence[date],
    *,
    run: ledger.Run,
    into: str,
    told: Adds,
) -> None:
    from pyspark.sql import functions as F
    from pyspark.sql.pandas.types import from_arrow_schema

    rows, again = todo.agg(F.count("*"), F.count_if("again")).collect()[0]
    reader = release.manifest.reader
    with perceived(lake, settings, reader, todo, dates, run=run) as pictures, lake.staged(run.run_id) as folder:
        with run.stage("predict"):
            looked = looked_at(release.manifest.voters)
            spread = tasks(settings, release, rows, slots=lake.spark.sparkContext.defaultParallelism)
            items = with_pictures(lake, todo, pictures, release.manifest.reader_version, looked)
            limits = settings.ingest.max_turn_chars, settings.ingest.image_root
            name = release.manifest.release_id
            predict = predict_batches(str(release.path), name, *limits, counts=told)
            predicted = items.repartition(spread, "item_id", "task").mapInArrow(predict, from_arrow_schema(PREDICTED))
            stamps = {"release_id": F.lit(name), "run_id": F.lit(run.run_id), "labelled_at": F.current_timestamp()}
            stamped = predicted.withColumns(stamps)
            stamped.write.format("delta").mode("overwrite").save(f"{folder}/labels")
        with run.stage("merge"):
            staged = lake.spark.read.format("delta").load(f"{folder}/labels")
            together(
                lambda: lake.upsert(into, staged.drop("said"), dates, fresh=not again),
                lambda: votes.keep(lake, release.manifest, staged, dates, fresh=not again),
            )
        if any(DEAR in voters for voters in release.manifest.voters.values()):
            run.count(f"asked_{DEAR}", staged.where(F.exists("votes", lambda vote: vote["voter"] == DEAR)).count())
    run.count("labelled", rows)
