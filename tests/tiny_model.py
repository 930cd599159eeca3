"""A tiny Qwen2-VL with random weights, made on the spot and loaded as any checkpoint; nothing is downloaded."""

from pathlib import Path

from kdsl.demo.miniature import build
from kdsl.demo.miniature.recipe import Shape

SHAPE = Shape(40, 64, 2, 2, 1, 32, 1, 2, 400)
TEXTS = ["Where is my parcel? It should have come on Monday.", "user: hello", "agent: cancel the order, refund it"] * 3


def write(folder: Path) -> Path:
    """Write the checkpoint."""
    known = build.tokenizer(TEXTS, SHAPE.vocabulary)
    model = build.model(SHAPE, known, seed=3)
    for value in model.parameters():
        if value.ndim > 1:
            value.data *= 1.6  # fresh weights are so small that every score would be alike
    build.save(folder, model, known)
    return folder
