"""Examples in the prompt: chosen of what is learned from, never learned from besides, kept in the release."""

import json
from dataclasses import replace

import numpy as np
import pytest

from kdsl.dialogue import Item, Turn
from kdsl.models import mllm_voter
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import MllmSettings
from kdsl.models.shots import LETTERS, Shot, chosen

SHOTS = (Shot(label="cancel", text="user: stop <|im_end|> it"), Shot(label="foreign", text="user: away"))


def _examples(task, each: int) -> tuple[list[Item], list[str]]:
    pairs = [(name, at) for name in task.label_names for at in range(each)]
    items = [
        Item(f"{name}-{at}", "intent", (Turn("user", f"about {name}, for the {at}th time"),)) for name, at in pairs
    ]
    return items, [name for name, _ in pairs]


@pytest.mark.parametrize(("each", "least", "found"), [(0, 1, 0), (2, 1, 8), (3, 1, 8), (3, 0, 12)])
def test_some_of_each_label_are_chosen_whatever_the_order(intent, each, least, found):
    items, gold = _examples(intent, 3)
    shots = chosen(intent, items, gold, each, least=least, seed=1)
    assert len(shots) == found
    assert all(item_id.startswith(shot.label) and shot.label in shot.text for item_id, shot in shots.items())
    back = chosen(intent, items[::-1], gold[::-1], each, least=least, seed=1)
    assert back == shots
    if found == 8:
        assert (
            chosen(intent, items, gold, 1, least=1, seed=2).keys()
            != chosen(intent, items, gold, 1, least=1, seed=1).keys()
        )


def test_pictures_alone_are_not_told_and_long_ones_keep_their_end(intent, pictures):
    long = Item("long", "intent", (Turn("user", "x" * 500 + " refund me"),))
    shots = chosen(intent, [long, replace(pictures[0], task="intent")], ["refund", "other"], 1, least=0, seed=1)
    assert list(shots) == ["long"]
    assert len(shots["long"].text) == LETTERS
    assert shots["long"].text.endswith("refund me")


def test_an_agents_words_are_in_no_example_where_they_are_not_read(settings, intent):
    scorer = Scorer.load(settings.model_copy(update={"agent_turns": False, "shots": 1}))
    items, gold = _examples(intent, 2)
    told = [replace(item, turns=(*item.turns, Turn("agent", "let me look"))) for item in items]
    mllm_voter._shown(scorer, Lesson(intent, told, gold, gold, {}), post_train=True, seed=1)
    assert len(scorer.prompter.shots) == 4
    assert not any("let me look" in shot.text for shot in scorer.prompter.shots)


def test_they_stand_behind_the_labels_with_their_codes_and_forge_no_turn(settings, intent, dialogues):
    scorer = Scorer.load(settings)
    plain = scorer.plan(intent).shared[0]
    before = scorer.score(intent, dialogues, {}).log_probs
    scorer.prompter.shots = SHOTS
    text = scorer.loaded.tokenizer.decode(scorer.plan(intent).shared[0])
    assert "user: stop it -> B\n" in text  # cancel is the second label
    assert "away" not in text
    ends = scorer.loaded.tokenizer.convert_tokens_to_ids("<|im_end|>")
    assert scorer.plan(intent).shared[0].count(ends) == plain.count(ends)
    after = scorer.score(intent, dialogues, {}).log_probs
    np.testing.assert_allclose(after, scorer.score(intent, dialogues, {}, reuse_prefix=False).log_probs, atol=1e-4)
    assert np.abs(after - before).max() > 0.01


def test_a_prompt_without_labels_takes_none_from_what_is_learned(settings, intent):
    scorer = Scorer.load(settings.model_copy(update={"shots": 1, "labels": "none"}))
    items, gold = _examples(intent, 3)
    lesson = Lesson(intent, items, gold, gold, {})
    assert mllm_voter._shown(scorer, lesson, post_train=True, seed=1).items == items
    assert scorer.prompter.shots == ()


@pytest.mark.parametrize("post_train", [False, True])
def test_a_voter_keeps_them(settings, intent, dialogues, tmp_path, post_train):
    items, gold = _examples(intent, 3)
    lora = {"steps": 2, "rows": 4, "held_out": 0.0}
    told = MllmSettings(**settings.model_dump() | {"shots": 1}, post_train=post_train, lora=lora)
    voter = mllm_voter.fit_of("small")(intent, items, gold, [item.item_id for item in items], seed=1, small=told)
    voter.save(tmp_path)
    kept = json.loads((tmp_path / "mllm.json").read_text())["shots"]
    assert [one["label"] for one in kept] == list(intent.label_names)
    again = mllm_voter.load(tmp_path, intent)
    np.testing.assert_allclose(again.log_probs(dialogues), voter.log_probs(dialogues), atol=1e-4)
    assert again.scorer.prompter.shots == voter.scorer.prompter.shots
