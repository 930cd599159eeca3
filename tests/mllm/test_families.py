"""Qwen2.5-VL and Qwen3-VL, tiny and with random weights, go through the same scoring as Qwen2-VL."""

import re
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from kdsl.demo.miniature import build
from kdsl.models import adapter, fast
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.tuning import Tuning
from tests.tiny_model import TEXTS

CLOSE = 1e-4
ROOM, HIDDEN, PATCH = 400, 64, 16


def _config(kind: str, known: Any) -> Any:
    from transformers import Qwen2_5_VLConfig, Qwen3VLConfig

    rope = {"rope_type": "default", "rope_theta": 10_000.0, "mrope_section": [4, 2, 2]}
    text = {
        "vocab_size": len(known), "hidden_size": HIDDEN, "intermediate_size": 96, "num_hidden_layers": 3,
        "num_attention_heads": 4, "num_key_value_heads": 2, "max_position_embeddings": 4_096, "head_dim": 16,
        "initializer_range": 0.2, "rope_parameters": rope, "pad_token_id": known.pad_token_id,
        "bos_token_id": known.pad_token_id, "eos_token_id": known.eos_token_id,
    }  # fmt: skip
    vision = {
        "depth": 3, "hidden_size": 32, "intermediate_size": 48, "num_heads": 2, "patch_size": PATCH,
        "temporal_patch_size": 1, "spatial_merge_size": 2, "out_hidden_size": HIDDEN, "initializer_range": 0.2,
    }  # fmt: skip
    place = known.convert_tokens_to_ids
    tokens = {
        "image_token_id": place(build.PICTURE), "video_token_id": place(build.VIDEO),
        "vision_start_token_id": place(build.VISION_START), "vision_end_token_id": place(build.VISION_END),
    }  # fmt: skip
    if kind == "qwen2_5_vl":
        windows = {"window_size": 4 * PATCH, "fullatt_block_indexes": [2]}  # two layers that see windows alone
        return Qwen2_5_VLConfig(text_config=text, vision_config=vision | windows, tie_word_embeddings=True, **tokens)
    deep = {"deepstack_visual_indexes": [0, 1], "num_position_embeddings": 64}
    return Qwen3VLConfig(text_config=text, vision_config=vision | deep, tie_word_embeddings=True, **tokens)


def _processor(kind: str, known: Any) -> Any:
    import transformers

    sides = {"patch_size": PATCH, "temporal_patch_size": 1, "merge_size": 2}
    makers = {
        "qwen2_5_vl": ("Qwen2_5_VLProcessor", "Qwen2VLVideoProcessor"),
        "qwen3_vl": ("Qwen3VLProcessor", "Qwen3VLVideoProcessor"),
    }
    maker, video = (getattr(transformers, name) for name in makers[kind])
    return maker(
        image_processor=transformers.Qwen2VLImageProcessor(**sides),
        tokenizer=known,
        video_processor=video(**sides),
        chat_template=build.TEMPLATE,
    )


@pytest.fixture(scope="module")
def checkpoint_of(tiny, tmp_path_factory) -> Callable[[str], Path]:
    """The folder of a tiny model of a family, made once."""
    from transformers import AutoModelForImageTextToText

    @cache
    def made(kind: str) -> Path:
        if kind == "qwen2_vl":
            return tiny
        folder: Path = tmp_path_factory.mktemp(kind)
        known = build.tokenizer(TEXTS, ROOM)
        torch.manual_seed(5)
        AutoModelForImageTextToText.from_config(_config(kind, known)).save_pretrained(folder)
        _processor(kind, known).save_pretrained(folder)
        return folder

    return made


@pytest.fixture(scope="module", params=["qwen2_5_vl", "qwen3_vl"])
def relative(request, settings, checkpoint_of) -> Scorer:
    return Scorer.load(settings.model_copy(update={"path": str(checkpoint_of(request.param))}))


