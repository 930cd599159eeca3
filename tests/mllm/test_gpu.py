"""On a real GPU: the same scores as on the CPU, whatever the batch and however full the card."""

import hashlib
from collections.abc import Iterator

import numpy as np
import pytest
import torch

from kdsl.dialogue import Item, Picture
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.tuning import Tuning
from tests.mllm.conftest import picture
from tests.mllm.test_mllm_trie import task_of

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]
CLOSE = 1e-4


@pytest.fixture(scope="module")
def exact(settings) -> Iterator[Scorer]:
    """The tiny model on the GPU in float32, with no product rounded to TF32."""
    before = torch.backends.cudnn.allow_tf32
    torch.backends.cudnn.allow_tf32 = False
    made = Scorer.load(settings.model_copy(update={"device": "cuda"}))
    made.loaded.model.float()
    yield made
    torch.backends.cudnn.allow_tf32 = before


def test_the_gpu_gives_the_scores_of_the_cpu(exact, scorer, intent, scene, dialogues, pictures, contents):
    assert exact.loaded.model.device.type == "cuda"
    for task, items in ((intent, dialogues), (scene, pictures)):
        here, there = exact.score(task, items, contents), scorer.score(task, items, contents)
        assert not here.faults
        np.testing.assert_allclose(here.log_probs, there.log_probs, atol=CLOSE)
        assert np.array_equal(here.log_probs.argmax(1), there.log_probs.argmax(1))


def test_the_cached_prefix_gives_the_scores_of_the_full_prefill(exact, intent, scene, dialogues, pictures, contents):
    for task, items in ((intent, dialogues), (scene, pictures)):
        cached = exact.score(task, items, contents).log_probs
        np.testing.assert_allclose(cached, exact.score(task, items, contents, reuse_prefix=False).log_probs, atol=CLOSE)


def test_pictures_of_one_size_do_not_see_each_other(exact, scene):
    made = [picture(300, 500, seed=at) for at in range(4)]
    contents = {hashlib.sha256(one).hexdigest(): one for one in made}
    items = [Item(str(at), "scene", (), (Picture(name, 1, 1),)) for at, name in enumerate(contents)]
    together = exact.score(scene, items, contents).log_probs
    alone = np.concatenate([exact.score(scene, [item], contents).log_probs for item in items])
    np.testing.assert_allclose(together, alone, atol=CLOSE)


@pytest.mark.parametrize("asked_of", ["conversation", "image"])
def test_a_trie_of_codes_gives_the_scores_of_the_cpu(few, exact, scorer, dialogues, pictures, contents, asked_of):
    task, items = task_of(14, asked_of), dialogues if asked_of == "conversation" else pictures
    assert exact.plan(task).trie is not None
    here, there = exact.score(task, items, contents), scorer.score(task, items, contents)
    assert not here.faults
    np.testing.assert_allclose(here.log_probs, there.log_probs, atol=CLOSE)


@pytest.mark.parametrize("rows", [1, 2, 16])
def test_batches_of_any_size_give_the_same_scores(exact, settings, intent, dialogues, contents, rows):
    whole = exact.score(intent, dialogues, contents).log_probs
    some = [exact.score(intent, dialogues[at : at + rows], contents) for at in range(0, len(dialogues), rows)]
    np.testing.assert_allclose(np.concatenate([one.log_probs for one in some]), whole, atol=CLOSE)


def test_bf16_mostly_gives_the_labels_of_float32(settings, scorer, intent, dialogues, contents):
    fast = Scorer.load(settings.model_copy(update={"device": "cuda"}))
    assert fast.loaded.model.dtype == torch.bfloat16
    a = fast.score(intent, dialogues, contents).log_probs.argmax(1)
    b = scorer.score(intent, dialogues, contents).log_probs.argmax(1)
    assert (a == b).mean() >= 0.8


def test_out_of_memory_halves_the_batch(settings, intent, dialogues, contents):
    fast = Scorer.load(settings.model_copy(update={"device": "cuda", "batch_tokens": 10**9, "window": 65_536}))
    plain = fast.score(intent, dialogues, contents).log_probs
    torch.cuda.empty_cache()
    used = torch.cuda.memory_reserved() + 64 * 2**20
    torch.cuda.set_per_process_memory_fraction(used / torch.cuda.get_device_properties(0).total_memory)
    try:
        scored = fast.score(intent, dialogues * 400, contents)
    finally:
        torch.cuda.set_per_process_memory_fraction(1.0)
    assert scored.counts["halved"] > 0
    assert not np.isnan(scored.log_probs).any()
    assert (scored.log_probs[: len(plain)].argmax(1) == plain.argmax(1)).mean() >= 0.8


@pytest.mark.parametrize("checkpointing", [False, True])
def test_post_training_on_a_gpu_learns(settings, intent, dialogues, contents, checkpointing):
    gold = [intent.label_names[len(item.turns) % 2] for item in dialogues]
    lesson = Lesson(intent, dialogues, gold, [item.item_id for item in dialogues], contents)
    fast = Scorer.load(settings.model_copy(update={"device": "cuda"}))
    how = LoraSettings(steps=30, rows=8, rate=0.01, held_out=0.0, checkpointing=checkpointing)
    run = Tuning(fast, [lesson], how, 1)
    losses = [run.step(step) for step in range(how.steps)]
    assert np.mean(losses[-5:]) < np.mean(losses[:5]) - 0.1
    run.close()
    assert not fast.score(intent, dialogues, contents).faults
