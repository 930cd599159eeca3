"""`kill -9` in the middle of a night, through the real spark-submit.sh: the next run leaves every item exactly once."""

import os
import signal
import subprocess
import time
from collections import Counter
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from jobs import registry
from jobs.fit import fit
from jobs.ingest import ingest
from jobs.label import label
from jobs.lake import Lake
from jobs.options import Days
from kdsl.demo import shop
from tests.night import Shop, settings_below

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


@pytest.mark.slow  # a start of spark-submit
@pytest.mark.timeout(1200)
def test_ctrl_c_at_the_terminal_reaches_the_search_and_leaves_spark_to_register_the_release(
    night: Shop, tmp_path: Path
) -> None:
    """A terminal sends the signal to Spark's JVM too, which used to end: nothing was kept of the search."""
    told = tmp_path / "told"
    command = ["./spark-submit.sh", "fit", "--lake", night.settings.lake, "--releases", night.settings.releases]
    command += ["--master", "local[2]", "--budget", "300", "--set", f"log_dir={tmp_path}/logs"]
    command += ["--set", "fit.encoder=", "--set", "fit.folds=2", "--set", "fit.voters=[linear,rules]"]
    with told.open("wb") as out:
        process = subprocess.Popen(command, start_new_session=True, stdout=out, stderr=subprocess.STDOUT)
    try:
        _wait_for(lambda: "learn intent/linear" in told.read_text(), process)
        time.sleep(1)  # the next stage is the search
        os.killpg(process.pid, signal.SIGINT)
        process.wait(900)
    finally:
        with suppress(ProcessLookupError):
            os.killpg(process.pid, signal.SIGKILL)
    assert process.returncode == 0, told.read_text()
    assert "not promoted: Ctrl-C ended the learning of intent/rules early" in told.read_text()
    release_id = told.read_text().split()[-1]
    assert [row["promoted_at"] for row in night.rows("releases", f"release_id = '{release_id}'")] == [None]
    assert registry.promoted(night.lake) == night.release.manifest.release_id


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
