"""Qwen2-VL models of real shapes with random weights, made on the device where they run: speed needs no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.demo.miniature import build
from kdsl.models import fast
from kdsl.models.checkpoint import Loaded

CONTEXT = 32_768


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model's language part and of its vision part; see `Qwen2VLConfig` for what they mean."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vocabulary: int
    vision: int
    vision_layers: int
    vision_heads: int
    spread: float = 0.02  # of the weights; the narrow one needs more, or all labels would score alike


SHAPES = {
    "small": Shape(256, 768, 6, 4, 2, 2_048, 64, 2, 4, spread=0.1),
    "mid": Shape(768, 3_072, 12, 12, 2, 2_048, 256, 4, 4, spread=0.05),
    "2b": Shape(1_536, 8_960, 28, 12, 2, 151_936, 1_280, 32, 16),
    "7b": Shape(3_584, 18_944, 28, 28, 4, 152_064, 1_280, 32, 16),
}


def loaded(shape: Shape, texts: Sequence[str], device: str, *, max_pixels: int) -> Loaded:
    """A model ready to score: bf16 on a GPU, float32 on the CPU; a tokenizer of a few hundred words is enough."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration, Qwen2VLImageProcessor

    known = build.tokenizer(texts, 600)
    size = shape.hidden // shape.heads
    text = {
        "initializer_range": shape.spread,
        "vocab_size": shape.vocabulary,
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": CONTEXT,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 1e6,
            "mrope_section": [size // 8, size * 3 // 16, size * 3 // 16],
        },
        "bos_token_id": known.pad_token_id,
        "eos_token_id": known.eos_token_id,
        "pad_token_id": known.pad_token_id,
    }
    vision = {
        "depth": shape.vision_layers,
        "embed_dim": shape.vision,
        "hidden_size": shape.hidden,
        "num_heads": shape.vision_heads,
    }
    place = known.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=place(build.PICTURE),
        video_token_id=place(build.VIDEO),
        vision_start_token_id=place(build.VISION_START),
        vision_end_token_id=place(build.VISION_END),
        tie_word_embeddings=shape.hidden < 3_000,
        attn_implementation=fast.attention(),
    )
    torch.manual_seed(1)
    before = torch.get_default_dtype()
    torch.set_default_dtype(torch.bfloat16 if device.startswith("cuda") else torch.float32)
    try:
        with torch.device(device):
            model = Qwen2VLForConditionalGeneration(config)
    finally:
        torch.set_default_dtype(before)
    fast.hasten(model)
    pixels = Qwen2VLImageProcessor(size={"shortest_edge": 3_136, "longest_edge": max_pixels})
    return Loaded(model.eval(), known, pixels, config.image_token_id, "random", CONTEXT)


def flops(model: Any, *, own: float, shared: int, patches: float) -> float:
    """Floating-point operations of one row: two a weight that multiplies, and the products of attention.

    No embeddings, no norms, no head over the vocabulary, and behind the last attention the last token alone. `own`
    tokens attend to the `shared` ones and, on the mean, to half of themselves; each of the `patches` of one picture to
    all of them.
    """
    text, sight = model.config.get_text_config(), model.config.vision_config
    language, vision = model.model.language_model.layers, model.model.visual
    wide = text.num_attention_heads * (text.hidden_size // text.num_attention_heads)
    told = 2 * _multiplying(language) * own - 2 * _multiplying(language[-1].mlp) * (own - 1)
    told += 4 * wide * text.num_hidden_layers * own * (shared + own / 2)
    merged = 2 * _multiplying(vision.merger) * patches / vision.spatial_merge_size**2
    seen = 2 * (_multiplying(vision.blocks) + _multiplying(vision.patch_embed)) * patches
    return float(told + merged + seen + 4 * sight.embed_dim * sight.depth * patches**2)


def _multiplying(part: Any) -> int:
    return sum(value.numel() for value in part.parameters() if value.ndim > 1)
