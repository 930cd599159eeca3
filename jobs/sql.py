"""One query over the lake's tables by name, for analysts without a session of their own."""

import argparse
from typing import TYPE_CHECKING

from rich.table import Column, Table

from jobs import console, options
from jobs.lake import Lake
from jobs.tables import TABLES
from kdsl.config import Settings
from kdsl.errors import ConfigError

if TYPE_CHECKING:
    from pyspark.sql import DataFrame, SparkSession

SUMMARY = 'one query over the lake\'s tables by name: sql --lake L "SELECT ..."'


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("query", metavar="QUERY", help=f"over {', '.join(TABLES)} and current_metrics")
    parser.add_argument(
        "--rows", type=options.count, default=100, metavar="N", help="rows shown at most (default: 100)"
    )
    parser.add_argument("--csv", action="store_true", help="print CSV instead of a table, every row")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Run the query and print what it gives."""
    from pyspark.errors import AnalysisException, ParseException

    views(Lake(spark, settings.lake).must_exist(TABLES))  # the first ingest may have left no more than quarantine
    try:
        frame = spark.sql(args.query)
    except (AnalysisException, ParseException) as error:
        reason = str(error).strip().splitlines()[0]
        raise ConfigError(f"the query cannot be run: {reason} Tables: {', '.join(TABLES)}, current_metrics.") from error
    if args.csv:
        print(frame.toPandas().to_csv(index=False), end="")
    else:
        show(frame, args.rows)


def views(lake: Lake) -> None:
    """Name every table of the lake in the session, and `current_metrics`.

    That view has the newest figure of each day, task, metric and label, of the release that measured that day last;
    figures of no rows are left out.
    """
    for name in TABLES:
        lake.df(name).createOrReplaceTempView(name)
    lake.spark.sql(
        "CREATE OR REPLACE TEMPORARY VIEW current_metrics AS SELECT * FROM (SELECT * FROM batch_metrics QUALIFY "
        "row_number() OVER (PARTITION BY event_date, task, metric, label ORDER BY computed_at DESC) = 1) QUALIFY "
        "n > 0 AND release_id = first_value(release_id) OVER (PARTITION BY event_date, task ORDER BY computed_at DESC)"
    )


def show(frame: "DataFrame", most: int) -> None:
    """Print the first `most` rows as a table."""
    rows = frame.limit(most + 1).collect()
    table = Table(*(Column(console.plain(name)) for name in frame.columns))
    for row in rows[:most]:
        table.add_row(*(console.plain(_cell(value)) for value in row))
    console.out.print(table)
    if len(rows) > most:
        console.say(f"the first {most} rows; more with --rows N, all with --csv")


def _cell(value: object) -> str:
    if value is None:
        return ""
    if isinstance(value, float):
        return f"{value:.4g}"
    if isinstance(value, bytearray | bytes):
        return f"{len(value):,} bytes"
    return str(value)
