"""What the two miniatures are: their shapes, and how long and on what they are trained."""

from dataclasses import dataclass

SEED = 20260105
PATCH = 20  # pixels; a token of a picture is 2 x 2 patches
MAX_PIXELS = 240 * 440  # about 66 tokens: titles of a phone's screen stay just readable
MIN_PIXELS = 120 * 120


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
    """One miniature and its training."""

    name: str
    shape: Shape
    steps: int
    rate: float


LARGE = Recipe("large", Shape(160, 448, 4, 4, 2, 96, 3, 4, 2_048), steps=900, rate=2e-3)
SMALL = Recipe("small", Shape(96, 256, 3, 3, 1, 64, 2, 2, 2_048), steps=900, rate=3e-3)
RECIPES = {recipe.name: recipe for recipe in (SMALL, LARGE)}
