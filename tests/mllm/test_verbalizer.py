"""Codes of labels that no list names: those that the examples bring to mind, kept with what was learned."""

import hashlib
import io
from dataclasses import replace
from random import Random

import numpy as np
import pytest

from kdsl.demo.miniature.recipe import MAX_PIXELS, MIN_PIXELS, WEIGHTS
from kdsl.demo.miniature.screens import kinds
from kdsl.demo.miniature.shots import shot
from kdsl.dialogue import Item, Picture, Turn
from kdsl.errors import ReleaseError
from kdsl.models import mllm_voter, progress, verbalizer
from kdsl.models.apart import Order, learn
from kdsl.models.codes import codes, named
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings, MllmSettings
from kdsl.models.model_settings import ModelSettings
from kdsl.models.prepared import prepared
from kdsl.models.progress import State
from kdsl.models.tuning import Tuning
from kdsl.taxonomy import Task

LORA = LoraSettings(rank=4, alpha=8, rate=1e-2, steps=8, rows=4, held_out=0.0, save_every=4)
SHOWN = 6  # pictures of a kind


def test_a_label_gets_the_code_that_its_examples_prefer_more_than_others_do():
    dice = np.random.default_rng(3)
    gold = [label for label in (0, 1, 3) for _ in range(5)]
    wanted = {0: 7, 1: 2, 3: 4}
    said = dice.normal(size=(15, 9))
    said[:, 5] += 50  # what everything brings to mind tells nothing apart
    for row, label in enumerate(gold):
        said[row, wanted[label]] += 6
    places = verbalizer.assigned(said, gold, 4)
    assert {label: places[label] for label in wanted} == wanted
    assert len(set(places)) == 4  # label 2 has no examples, and a code of its own
    assert verbalizer.assigned(said - 100 * np.arange(9), gold, 4) == places


def test_a_code_that_two_labels_want_goes_where_less_is_lost():
    said = np.log([[0.60, 0.30, 0.10], [0.50, 0.10, 0.40], [0.10, 0.80, 0.10]])
    assert verbalizer.assigned(said, [0, 1, 2], 3) == [0, 2, 1]


@pytest.fixture(scope="module")
def lesson() -> Lesson:
    """Made-up pictures of ten kinds that the miniature was trained to name, as labels in another order."""
    some = Random(5).sample(range(len(kinds())), 10)
    labels = [{"name": f"kind {nth}"} for nth in some]
    task = Task.model_validate({"name": "kind", "asked_of": "image", "question": "What is it?", "labels": labels})
    items, gold, contents = [], [], {}
    for nth in some:
        for seed in range(SHOWN):
            target = io.BytesIO()
            shot(Random(1_000 + seed), kinds()[nth]).image.save(target, "PNG")
            name = hashlib.sha256(target.getvalue()).hexdigest()
            contents[name] = target.getvalue()
            items.append(Item(name, "kind", (), (Picture(name, 1, 1, content=contents[name]),)))
            gold.append(f"kind {nth}")
    return Lesson(task, items, gold, [item.item_id for item in items], contents)


def test_what_a_model_was_taught_already_is_found_again(lesson):
    told = ModelSettings(
        path=str(WEIGHTS / "large"), device="cpu", labels="none", max_pixels=MAX_PIXELS, min_pixels=MIN_PIXELS
    )
    scorer = Scorer.load(told)
    first = scorer.score(lesson.task, lesson.items, lesson.contents).log_probs.argmax(1)
    verbalizer.choose(scorer, prepared(scorer, lesson, LORA, 1))
    own = codes(scorer.loaded.tokenizer, len(kinds()))
    wanted = [own[int(label.removeprefix("kind "))] for label in lesson.task.label_names]
    assert sum(map(wanted.__contains__, scorer.verbalizers["kind"])) >= 9
    assert sum(map(np.equal, wanted, scorer.verbalizers["kind"])) >= 8
    now = scorer.score(lesson.task, lesson.items, lesson.contents).log_probs.argmax(1)
    places = [lesson.task.label_names.index(label) for label in lesson.gold]
    assert np.mean(now == places) >= 0.6 > 0.3 >= np.mean(first == places)


