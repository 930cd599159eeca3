"""Run by `test_granted.py` in a process of its own: jobs on a local cluster that schedules GPUs as resources.

Given a folder, a discovery script, the number of cards that it names and, to run a night there, the word `night`;
prints one line of JSON.
"""

import json
import os
import sys
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from pyspark.sql import functions as F

from jobs import post_training, session
from jobs.fit import fit
from jobs.ingest import ingest
from jobs.items import targets, with_pictures
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.config import Settings
from kdsl.demo import shop
from kdsl.release import Release
from tests import tiny_model
from udfs.predict import predict_batches
from udfs.unquoted import Batches

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

WAIT = 60.0  # seconds for the other task


def seen(folder: str, cards: int) -> tuple[str, str, str]:
    """This task's card as Spark names it, those that CUDA is told of, and its threads; waits until all are in use."""
    from pyspark import TaskContext

    task = TaskContext.get()
    assert task is not None
    (address,) = task.resources()["gpu"].addresses
    Path(folder, address).touch()
    end = time.monotonic() + WAIT
    while len(list(Path(folder).iterdir())) < cards and time.monotonic() < end:
        time.sleep(0.05)
    return address, os.environ["CUDA_VISIBLE_DEVICES"], os.environ["OMP_NUM_THREADS"]


def held(release: Release, max_turn_chars: int) -> Callable[[Batches], Batches]:
    """As labelling, but it gives what the worker then holds: its device and the most memory taken there."""
    predict = predict_batches(str(release.path), release.manifest.release_id, max_turn_chars)

    def look(batches: Batches) -> Batches:
        import torch

        from kdsl.models import base

        rows = sum(batch.num_rows for batch in predict(batches))
        devices = sorted(one.loaded.model.device.type for one in base._bases)
        memory = torch.cuda.max_memory_allocated() if torch.cuda.is_available() else 0
        yield pa.RecordBatch.from_pylist([{"rows": rows, "devices": devices, "memory": memory}])

    return look


def night(spark: "SparkSession", settings: Settings, root: Path) -> dict[str, Any]:
    """Learn and label on the granted card; the labelled items, and what the worker then holds."""
    files = shop.write(
        root / "shop", days=1, dialogues_a_day=12, examples=4, train_pictures=0, test_pictures=0, broken_pictures=0
    )
    ingest(spark, settings, format="jsonl", path=str(files.history), split="train")
    ingest(spark, settings, format="jsonl", path=str(files.nights), split="test")
    lake = Lake(spark, settings.lake)
    release = fit(lake, settings)
    run = label(lake, settings, release, Days(files.first_night, files.first_night))
    labels = [row["label"] for row in lake.df("labels").collect()]
    wanted = targets(lake, {"intent": "conversation"}, F.lit(True))
    items = with_pictures(lake, wanted, None, release.manifest.reader_version).coalesce(1)
    (row,) = items.mapInArrow(held(release, 1_000), "rows long, devices array<string>, memory long").collect()
    return {"labels": len(labels), "silent": labels.count(None), "counts": run.counts, "held": row.asDict()}


def main() -> None:
    """Print what was seen."""
    root, script, cards, *more = Path(sys.argv[1]), sys.argv[2], int(sys.argv[3]), *sys.argv[4:]
    of = {"amount": str(cards), "discoveryScript": script}
    asked = {f"spark.{who}.resource.gpu.{key}": value for who in ("worker", "executor") for key, value in of.items()}
    large = {"path": str(tiny_model.write(root / "tiny")), "max_pixels": 57_600, "lora": {"steps": 4, "rows": 4}}
    settings = Settings.model_validate(
        {
            "lake": f"{root}/lake",
            "releases": f"{root}/releases",
            "spark": {
                "master": f"local-cluster[1,{2 * cards},2048]",
                "shuffle_partitions": 2,
                "snapshot_partitions": 1,
                "conf": asked
                | {
                    "spark.task.resource.gpu.amount": "1",
                    "spark.task.cpus": "2",
                    "spark.executor.cores": str(2 * cards),
                    "spark.executor.memory": "2g",
                    "spark.executorEnv.PYTHONPATH": os.getcwd(),
                },
            },
            "fit": {"voters": ["large"], "large": large, "encoder": ""},
        }
    )
    spark = session.build(settings, "granted")
    (root / "seen").mkdir()
    work = [partial(seen, f"{root}/seen", cards)] * cards
    told: dict[str, Any] = {"seen": post_training.each(spark, settings, work)}
    if more:
        told |= night(spark, settings, root)
    spark.stop()
    print(json.dumps(told))
