"""Where tokens stand: on the Qwen2-VL family on three axes, and a picture takes fewer positions than tokens.

Batches are laid out on the CPU, whose loops over rows would halt a GPU at every row.
"""

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from kdsl.models.batching import Batch
from kdsl.models.sight import Patches, order_of

if TYPE_CHECKING:
    import torch


def placed(model: Any, batch: Batch, patches: Patches | None = None) -> Batch:
    """The batch with the positions of its items."""
    grid = patches.grid[order_of(batch, patches)] if patches is not None else None
    return replace(batch, positions=positions_of(model, batch.ids, batch.mask, batch.kinds, grid))


def positions_of(
    model: Any, ids: "torch.Tensor", mask: "torch.Tensor", kinds: "torch.Tensor", grid: "torch.Tensor | None"
) -> "torch.Tensor":
    """Positions from 0 on: (3, rows, length), or (rows, length) for text-only models."""
    rope = getattr(model.base_model, "get_rope_index", None)
    plain: torch.Tensor = (mask.cumsum(1) - 1).clamp(min=0)
    if rope is None:
        return plain
    if grid is None:  # text has the same position on all three axes
        return plain.expand(3, -1, -1)
    positions: torch.Tensor = rope(ids, mm_token_type_ids=kinds, image_grid_thw=grid, attention_mask=mask)[0]
    return positions


def behind_shared(
    head: "torch.Tensor", ids: "torch.Tensor", mask: "torch.Tensor", kinds: "torch.Tensor"
) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
    """Put the shared tokens before each item's own, behind the padding."""
    import torch

    rows, before = head.shape
    wide = ids.shape[1]
    pad = wide - mask.sum(1)
    place = torch.arange(before + wide, device=ids.device).expand(rows, -1) - pad[:, None]
    own = (place - before).clamp(min=0) + pad[:, None]
    in_head = place < before
    from_head = head.gather(1, place.clamp(0, before - 1))
    own = own.clamp(max=wide - 1)
    new_ids = torch.where(in_head, from_head, ids.gather(1, own))
    new_mask = (place >= 0).long()
    new_kinds = torch.where(in_head, torch.zeros_like(new_ids), kinds.gather(1, own))
    return new_ids, new_mask, new_kinds
