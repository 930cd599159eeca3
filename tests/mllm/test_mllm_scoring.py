"""Scores do not depend on how they are computed: shared part cached or not, any batch, any order of rows."""

import hashlib
from random import Random
from threading import Event

import numpy as np
import pytest
import torch

from kdsl.dialogue import Item, Picture
from kdsl.models import batching, fast, head, prefix
from kdsl.models.ahead import ahead
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.models.pixels import Decoder
from kdsl.models.positions import positions_of
from kdsl.models.windows import decoded
from tests.mllm.conftest import picture

CLOSE = 1e-4


def test_a_dropped_model_holds_no_memory(settings, intent, dialogues):
    scorer = Scorer.load(settings)
    scorer.score(intent, dialogues[:2], {})
    scorer.drop()
    assert {value.device.type for value in scorer.loaded.model.parameters()} == {"meta"}


def test_the_cached_prefix_gives_the_same_scores_for_pictures_of_different_sizes(scorer, scene, pictures, contents):
    cached = scorer.score(scene, pictures, contents)
    full = scorer.score(scene, pictures, contents, reuse_prefix=False)
    assert not cached.faults
    np.testing.assert_allclose(cached.log_probs, full.log_probs, atol=CLOSE)
    assert np.ptp(cached.log_probs, axis=0).max() > 100 * CLOSE  # the pictures do not all score alike


def test_the_cached_prefix_gives_the_same_scores_for_dialogues_with_pictures(scorer, intent, dialogues, contents):
    assert any(item.pictures for item in dialogues)
    cached = scorer.score(intent, dialogues, contents)
    full = scorer.score(intent, dialogues, contents, reuse_prefix=False)
    np.testing.assert_allclose(cached.log_probs, full.log_probs, atol=CLOSE)


def test_logits_equal_those_of_the_model_called_plainly_with_its_own_positions(scorer, scene, pictures, contents):
    scored = scorer.score(scene, pictures[:1], contents)
    asked = scorer.plan(scene)
    name = pictures[0].pictures[0].sha256
    scaled = {name: scorer.pixels.scaled(contents[name])}
    own = scorer.encode(pictures[0], scaled)
    patches = scorer.loaded.image_processor(images=[scaled[name].image], do_resize=False, return_tensors="pt")
    ids = torch.tensor([[*asked.shared[0], *own.ids]])
    kinds = torch.tensor([[0] * len(asked.shared[0]) + list(own.kinds)])
    with torch.inference_mode():
        logits = scorer.loaded.model(
            input_ids=ids,
            attention_mask=torch.ones_like(ids),
            mm_token_type_ids=kinds,
            **patches,
        ).logits[0, -1, list(asked.tokens)]
    np.testing.assert_allclose(scored.log_probs[0], logits.double().log_softmax(0).numpy(), atol=CLOSE)


@pytest.mark.parametrize("tokens", [64, 700, 20_000])
def test_the_batch_changes_no_label_and_no_score(settings, scorer, intent, dialogues, contents, tokens):
    alone = np.concatenate([scorer.score(intent, [item], contents).log_probs for item in dialogues])
    order = Random(tokens).sample(range(len(dialogues)), len(dialogues))
    other = Scorer(scorer.loaded, settings.model_copy(update={"batch_tokens": tokens, "window": 7}))
    shuffled = other.score(intent, [dialogues[at] for at in order], contents)
    assert np.array_equal(shuffled.log_probs.argmax(1), alone[order].argmax(1))
    np.testing.assert_allclose(shuffled.log_probs, alone[order], atol=CLOSE)


@pytest.mark.parametrize("rows", [1, 2, 16])
def test_calls_of_any_size_give_the_same_scores(scorer, scene, intent, dialogues, pictures, contents, rows):
    for task, items in ((intent, dialogues), (scene, pictures)):
        whole = scorer.score(task, items, contents).log_probs
        parts = [scorer.score(task, items[at : at + rows], contents).log_probs for at in range(0, len(items), rows)]
        np.testing.assert_allclose(np.concatenate(parts), whole, atol=CLOSE)
        assert np.array_equal(np.concatenate(parts).argmax(1), whole.argmax(1))


def test_rows_are_log_probabilities_over_the_labels(scorer, intent, dialogues, contents):
    scored = scorer.score(intent, dialogues, contents)
    assert scored.log_probs.shape == (len(dialogues), 4)
    np.testing.assert_allclose(np.exp(scored.log_probs).sum(1), 1, atol=1e-9)