def test_scores_are_those_of_the_model_called_plainly(relative, scene, pictures, contents):
    assert fast.narrows(relative.loaded.model)
    scored = relative.score(scene, pictures, contents)
    assert not scored.faults
    assert np.ptp(scored.log_probs, axis=0).max() > 100 * CLOSE
    asked = relative.plan(scene)
    for row, item in enumerate(pictures):
        name = item.pictures[0].sha256
        scaled = {name: relative.pixels.scaled(contents[name])}
        own = relative.encode(item, scaled)
        patches = relative.loaded.image_processor(images=[scaled[name].image], do_resize=False, return_tensors="pt")
        ids = torch.tensor([[*asked.shared[0], *own.ids]])
        with torch.inference_mode():
            logits = relative.loaded.model(
                input_ids=ids,
                attention_mask=torch.ones_like(ids),
                mm_token_type_ids=torch.tensor([[0] * len(asked.shared[0]) + list(own.kinds)]),
                **patches,
            ).logits[0, -1, list(asked.tokens)]
        np.testing.assert_allclose(scored.log_probs[row], logits.double().log_softmax(0).numpy(), atol=CLOSE)


def test_pictures_are_cut_as_its_own_image_processor_cuts_them(relative, contents):
    scaled = {name: relative.pixels.scaled(content) for name, content in contents.items()}
    ours = relative.pixels.patches(scaled)
    images = [scaled[name].image for name in ours.names]
    wanted = relative.loaded.image_processor(images=images, do_resize=False, return_tensors="pt")
    found = ours.values(torch.device("cpu"), torch.float32)
    assert torch.equal(found, wanted["pixel_values"])
    assert torch.equal(ours.grid, wanted["image_grid_thw"])


def test_the_cached_prefix_and_the_batch_change_nothing(relative, intent, dialogues, contents):
    assert any(item.pictures for item in dialogues)
    cached = relative.score(intent, dialogues, contents)
    full = relative.score(intent, dialogues, contents, reuse_prefix=False)
    assert not cached.faults
    np.testing.assert_allclose(cached.log_probs, full.log_probs, atol=CLOSE)
    alone = np.concatenate([relative.score(intent, [item], contents).log_probs for item in dialogues])
    np.testing.assert_allclose(cached.log_probs, alone, atol=CLOSE)


PARTS = {
    "qwen2_vl": {
        "blocks.*.attn.qkv", "blocks.*.attn.proj", "blocks.*.mlp.fc1", "blocks.*.mlp.fc2", "merger.mlp.*",
    },
    "qwen2_5_vl": {
        "blocks.*.attn.qkv", "blocks.*.attn.proj", "blocks.*.mlp.gate_proj", "blocks.*.mlp.up_proj",
        "blocks.*.mlp.down_proj", "merger.mlp.*",
    },
    "qwen3_vl": {
        "blocks.*.attn.qkv", "blocks.*.attn.proj", "blocks.*.mlp.linear_fc1", "blocks.*.mlp.linear_fc2",
        "merger.linear_fc1", "merger.linear_fc2", "deepstack_merger_list.*.linear_fc1",
        "deepstack_merger_list.*.linear_fc2",
    },
}  # fmt: skip


@pytest.mark.parametrize("checkpointing", [False, True])
@pytest.mark.parametrize("kind", list(PARTS))
def test_the_whole_vision_part_can_be_adapted(kind, checkpoint_of, settings, scene, pictures, contents, checkpointing):
    gold = ["order", "refund", "order", "refund", "order", "refund"]
    given = Lesson(scene, pictures[:6], gold, [item.item_id for item in pictures[:6]], contents)
    told = LoraSettings(rank=4, vision=True, checkpointing=checkpointing, held_out=0.0, rate=1e-2, rows=2)
    scorer = Scorer.load(settings.model_copy(update={"path": str(checkpoint_of(kind))}))
    before = scorer.score(scene, pictures, contents).log_probs
    run = Tuning(scorer, [given], told, 1)
    assert np.isfinite(run.step(0))
    learned = {name: value for name, value in adapter.weights(run.wrapped).items() if "lora_B" in name}
    eyes = {name.split(".visual.")[1].split(".lora_")[0] for name in learned if ".visual." in name}
    assert {re.sub(r"\b\d+\b", "*", name) for name in eyes} == PARTS[kind]
    assert all(value.abs().max() > 0 for value in learned.values())  # each got a gradient
    run.close()
    assert np.abs(scorer.score(scene, pictures, contents).log_probs - before).max() > CLOSE
