"""The tour that `make demo` runs: a made-up shop from files to measured quality, by the code of every night."""

import argparse
import json
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from rich.rule import Rule

from jobs import console, report, sql
from jobs.evaluate import evaluate
from jobs.fit import fit
from jobs.ingest import ingest
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.config import Settings
from kdsl.demo import shop
from kdsl.models.mllm_voter import NAMES

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

SUMMARY = "a tour: a made-up shop is ingested, learned from, labelled, backfilled and measured"
LATE = (4, 5, 6)  # nights, counted from 0, of which half the dialogues arrive days later
MINIATURE = "miniature"


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """The job's own options."""
    parser.add_argument("--folder", default="build/demo", help="where the shop's files go (default: build/demo)")
    parser.add_argument(
        "--days", type=int, default=14, metavar="N", help="nights of the shop (default: 14, at least 7)"
    )
    parser.add_argument("--dialogues", type=int, default=40, metavar="N", help="dialogues a night (default: 40)")


def run(spark: "SparkSession", settings: Settings, args: argparse.Namespace) -> None:
    """Run the tour; a second time it finds its work done and only shows it."""
    took: dict[str, float] = {}
    folder = Path(args.folder)
    lake = Lake(spark, settings.lake, settings.label.retries)
    with _chapter("1. A made-up shop writes its files", took):
        files = shop.write(folder, days=max(args.days, 7), dialogues_a_day=args.dialogues)
        late_days = [files.first_night + timedelta(days=day) for day in LATE]
        in_time, late = split_late(files.nights, late_days)
        console.say(f"  {files.n_dialogues} dialogues and {files.n_pictures} pictures in {folder}, some of them broken")
    with _chapter("2. Ingest: a labelled history, and fourteen nights to label", took):
        ingest(spark, settings, format="jsonl", path=str(files.history), split="train")
        ingest(spark, settings, format="jsonl", path=str(in_time), split="test")
    with _chapter("3. Fit: learn a release, scored out of fold", took):
        console.say(_introduced(settings))
        release = fit(lake, settings)
        console.say(f"  {release.manifest.release_id} in {release.path}")
    with _chapter("4. Label: the nights that had passed in one run, then last night by itself", took):
        passed = files.last_night - timedelta(days=1)  # when the shop got its first release
        for days in (Days(files.first_night, passed), Days(files.last_night, files.last_night)):
            console.say(
                f"{days.start}" + (f" to {days.end}, by the command of a night" if days.end > days.start else "")
            )
            label(lake, settings, release, days)
    with _chapter("5. Backfill: what arrived late for three nights", took):
        ingest(spark, settings, format="jsonl", path=str(late), split="test")
        label(lake, settings, release, Days(late_days[0], late_days[-1]))
    with _chapter("6. Evaluate: weighted F1 on gold it never saw", took):
        evaluate(lake, settings, release, "test")
    with _chapter("7. The lake, as an analyst sees it", took):
        sql.views(lake)
        for title, query in QUERIES.items():
            console.say(title)
            sql.show(spark.sql(query), 28)
    with _chapter("8. The same as a page", took):
        page = report.write(lake, release, folder / "report.html")
        console.say(f"  open {page} in a browser")
    console.out.print(Rule("Where the time went"))
    for name, seconds in took.items():
        console.say(f"  {name:<62} {seconds:6.1f} s")
    console.say(f'\nAsk it yourself: ./spark-submit.sh sql --lake {settings.lake} "SHOW COLUMNS IN labels"')


QUERIES = {
    "Weighted F1 by night (a night has few labelled rows, so its interval is wide)": """
        SELECT event_date, task, round(value, 3) AS weighted_f1, round(low, 3) AS low, round(high, 3) AS high, n
        FROM current_metrics WHERE metric = 'weighted_f1' ORDER BY task, event_date""",
    "What shoppers wanted": """
        SELECT coalesce(label, if(abstained, '(too unsure)', error_code)) AS label, count(*) AS dialogues,
               round(avg(score), 3) AS mean_score
        FROM labels WHERE task = 'intent' GROUP BY 1 ORDER BY dialogues DESC""",
    "What could not come in": "SELECT error_code, count(*) AS records FROM quarantine GROUP BY error_code",
    "What ran": """
        SELECT job, state, count(*) AS runs,
               round(sum(aggregate(map_values(seconds), 0D, (sum, stage) -> sum + stage)), 1) AS seconds
        FROM runs GROUP BY job, state ORDER BY job""",
}


def split_late(nights: Path, days: list[date]) -> tuple[Path, Path]:
    """Two files beside `nights`: what arrived in time, and every second dialogue of `days`, which arrived late."""
    kept: list[str] = []
    late: list[str] = []
    wanted = {day.isoformat() for day in days}
    for place, line in enumerate(nights.read_text(encoding="utf-8").splitlines()):
        tardy = json.loads(line)["event_date"] in wanted and place % 2 == 0
        (late if tardy else kept).append(line)
    paths = nights.with_name("in_time.jsonl"), nights.with_name("late.jsonl")
    for path, lines in zip(paths, (kept, late), strict=True):
        path.write_text("\n".join(lines) + "\n", encoding="utf-8")
    return paths


def _introduced(settings: Settings) -> str:
    """Who takes part, miniatures by that name."""
    little = [name for name in NAMES if getattr(settings.fit, name).called == MINIATURE]
    told = f"  voters: {', '.join(settings.fit.voters)}"
    if little:
        told += (
            f"\n  {' and '.join(little)} are miniatures: Qwen2-VL models of at most 2.4 million parameters that this "
            "project trains itself, as no real\n  checkpoint comes with it. They are post-trained here on the shop's "
            "examples, in Spark tasks beside the other voters."
        )
    return told


@contextmanager
def _chapter(title: str, took: dict[str, float]) -> Iterator[None]:
    console.out.print(Rule(title, align="left"))
    begun = time.monotonic()
    yield
    took[title] = time.monotonic() - begun
