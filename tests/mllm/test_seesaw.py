"""The see-saw: equal budgets, honest intervals, cosines that are what they claim."""

import json
import math
from functools import partial
from random import Random

import numpy as np
import pytest
import torch

from jobs import post_training
from kdsl import seesaw, seesaw_plot, seesaw_rules, seesaw_runs
from kdsl.config import Settings
from kdsl.dialogue import Item, Turn
from kdsl.models.augment import AugmentSettings
from kdsl.models.lessons import Lesson, course
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.tuning import Tuning
from kdsl.seesaw import Look, SeeSaw

SETTINGS = LoraSettings(
    rank=4, rate=5e-3, steps=4, rows=4, evaluate_every=2, held_out=0.34, augment=AugmentSettings(shuffle_codes=0.0)
)


def test_joint_and_own_adapters_get_the_same_budget_and_every_layer_is_compared(
    spark, settings, scene, intent, pictures, dialogues, contents, tmp_path
):
    shown = pictures * 3
    scenes = Lesson(
        scene, shown, [("order", "refund", "chat")[at % 3] for at in range(len(shown))], _ids(shown), contents
    )
    asked = dialogues[:12]
    talks = Lesson(intent, asked, [("where", "cancel")[at % 2] for at in range(12)], _ids(asked), contents)
    found = seesaw_runs.measure(lambda: Scorer.load(settings), [talks, scenes], SETTINGS, seeds=(1, 2), rules_budget=5)
    steps = {(look.seed, look.adapter, look.task, look.step) for look in found.looks}
    assert steps == {
        (seed, adapter, task, step)
        for seed in (1, 2)
        for task in ("intent", "scene")
        for adapter in ("joint", task)
        for step in (2, 4)
    }
    assert all(0 <= look.score <= 1 for look in found.looks + found.with_rules)
    beside = [(look.seed, look.adapter, look.task, look.step) for look in found.with_rules]
    assert sorted(beside) == sorted(at for at in steps if at[3] == 4)
    assert [at[:3] for at in beside] == [(look.seed, look.adapter, look.task) for look in found.alone]
    assert {one.of for one in found.conflicts} == {"gradient", "update"}
    assert {one.layer for one in found.conflicts} == {"language 00", "language 01"}
    assert all(-1.001 <= one.cosine <= 1.001 for one in found.conflicts)
    begin = partial(Scorer.load, settings)
    measure = partial(seesaw_runs.measure, begin, [talks, scenes], SETTINGS, rules_budget=5)
    runs = [partial(measure, seeds=(seed,)) for seed in (1, 2)]
    assert SeeSaw.joined(post_training.each(spark, Settings(), runs)) == found  # in Spark tasks as in this process
    drawn = seesaw_plot.draw(found)
    assert "<svg" in drawn
    assert seesaw_plot.draw(found) == drawn
    (tmp_path / seesaw.FILE).write_text(found.to_json())
    assert seesaw.read(tmp_path / seesaw.FILE) == found


def _ids(items):
    return [f"{item.item_id}/{at}" for at, item in enumerate(items)]


def test_the_cosine_of_updates_is_that_of_the_products():
    torch.manual_seed(0)
    name = "model.layers.3.q_proj.lora_A.weight"
    by_task = {
        task: {name: torch.randn(2, 7), name.replace("lora_A", "lora_B"): torch.randn(5, 2)} for task in ("a", "b")
    }
    made = [(of[name.replace("lora_A", "lora_B")] @ of[name]).flatten() for of in by_task.values()]
    wanted = float(torch.nn.functional.cosine_similarity(made[0], made[1], dim=0))
    ((layer, pair, cosine),) = seesaw_runs._update_cosines(by_task)
    assert (layer, pair) == ("language 03", ("a", "b"))
    assert cosine == pytest.approx(wanted, abs=1e-5)
    assert [found[2] for found in seesaw_runs._update_cosines({"a": by_task["a"], "b": by_task["a"]})] == [
        pytest.approx(1)
    ]


def _made(own, joint, with_rules=()):
    looks = [Look(seed, "joint", "t", 9, value) for seed, value in enumerate(joint)]
    looks += [Look(seed, "t", "t", 9, value) for seed, value in enumerate(own)]
    beside = tuple(Look(seed, "t", "t", 9, value) for seed, value in enumerate(with_rules))
    alone = tuple(Look(seed, "t", "t", 9, value - 0.3) for seed, value in enumerate(with_rules))
    return SeeSaw(("t",), tuple(range(len(own))), tuple(looks), (), "large", beside, alone)


