"""Dear voters are learned in Spark tasks, side by side or in turn; what is wrong is said in its own words."""

import logging
from datetime import UTC, datetime

import pytest

from jobs import post_training
from jobs.ledger import Run
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.models.apart import Order
from kdsl.models.mllm_settings import MllmSettings
from tests.mllm.test_mllm_lora import lesson
from udfs.post_train import EVERY, Sparing


@pytest.mark.parametrize(
    ("device", "conf", "side_by_side"),
    [
        ("cpu", {}, True),
        ("auto", {}, False),
        ("cuda:0", {}, False),
        ("auto", {"spark.task.resource.gpu.amount": "1"}, True),
    ],
)
def test_models_that_could_meet_on_one_gpu_are_learned_in_turn(spark, device, conf, side_by_side):
    small = {"path": "m", "device": device}
    settings = Settings.model_validate({"fit": {"small": small, "large": small}, "spark": {"conf": conf}})
    assert (post_training._slots(spark, settings) > 1) == side_by_side


def test_what_learns_side_by_side_begins_in_order(spark):
    """As many at once as there are cores: the largest model would else begin when it happens to."""
    cores = spark.sparkContext.defaultParallelism
    local = Settings.model_validate({"spark": {"master": f"local[{cores}]"}})
    assert post_training._slots(spark, local) == cores < post_training.SLOTS
    assert post_training._slots(spark, local, spared=1) == max(1, cores - 1)  # beside fit, which learns too
    assert post_training._slots(spark, local, spared=cores) == 1
    cluster = Settings.model_validate({"spark": {"master": "spark://host:7077"}})
    assert post_training._slots(spark, cluster, spared=1) == post_training.SLOTS


def test_a_task_learns_as_this_process_would_and_tells_what_is_wrong(spark, settings, intent, tmp_path):
    given = lesson(intent)
    run = Run("fit", "fit-1", datetime.now(UTC), "{}")

    def order(path: str) -> Order:
        told = MllmSettings(**settings.model_dump() | {"path": path}, post_train=False)
        return Order("small", intent, given.items, given.gold, given.groups, 4, 1, {"small": told})

    with post_training.elsewhere(spark, Settings(), run) as start:
        done = start([order(settings.path)])["intent", "small"]()
    assert 0 < done.heard.asked.sum() < len(given.items)
    assert set(done.files) == {"mllm.json"}
    assert list(run.counts) == ["seconds post-train intent/small"]
    with pytest.raises(ConfigError, match="nowhere"), post_training.elsewhere(spark, Settings(), run) as start:
        start([order(str(tmp_path / "nowhere"))])["intent", "small"]()


def test_lines_about_one_piece_of_work_are_spared():
    sparing = Sparing()

    def passes(at: float) -> bool:
        record = logging.makeLogRecord({"msg": "step"})
        record.created = at
        return sparing.filter(record)

    assert [passes(at) for at in (100.0, 101.0, 100.0 + EVERY, 101.0 + EVERY)] == [True, False, True, False]
