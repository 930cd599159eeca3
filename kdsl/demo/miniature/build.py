"""An untrained miniature: a byte-level BPE tokenizer, a real `Qwen2VLConfig` and a real Qwen2-VL processor."""

from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kdsl.demo.miniature.recipe import MAX_PIXELS, MIN_PIXELS, PATCH, Shape

PAD, START, END = "<|endoftext|>", "<|im_start|>", "<|im_end|>"
VISION_START, VISION_END, PICTURE, VIDEO = "<|vision_start|>", "<|vision_end|>", "<|image_pad|>", "<|video_pad|>"
SPECIAL = (PAD, START, END, VISION_START, VISION_END, PICTURE, VIDEO)
CONTEXT = 4_096
SPREAD = 0.05  # of fresh weights; the usual 0.02 is for models ten times as wide, and makes these learn late

TEMPLATE = (
    "{% for message in messages %}<|im_start|>{% if message.content is string %}{{ message.content }}"
    "{% else %}{% for part in message.content %}{% if part.type == 'image' %}"
    "<|vision_start|><|image_pad|><|vision_end|>{% else %}{{ part.text }}{% endif %}{% endfor %}{% endif %}"
    "<|im_end|>{% endfor %}{% if add_generation_prompt %}<|im_start|>{% endif %}"
)


def tokenizer(texts: Iterable[str], vocabulary: int) -> Any:
    """A byte-level BPE tokenizer trained on the texts; every byte is a token, so nothing is unknown."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    inner = Tokenizer(models.BPE())
    inner.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    inner.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=vocabulary,
        special_tokens=list(SPECIAL),
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
    )
    inner.train_from_iterator(texts, trainer)
    return PreTrainedTokenizerFast(  # type: ignore[no-untyped-call]
        tokenizer_object=inner,
        pad_token=PAD,
        eos_token=END,
        additional_special_tokens=list(SPECIAL[1:]),
        chat_template=TEMPLATE,
        model_max_length=CONTEXT,
        padding_side="left",
    )


def processor(known: Any) -> Any:
    """The processor of Qwen2-VL around a tokenizer."""
    from transformers import Qwen2VLImageProcessor, Qwen2VLProcessor, Qwen2VLVideoProcessor

    sides: dict[str, Any] = {"patch_size": PATCH, "temporal_patch_size": 1, "merge_size": 2}
    size = {"shortest_edge": MIN_PIXELS, "longest_edge": MAX_PIXELS}
    return Qwen2VLProcessor(  # type: ignore[no-untyped-call]
        image_processor=Qwen2VLImageProcessor(size=size, **sides),
        tokenizer=known,
        video_processor=Qwen2VLVideoProcessor(size=size, **sides),
        chat_template=TEMPLATE,
    )


def model(shape: Shape, known: Any, seed: int) -> Any:
    """A Qwen2-VL of that shape with random weights, float32."""
    import torch
    from transformers import Qwen2VLConfig, Qwen2VLForConditionalGeneration

    half = shape.hidden // shape.heads // 2
    section = half // 5  # time, rows and columns share the rotary frequencies 1 : 2 : 2
    text = {
        "initializer_range": SPREAD,
        "vocab_size": len(known),
        "hidden_size": shape.hidden,
        "intermediate_size": shape.inner,
        "num_hidden_layers": shape.layers,
        "num_attention_heads": shape.heads,
        "num_key_value_heads": shape.kv_heads,
        "max_position_embeddings": CONTEXT,
        "rms_norm_eps": 1e-6,
        "rope_parameters": {
            "rope_type": "default",
            "rope_theta": 10_000.0,
            "mrope_section": [half - 4 * section, 2 * section, 2 * section],
        },
        "bos_token_id": known.pad_token_id,
        "eos_token_id": known.eos_token_id,
        "pad_token_id": known.pad_token_id,
    }
    vision = {
        "initializer_range": SPREAD,
        "depth": shape.vision_layers,
        "embed_dim": shape.vision,
        "hidden_size": shape.hidden,
        "num_heads": shape.vision_heads,
        "patch_size": PATCH,
        "temporal_patch_size": 1,
        "spatial_merge_size": 2,
        "mlp_ratio": 3,
    }
    place = known.convert_tokens_to_ids
    config = Qwen2VLConfig(
        text_config=text,
        vision_config=vision,
        image_token_id=place(PICTURE),
        video_token_id=place(VIDEO),
        vision_start_token_id=place(VISION_START),
        vision_end_token_id=place(VISION_END),
        tie_word_embeddings=True,
    )
    torch.manual_seed(seed)
    return Qwen2VLForConditionalGeneration(config)


def save(folder: Path, trained: Any, known: Any) -> None:
    """Write a checkpoint that `from_pretrained` reads, weights in bf16."""
    import torch

    trained.to(torch.bfloat16).save_pretrained(folder)
    processor(known).save_pretrained(folder)