def test_a_seesaw_is_claimed_only_where_the_interval_says_so():
    assert "costs t" in _made([0.8, 0.81, 0.82], [0.6, 0.61, 0.6]).verdict()
    assert "No see-saw shows" in _made([0.8, 0.5, 0.6], [0.6, 0.61, 0.6]).verdict()
    assert "No see-saw shows: over 1 seeds" in _made([0.9], [0.1]).verdict()
    gain = _made([0.5, 0.7], [0.4, 0.4]).gain("t")
    assert gain.value == pytest.approx(0.2)
    assert gain.high - gain.value == pytest.approx(12.706 * np.std([0.1, 0.3], ddof=1) / math.sqrt(2))


def test_the_joint_adapter_learns_at_the_pace_of_the_others_from_start_to_end(settings, scene, intent, monkeypatch):
    """Twice the steps along one descent: a rate that rises again would undo what the joint adapter has learned."""
    items = [Item(f"{at}", "intent", (Turn("user", f"my parcel {at}"),)) for at in range(12)]
    lessons = [
        Lesson(task, items, [task.label_names[at % 2] for at in range(12)], _ids(items), {}) for task in (intent, scene)
    ]
    rates: list[list[float]] = []
    true_step = Tuning.step

    def step(self: Tuning, at: int) -> float:
        if at == 0:
            rates.append([])
        loss = true_step(self, at)
        rates[-1].append(self.optimizer.param_groups[0]["lr"])
        return loss

    monkeypatch.setattr(Tuning, "step", step)
    told = SETTINGS.model_copy(update={"steps": 20, "evaluate_every": 20})
    seesaw_runs.measure(lambda: Scorer.load(settings), lessons, told, seeds=(1,), rules_budget=2)
    joint, *own = rates
    assert [len(joint), *map(len, own)] == [40, 20, 20]
    for one in rates:
        top = one.index(max(one))
        assert one[top] == pytest.approx(told.rate)
        assert one[top:] == sorted(one[top:], reverse=True)
        assert one[-1] < 0.12 * told.rate
    assert joint[2::2] == pytest.approx(own[0][1:], rel=0.2)


def test_what_rules_give_is_told_beside_what_an_adapter_of_its_own_gives():
    found = _made([0.5, 0.7], [0.4, 0.4], [0.8, 0.8])
    assert found.rules_gain("t").value == pytest.approx(0.3)
    assert found.whole_gain("t").value == pytest.approx(0.4)
    assert found.with_rules_at_last("t").value == pytest.approx(0.8)
    told = json.loads(found.to_json())
    assert told["gains_in_all"]["t"]["value"] == pytest.approx(0.4)
    assert "gains_in_all" not in json.loads(_made([0.5, 0.7], [0.4, 0.4]).to_json())  # as older releases hold it


def test_rules_answer_what_an_adapter_cannot(intent):
    """An adapter that knows nothing, beside rules of words that tell everything."""
    words = {"where": "parcel", "cancel": "cancel", "refund": "refund", "other": "hello"}
    dice = Random(1)
    items, gold = [], []
    for label, word in words.items():
        for at in range(24):
            filler = " ".join(dice.choices(("please", "today", "my", "it", "now"), k=4))
            items.append(Item(f"{label}-{at}", "intent", (Turn("user", f"{filler} {word} {at}"),)))
            gold.append(label)
    made = course(Lesson(intent, items, gold, _ids(items), {}), {}, share=0.4, seed=1)
    flat = np.log(np.full((len(made.held_out), 4), 0.25))
    sure = np.log(np.full((len(made.held_out), 4), 0.01))
    sure[range(len(sure)), [intent.label_names.index(label) for label in made.held_gold]] = np.log(0.97)
    found = seesaw_rules.beside(made, {"ignorant": flat, "right": sure}, seed=1, budget=10)
    assert found["ignorant"].with_rules >= 0.9 > 0.5 >= found["ignorant"].alone
    assert min(found["right"].with_rules, found["right"].alone) >= 0.95


def test_one_task_makes_no_seesaw(settings, intent):
    with pytest.raises(ValueError, match="two tasks and held-out"):
        seesaw_runs.measure(lambda: Scorer.load(settings), [Lesson(intent, [], [], [], {})], SETTINGS, seeds=(1,))
