"""Pictures from bytes to what a Qwen2-VL sees: decoded bounded, scaled in threads, cut into patches of a batch."""

import logging
import math
from collections.abc import Callable, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kdsl import images
from kdsl.errors import BadRow
from kdsl.models.sight import Patches, Tones

if TYPE_CHECKING:
    from PIL.Image import Image

_LOG = logging.getLogger(__name__)
FRAME = 32  # tokens kept for what stands around the picture of an item that is one
LONGEST = 50  # longer side over shorter at most; beyond it a picture is squeezed (Qwen2-VL itself refuses 200)


@dataclass(frozen=True, slots=True)
class Sizes:
    """Bounds of what is decoded, and of what the model sees; all in pixels but `max_bytes`."""

    max_bytes: int
    max_decoded: int
    max_pixels: int
    min_pixels: int


@dataclass(frozen=True, slots=True)
class Scaled:
    """A picture as the model will see it, before it is cut into patches; `tokens` is what it takes of the prompt."""

    image: "Image"
    tokens: int


class Pixels:
    """The picture side of one checkpoint."""

    def __init__(self, image_processor: Any, sizes: Sizes) -> None:
        self._sizes = sizes
        self._merged = int(image_processor.merge_size)
        self._tones = _tones(image_processor)
        # pixels of a token's side
        self.unit = int(image_processor.patch_size) * int(image_processor.merge_size)

    def scaled(self, content: bytes) -> Scaled:
        """Decode and scale one picture.

        Raises:
            BadRow: see `kdsl.images.decode`.
        """
        image = images.decode(content, max_bytes=self._sizes.max_bytes, max_pixels=self._sizes.max_decoded)
        return self.scale(image)

    def scale(self, image: "Image") -> Scaled:
        """Scale one decoded picture so that patches fit and its pixels lie between the bounds."""
        from PIL import Image

        wide, tall = self.target(image.width, image.height)
        if (wide, tall) != image.size:
            image = image.resize((wide, tall), Image.Resampling.BICUBIC)
        return Scaled(image, (wide // self.unit) * (tall // self.unit))

    def target(self, width: int, height: int) -> tuple[int, int]:
        """Width and height after scaling: multiples of a token's side, as `smart_resize` of Qwen2-VL has them.

        But never above `max_pixels`, which a picture narrower than a token passes there.
        """
        wide, tall = float(width), float(height)
        wide, tall = max(wide, tall / LONGEST), max(tall, wide / LONGEST)
        unit, (least, most) = self.unit, (self._sizes.min_pixels, self._sizes.max_pixels)

        def sides(scale: float, rounded: Callable[[float], int]) -> tuple[int, int]:
            return rounded(wide / scale / unit) * unit, rounded(tall / scale / unit) * unit

        found = sides(1.0, round)
        if found[0] * found[1] > most:
            found = sides(math.sqrt(wide * tall / most), math.floor)
        elif found[0] * found[1] < least:
            found = sides(math.sqrt(wide * tall / least), math.ceil)
        found = max(unit, found[0]), max(unit, found[1])
        longest = max(unit, most // min(found) // unit * unit)  # of a picture narrower than a token, which grew
        return min(found[0], longest), min(found[1], longest)

    def patches(self, scaled: Mapping[str, Scaled]) -> Patches | None:
        """Cut pictures up; None: there are none."""
        names = sorted(scaled)
        if not names:
            return None
        import torch

        cut = [torch.from_numpy(self._cut(scaled[name].image)) for name in names]
        side = self.unit // self._merged
        sizes = [(1, scaled[name].image.height // side, scaled[name].image.width // side) for name in names]
        return Patches(tuple(names), torch.cat(cut), torch.tensor(sizes), self._tones)

    def _cut(self, image: "Image") -> Any:
        """Patches in the order of the image processors of the family: those that make one token one behind another.

        Returns:
            uint8 (patches, 3, side * side).
        """
        import numpy as np

        side, merged = self.unit // self._merged, self._merged
        rows, columns = image.height // self.unit, image.width // self.unit
        shades = np.asarray(image).reshape(rows, merged, side, columns, merged, side, 3)
        return np.ascontiguousarray(shades.transpose(0, 3, 1, 4, 6, 2, 5)).reshape(-1, 3, side * side)


def fitting(image_processor: Any, sizes: Sizes, own_tokens: int) -> Pixels:
    """The picture side of a checkpoint whose largest picture leaves room for itself in an item of so many tokens."""
    made = Pixels(image_processor, sizes)
    most = max(1, own_tokens - FRAME) * made.unit**2
    if sizes.max_pixels <= most:
        return made
    _LOG.warning(
        "max_pixels: %d given, up to %d tokens a picture; own_tokens: %d has room for %d pixels, which is what "
        "pictures are scaled to. Raise own_tokens to show more of them.",
        sizes.max_pixels, sizes.max_pixels // made.unit**2, own_tokens, most,
    )  # fmt: skip
    return Pixels(image_processor, replace(sizes, max_pixels=most, min_pixels=min(sizes.min_pixels, most)))


def _tones(processor: Any) -> Tones:
    """Of an image processor that scales bytes and then normalises them, or does one of the two, or neither."""
    import torch

    mean, spread = (processor.image_mean, processor.image_std) if processor.do_normalize else ([0.0] * 3, [1.0] * 3)
    scale = 1.0 / processor.rescale_factor if processor.do_rescale else 1.0  # both at once, as the library does it
    first, second = (torch.tensor(part)[:, None] * scale for part in (mean, spread))
    return Tones(first, second, int(processor.temporal_patch_size))


class Decoder:
    """Threads that decode and scale pictures ahead of the model."""

    def __init__(self, pixels: Pixels | None, threads: int) -> None:
        self._pixels = pixels
        self._pool = ThreadPoolExecutor(threads, thread_name_prefix="pixels") if pixels else None

    def start(self, names: Sequence[str], contents: Mapping[str, bytes]) -> "dict[str, Future[Scaled]]":
        """Begin on the named pictures that have bytes; each once."""
        if self._pool is None or self._pixels is None:
            return {}
        return {name: self._pool.submit(self._pixels.scaled, contents[name]) for name in names if name in contents}

    def close(self) -> None:
        """Stop the threads."""
        if self._pool is not None:
            self._pool.shutdown(wait=False, cancel_futures=True)


def finished(running: "Mapping[str, Future[Scaled]]") -> tuple[dict[str, Scaled], dict[str, BadRow]]:
    """Wait for the pictures: those that can be seen, and what is wrong with the others."""
    good: dict[str, Scaled] = {}
    bad: dict[str, BadRow] = {}
    for name, future in running.items():
        try:
            good[name] = future.result()
        except BadRow as fault:
            bad[name] = fault
    return good, bad
