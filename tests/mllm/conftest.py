"""A tiny Qwen2-VL with random weights, made here and loaded as any checkpoint; nothing is downloaded."""

import hashlib
import io
from pathlib import Path
from random import Random

import pytest
from PIL import Image

from kdsl.demo.miniature import build
from kdsl.dialogue import Item, Picture, Turn
from kdsl.models.mllm import Scorer
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task
from tests import tiny_model
from tests.tiny_model import SHAPE, TEXTS


@pytest.fixture(scope="session")
def tiny(tmp_path_factory) -> Path:
    return tiny_model.write(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="session")
def tiny_text(tmp_path_factory) -> Path:
    from transformers import Qwen2Config, Qwen2ForCausalLM

    folder = tmp_path_factory.mktemp("tiny_text")
    known = build.tokenizer(TEXTS, SHAPE.vocabulary)
    config = Qwen2Config(
        vocab_size=len(known), hidden_size=32, intermediate_size=64, num_hidden_layers=2, num_attention_heads=2,
        num_key_value_heads=1, max_position_embeddings=1_024, initializer_range=0.2,
    )  # fmt: skip
    Qwen2ForCausalLM(config).save_pretrained(folder)
    known.save_pretrained(folder)
    return folder


@pytest.fixture(scope="session")
def settings(tiny) -> ModelSettings:
    return ModelSettings(path=str(tiny), device="cpu", max_pixels=240 * 240, min_pixels=64 * 64)


@pytest.fixture(scope="session")
def scorer(settings) -> Scorer:
    return Scorer.load(settings)


@pytest.fixture(scope="session")
def scene() -> Task:
    labels = [{"name": name, "description": f"shows {name}"} for name in ("order", "refund", "chat", "photo", "map")]
    return Task.model_validate({"name": "scene", "asked_of": "image", "question": "What is it?", "labels": labels})


@pytest.fixture(scope="session")
def intent() -> Task:
    labels = [{"name": name} for name in ("where", "cancel", "refund", "other")]
    return Task.model_validate({"name": "intent", "asked_of": "conversation", "question": "Why?", "labels": labels})


@pytest.fixture
def few(monkeypatch) -> None:
    """Tokenizers that keep three codes whole."""
    monkeypatch.setattr("kdsl.models.codes._candidates", lambda _: iter("ABC"))


def picture(width: int, height: int, seed: int = 0) -> bytes:
    """A picture of noise in a few large blocks, so that every size differs."""
    dice = Random(f"{width}/{height}/{seed}")
    image = Image.frombytes("RGB", (6, 6), dice.randbytes(108)).resize((width, height))
    target = io.BytesIO()
    image.save(target, "PNG")
    return target.getvalue()


SIZES = ((300, 500), (64, 64), (400, 120), (200, 200), (90, 310), (300, 500), (128, 64))


@pytest.fixture(scope="session")
def contents() -> dict[str, bytes]:
    made = [picture(*size, seed=at) for at, size in enumerate(SIZES)]
    return {hashlib.sha256(content).hexdigest(): content for content in made}


@pytest.fixture(scope="session")
def pictures(contents) -> list[Item]:
    return [Item(f"p{at}", "scene", (), (Picture(name, 1, 1),)) for at, name in enumerate(contents)]


@pytest.fixture(scope="session")
def dialogues(contents) -> list[Item]:
    names = list(contents)
    dice = Random(5)
    words = ("where", "is", "my", "order", "refund", "it", "please", "cancel", "parcel", "monday", "hello")
    items = []
    for at in range(18):
        turns, shown = [], []
        for nth in range(dice.randrange(1, 6)):
            images = (f"i{nth}",) if nth % 2 == 0 and dice.random() < 0.3 else ()
            shown += [Picture(dice.choice(names), 1, 1) for _ in images]
            turns.append(
                Turn("agent" if nth % 2 else "user", " ".join(dice.choices(words, k=dice.randrange(1, 12))), images)
            )
        items.append(Item(f"d{at}", "intent", tuple(turns), tuple(shown)))
    return items
