"""One adapter for all tasks, where the settings want it."""

from contextlib import nullcontext
from dataclasses import replace

import numpy as np
import pytest

from kdsl.config import FitSettings
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.learn import hear
from kdsl.models import adapter, mllm_voter
from kdsl.models.augment import AugmentSettings
from kdsl.models.lessons import Lesson
from kdsl.models.mllm_settings import MllmSettings
from kdsl.models.mllm_voter import MllmVoter, fit_of
from kdsl.models.tuning import Tuning
from kdsl.models.voter import kind
from kdsl.taxonomy import Taxonomy
from kdsl.training import train
from tests.mllm.test_mllm_lora import QUICK, lesson

PLAIN = AugmentSettings(**dict.fromkeys(AugmentSettings.model_fields, 0.0))


@pytest.fixture
def both(intent, scene, pictures, contents) -> tuple[Lesson, Lesson]:
    """Dialogues, and pictures each shown three times."""
    shown = [replace(item, item_id=f"{item.item_id}/{at}") for at, item in enumerate(pictures * 3)]
    shown = [replace(item, pictures=tuple(_filled(item, contents))) for item in shown]
    seen = [("order", "refund", "chat")[at % len(pictures) % 3] for at in range(len(shown))]
    return lesson(intent), Lesson(scene, shown, seen, [item.item_id for item in shown], contents)


def _fitted(own: Lesson, other: Lesson, told: MllmSettings) -> MllmVoter:
    return fit_of("small")(own.task, own.items, own.gold, own.groups, seed=1, beside=[other], small=told)


def test_a_joint_adapter_learns_every_task_and_serves_each(settings, both, tmp_path):
    lora = QUICK.model_copy(update={"steps": 40, "held_out": 0.0, "joint": True, "augment": PLAIN, "vision": True})
    made = []
    for own, other in (both, both[::-1]):
        made.append(_fitted(own, other, MllmSettings(**settings.model_dump(), lora=lora)))
        made[-1].save(tmp_path / own.task.name)
    assert made[0].files[adapter.WEIGHTS] == made[1].files[adapter.WEIGHTS]
    for own in both:
        voter = mllm_voter.load(tmp_path / own.task.name, own.task)
        assert set(voter.adapted.tasks) == {"intent", "scene"}
        assert voter.adapted.curve[-1].step == 80  # each task gets the steps that it would get alone
        said = voter.log_probs(own.items).argmax(axis=1)
        right = np.mean([own.task.label_names[at] == gold for at, gold in zip(said, own.gold, strict=True)])
        assert right >= 0.8, own.task.name


def test_a_joint_run_that_was_cut_off_is_not_taken_for_the_other_tasks(settings, both, tmp_path, monkeypatch):
    lora = QUICK.model_copy(update={"steps": 4, "save_every": 2, "joint": True})
    told = MllmSettings(**settings.model_dump(), lora=lora, unfinished=str(tmp_path))
    true_step = Tuning.step

    def stop(self: Tuning, step: int) -> float:
        if step == 5:
            raise KeyboardInterrupt
        return true_step(self, step)

    with monkeypatch.context() as patched, pytest.raises(KeyboardInterrupt):
        patched.setattr(Tuning, "step", stop)
        _fitted(*both, told)
    (left,) = tmp_path.iterdir()
    whole = _fitted(*both[::-1], told)
    assert list(tmp_path.iterdir()) == [left]
    assert _fitted(*both, told).files == whole.files
    assert not list(tmp_path.iterdir())


def test_the_hold_out_is_not_learned_under_another_tasks_gold(intent):
    """Two tasks that are asked of the same dialogues."""
    own = lesson(intent)
    other = replace(own, task=intent.model_copy(update={"name": "mood"}), gold=own.gold[::-1])
    taught = []

    def fit(task, items, gold, groups, *, seed, beside):
        taught.append({item.item_id for item in items} | {item.item_id for one in beside for item in one.items})
        return _Silent(len(intent.labels))

    known = replace(kind("small"), fit=fit)
    heard = hear(known, own.task, own.items, own.gold, folds=4, seed=1, groups=own.groups, beside=[other])
    asked = {item.item_id for item, was in zip(own.items, heard.asked, strict=True) if was}
    assert asked
    assert taught == [{item.item_id for item in own.items} - asked]


class _Silent:
    """A fake voter that knows nothing."""

    def __init__(self, labels: int) -> None:
        self.labels = labels

    def log_probs(self, items):
        return np.full((len(items), self.labels), np.nan)


def test_shots_beside_a_joint_adapter_are_refused(settings, both):
    lora = QUICK.model_copy(update={"joint": True})
    told = MllmSettings(**settings.model_dump() | {"shots": 1}, lora=lora)
    with pytest.raises(ConfigError, match=r"fit.small.shots: 1 given beside lora.joint"):
        _fitted(*both, told)


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
