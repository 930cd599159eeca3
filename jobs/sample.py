"""Pick the items that a person should label next, and write them as a file that `ingest` takes back with gold."""

import argparse
from collections.abc import Iterable
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from jobs import console, draws, ledger, options, registry, unlearned
from jobs.items import targets, units, within
from jobs.lake import Lake
from jobs.options import Days
from jobs.seen import seen
from kdsl import sample, sample_file
from kdsl.arrow import items_of
from kdsl.config import Settings
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.features import text_fields
from kdsl.release import Release
from kdsl.sample import Pool

if TYPE_CHECKING:
    from pyspark.sql import Column, SparkSession

Keys = dict[tuple[str, str], int]
"""Item id and task to the row in the pool."""
SUMMARY = "pick the items that a person should label next, as a file that ingest takes back"
READS = ("conversations", "images", "labels", "gold_labels")
WRITES = ("draws",)
MOST = 2_000_000  # items of one range; their ids and scores are held by the driver


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    options.add_range(parser, required=True)
    parser.add_argument("--n", type=int, default=50, help="items to label (default: 50)")
    parser.add_argument("--out", metavar="FILE", required=True, help="where they go, as tonight.jsonl")
    parser.add_argument("--random-share", type=float, default=0.4, metavar="X", help="of them drawn at random (0.4)")
    parser.add_argument("--seed", type=int, default=0, help="of the draw (default: 0)")
    parser.add_argument("--release", metavar="ID", help="the release whose labels are looked at (the promoted one)")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Pick, write the file, and note in `draws` what was drawn and with which probability.

    Raises:
        ConfigError: an option is out of range, nothing is left to label, or the file cannot be written.
    """
    if not 1 <= args.n <= 10_000:
        raise ConfigError(f"--n: {args.n} is not from 1 to 10,000; more than that is no sample for one person.")
    if not 0 <= args.random_share <= 1:
        raise ConfigError(f"--random-share: {args.random_share} is not from 0 to 1.")
    lake = Lake(spark, settings.lake, settings.label.retries).must_exist()
    release = registry.find(lake, settings, args.release)
    days = options.days_of(args)
    console.say(draw(lake, settings, release, days, Path(args.out), n=args.n, share=args.random_share, seed=args.seed))


def draw(
    lake: Lake, settings: Settings, release: Release, days: Days, out: Path, *, n: int, share: float, seed: int
) -> str:
    """Pick `n` items of those days that have no gold and were never drawn; what was picked, in words."""
    if out.exists():
        raise ConfigError(
            f"--out: {out} is there already, and what was drawn into it is not drawn again; name another."
        )
    arguments = {"from": days.start, "to": days.end, "n": n, "random_share": share, "seed": seed}
    with ledger.recorded(lake, "sample", arguments, READS, WRITES) as run:
        run.release_id = release.manifest.release_id
        with run.stage("pick"):
            pool, dates = _pool(lake, release, days)
            picks = sample.at_random(pool, round(n * share), seed=seed)
            taken = {pick.row for pick in picks}
            listed = sample.shortlist(pool, n - len(picks), taken, seed=seed)
            rows = [row for _, own in listed.values() for row in own]
            found = _items(lake, settings, release, _keys(pool, rows), within(days))
            texts = {row: _words(item) for row, item in found.items()}
            picks += sample.for_doubt(pool, listed, texts)
        with run.stage("write"):
            keys = _keys(pool, (pick.row for pick in picks))
            found = _items(lake, settings, release, keys, within(days), content=True)
            picked = [(pick, found[pick.row], dates[pick.row]) for pick in picks if pick.row in found]
            earlier = draws.at_random(lake)
            chosen = draws.over_all(picked, earlier)
            try:
                sample_file.write(out, chosen, release.taxonomy)
            except OSError as error:
                raise options.unwritable("--out", out, error) from error
            try:
                draws.note(lake, release, chosen, draws.draw_of(picked, earlier, days))
            except BaseException:
                out.unlink(missing_ok=True)  # its items count as never drawn
                raise
        for part in ("random", "doubt"):
            run.count(part, sum(pick.part == part for pick, _, _ in chosen))
    told = f"{run.counts['random']} drawn at random, {run.counts['doubt']} picked for doubt"
    return f"{told}, in {out.resolve()}: fill in `labels`, then ingest --format jsonl --input {out}"


def _pool(lake: Lake, release: Release, days: Days) -> tuple[Pool, list[date]]:
    from pyspark.sql import functions as F

    own = unlearned.labelled(lake, release, days)
    known = lake.df("gold_labels").select("item_id", "task").unionByName(lake.df("draws").select("item_id", "task"))
    left = own.where(F.col("error_code").isNull()).join(known, ["item_id", "task"], "left_anti")
    rows = left.select("item_id", "task", "event_date", "label", "score").limit(MOST + 1).toArrow().to_pylist()
    if not rows or len(rows) > MOST:
        many = (
            f"more than {MOST:,} items"
            if rows
            else f"no item labelled by {release.manifest.release_id} without gold that was not drawn before"
        )
        raise ConfigError(f"--from {days.start} --to {days.end} holds {many}; label those days first, or name others.")
    rows.sort(key=lambda row: (row["task"], row["item_id"]))
    doubt = [1.0 if row["label"] is None or row["score"] is None else 1.0 - row["score"] for row in rows]
    given = [row["label"] or "" for row in rows]
    pool = Pool([row["item_id"] for row in rows], [row["task"] for row in rows], given, np.array(doubt))
    return pool, [row["event_date"] for row in rows]


def _keys(pool: Pool, rows: Iterable[int]) -> Keys:
    return {(pool.ids[row], pool.tasks[row]): row for row in rows}


def _items(
    lake: Lake, settings: Settings, release: Release, keys: Keys, days: "Column", *, content: bool = False
) -> dict[int, Item]:
    """The items of those ids and tasks by row; with the files of their pictures where `content` says so."""
    from pyspark.sql import functions as F

    if not keys:
        return {}
    wanted = targets(lake, units(release.taxonomy, release.manifest.voters), days)
    chosen = lake.spark.createDataFrame(list(keys), "item_id STRING, task STRING")
    wanted = wanted.join(F.broadcast(chosen), ["item_id", "task"], "left_semi")
    looked = release.manifest.voters if content else ()
    table = seen(lake, wanted, release.manifest.reader_version, looked).toArrow()
    return {keys[item.item_id, item.task]: item for item in items_of(table, settings.ingest.image_root)}


def _words(item: Item) -> str:
    fields = text_fields(item)
    return f"{fields['user']} {fields['ocr']}"
