"""Labels whose codes are several tokens: probabilities along a trie equal those of each label's whole code."""

import numpy as np
import pytest
import torch

from kdsl.models.lora import post_train
from kdsl.models.mllm import Scorer
from kdsl.models.trie import Trie
from kdsl.models.tuning import Tuning
from kdsl.taxonomy import Task
from tests.mllm.test_mllm_lora import CALM, QUICK, WORDS, lesson

CLOSE = 1e-4


def task_of(n: int, asked_of: str) -> Task:
    names = [*WORDS, *(f"l{at}" for at in range(len(WORDS), n))]
    labels = [{"name": name} for name in names]
    return Task.model_validate({"name": "many", "asked_of": asked_of, "question": "Which?", "labels": labels})


def by_whole_codes(scorer: Scorer, task: Task, item, contents) -> np.ndarray:
    """Each label's whole code run behind the whole prompt, without any cache."""
    asked = scorer.plan(task)
    names = {picture.sha256 for picture in item.pictures}
    scaled = {name: scorer.pixels.scaled(contents[name]) for name in names}
    own = scorer.encode(item, scaled, asked.room)
    seen = {}
    if own.pictures:
        each = [scorer.pixels.patches({name: scaled[name]}) for name in own.pictures]
        seen = {
            "pixel_values": torch.cat([one.values(torch.device("cpu"), torch.float32) for one in each]),
            "image_grid_thw": torch.cat([one.grid for one in each]),
        }
    found = []
    for path in asked.trie.paths:
        ids = torch.tensor([[*asked.shared[0], *own.ids, *path]])
        kinds = torch.tensor([[0] * len(asked.shared[0]) + list(own.kinds) + [0] * len(path)])
        with torch.inference_mode():
            logits = (
                scorer.loaded.model(input_ids=ids, attention_mask=torch.ones_like(ids), mm_token_type_ids=kinds, **seen)
                .logits[0]
                .double()
            )
        total = 0.0
        for at, token in enumerate(path):
            going_on = sorted({other[at] for other in asked.trie.paths if len(other) > at and other[:at] == path[:at]})
            total += float(logits[at - len(path) - 1][going_on].log_softmax(0)[going_on.index(token)])
        found.append(total)
    return np.array(found)


@pytest.mark.parametrize("n", [5, 14])  # codes of two tokens, and of three
@pytest.mark.parametrize("tokens", [64, 20_000])
def test_the_trie_gives_what_each_label_s_whole_code_gives(few, settings, scorer, dialogues, contents, n, tokens):
    task = task_of(n, "conversation")
    own = Scorer(scorer.loaded, settings.model_copy(update={"batch_tokens": tokens}))
    assert max(map(len, own.plan(task).trie.paths)) == (2 if n == 5 else 3)
    some = dialogues[:5]
    assert any(item.pictures for item in some)
    cached, full = (own.score(task, some, contents, reuse_prefix=reuse).log_probs for reuse in (True, False))
    np.testing.assert_allclose(np.exp(cached).sum(1), 1, atol=1e-9)
    np.testing.assert_allclose(full, cached, atol=CLOSE)
    wanted = np.stack([by_whole_codes(scorer, task, item, contents) for item in some])
    np.testing.assert_allclose(cached, wanted, atol=CLOSE)
    assert np.ptp(cached, axis=0).max() > 100 * CLOSE


def test_three_hundred_labels_and_text_alone(settings, tiny_text, dialogues):
    task = task_of(300, "conversation")
    reader = Scorer.load(settings.model_copy(update={"path": str(tiny_text), "labels": "none", "permutations": 2}))
    said = reader.score(task, dialogues, {}).log_probs
    assert said.shape == (len(dialogues), 300)
    np.testing.assert_allclose(np.exp(said).sum(1), 1, atol=1e-9)


def test_the_loss_is_that_of_scoring_and_post_training_learns(few, settings, tmp_path):
    task = task_of(7, "conversation")
    given = lesson(task)
    told = QUICK.model_copy(update={"augment": CALM, "steps": 80, "held_out": 0.0, "dropout": 0.0})
    scorer = Scorer.load(settings)
    run = Tuning(scorer, [given], told, 1)
    shown = run.courses[0].draw(1, 0, told.rows, CALM, scorer.pixels)
    said = scorer.score(task, [one.item for one in shown], {}).log_probs
    wanted = -np.mean([said[row, one.label] for row, one in enumerate(shown)])
    assert float(run._loss(run.courses[0], 0).detach()) == pytest.approx(wanted, abs=CLOSE)
    scorer = Scorer.load(settings)
    post_train(scorer, [given], told, seed=1, folder=tmp_path)
    right = scorer.score(task, given.items, {}).log_probs.argmax(1) == [
        task.label_names.index(label) for label in given.gold
    ]
    assert right.mean() >= 0.9


def test_codes_of_one_token_make_no_trie(scorer, intent):
    assert scorer.plan(intent).trie is None
    assert not Trie.of([]).deep
