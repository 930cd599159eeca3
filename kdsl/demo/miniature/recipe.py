"""What the two miniatures are: their shapes, and how long and on what they are trained."""

from dataclasses import dataclass
from pathlib import Path

SEED = 20260105
PATCH = 20  # pixels; a token of a picture is 2 x 2 patches
MAX_PIXELS = 120 * 280  # 21 tokens: blocks of a phone's screen are seen, print is not
MIN_PIXELS = 80 * 80
WEIGHTS = Path(__file__).parent / "weights"  # what was trained by this recipe, one folder a miniature


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of one miniature; see `Qwen2VLConfig` for what they mean."""

    hidden: int
    inner: int
    layers: int
    heads: int
    kv_heads: int
    vision: int
    vision_layers: int
    vision_heads: int
    vocabulary: int


@dataclass(frozen=True, slots=True)
class Recipe:
    """One miniature and its training: steps, and the dialogues and pictures of each."""

    name: str
    shape: Shape
    steps: int
    rate: float
    talks: int
    shots: int


LARGE = Recipe("large", Shape(128, 384, 2, 4, 2, 96, 2, 4, 2_048), steps=5_600, rate=3e-3, talks=8, shots=16)
SMALL = Recipe("small", Shape(64, 192, 2, 2, 1, 64, 1, 4, 1_024), steps=3_000, rate=4e-3, talks=8, shots=12)
RECIPES = {recipe.name: recipe for recipe in (SMALL, LARGE)}