def test_right_padding_is_refused_and_would_be_wrong(scorer, intent, dialogues, contents):
    asked = scorer.plan(intent)
    items = [scorer.encode(item, {}) for item in dialogues if not item.pictures][:4]
    assert len({len(item.ids) for item in items}) > 1
    left = batching.collate(items, scorer.pad)
    tokens = torch.tensor(asked.tokens)
    right = batching.Batch(*(_moved(part, left.mask) for part in (left.ids, left.mask, left.kinds)), ())
    with torch.inference_mode():
        shared = prefix.run(scorer.loaded.model, asked.shared[0])
        good = prefix.code_logits(scorer.loaded.model, left, tokens, prefix=shared)
        with pytest.raises(ValueError, match="pad at the left"):
            prefix.code_logits(scorer.loaded.model, right, tokens, prefix=shared)
        states = _states_unguarded(scorer.loaded.model, right, shared)
        wrong = head.over(scorer.loaded.model, states[:, -1], tokens)
    short = [row for row, item in enumerate(items) if len(item.ids) < left.ids.shape[1]]
    assert (good - wrong)[short].abs().max() > 100 * CLOSE


def test_behind_the_last_attention_only_the_tokens_are_computed_that_answer(
    scorer, intent, dialogues, contents, monkeypatch
):
    model = scorer.loaded.model
    first, last = model.get_decoder().layers[0], model.get_decoder().layers[-1]
    assert fast.narrows(model)
    seen = {"first": [], "last": []}
    hooks = [
        layer.mlp.register_forward_hook(lambda _, given, __, name=name: seen[name].append(tuple(given[0].shape[:2])))
        for name, layer in (("first", first), ("last", last))
    ]
    try:
        narrow = [scorer.score(intent, dialogues, contents, reuse_prefix=reuse).log_probs for reuse in (True, False)]
    finally:
        for hook in hooks:
            hook.remove()
    assert {length for _, length in seen["last"]} == {1}
    assert {rows for rows, _ in seen["last"]} == {rows for rows, _ in seen["first"]}
    assert min(length for _, length in seen["first"]) > 1
    monkeypatch.delattr(last, "forward")  # the layer as the library has it
    assert not fast.narrows(model)
    scorer.forget()  # the shared part, which the narrow model ran
    wide = scorer.score(intent, dialogues, contents).log_probs
    for found in narrow:
        np.testing.assert_allclose(found, wide, atol=1e-5)


def _moved(part, mask):
    """The same rows with their padding at the right."""
    return torch.stack([torch.cat([row[m.bool()], row[~m.bool()]]) for row, m in zip(part, mask, strict=True)])


def _states_unguarded(model, batch, shared):
    whole = torch.cat([batch.mask.new_ones((len(batch.ids), len(shared.ids))), batch.mask], 1)
    positions = positions_of(model, batch.ids, batch.mask, batch.kinds, None) + len(shared.ids)
    given = {"attention_mask": whole, "position_ids": positions, "past_key_values": shared.expanded(len(batch.ids))}
    return model.base_model(input_ids=batch.ids, use_cache=True, **given).last_hidden_state


def test_permutations_move_the_codes_and_are_averaged(settings, scorer, scene, pictures, contents):
    one = scorer.score(scene, pictures, contents).log_probs
    many = Scorer(scorer.loaded, settings.model_copy(update={"permutations": 5}))
    assert len(set(many.plan(scene).orders)) == 5
    averaged = many.score(scene, pictures, contents)
    np.testing.assert_allclose(np.exp(averaged.log_probs).sum(1), 1, atol=1e-9)
    assert np.abs(averaged.log_probs - one).max() > 100 * CLOSE
    full = many.score(scene, pictures, contents, reuse_prefix=False)
    np.testing.assert_allclose(averaged.log_probs, full.log_probs, atol=CLOSE)


def test_a_text_only_model_goes_through_the_same_code(tiny_text, intent, dialogues):
    text = Scorer.load(ModelSettings(path=str(tiny_text), device="cpu"))
    assert text.loaded.picture_token is None
    cached = text.score(intent, dialogues, {})
    full = text.score(intent, dialogues, {}, reuse_prefix=False)
    assert not cached.faults
    np.testing.assert_allclose(cached.log_probs, full.log_probs, atol=CLOSE)
    assert np.ptp(cached.log_probs, axis=0).max() > 100 * CLOSE


