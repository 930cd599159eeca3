"""A release and the nights it labelled as one HTML file."""

import argparse
from datetime import date
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import console, options, registry
from jobs.lake import Lake
from jobs.options import Days
from jobs.report_content import collect
from kdsl.config import Settings
from kdsl.release import Release
from kdsl.report.page import page

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "show a release and its nights as one HTML file"
EVER = Days(date(1900, 1, 1), date(2199, 12, 31))


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("--release", metavar="ID", help="the release to show (default: the promoted one)")
    parser.add_argument("--out", metavar="FILE", required=True, help="where the page goes, as report.html")
    options.add_range(parser, required=False)


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Write the page and say where it is."""
    days = options.days_if_given(args) or EVER
    lake = Lake(spark, settings.lake).must_exist()
    release = registry.find(lake, settings, args.release)
    console.say(f"{write(lake, release, Path(args.out), days)}")


def write(lake: Lake, release: Release, out: Path, days: Days = EVER) -> Path:
    """Write the page; its absolute path.

    Raises:
        ConfigError: the file cannot be written.
    """
    options.write("--out", out, page(collect(lake, release, days)))
    return out.resolve()
