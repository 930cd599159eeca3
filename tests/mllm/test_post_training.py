"""Dear voters are learned in Spark tasks, side by side or in turn; what is wrong is said in its own words."""

import logging
import time
from collections.abc import Callable
from datetime import UTC, datetime
from threading import Event, Thread, Timer

import pytest

from jobs import post_training
from jobs.ledger import Run
from kdsl.config import Settings
from kdsl.errors import ConfigError
from kdsl.models.apart import Order
from kdsl.models.mllm_settings import MllmSettings
from kdsl.taxonomy import Label, Task
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


def test_the_core_of_fit_is_taken_once_it_waits_and_nothing_begins_after_an_error(spark, monkeypatch):
    """Until then one core less than there are; what had not begun by then never does."""
    cores = spark.sparkContext.defaultParallelism
    local = Settings.model_validate({"spark": {"master": f"local[{cores}]"}})
    run = Run("fit", "fit-1", datetime.now(UTC), "{}")
    asked = {"asked_of": "image", "question": "?", "labels": (Label(name="a"), Label(name="b"))}
    tasks = [Task(name=f"task{number}", **asked) for number in range(cores)]
    orders = [Order(voter, task, [], [], [], 4, 1, {}) for voter in ("large", "small") for task in tasks]
    begun: list[str] = []
    go_on = Event()

    def learned(_spark, order, _run):
        begun.append(order.voter)
        go_on.wait(30)
        return order.voter

    monkeypatch.setattr(post_training, "_learned", learned)
    with post_training.elsewhere(spark, local, run) as start:
        coming = start(orders)
        time.sleep(0.3)
        assert begun == ["large"] * max(1, cores - 1)
        waiting = Thread(target=coming["task0", "large"])
        waiting.start()
        _until(lambda: len(begun) == cores)
        time.sleep(0.3)
        assert len(begun) == cores
        go_on.set()
        waiting.join()
    assert sorted(begun) == ["large"] * cores + ["small"] * cores
    begun.clear()
    go_on.clear()
    with pytest.raises(ConfigError, match="stop"), post_training.elsewhere(spark, local, run) as start:
        start(orders)
        _until(lambda: len(begun) == max(1, cores - 1))
        Timer(0.3, go_on.set).start()
        raise ConfigError("stop")
    assert begun == ["large"] * max(1, cores - 1)


def _until(true: Callable[[], bool]) -> None:
    deadline = time.monotonic() + 30
    while not true():
        assert time.monotonic() < deadline
        time.sleep(0.01)


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
