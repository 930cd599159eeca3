"""`ingest`: dialogues, pictures and gold labels into the lake; what is bad goes to quarantine with a code."""

import argparse
from datetime import date
from typing import TYPE_CHECKING

from jobs import ingest_report, ledger
from jobs.ingest_merge import Merge
from jobs.ingest_staged import Staged, settle
from jobs.lake import Lake
from jobs.ledger import Run
from jobs.options import add_range
from jobs.sources import records
from jobs.together import together
from kdsl.config import Settings
from kdsl.errors import TooMuchBadInput
from kdsl.importers.options import FORMATS, Options
from kdsl.importers.staged import CONVERSATION, IMAGE
from kdsl.taxonomy import load

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "bring dialogues, pictures and gold labels into the lake"
WRITES = ("conversations", "images", "gold_labels", "labels", "shadow_labels", "quarantine")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The options of `ingest`."""
    parser.add_argument("--format", required=True, choices=FORMATS, help="form of the input, see docs/formats.md")
    parser.add_argument("--input", required=True, metavar="PATH", help="file, folder of files, or Delta table")
    parser.add_argument("--split", choices=("train", "test"), default="train", help="of the gold labels (train)")
    add_range(parser, required=False)
    parser.add_argument(
        "--max-bad-share", type=float, metavar="X", help="over this share of bad records nothing goes in (0.05)"
    )
    table = parser.add_argument_group("csv")
    table.add_argument("--text-column", metavar="NAME", help="column of the shopper's words")
    table.add_argument("--label-column", metavar="NAME", help="column of the gold label; needs --task")
    table.add_argument("--task", metavar="NAME", help="task of the gold label")
    table.add_argument("--id-column", metavar="NAME", help="column of the id; without it, a hash of the text")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Run the job."""
    ingest(
        spark,
        settings,
        format=args.format,
        path=args.input,
        split=args.split,
        date_from=args.start,
        date_to=args.end,
        text_column=args.text_column,
        label_column=args.label_column,
        task=args.task,
        id_column=args.id_column,
    )


def ingest(
    spark: "SparkSession",
    settings: Settings,
    *,
    format: str,
    path: str,
    split: str = "train",
    date_from: date | None = None,
    date_to: date | None = None,
    text_column: str | None = None,
    label_column: str | None = None,
    task: str | None = None,
    id_column: str | None = None,
) -> dict[str, int]:
    """Bring one input into the lake; what was counted, by name.

    Args:
        spark: the session.
        settings: lake, taxonomy and the section `ingest`.
        format: one of `kdsl.importers.options.FORMATS`.
        path: a file, a folder of files, or a Delta table.
        split: of the gold labels, where a record names none.
        date_from: first day over which records without a date are spread.
        date_to: last day of it.
        text_column: csv: column of the shopper's words.
        label_column: csv: column of the gold label of `task`.
        task: csv: the task.
        id_column: csv: column of the id.

    Raises:
        ConfigError: an option or a setting is wrong, or the input is not there.
        TooMuchBadInput: over `ingest.max_bad_share`; nothing but `quarantine` was written.
        LostToConcurrentWriter: another writer won every retry.
    """
    taxonomy = load(settings.taxonomy)
    given = Options(format, path, split, date_from, date_to, text_column, label_column, task, id_column)
    options = given.checked(settings.ingest, taxonomy)
    intake = options.intake(settings.ingest, taxonomy)
    lake = Lake(spark, settings.lake, settings.label.retries)
    with (
        ledger.recorded(lake, "ingest", dict(options.summary()), (), WRITES) as run,
        lake.staged(run.run_id) as staging,
    ):
        with run.stage("parse"):
            parsed = records(spark, options, settings.ingest, intake)
            parsed.write.format("delta").save(f"{staging}/records")
        with run.stage("settle"):
            staged = settle(spark, staging)
        ingest_report.count(run, staged)
        if staged.refused:
            with run.stage("quarantine"):
                _quarantine(lake, staged, options, run)
        if staged.bad_share > settings.ingest.max_bad_share:
            raise TooMuchBadInput(ingest_report.too_much(options, settings.ingest, staged))
        with run.stage("merge"):
            merge = Merge(lake, staged.good, run.started_at)
            merge.look()
            merge.forget()
            if staged.gold:  # merged whatever changed, so the same command mends a kill between the two
                together(merge.write, merge.write_gold)
            else:
                merge.write()
        for kind, name in ((CONVERSATION, "conversations"), (IMAGE, "images")):
            for state, number in merge.changes[kind].counts.items():
                run.count(f"{name}_{state}", number)
        run.count("images_removed", merge.removed)
        ingest_report.tell(run)
    return run.counts


def _quarantine(lake: Lake, staged: Staged, options: Options, run: Run) -> None:
    from pyspark.sql import functions as F

    folder = options.folder().rstrip("/") + "/"
    source = F.concat(F.lit(folder), "file").alias("source")  # files of one name lie in many folders
    rows = staged.bad.groupBy(source, "row_key", "error_code").agg(
        F.min("message").alias("message"), F.min(F.substring("hash", 1, 16)).alias("record_hash")
    )
    stamps = {"run_id": F.lit(run.run_id), "quarantined_at": F.lit(run.started_at)}
    lake.upsert("quarantine", rows.withColumns(stamps))
