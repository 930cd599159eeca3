"""The command line of every job, and the settings that it, the environment and the files add up to."""

import argparse
import importlib
import os
import sys
from collections.abc import Sequence
from typing import Any

from jobs.options import days_of
from kdsl import config
from kdsl.config import Settings
from kdsl.errors import ConfigError

JOBS = (
    "ingest",
    "fit",
    "label",
    "evaluate",
    "release",
    "rules",
    "explain",
    "report",
    "sample",
    "seesaw",
    "sql",
    "demo",
)


def parse(argv: Sequence[str] | None = None) -> tuple[argparse.Namespace, Settings]:
    """Arguments and settings of one call; `--help` and wrong usage leave by SystemExit (0 and 2).

    Raises:
        ConfigError: the settings do not add up.
    """
    args = _parser().parse_args(argv)
    files = args.conf or [name for name in os.environ.get("KDSL_CONF", "").split(",") if name]
    short = {"lake": "lake", "releases": "releases", "taxonomy": "taxonomy", "spark.master": "master"}
    short |= {"ingest.max_bad_share": "max_bad_share", "fit.rules_budget": "budget"}
    given: dict[str, Any] = {key: getattr(args, name, None) for key, name in short.items()}
    given = {key: value for key, value in given.items() if value is not None}
    faults = []
    for pair in args.set:
        key, equals, value = pair.partition("=")
        if equals:
            given[key] = config.read(key, value)
        else:
            faults.append(f"--set: {pair!r} has no '='; write --set label.chunk_rows=50000.")
    try:
        if getattr(args, "start", None) and getattr(args, "end", None):
            days_of(args)
    except ConfigError as error:
        faults.append(str(error))
    try:
        settings = config.load(files, overrides=given)
    except ConfigError as error:
        faults.append(str(error))
    if faults:
        raise ConfigError("\n".join(faults))
    return args, settings


def module(job: str) -> Any:
    """The module of a job."""
    return importlib.import_module(f"jobs.{job}")


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="spark-submit.sh",
        description="Label customer-service dialogues and pictures on Spark.",
        allow_abbrev=False,
    )
    subparsers = parser.add_subparsers(dest="job", metavar="JOB", required=True)
    for job in JOBS:
        summary = module(job).SUMMARY
        sub = subparsers.add_parser(
            job, help=summary, description=summary[0].upper() + summary[1:] + ".", allow_abbrev=False
        )
        # A job of several actions gives the parser of each.
        for leaf in module(job).add_arguments(sub) or [sub]:
            _add_shared(leaf)
    return parser


def _add_shared(parser: argparse.ArgumentParser) -> None:
    shared = parser.add_argument_group("settings of every job (defaults < --conf < environment KDSL_... < these)")
    shared.add_argument("--lake", metavar="L", help="folder or URI of the Delta lake")
    shared.add_argument("--releases", metavar="R", help="folder of the releases")
    shared.add_argument("--taxonomy", metavar="FILE", help="YAML file of tasks and labels")
    shared.add_argument("--master", metavar="URL", help="Spark master, as local[4] or spark://host:7077")
    shared.add_argument("--conf", metavar="FILE", action="append", help="YAML settings; may be given again")
    shared.add_argument("--set", metavar="KEY=VALUE", action="append", default=[], help="any setting, dotted key")


if __name__ == "__main__":
    parse(sys.argv[1:])
