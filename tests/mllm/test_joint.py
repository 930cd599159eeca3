"""One adapter for all tasks, where the settings want it."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from kdsl.config import FitSettings
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.models import adapter, mllm_voter
from kdsl.models.apart import Order, learn
from kdsl.models.lessons import Lesson
from kdsl.models.mllm_settings import MllmSettings
from kdsl.models.mllm_voter import fit_of
from kdsl.models.tuning import Tuning
from kdsl.taxonomy import Taxonomy
from kdsl.training import train
from tests.mllm.test_mllm_lora import CALM, QUICK, lesson


def test_a_joint_adapter_learns_every_task_and_serves_each(
    settings, intent, scene, pictures, contents, tmp_path, monkeypatch
):
    shown = [replace(item, item_id=f"{item.item_id}/{at}") for at, item in enumerate(pictures * 3)]
    seen = [("order", "refund", "chat")[at % len(pictures) % 3] for at in range(len(shown))]
    shown = [replace(item, pictures=tuple(_filled(item, contents))) for item in shown]
    talks = lesson(intent)
    scenes = Lesson(scene, shown, seen, [item.item_id for item in shown], contents)
    lora = QUICK.model_copy(update={"steps": 60, "held_out": 0.0, "joint": True, "augment": CALM, "vision": True})
    options = {"small": MllmSettings(**settings.model_dump(), lora=lora)}
    made = {}
    for own, other in ((talks, scenes), (scenes, talks)):
        order = Order("small", own.task, own.items, own.gold, own.groups, 4, 1, options, [other])
        made[own.task.name] = learn(order)
        made[own.task.name].save(tmp_path / own.task.name)
    assert made["intent"].files[adapter.WEIGHTS] == made["scene"].files[adapter.WEIGHTS]
    for own in (talks, scenes):
        voter = mllm_voter.load(tmp_path / own.task.name, own.task)
        assert set(voter.adapted.tasks) == {"intent", "scene"}
        said = voter.log_probs(own.items).argmax(axis=1)
        right = np.mean([own.task.label_names[at] == gold for at, gold in zip(said, own.gold, strict=True)])
        assert right >= 0.8, own.task.name
    # A run of the other task that was cut off is not taken for this one.
    cut = {"small": options["small"].model_copy(update={"unfinished": str(tmp_path / "unfinished")})}
    (tmp_path / "unfinished").mkdir()
    true_step = Tuning.step

    def stop(self: Tuning, step: int) -> float:
        if step == 9:
            raise KeyboardInterrupt
        return true_step(self, step)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Tuning, "step", stop)
        fit_of("small")(intent, talks.items, talks.gold, talks.groups, seed=1, beside=[scenes], **cut)
    (left,) = (tmp_path / "unfinished").iterdir()
    fit_of("small")(scene, scenes.items, scenes.gold, scenes.groups, seed=1, beside=[talks], **cut)
    assert list((tmp_path / "unfinished").iterdir()) == [left]
    again = fit_of("small")(intent, talks.items, talks.gold, talks.groups, seed=1, beside=[scenes], **cut)
    assert again.files[adapter.WEIGHTS] == made["intent"].files[adapter.WEIGHTS]
    shots = {"small": options["small"].model_copy(update={"shots": 1})}
    with pytest.raises(ConfigError, match=r"fit.small.shots: 1 given beside lora.joint"):
        learn(Order("small", intent, talks.items, talks.gold, talks.groups, 4, 1, shots, [scenes]))


def _filled(item: Item, contents) -> list:
    return [replace(one, content=contents[one.sha256]) for one in item.pictures]


@pytest.mark.parametrize("joint", [True, False])
def test_orders_of_a_joint_adapter_hold_the_other_tasks_examples(settings, intent, scene, pictures, joint):
    lora = QUICK.model_copy(update={"joint": joint})
    told = FitSettings(voters=("small",), small=MllmSettings(**settings.model_dump(), lora=lora))
    talks = lesson(intent)
    examples = {
        "intent": list(zip(talks.items, talks.gold, strict=True)),
        "scene": [(item, "order") for item in pictures],
    }

    class Started(Exception):
        """The orders are all that is looked at."""

    given = []

    def start(orders):
        given.extend(orders)
        raise Started

    both = Taxonomy(name="both", tasks=(intent, scene))
    with pytest.raises(Started):
        train(both, examples, told, lambda _: nullcontext(), start=start)
    beside = {order.task.name: [one.task.name for one in order.beside] for order in given}
    assert beside == ({"intent": ["scene"], "scene": ["intent"]} if joint else {"intent": [], "scene": []})
