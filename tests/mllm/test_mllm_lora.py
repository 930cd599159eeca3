"""Post-training: it learns, it gives the same adapter again, it goes on after a kill, and refuses what does not fit."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import textwrap
from collections import Counter
from dataclasses import replace
from random import Random

import numpy as np
import pytest
import torch
from peft.tuners.lora import LoraLayer
from safetensors.torch import load_file

from kdsl.dialogue import Item, Turn
from kdsl.errors import ConfigError, ReleaseError
from kdsl.models import adapter, augment, memory, mllm_voter
from kdsl.models.apart import Order, learn
from kdsl.models.augment import AugmentSettings
from kdsl.models.lessons import Lesson, course
from kdsl.models.lora import post_train
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings, MllmSettings
from kdsl.models.mllm_voter import MllmVoter, fit_of
from kdsl.models.model_settings import ModelSettings
from kdsl.models.prepared import prepared
from kdsl.models.progress import identity
from kdsl.models.tuning import HeldOut, Tuning
from kdsl.models.voter import Voter

WORDS = {
    "where": ("parcel", "monday"),
    "cancel": ("cancel", "please"),
    "refund": ("refund", "it"),
    "other": ("hello", "my"),
}
QUICK = LoraSettings(rank=8, alpha=32, rate=1e-2, steps=40, rows=8, evaluate_every=10, save_every=5, held_out=0.25)
CALM = AugmentSettings(shuffle_codes=0.0)


def lesson(task, n=6, contents=None):
    items, gold = [], []
    for label, words in WORDS.items():
        for at in range(n):
            text = " ".join(Random(f"{label}{at}").choices(words, k=6))
            items.append(Item(f"{label}-{at}", task.name, (Turn("user", text), Turn("agent", "order 4711"))))
            gold.append(label)
    return Lesson(task, items, gold, [item.item_id for item in items], contents or {})


def test_it_learns_what_the_labels_are(settings, intent, tmp_path, caplog):
    caplog.set_level("INFO", "kdsl")
    scorer, seen = Scorer.load(settings), []
    given = lesson(intent, 8)
    told = QUICK.model_copy(update={"augment": CALM, "steps": 120, "evaluate_every": 20})
    facts = post_train(scorer, [given], told, seed=1, folder=tmp_path, report=seen.append)
    assert facts.score >= 0.9
    assert adapter.facts_of(tmp_path) == facts
    assert [point.step for point in facts.curve] == list(range(20, facts.curve[-1].step + 1, 20))
    assert facts.score == pytest.approx(max(point.score for point in facts.curve), abs=1e-6)
    assert facts.curve[0].loss == pytest.approx(np.mean([one.loss for one in seen[:20]]), abs=1e-5)
    first = f"step 20 of 120, loss {facts.curve[0].loss:.3f}, held-out weighted F1 {facts.curve[0].score:.3f}"
    assert caplog.messages[0] == f"post-training on intent: {first}"
    assert seen[0].loss > 1.0 > seen[-1].loss
    fresh = lesson(intent, 14)
    found = scorer.score(intent, fresh.items, {}).log_probs.argmax(1)
    right = np.mean([intent.label_names[at] == gold for at, gold in zip(found, fresh.gold, strict=True)])
    assert right >= 0.9
    assert not (tmp_path / "unfinished").exists()


def test_pictures_and_the_vision_part_can_be_trained(settings, scene, pictures, contents, tmp_path):
    gold = ["order", "refund", "order", "refund", "order", "refund"]
    given = Lesson(scene, pictures[:6], gold, [item.item_id for item in pictures[:6]], contents)
    told = QUICK.model_copy(update={"steps": 4, "vision": True, "held_out": 0.0})
    scorer = Scorer.load(settings)
    before = scorer.score(scene, pictures, contents).log_probs
    post_train(scorer, [given], told, seed=1, folder=tmp_path)
    learned = load_file(tmp_path / "adapter.safetensors")
    assert any(".visual." in name and value.abs().max() > 0 for name, value in learned.items() if "lora_B" in name)
    assert np.abs(scorer.score(scene, pictures, contents).log_probs - before).max() > 1e-3


def test_the_vision_part_stays_frozen_by_default(settings, intent, tmp_path):
    post_train(Scorer.load(settings), [lesson(intent)], QUICK.model_copy(update={"steps": 2}), seed=1, folder=tmp_path)
    names = list(load_file(tmp_path / "adapter.safetensors"))
    assert names
    assert not any(".visual." in name for name in names)


@pytest.mark.parametrize("change", [{}, {"checkpointing": True}, {"accumulate": 2, "rows": 4}])
def test_the_same_seed_gives_the_same_adapter(settings, intent, tmp_path, change):
    told = QUICK.model_copy(update={"steps": 6, "dropout": 0.1, **change})
    made = []
    for nth, seed in enumerate((1, 1, 2)):
        given = lesson(intent)
        if nth == 1:  # in another order
            order = Random(9).sample(range(len(given.items)), len(given.items))
            given = Lesson(
                intent, [given.items[at] for at in order], [given.gold[at] for at in order],
                [given.groups[at] for at in order], {},
            )  # fmt: skip
        post_train(Scorer.load(settings), [given], told, seed=seed, folder=tmp_path / str(nth))
        made.append((tmp_path / str(nth) / "adapter.safetensors").read_bytes())
    assert made[0] == made[1] != made[2]


def test_checkpointing_changes_the_memory_and_not_the_loss(settings, intent, tmp_path):
    losses = {}
    for checkpointing in (False, True):
        told = QUICK.model_copy(update={"steps": 3, "dropout": 0.0, "checkpointing": checkpointing})
        seen = []
        post_train(
            Scorer.load(settings),
            [lesson(intent)],
            told,
            seed=1,
            folder=tmp_path / str(checkpointing),
            report=seen.append,
        )
        losses[checkpointing] = [one.loss for one in seen]
    np.testing.assert_allclose(losses[False], losses[True], atol=1e-3)


@pytest.mark.parametrize("vision", [False, True])
def test_checkpointing_runs_each_layer_again_for_its_gradient(settings, scene, pictures, contents, vision):
    """Without labels in the prompt there is no shared part that runs once more."""
    gold = ["order", "refund", "order", "refund", "order", "refund"]
    given = Lesson(scene, pictures[:6], gold, [item.item_id for item in pictures[:6]], contents)
    bare = settings.model_copy(update={"labels": "none"})
    for checkpointing, runs in ((False, 1), (True, 2)):
        told = QUICK.model_copy(update={"checkpointing": checkpointing, "vision": vision, "held_out": 0.0})
        scorer = Scorer.load(bare)
        run, ran = Tuning(scorer, [given], told, 1), Counter()
        inner = scorer.loaded.model.model
        seen = {f"layer {at}": layer for at, layer in enumerate(inner.language_model.layers)}
        if vision:
            seen |= {f"block {at}": block for at, block in enumerate(inner.visual.blocks)}
        for name, layer in seen.items():
            layer.mlp.register_forward_pre_hook(lambda *_, name=name, ran=ran: ran.update([name]))
        run.step(0)
        assert ran == dict.fromkeys(seen, runs)
        run.close()
        ran.clear()
        scorer.score(scene, pictures[:1], contents)
        assert ran == dict.fromkeys(seen, 1)  # to score it is not needed


def test_two_passes_of_four_rows_teach_as_one_of_eight(settings, intent):
    still = AugmentSettings(**dict.fromkeys(AugmentSettings.model_fields, 0.0))
    learned = {}
    for rows, accumulate in ((8, 1), (4, 2), (4, 1)):
        told = QUICK.model_copy(update={"rows": rows, "accumulate": accumulate, "dropout": 0.0, "augment": still})
        run = Tuning(Scorer.load(settings), [lesson(intent)], told, 1)
        losses = [run.step(step) for step in range(2)]
        learned[rows, accumulate] = losses, torch.cat([value.grad.flatten() for value in run.learned])
    whole, parts, half = learned.values()
    np.testing.assert_allclose(parts[0], whole[0], rtol=1e-4)
    size = whole[1].norm()
    assert (parts[1] - whole[1]).norm() < 1e-3 * size
    assert (half[1] - whole[1]).norm() > 0.1 * size  # other examples would teach otherwise


def test_the_adapter_of_the_best_look_is_saved_and_merged(settings, intent, dialogues, tmp_path, monkeypatch):
    """By weighted F1, where the likelihood says otherwise; the likelihood alone lets training go on."""
    curve = [(0.5, -10.0), (0.8, -12.0), (0.6, -5.0), (0.7, -20.0), (0.6, -20.0), (0.9, -1.0)]
    looks = []

    def scripted(self: Tuning) -> dict[str, HeldOut]:
        looks.append(adapter.weights(self.wrapped))
        return {"intent": HeldOut(*curve[len(looks) - 1], np.zeros((1, 4)))}

    monkeypatch.setattr(Tuning, "held_out", scripted)
    told = QUICK.model_copy(update={"steps": 12, "evaluate_every": 2, "patience": 2})
    scorer = Scorer.load(settings)
    facts = post_train(scorer, [lesson(intent)], told, seed=1, folder=tmp_path)
    assert [point.score for point in facts.curve] == [score for score, _ in curve[:5]]
    assert (facts.steps, facts.score) == (4, 0.8)
    found = load_file(tmp_path / adapter.WEIGHTS)
    best, last = ([torch.equal(found[name], look[name]) for name in found] for look in (looks[1], looks[-1]))
    assert all(best)
    assert not all(last)
    other = Scorer.load(settings)
    wrapped = adapter.wrap(other.loaded.model, rank=told.rank, alpha=told.alpha, dropout=0.0, vision=False, seed=0)
    adapter.put(wrapped, looks[1])
    adapter.merge(wrapped)
    np.testing.assert_allclose(
        scorer.score(intent, dialogues, {}).log_probs, other.score(intent, dialogues, {}).log_probs, atol=1e-4
    )


def test_of_two_looks_with_the_same_score_the_likelier_is_kept(settings, intent, tmp_path, monkeypatch):
    curve = iter([(0.8, -12.0), (0.8, -9.0), (0.8, -11.0)])
    monkeypatch.setattr(Tuning, "held_out", lambda _: {"intent": HeldOut(*next(curve), np.zeros((1, 4)))})
    told = QUICK.model_copy(update={"steps": 6, "evaluate_every": 2})
    assert post_train(Scorer.load(settings), [lesson(intent)], told, seed=1, folder=tmp_path).steps == 4


SCRIPT = """
    import sys, time
    sys.path.insert(0, {here!r})
    from pathlib import Path
    from test_mllm_lora import QUICK, lesson
    from kdsl.models.lora import post_train
    from kdsl.models.mllm import Scorer
    from kdsl.models.model_settings import ModelSettings
    from kdsl.taxonomy import Task
    settings = ModelSettings.model_validate_json({settings!r})
    task = Task.model_validate_json({task!r})
    told = QUICK.model_copy(update=dict(steps=30, save_every=2, evaluate_every=4, dropout=0.1, **{more!r}))
    def slow(progress):
        print(progress.step, flush=True)
        time.sleep({pause})
    post_train(Scorer.load(settings), [lesson(task)], told, seed=3, folder=Path({folder!r}), report=slow)
