"""On a real GPU: the same scores as on the CPU, whatever the batch and however full the card."""

import hashlib
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
import torch

from kdsl.dialogue import Item, Picture
from kdsl.models import adapter, memory, packed
from kdsl.models.adapter import Adapted
from kdsl.models.base import Base
from kdsl.models.checkpoint import Loaded
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.tuning import Tuning
from kdsl.taxonomy import Task
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


@pytest.mark.parametrize("reuse", [True, False])
def test_packed_rows_in_bf16_are_scored_as_padded_ones(settings, intent, scene, dialogues, pictures, contents, reuse):
    """Both round to bf16, at other places."""
    fast = Scorer.load(settings.model_copy(update={"device": "cuda"}))
    with torch.inference_mode():
        assert packed.packs(fast.loaded.model)
    for task, items in ((intent, dialogues), (scene, pictures)):
        here = fast.score(task, items, contents, reuse_prefix=reuse)
        assert here.counts["run_tokens"] == here.counts["tokens"]
        with pytest.MonkeyPatch.context() as patch:
            patch.setattr(packed, "packs", lambda _: False)
            there = fast.score(task, items, contents, reuse_prefix=reuse)
        assert there.counts["run_tokens"] > there.counts["tokens"]
        np.testing.assert_allclose(here.log_probs, there.log_probs, atol=0.3)


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


@pytest.mark.usefixtures("exact")  # no product is rounded
@pytest.mark.parametrize("room", [True, False])
def test_adapters_on_a_gpu_give_the_scores_of_the_cpu(
    settings, intent, scene, dialogues, pictures, contents, tmp_path, monkeypatch, room
):
    """Two adapters and the model as it is, in weights of their own or beside those they share."""
    asked = {"plain": (intent, dialogues), "intent": (intent, dialogues), "scene": (scene, pictures)}
    folders = {"plain": None} | {name: tmp_path / name for name in ("intent", "scene")}
    wanted = {}
    for name, (task, items) in asked.items():
        one = Base(settings.loaded())
        if folders[name]:
            random_adapter(one.loaded, task, folders[name], vision=task is scene)
            one = Base(settings.loaded())
        one.put_on(one.join(folders[name], task))
        wanted[name] = Scorer(one.loaded, settings).score(task, items, contents).log_probs
    assert np.abs(wanted["intent"] - wanted["plain"]).max() > 100 * CLOSE
    if not room:
        monkeypatch.setattr(memory, "spares", lambda *_: False)
    cuda = settings.model_copy(update={"device": "cuda"})
    base = Base(cuda.loaded())
    base.loaded.model.float()
    scorers = {name: Scorer(base.loaded, cuda) for name in asked}
    worn = {name: base.join(folders[name], task) for name, (task, _) in asked.items()}
    for name in ("intent", "scene", "plain", "scene", "intent", "plain"):
        base.put_on(worn[name])
        found = scorers[name].score(*asked[name], contents)
        assert not found.faults
        np.testing.assert_allclose(found.log_probs, wanted[name], atol=CLOSE)
    assert base.merged == room


def random_adapter(loaded: Loaded, task: Task, folder: Path, *, vision: bool) -> None:
    wrapped = adapter.wrap(loaded.model, rank=8, alpha=16, dropout=0.0, vision=vision, seed=1)
    found = {name: torch.randn_like(value) * 0.05 for name, value in adapter.weights(wrapped).items()}
    facts = {"tasks": {task.name: adapter.digest(task)}, "rank": 8, "alpha": 16, "vision": vision}
    adapter.save(folder, found, Adapted(base=loaded.fingerprint, **facts, steps=0, score=0.0))


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
