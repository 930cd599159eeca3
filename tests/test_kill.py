"""`kill -9` in the middle of a night, through the real spark-submit.sh: the next run leaves every item exactly once."""

import os
import signal
import subprocess
import time
from collections import Counter
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs.fit import fit
from jobs.ingest import ingest
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.demo import shop
from tests.night import settings_below

if TYPE_CHECKING:
    from pyspark.sql import SparkSession

CHUNK = 8


def _versions(folder: Path) -> int:
    return len(list(folder.glob("_delta_log/*.json")))


def _wait_for(reached: "object", process: subprocess.Popen[bytes], seconds: float = 180) -> None:
    end = time.monotonic() + seconds
    while not reached():  # type: ignore[operator]
        assert process.poll() is None, "the job ended before the moment to kill it came"
        assert time.monotonic() < end, "the moment to kill the job never came"
        time.sleep(0.02)


@pytest.mark.slow  # three starts of spark-submit
@pytest.mark.timeout(900)
def test_a_killed_night_is_finished_by_the_next_run(spark: "SparkSession", tmp_path: Path) -> None:
    files = shop.write(
        tmp_path / "shop", days=1, dialogues_a_day=8, examples=3, train_pictures=1, test_pictures=3, broken_pictures=0
    )
    settings = settings_below(tmp_path)
    ingest(spark, settings, format="jsonl", path=str(files.history), split="train")
    ingest(spark, settings, format="jsonl", path=str(files.nights), split="test")
    lake = Lake(spark, settings.lake)
    release = fit(lake, settings)
    day = files.first_night
    root = Path(settings.lake)
    read_before = _versions(root / "image_features")
    moments = {
        "while pictures are read": lambda: _versions(root / "image_features") > read_before + 1,
        "while predictions are staged": lambda: any(root.glob("_staging/label-*/labels")),
        "after labels were merged": lambda: _versions(root / "labels") > 1,
    }
    command = ["./spark-submit.sh", "label", "--lake", settings.lake, "--releases", settings.releases]
    command += ["--from", str(day), "--to", str(day), "--master", "local[2]", "--set", f"label.perceive_chunk={CHUNK}"]
    command += ["--set", f"log_dir={tmp_path}/logs"]
    for moment, reached in moments.items():
        process = subprocess.Popen(
            command, start_new_session=True, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )
        try:
            _wait_for(reached, process)
        finally:
            os.killpg(process.pid, signal.SIGKILL)
            process.wait()
        assert process.returncode == -signal.SIGKILL, moment
    label(lake, settings, release, Days(day, day))
    nights = f"event_date = '{day}'"
    items = [row["conversation_id"] for row in lake.df("conversations").where(nights).collect()]
    items += [row["image_id"] for row in lake.df("images").where(nights).collect()]
    assert Counter(row["item_id"] for row in lake.df("labels").where(nights).collect()) == Counter(items)
    read = Counter(row["sha256"] for row in lake.df("image_features").collect())
    twice = sum(n - 1 for n in read.values())
    print(f"pictures read twice after {len(moments)} kills: {twice}")
    assert twice <= CHUNK
    metrics = lake.df("batch_metrics").where(nights).where("metric = 'weighted_f1'").collect()
    assert {row["task"] for row in metrics} == {"intent", "scene"}