"""


@pytest.mark.parametrize("more", [{}, {"average": 0.9, "held_out": 0.0}])
def test_a_killed_run_goes_on_to_the_same_adapter(settings, intent, tmp_path, more):
    def script(folder, pause):
        told = SCRIPT.format(
            here=os.path.dirname(__file__), settings=settings.model_dump_json(), task=intent.model_dump_json(),
            folder=str(folder), pause=pause, more=more,
        )  # fmt: skip
        return [sys.executable, "-c", textwrap.dedent(told)]

    killed = subprocess.Popen(script(tmp_path / "killed", 0.2), stdout=subprocess.PIPE, text=True)
    for line in killed.stdout:
        if int(line) >= 9:
            break
    killed.send_signal(signal.SIGKILL)
    killed.wait()
    states = list((tmp_path / "killed" / "unfinished").glob("step-*"))
    assert len(states) == 1
    told = QUICK.model_copy(update={"steps": 30, "save_every": 2, "evaluate_every": 4, "dropout": 0.1, **more})
    seen = []
    post_train(Scorer.load(settings), [lesson(intent)], told, seed=3, folder=tmp_path / "killed", report=seen.append)
    assert seen[0].step == int(states[0].name.removeprefix("step-")) + 1 > 8
    post_train(Scorer.load(settings), [lesson(intent)], told, seed=3, folder=tmp_path / "whole")
    for name in ("adapter.safetensors", "adapter.json"):
        assert (tmp_path / "killed" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes()


def test_what_is_shown_otherwise_is_another_run(settings, intent):
    given = lesson(intent)
    told = [replace(item, turns=(Turn("user", f"{item.turns[0].text}!"),)) for item in given.items]

    def run(lesson: Lesson, **more: object) -> str:
        return identity("base", settings.model_copy(update=more).shown, [lesson], QUICK, 1)

    known = run(given)
    assert run(given, path="elsewhere", device="cuda:0", batch_tokens=64, window=1, threads=1) == known
    others = [
        ("labels", "named"),
        ("own_tokens", 64),
        ("agent_turns", False),
        ("max_pixels", 3_136),
        ("max_pictures", 0),
        ("permutations", 2),
    ]
    found = [known, run(replace(given, items=told)), *(run(given, **{name: value}) for name, value in others)]
    assert len(set(found)) == len(found)


def test_what_is_not_read_of_examples_is_gone_before_they_are_changed(settings, intent):
    """Else a borrowed message became the last that is read, and a turn left out was one that nobody sees."""
    given = lesson(intent)
    talks = [replace(item, turns=(*item.turns, Turn("agent", "let me look"))) for item in given.items]
    for both in (True, False):
        scorer = Scorer.load(settings.model_copy(update={"agent_turns": both}))
        course = prepared(scorer, replace(given, items=talks), QUICK, 1)
        speakers = {turn.speaker for items in course.by_label.values() for item in items for turn in item.turns}
        assert ("agent" in speakers) == both


def test_a_voter_that_was_cut_off_goes_on_where_its_settings_say(settings, intent, tmp_path, monkeypatch):
    given, steps, true_step = lesson(intent), [], Tuning.step
    lora = QUICK.model_copy(update={"steps": 12, "save_every": 5})

    def cut(self: Tuning, step: int) -> float:
        if step == 7 and steps.count(6) == 1:
            raise KeyboardInterrupt
        steps.append(step)
        return true_step(self, step)

    def fitted(**more: str) -> MllmVoter:
        told = MllmSettings(**settings.model_dump(), lora=lora, **more)
        return fit_of("small")(intent, given.items, given.gold, given.groups, seed=1, small=told)

    monkeypatch.setattr(Tuning, "step", cut)
    with pytest.raises(KeyboardInterrupt):
        fitted(unfinished=str(tmp_path))
    assert list(tmp_path.rglob("step-00000005"))
    again = fitted(unfinished=str(tmp_path))
    assert steps == [*range(7), *range(5, 12)]
    assert not list(tmp_path.iterdir())
    assert again.files == fitted().files
    assert steps[-12:] == list(range(12))


def test_the_last_adapters_are_averaged_where_nothing_is_held_out(settings, intent, tmp_path):
    told = QUICK.model_copy(update={"steps": 4, "average": 0.5, "held_out": 0.0})
    post_train(Scorer.load(settings), [lesson(intent)], told, seed=1, folder=tmp_path)
    found = load_file(tmp_path / "adapter.safetensors")
    run, after = Tuning(Scorer.load(settings), [lesson(intent)], told, 1), []
    for step in range(4):
        run.step(step)
        after.append(adapter.weights(run.wrapped))
    assert (after[3][next(iter(found))] - after[2][next(iter(found))]).abs().max() > 1e-4
    for name, value in found.items():
        np.testing.assert_allclose(value, (after[2][name] + after[3][name]) / 2, atol=1e-6)


def test_the_state_of_another_run_is_refused(settings, intent, tmp_path):
    def stop(progress):
        if progress.step == 6:
            raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt):
        post_train(Scorer.load(settings), [lesson(intent)], QUICK, seed=1, folder=tmp_path, report=stop)
    with pytest.raises(ConfigError, match="other examples, settings, seed or base model; delete it"):
        post_train(Scorer.load(settings), [lesson(intent)], QUICK, seed=2, folder=tmp_path)


def test_training_stops_when_nothing_is_gained(settings, intent, tmp_path):
    told = QUICK.model_copy(update={"steps": 500, "rate": 1e-9, "evaluate_every": 2, "patience": 3})
    seen = []
    post_train(Scorer.load(settings), [lesson(intent)], told, seed=1, folder=tmp_path, report=seen.append)
    assert len(seen) < 100


def test_near_duplicates_are_held_out_together_and_labels_come_in_turn(intent):
    given = lesson(intent, 8)
    groups = [
        f"{gold}{int(item.item_id.split('-')[1]) // 2}" for item, gold in zip(given.items, given.gold, strict=True)
    ]
    made = course(Lesson(intent, given.items, given.gold, groups, {}), {}, share=0.25, seed=4)
    assert len(made.held_out) == 8
    group_of = dict(zip((item.item_id for item in given.items), groups, strict=True))
    apart = {group_of[item.item_id] for item in made.held_out}
    assert not apart & {group_of[item.item_id] for items in made.by_label.values() for item in items}
    drawn = [made.draw(7, step, 8, AugmentSettings(), None) for step in range(6)]
    for shown in drawn:
        assert sorted(example.label for example in shown) == [0, 0, 1, 1, 2, 2, 3, 3]
    ids = [example.item.item_id for shown in drawn[:3] for example in shown]
    assert len(set(ids)) == len(ids) == 24  # everything once before anything twice


def test_examples_that_do_not_fit_are_left_out_and_counted(settings, intent, contents, pictures, tmp_path, caplog):
    """A picture by itself cannot be cut, nor be shown where it is none; changed, an example may not fit that did."""
    given = lesson(intent)
    seen = pictures[0].pictures[0]
    contents = {**contents, seen.sha256: b"no picture"}
    large = [replace(item, turns=(), pictures=(seen,)) if at in (0, 7) else item for at, item in enumerate(given.items)]
    short = settings.model_copy(update={"own_tokens": 40})
    told = QUICK.model_copy(update={"steps": 6, "augment": AugmentSettings(rephrase=1.0, mask_entities=1.0)})
    facts = post_train(
        Scorer.load(short), [replace(given, items=large, contents=contents)], told, seed=1, folder=tmp_path
    )
    assert facts.steps > 0
    warned = [one.getMessage() for one in caplog.records if one.levelname == "WARNING"]
    (said,) = [message for message in warned if message.startswith("post-training")]
    assert said == (
        "post-training on intent: 2 of 24 examples are left out: no picture that can be read, or more than 40 tokens "
        "(own_tokens)"
    )
    none = settings.model_copy(update={"own_tokens": 17})
    with pytest.raises(ConfigError, match="examples of 0 labels"):
        post_train(
            Scorer.load(none), [replace(given, items=[large[0]] * 24, contents=contents)], told, seed=1, folder=tmp_path
        )


def test_a_step_of_which_nothing_fits_teaches_nothing(settings, intent, monkeypatch):
    run = Tuning(Scorer.load(settings), [lesson(intent)], QUICK, 1)
    before = {name: value.clone() for name, value in adapter.weights(run.wrapped).items()}
    monkeypatch.setattr(Tuning, "_encoded", lambda *_: None)
    assert run.step(0) == 0.0
    assert all((value == before[name]).all() for name, value in adapter.weights(run.wrapped).items())


def test_one_label_alone_teaches_nothing(intent):
    items = [Item(str(at), "intent", (Turn("user", "x"),)) for at in range(4)]
    with pytest.raises(ConfigError, match="examples of 1 labels; post-training needs two"):
        course(Lesson(intent, items, ["where"] * 4, list("abcd"), {}), {}, share=0.0, seed=1)


def test_augmentation_keeps_the_shoppers_words_and_never_mirrors(contents):
    given = Item("a", "intent", (Turn("agent", "hi"), Turn("user", "cancel order AB-12345 now"), Turn("agent", "ok")))
    all_on = AugmentSettings(**dict.fromkeys(AugmentSettings.model_fields, 1.0))
    told = [augment.item(given, Random(seed), all_on) for seed in range(60)]
    assert len(set(told)) > 30
    assert all(any(turn.speaker == "user" and turn.text.strip() for turn in one.turns) for one in told)
    assert all("12345" not in turn.text for one in told for turn in one.turns)
    assert told[3] == augment.item(given, Random(3), all_on)
    from PIL import Image

    image = Image.new("RGB", (120, 200), "white")
    image.paste((0, 0, 0), (0, 0, 60, 200))  # dark at the left
    for seed in range(40):
        other = augment.picture(image, Random(seed), all_on).convert("L").resize((2, 1))
        assert other.getpixel((0, 0)) < other.getpixel((1, 0))


@pytest.fixture(scope="module")
def fitted(settings, intent):
    given = lesson(intent)
    told = MllmSettings(**settings.model_dump(), lora=QUICK.model_copy(update={"steps": 12}))
    return fit_of("small")(intent, given.items, given.gold, given.groups, seed=1, small=told)


def test_after_its_hold_out_a_voter_learns_all_anew_or_goes_on_or_stays(settings, intent, tmp_path, monkeypatch):
    given = lesson(intent)
    made, loaded, load = {}, [], ModelSettings.loaded
    monkeypatch.setattr(ModelSettings, "loaded", lambda told: loaded.append(load(told)) or loaded[-1])
    for refit in ("anew", "on", "never"):
        lora = QUICK.model_copy(update={"steps": 8, "held_out": 0.0, "refit": refit})
        options = {"small": MllmSettings(**settings.model_dump(), lora=lora)}
        made[refit] = learn(Order("small", intent, given.items, given.gold, given.groups, 4, 1, options))
    assert len(loaded) == 5  # one of which no memory is left, when the next is loaded and after the last
    assert {value.device.type for one in loaded for value in one.model.parameters()} == {"meta"}
    asked = made["anew"].heard.asked
    for one in made.values():
        np.testing.assert_array_equal(one.heard.asked, asked)
        np.testing.assert_allclose(one.heard.log_probs, made["anew"].heard.log_probs, atol=1e-6)
    assert 0 < asked.sum() < len(given.items) / 2
    votes = {}
    for refit, one in made.items():
        one.save(tmp_path / refit)
        votes[refit] = mllm_voter.load(tmp_path / refit, intent).log_probs(given.items)
    # What it said of its hold-out it still says only where it stayed as it was.
    np.testing.assert_allclose(votes["never"][asked], made["never"].heard.log_probs[asked], atol=1e-4)
    assert min(np.abs(votes[refit][asked] - votes["never"][asked]).max() for refit in ("anew", "on")) > 1e-2
    steps = {refit: mllm_voter.load(tmp_path / refit, intent).adapted.steps for refit in made}
    assert steps == {"anew": 8, "on": 2, "never": 8}


def test_a_saved_voter_scores_as_before(fitted, intent, tmp_path):
    items = lesson(intent).items
    assert isinstance(fitted, Voter)
    fitted.save(tmp_path / "v")
    again = mllm_voter.load(tmp_path / "v", intent)
    np.testing.assert_allclose(again.log_probs(items), fitted.log_probs(items), atol=1e-4)
    assert {file.suffix for file in (tmp_path / "v").iterdir()} == {".json", ".safetensors"}
    again.save(tmp_path / "w")
    for file in (tmp_path / "v").iterdir():
        assert file.read_bytes() == (tmp_path / "w" / file.name).read_bytes()


@pytest.mark.parametrize("room", [memory.COPIES, 0])
def test_voters_of_one_base_model_share_it_and_each_has_its_own_adapter(
    fitted, settings, intent, scene, pictures, contents, tmp_path, monkeypatch, room
):
    """With room for copies of the weights each adapter is added to its own; without they stay beside them."""
    monkeypatch.setattr(memory, "COPIES", room)
    items = lesson(intent).items
    shown = [
        Item(p.item_id, "scene", (), (replace(p.pictures[0], content=contents[p.pictures[0].sha256]),))
        for p in pictures
    ]
    told = MllmSettings(
        **settings.model_dump(), lora=QUICK.model_copy(update={"steps": 2, "vision": True, "held_out": 0.0})
    )
    gold = ["order", "refund", "chat", "order", "refund", "chat", "order"]
    of_scene = fit_of("small")(scene, shown, gold, [p.item_id for p in shown], seed=1, small=told)
    as_it_is = fit_of("small")(intent, [], [], [], seed=1, small=told.model_copy(update={"post_train": False}))
    made = {"intent": (intent, fitted, items), "scene": (scene, of_scene, shown), "plain": (intent, as_it_is, items)}
    wanted = {name: voter.log_probs(asked) for name, (_, voter, asked) in made.items()}
    for name, (_, voter, _) in made.items():
        voter.save(tmp_path / name)
    loaded = {name: mllm_voter.load(tmp_path / name, task) for name, (task, _, _) in made.items()}
    assert len({id(voter.scorer.loaded.model) for voter in loaded.values()}) == 1
    for name in ("intent", "scene", "plain", "scene", "intent", "plain", "intent"):
        np.testing.assert_allclose(loaded[name].log_probs(made[name][2]), wanted[name], atol=1e-4)
    assert np.abs(wanted["plain"] - wanted["intent"]).max() > 1e-2
    base = loaded["intent"].base
    assert base.merged == bool(room)
    assert any(isinstance(one, LoraLayer) for one in base.loaded.model.modules()) != bool(room)
    names = {id(one): name for name, one in base.loaded.model.named_modules()}
    for layer, copies in base._copies:  # the vision part is changed for scenes alone: the others wear the same there
        assert len({value.data_ptr() for value in copies.values()}) == (2 if "visual" in names[id(layer)] else 3)
    assert any("visual" in names[id(layer)] for layer, _ in base._copies) == bool(room)
    # A second release with the same adapters, wherever its folder lies: nothing is loaded, and no copy is made.
    shutil.copytree(tmp_path / "scene", tmp_path / "again")
    again = {
        name: mllm_voter.load(tmp_path / place, made[name][0])
        for name, place in (("intent", "intent"), ("scene", "again"), ("plain", "plain"))
    }
    assert {id(voter.base) for voter in again.values()} == {id(base)}
    assert {name: voter.worn for name, voter in again.items()} == {name: voter.worn for name, voter in loaded.items()}
    for name in ("scene", "intent", "plain"):
        np.testing.assert_allclose(again[name].log_probs(made[name][2]), wanted[name], atol=1e-4)
    del loaded, base, again
    alone = mllm_voter.load(tmp_path / "intent", intent)
    np.testing.assert_allclose(alone.log_probs(items), wanted["intent"], atol=1e-4)
    assert alone.base.merged  # of one adapter no copy is needed
    assert mllm_voter.load(tmp_path / "intent", intent).base is alone.base
    beside = mllm_voter.load(tmp_path / "plain", intent)  # its weights hold an adapter: not to be shared
    assert beside.scorer.loaded.model is not alone.scorer.loaded.model
    with pytest.raises(ValueError, match="hold 1 adapters already"):
        alone.base.join(None, intent)
    np.testing.assert_allclose(beside.log_probs(items), wanted["plain"], atol=1e-6)
    other = mllm_voter.load(tmp_path / "scene", scene)  # joins the base that holds none yet, not a third one
    assert other.base is beside.base
    np.testing.assert_allclose(other.log_probs(shown), wanted["scene"], atol=1e-4)
    np.testing.assert_allclose(alone.log_probs(items), wanted["intent"], atol=1e-4)


@pytest.fixture(scope="module")
def pair(settings, intent, tmp_path_factory):
    """The base as it is and two adapters: folders, and the scores of voters that have the model for themselves."""
    given, root = lesson(intent), tmp_path_factory.mktemp("pair")
    made = {}
    for name, steps in (("plain", 0), ("one", 4), ("two", 8)):
        lora = QUICK.model_copy(update={"steps": steps or 1, "held_out": 0.0})
        told = MllmSettings(**settings.model_dump(), lora=lora, post_train=bool(steps))
        voter = fit_of("small")(intent, given.items, given.gold, given.groups, seed=1, small=told)
        voter.save(root / name)
        made[name] = root / name, voter.log_probs(given.items)
    return made


@pytest.mark.parametrize("names", [("one",), ("one", "two"), ("plain", "one", "two")])
@pytest.mark.parametrize("error", [torch.OutOfMemoryError, KeyError])
def test_scores_stay_where_adding_the_adapters_fails_at_any_layer(pair, intent, monkeypatch, names, error):
    items, added = lesson(intent).items, adapter.added
    calls, kinds = 0, set()

    def failing(layer, name):
        nonlocal calls
        calls += 1
        if calls == fatal:
            raise error("CUDA out of memory")
        return added(layer, name)

    monkeypatch.setattr(adapter, "added", failing)
    for fatal in (1, 6, 15, 20, 34):
        calls = 0
        voters = {name: mllm_voter.load(pair[name][0], intent) for name in names}
        base = voters[names[0]].base
        failed = False
        for name in (*names, *names):
            try:
                said = voters[name].log_probs(items)
            except KeyError:
                failed = True
                said = voters[name].log_probs(items)  # the next call finds it whole, and adds what is left
            np.testing.assert_allclose(said, pair[name][1], atol=1e-4)
        left = sum(isinstance(one, LoraLayer) for one in base.loaded.model.modules())
        reached = fatal <= 14 * len(names)
        assert failed == (reached and error is KeyError)
        assert (left > 0) == (reached and error is torch.OutOfMemoryError)
        kinds.add((base.merged, left > 0))
        del voters, base
    if error is torch.OutOfMemoryError:
        assert (True, True) in kinds  # some layers hold the adapters, some have them beside


def test_a_voter_without_post_training_is_the_model_itself(settings, intent, dialogues, tmp_path):
    told = MllmSettings(**settings.model_dump(), post_train=False)
    voter = fit_of("large")(intent, [], [], [], seed=1, large=told)
    voter.save(tmp_path)
    plain = Scorer.load(settings).score(intent, dialogues, {}).log_probs  # they carry no pictures' files
    np.testing.assert_allclose(mllm_voter.load(tmp_path, intent).log_probs(dialogues), plain, atol=1e-6)


def test_an_adapter_for_other_labels_or_another_base_is_refused(fitted, intent, scene, tmp_path):
    fitted.save(tmp_path)
    with pytest.raises(ReleaseError, match=r"other labels of task 'intent'.*run fit again"):
        mllm_voter.load(tmp_path, intent.model_copy(update={"labels": intent.labels[::-1]}))
    with pytest.raises(ReleaseError, match="other labels"):
        mllm_voter.load(tmp_path, scene)
    file = tmp_path / "mllm.json"
    whole = file.read_text()
    file.write_text(whole.replace(fitted.scorer.loaded.fingerprint, hashlib.sha256(b"").hexdigest()))
    with pytest.raises(ReleaseError, match=r"is not the one .* was made with"):
        mllm_voter.load(tmp_path, intent)
    file.write_text(whole)
    (tmp_path / "adapter.safetensors").write_bytes(b"x" * 20)
    with pytest.raises(ReleaseError, match="missing or damaged"):
        mllm_voter.load(tmp_path, intent)


@pytest.mark.parametrize(
    ("change", "match"),
    [
        ({"base": "0" * 64}, r"was trained on the base model 000000000000 and \w{12} is loaded; set models"),
        ({"tasks": {"intent": "0" * 64}}, "was trained for other labels of task 'intent' than the taxonomy has"),
        ({"tasks": {}}, "was trained for other labels of task 'intent' than the taxonomy has"),
    ],
)
def test_an_adapter_says_itself_what_it_is_for(fitted, intent, tmp_path, change, match):
    """Whatever the file of its voter says."""
    fitted.save(tmp_path)
    file = tmp_path / adapter.FACTS
    file.write_text(json.dumps(json.loads(file.read_text()) | change))
    with pytest.raises(ReleaseError, match=match):
        mllm_voter.load(tmp_path, intent)


def test_a_task_that_cannot_be_asked_is_refused_when_a_voter_is_made_or_loaded(settings, intent, tmp_path, monkeypatch):
    """Not at its first item; the model itself is not run for that."""
    told = MllmSettings(**settings.model_dump(), post_train=False)
    fit_of("small")(intent, [], [], [], seed=1, small=told).save(tmp_path)
    monkeypatch.setattr("kdsl.models.prefix.run", lambda *_: pytest.fail("the model was run"))
    long = intent.model_copy(update={"question": "where is it " * 2_000})
    with pytest.raises(ConfigError, match=r"the labels of task 'intent' take [\d,]+ of its [\d,]+ tokens"):
        fit_of("small")(long, [], [], [], seed=1, small=told)
    with monkeypatch.context() as one:
        one.setattr("kdsl.models.plan.LEAST", 100_000)
        with pytest.raises(ConfigError, match="and an item needs 100000"):
            mllm_voter.load(tmp_path, intent)
    monkeypatch.setattr("kdsl.models.codes._candidates", lambda _: iter("A"))
    with pytest.raises(ConfigError, match="its tokenizer keeps 1 codes"):
        fit_of("small")(intent, [], [], [], seed=1, small=told)
    with pytest.raises(ConfigError, match="its tokenizer keeps 1 codes"):
        mllm_voter.load(tmp_path, intent)


def test_rounded_weights_hold_the_adapter_and_answer_nearly_alike(settings, intent, dialogues, tmp_path):
    given = lesson(intent)
    plain = MllmSettings(**settings.model_dump(), lora=QUICK.model_copy(update={"steps": 30, "held_out": 0.0}))
    rounded = plain.model_copy(update={"weights": "int8"})
    items = [*given.items, *dialogues]
    said = {}
    for name, told in {
        "full": plain,
        "int8": rounded,
        "as it is": rounded.model_copy(update={"post_train": False}),
    }.items():
        voter = fit_of("small")(intent, given.items, given.gold, given.groups, seed=1, small=told)
        said[name] = voter.log_probs(items)
        voter.save(tmp_path / name)
        again = mllm_voter.load(tmp_path / name, intent)
        np.testing.assert_allclose(again.log_probs(items), said[name], atol=1e-4 if name == "full" else 1e-2)
        layers = [layer for layer in again.scorer.loaded.model.modules() if getattr(layer, "whole", None) is not None]
        assert bool(layers) == (name != "full")
        alone = np.concatenate([again.log_probs([item]) for item in items])
        np.testing.assert_allclose(alone, again.log_probs(items), atol=1e-2)  # a number may be rounded the other way
    assert (said["full"].argmax(1) == said["int8"].argmax(1)).mean() >= 0.95
    assert 1e-5 < np.abs(np.exp(said["full"]) - np.exp(said["int8"])).max() < 0.1
    assert np.abs(said["as it is"] - said["int8"]).max() > 0.1


def test_rounded_weights_are_refused_on_a_gpu(settings, monkeypatch):
    monkeypatch.setattr("kdsl.models.model_settings.device_of", lambda _: "cuda:0")
    with pytest.raises(
        ConfigError, match=r"weights: int8 is for CPUs and device: auto means cuda:0; set device: cpu or"
    ):
        settings.model_copy(update={"weights": "int8", "device": "auto"}).loaded()