@pytest.fixture
def asked(settings, intent) -> tuple[Order, MllmSettings]:
    words = {"where": "parcel monday", "cancel": "cancel please", "refund": "refund it", "other": "hello my"}
    items, gold = [], []
    for label, text in words.items():
        for at in range(6):
            said = " ".join(Random(f"{label}{at}").choices(text.split(), k=5))
            items.append(Item(f"{label}-{at}", "intent", (Turn("user", said),)))
            gold.append(label)
    plain = settings.model_copy(update={"labels": "none"})
    told = MllmSettings(**plain.model_dump(), lora=LORA)
    return Order("small", intent, items, gold, [item.item_id for item in items], 4, 1, {"small": told}), told


@pytest.mark.parametrize("refit", ["anew", "on", "never"])
def test_a_voter_keeps_the_codes_that_it_learned_with(asked, intent, tmp_path, refit):
    order, told = asked
    lora = LORA.model_copy(update={"refit": refit})
    order.options["small"] = told.model_copy(update={"lora": lora})
    made = learn(order)
    made.save(tmp_path / "v")
    voter = mllm_voter.load(tmp_path / "v", intent)
    chosen = voter.scorer.verbalizers["intent"]
    assert len({code.token for code in chosen}) == 4
    assert chosen != codes(voter.scorer.loaded.tokenizer, 4)
    assert voter.scorer.plan(intent).codes == chosen
    votes = voter.log_probs(order.items)
    if refit == "never":
        on_hold_out = made.heard.asked
        np.testing.assert_allclose(votes[on_hold_out], made.heard.log_probs[on_hold_out], atol=1e-4)
    voter.save(tmp_path / "w")
    assert (tmp_path / "w" / "mllm.json").read_bytes() == (tmp_path / "v" / "mllm.json").read_bytes()


def test_a_run_that_was_killed_goes_on_with_its_codes(asked, intent, tmp_path):
    order, told = asked
    lesson = Lesson(intent, order.items, order.gold, order.groups, {})
    first = Tuning(Scorer.load(told.model), [lesson], LORA, 1)
    first.restore(state := State())
    chosen = first.scorer.verbalizers["intent"]
    assert state.codes == {"intent": [code.text for code in chosen]}
    progress.save(tmp_path, "run", replace(state, codes={"intent": [code.text for code in chosen[::-1]]}), {})
    again = Tuning(Scorer.load(told.model), [lesson], LORA, 1)
    again.restore(progress.latest(tmp_path, "run"))
    assert again.scorer.plan(intent).codes == chosen[::-1]


def test_listed_labels_keep_the_first_codes(asked, intent, tmp_path):
    order, told = asked
    order.options["small"] = told.model_copy(update={"labels": "named"})
    learn(order).save(tmp_path / "v")
    voter = mllm_voter.load(tmp_path / "v", intent)
    assert voter.scorer.plan(intent).codes == codes(voter.scorer.loaded.tokenizer, 4)


def test_where_some_codes_are_several_tokens_they_stay(few, asked, intent, tmp_path):
    order, _ = asked
    learn(order).save(tmp_path / "v")
    assert mllm_voter.load(tmp_path / "v", intent).scorer.plan(intent).trie is not None


def test_a_code_that_the_tokenizer_does_not_know_is_refused(asked, intent, tmp_path):
    order, _ = asked
    learn(order).save(tmp_path / "v")
    file = tmp_path / "v" / "mllm.json"
    saved = mllm_voter.Saved.model_validate_json(file.read_text())
    file.write_text(saved.model_copy(update={"codes": ("not one token", *saved.codes[1:])}).model_dump_json())
    with pytest.raises(ReleaseError, match="codes"):
        mllm_voter.load(tmp_path / "v", intent)


def test_codes_are_found_again_by_their_texts(scorer):
    tokenizer = scorer.loaded.tokenizer
    some = codes(tokenizer, 9)[3:]
    assert named(tokenizer, [code.text for code in some]) == some
    assert named(tokenizer, ["A", "no such code", "A"]) == codes(tokenizer, 1)