def test_pictures_of_one_size_do_not_see_each_other(scorer, scene):
    """They go through the vision part in one call, which a single picture does not."""
    made = [picture(300, 500, seed=at) for at in range(4)]
    contents = {hashlib.sha256(one).hexdigest(): one for one in made}
    items = [Item(str(at), "scene", (), (Picture(name, 1, 1),)) for at, name in enumerate(contents)]
    together = scorer.score(scene, items, contents).log_probs
    alone = np.concatenate([scorer.score(scene, [item], contents).log_probs for item in items])
    np.testing.assert_allclose(together, alone, atol=CLOSE)
    assert np.ptp(alone, axis=0).max() > 100 * CLOSE


def test_a_picture_is_encoded_once_a_batch(settings, scorer, scene, pictures, contents):
    """However many items show it, and however many assignments of codes are asked."""
    seen = []
    many = Scorer(scorer.loaded, settings.model_copy(update={"permutations": 3}))
    eye = scorer.loaded.model.model.visual
    handle = eye.register_forward_pre_hook(lambda _, given, named: seen.append(given[0].shape[0]), with_kwargs=True)
    shown = [pictures[0], pictures[3], pictures[0], pictures[0], pictures[3]]
    scored = many.score(scene, shown, contents)
    handle.remove()
    patches = many.pixels.patches(
        {one.pictures[0].sha256: many.pixels.scaled(contents[one.pictures[0].sha256]) for one in shown[:2]}
    )
    assert scored.counts["batches"] == 1
    assert seen == [len(patches.pixels)]
    assert scored.counts["pictures_encoded"] == 2
    assert np.ptp(scored.log_probs[[0, 2, 3]], axis=0).max() < CLOSE
    assert np.ptp(scored.log_probs, axis=0).max() > 100 * CLOSE


def test_the_shared_part_is_run_once_for_many_batches(settings, scorer, intent, dialogues, contents, monkeypatch):
    ran, true = [], prefix.run
    monkeypatch.setattr(prefix, "run", lambda model, ids: ran.append(ids) or true(model, ids))
    many = Scorer(scorer.loaded, settings.model_copy(update={"batch_tokens": 700, "permutations": 2}))
    scored = many.score(intent, dialogues, contents)
    assert scored.counts["batches"] > 3
    assert ran == list(many.plan(intent).shared)
    many.score(intent, dialogues, contents)
    assert len(ran) == 2
    many.forget()
    many.score(intent, dialogues[:1], contents)
    assert len(ran) == 4


def test_the_model_does_not_wait_for_the_next_window_s_pictures(scorer, pictures, contents):
    went_on, waited = Event(), []

    class Held(Decoder):
        held = False

        def start(self, names, contents):
            coming = super().start(names, contents)
            if self.held:
                coming["later"] = self._pool.submit(lambda: waited.append(went_on.wait(5)))
            self.held = True
            return coming

    windows = decoded(pictures, contents, len(pictures) // 2 + 1, Held(scorer.pixels, 4))
    next(windows)
    went_on.set()
    next(windows)
    assert waited == [True]  # and not after five seconds


def test_the_next_window_is_being_decoded_before_the_model_sees_this_one(scorer, pictures, contents):
    begun = []

    class Told(Decoder):
        def start(self, names, contents):
            begun.append(list(names))
            return super().start(names, contents)

    windows = [sorted({one.pictures[0].sha256 for one in pictures[at : at + 2]}) for at in range(0, len(pictures), 2)]
    for nth, window in enumerate(decoded(pictures, contents, 2, Told(scorer.pixels, 2))):
        assert sorted(window.pictures) == windows[nth]
        assert begun == windows[: nth + 2]
    assert nth == len(windows) - 1 == 3


def test_a_batch_is_laid_out_while_the_one_before_is_used():
    made = [Event(), Event(), Event()]

    def batches():
        for nth, event in enumerate(made):
            event.set()
            yield nth

    for nth in ahead(batches()):
        if nth + 1 < len(made):
            assert made[nth + 1].wait(10)


@pytest.mark.parametrize("listed", ["described", "named", "none"])
def test_labels_stand_in_the_prompt_as_the_setting_says(settings, scorer, scene, pictures, contents, listed):
    other = Scorer(scorer.loaded, settings.model_copy(update={"labels": listed}))
    told = scorer.loaded.tokenizer.decode(other.plan(scene).shared[0])
    assert ("refund" in told) == (listed != "none")
    assert ("shows refund" in told) == (listed == "described")
    cached = other.score(scene, pictures, contents)
    np.testing.assert_allclose(
        cached.log_probs, other.score(scene, pictures, contents, reuse_prefix=False).log_probs, atol=CLOSE
    )
