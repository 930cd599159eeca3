"""Lakes of made-up text dialogues for the benches: as many rows and dates as asked, the same ones every time."""

import argparse
import hashlib
import json
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING

from jobs import session
from jobs.ingest import ingest
from jobs.lake import Lake
from jobs.tables import CONVERSATIONS
from kdsl.config import FitSettings, Settings
from kdsl.demo import shop

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

START = date(2026, 1, 5)


def settings(root: Path, *, encoder: bool, fit: FitSettings | None = None) -> Settings:
    """Settings of a lake below `root`, on two cores of this machine; `fit` in place of the usual voters."""
    return Settings.model_validate(
        {
            "lake": str(root / "lake"),
            "releases": str(root / "releases"),
            "spark": {"master": "local[2]"},
            "fit": fit or ({} if encoder else {"encoder": ""}),
        }
    )


@contextmanager
def workplace(name: str) -> Iterator[Path]:
    """A folder for one bench, gone afterwards."""
    root = Path(tempfile.mkdtemp(prefix=f"kdsl-{name}-"))
    try:
        yield root
    finally:
        shutil.rmtree(root, ignore_errors=True)


def start(name: str, chosen: Settings) -> "SparkSession":
    """The session, with Delta's classes loaded, so that no measurement pays for the first use."""
    spark = session.build(chosen, name)
    spark.range(1).write.format("delta").mode("overwrite").save(f"{chosen.lake}-warm")
    spark.read.format("delta").load(f"{chosen.lake}-warm").count()
    return spark


def history(spark: "SparkSession", chosen: Settings, root: Path) -> None:
    """Ingest the demo shop's labelled history, without pictures, to learn from."""
    files = shop.write(root / "shop", days=1, dialogues_a_day=1, train_pictures=0, test_pictures=0, broken_pictures=0)
    ingest(spark, chosen, format="jsonl", path=str(files.history), split="train")


def fill(lake: Lake, rows: int, *, days: int = 1, seed: int = 7, first: date = START) -> tuple[date, date]:
    """Append `rows` text dialogues, evenly over `days` dates from `first`; gives the first and last date.

    The same seed gives the same dialogues under other ids where the first date is another.
    """
    now = datetime.now(UTC)
    path = lake.ensure(CONVERSATIONS.name)
    batch: list[tuple[object, ...]] = []

    def flush() -> None:
        if batch:
            frame = lake.spark.createDataFrame(batch, CONVERSATIONS.columns)
            frame.repartition(max(1, len(batch) // 50_000)).write.format("delta").mode("append").save(path)
            batch.clear()

    for at, record in enumerate(shop.dialogues(rows, seed, start=first, days=days)):
        turns = [(turn["speaker"], turn["text"], []) for turn in record["turns"]]
        content_hash = hashlib.sha256(json.dumps(turns).encode()).hexdigest()
        day = date.fromisoformat(record["event_date"])
        batch.append((f"b-{first:%Y%m%d}-{seed}-{at:07d}", day, turns, "bench", content_hash, now))
        if len(batch) == 100_000:
            flush()
    flush()
    return first, first + timedelta(days=days - 1)


def parser(description: str) -> argparse.ArgumentParser:
    """The options of a bench."""
    made = argparse.ArgumentParser(description=description)
    made.add_argument("--scale", type=float, default=1.0, help="share of the rows, for a quick look (default: 1)")
    return made


def figure(bench: str, value: float, aim: float, *, at_most: bool = True) -> dict[str, object]:
    """One figure as the last line of a bench states it."""
    met = value <= aim if at_most else value >= aim
    return {"bench": bench, "value": round(value, 4), "aim": aim, "met": met}
