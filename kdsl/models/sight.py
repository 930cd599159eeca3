"""What a model of the Qwen2-VL family sees: pictures cut into patches, and what its vision part makes of them."""

from collections.abc import Collection
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kdsl.models import fast
from kdsl.models.batching import Batch

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Tones:
    """What a model takes for mean and spread of a colour, float32 (3, 1), and the frames it wants of a picture."""

    mean: "torch.Tensor"
    spread: "torch.Tensor"
    frames: int


@dataclass(frozen=True, slots=True)
class Patches:
    """Pictures cut up for the model, one behind the other: uint8 (patches, 3, side * side), int64 (pictures, 3) grids.

    A grid is time, rows, columns of a picture's patches; both tensors are on the CPU.
    """

    names: tuple[str, ...]
    pixels: "torch.Tensor"
    grid: "torch.Tensor"
    tones: Tones

    def some(self, names: Collection[str]) -> "Patches":
        """Those of the named pictures alone, in the order that they have here; one at least."""
        import torch

        parts = torch.split(self.pixels, self.grid.prod(1).tolist())
        kept = [at for at, name in enumerate(self.names) if name in names]
        return replace(
            self,
            names=tuple(self.names[at] for at in kept),
            pixels=torch.cat([parts[at] for at in kept]),
            grid=self.grid[kept],
        )

    def values(self, device: "torch.device", dtype: "torch.dtype") -> "torch.Tensor":
        """What the vision part is given, (patches, 3 * frames * side * side): bytes travel, numbers are made there."""
        mean, spread = (sent(part, device) for part in (self.tones.mean, self.tones.spread))
        toned = sent(self.pixels, device).float().sub_(mean).div_(spread).to(dtype)
        return toned[:, :, None].expand(-1, -1, self.tones.frames, -1).reshape(len(toned), -1)


@dataclass(frozen=True, slots=True)
class Features:
    """Encoded pictures of a batch in the order of their tokens, and their grids, int64 (pictures, 3) on the CPU."""

    seen: Any
    grid: "torch.Tensor"


def features(model: Any, batch: Batch, patches: Patches | None) -> Features | None:
    """What the vision part makes of a batch's pictures; each distinct one is encoded once. None: there are none."""
    if patches is None or not batch.pictures:
        return None
    inner = model.base_model
    pixels = patches.values(inner.visual.device, inner.visual.dtype)
    how, grid = _how_seen(model, patches)
    seen = inner.get_image_features(pixels, grid, return_dict=True, **how)
    places = order_of(batch, patches)
    seen.pooler_output = tuple(seen.pooler_output[place] for place in places)
    deep = getattr(seen, "deepstack_features", None)  # Qwen3-VL
    if deep is not None:
        seen.deepstack_features = [tuple(layer[place] for place in places) for layer in deep]
    return Features(seen, patches.grid[places])


def _how_seen(model: Any, patches: Patches) -> "tuple[dict[str, Any], torch.Tensor]":
    """What the vision part of a Qwen2-VL would work out from the grids, halting the GPU in every layer, and the grids.

    `alike` is read by `kdsl.models.fast`: pictures of as many patches each lie in one segment.
    """
    device = model.base_model.visual.device
    if model.config.model_type != "qwen2_vl":
        return {}, sent(patches.grid, device)
    import torch
    from transformers.vision_utils import get_vision_position_ids

    positions = get_vision_position_ids(patches.grid, model.base_model.visual.spatial_merge_size)
    how: dict[str, Any] = {"position_ids": sent(positions, device)}
    lengths = patches.grid.prod(1)
    if (
        len(lengths) > 1
        and model.config.vision_config._attn_implementation == fast.NAME
        and len(set(lengths.tolist())) == 1
    ):
        how["alike"] = len(lengths)
        lengths = lengths.sum()[None]
    how["cu_seqlens"] = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).int()
    return how, patches.grid


def order_of(batch: Batch, patches: Patches) -> list[int]:
    """Of each of the batch's pictures, the place among those that are cut up."""
    place = {name: at for at, name in enumerate(patches.names)}
    return [place[name] for name in batch.pictures]


def sent(values: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """The tensor on that device; the copy to a GPU is not waited for."""
    if device.type == "cuda" and values.device.type == "cpu":
        return (values if values.is_pinned() else values.pin_memory()).to(device, non_blocking=True)
    return values.to(device)
