"""A model that reads text alone beside tasks that are asked of pictures: it has no part there, and all else goes on."""

from contextlib import nullcontext

import pytest

from kdsl.config import FitSettings
from kdsl.dialogue import Item, Turn
from kdsl.errors import ConfigError
from kdsl.models.checkpoint import sees
from kdsl.models.mllm_settings import LoraSettings, MllmSettings
from kdsl.taxonomy import Taxonomy
from kdsl.training import train

LORA = LoraSettings(rank=2, steps=2, rows=2, held_out=0.0)


def _learned(voters, intent, scene, pictures, path, lora=LORA):
    texts = [
        Item(f"{at}", "intent", (Turn("user", f"{('where is it', 'cancel it')[at % 2]} {at}"),)) for at in range(12)
    ]
    examples = {
        "intent": [(item, ("where", "cancel")[at % 2]) for at, item in enumerate(texts)],
        "scene": [(item, ("order", "refund")[at % 2]) for at, item in enumerate(pictures[:6])],
    }
    settings = FitSettings(
        voters=voters, encoder="", folds=2, large=MllmSettings(path=str(path), device="cpu", lora=lora)
    )
    return train(Taxonomy(name="both", tasks=(intent, scene)), examples, settings, lambda _: nullcontext())


def test_it_takes_part_in_tasks_of_text_alone(tiny_text, tiny, intent, scene, pictures, caplog):
    assert sees(str(tiny))
    assert not sees(str(tiny_text))
    found = _learned(("linear", "large"), intent, scene, pictures, tiny_text)
    assert {task: list(one.voters) for task, one in found.items()} == {
        "intent": ["linear", "large"],
        "scene": ["linear"],
    }
    assert "large reads text alone, and task 'scene' is asked of pictures" in caplog.text


def test_a_joint_adapter_of_it_learns_the_tasks_of_text(tiny_text, intent, scene, pictures):
    joint = LORA.model_copy(update={"joint": True})
    found = _learned(("linear", "large"), intent, scene, pictures, tiny_text, joint)
    assert {task: list(one.voters) for task, one in found.items()} == {
        "intent": ["linear", "large"],
        "scene": ["linear"],
    }


def test_alone_it_is_not_enough_for_pictures(tiny_text, intent, scene, pictures):
    with pytest.raises(
        ConfigError, match=r"fit.voters: large given, and none of them can look at .* 'scene'; add linear"
    ):
        _learned(("large",), intent, scene, pictures, tiny_text)
