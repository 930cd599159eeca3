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
from kdsl.taxonomy import Taxonomy
from kdsl.training import train
from tests.mllm.test_mllm_lora import QUICK, lesson


def test_a_joint_adapter_learns_every_task_and_serves_each(settings, intent, scene, pictures, contents, tmp_path):
    shown = [replace(item, item_id=f"{item.item_id}/{at}") for at, item in enumerate(pictures * 3)]
    seen = [("order", "refund", "chat")[at % 3] for at in range(len(shown))]
    shown = [replace(item, pictures=tuple(_filled(item, contents))) for item in shown]
    talks = lesson(intent)
    scenes = Lesson(scene, shown, seen, [item.item_id for item in shown], contents)
    lora = QUICK.model_copy(update={"steps": 6, "held_out": 0.0, "joint": True})
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
        assert np.isfinite(voter.log_probs(own.items)).all()
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
