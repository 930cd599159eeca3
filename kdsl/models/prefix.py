"""The shared part of a prompt, run once: its key-value cache is expanded over every batch of items.

On the Qwen2-VL family positions have three axes and a picture takes fewer positions than tokens, so they are given
explicitly: those of the item alone (`get_rope_index`), moved behind the shared part.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.models.batching import Batch

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Patches:
    """One picture cut up for the model: float32 (patches, values) and its grid, int64 (3,): time, rows, columns."""

    pixels: "torch.Tensor"
    grid: "torch.Tensor"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A shared part: its tokens, and keys and values of each layer, (1, heads, tokens, size) each."""

    ids: tuple[int, ...]
    layers: "tuple[tuple[torch.Tensor, torch.Tensor], ...]"

    def expanded(self, rows: int) -> Any:
        """A `DynamicCache` for a batch of that many rows; the prefix itself stays as it is."""
        from transformers import DynamicCache

        cache = DynamicCache()
        for at, (keys, values) in enumerate(self.layers):
            cache.update(keys, values, at)
        cache.batch_repeat_interleave(rows)
        return cache


@dataclass(frozen=True, slots=True)
class Features:
    """Encoded pictures of a batch in the order of their tokens, and their grids, int64 (pictures, 3)."""

    seen: Any
    grid: "torch.Tensor"


def run(model: Any, ids: Sequence[int]) -> Prefix:
    """Prefill the shared tokens once, in whatever gradient mode is on (`inference_mode` to score)."""
    import torch
    from transformers import DynamicCache

    cache: Any = DynamicCache()
    given = torch.tensor([list(ids)], device=model.device)
    model.base_model(
        input_ids=given,
        attention_mask=torch.ones_like(given),
        position_ids=_positions(model, given, torch.ones_like(given), torch.zeros_like(given), grid=None, before=0),
        past_key_values=cache,
        use_cache=True,
    )
    return Prefix(tuple(ids), tuple((layer.keys, layer.values) for layer in cache.layers))


def features(model: Any, batch: Batch, pictures: Mapping[str, Patches]) -> Features | None:
    """What the vision part makes of a batch's pictures; each distinct one is encoded once. None: there are none."""
    import torch

    if not batch.pictures:
        return None
    inner = model.base_model
    distinct = sorted(set(batch.pictures))
    pixels = torch.cat([pictures[name].pixels for name in distinct]).to(inner.visual.device)
    grid = torch.stack([pictures[name].grid for name in distinct])
    seen = inner.get_image_features(pixels, grid.to(pixels.device), return_dict=True)
    places = [distinct.index(name) for name in batch.pictures]
    seen.pooler_output = tuple(seen.pooler_output[place] for place in places)
    deep = getattr(seen, "deepstack_features", None)  # Qwen3-VL
    if deep is not None:
        seen.deepstack_features = [tuple(layer[place] for place in places) for layer in deep]
    return Features(seen, grid[places])


def code_logits(
    model: Any,
    batch: Batch,
    codes: "torch.Tensor",
    *,
    prefix: Prefix | None = None,
    shared: Sequence[int] = (),
    features: Features | None = None,
) -> "torch.Tensor":
    """Logits of the codes behind the last token of each row, float32 (rows, codes).

    Args:
        model: a causal model, or one of the Qwen2-VL family.
        batch: what each item adds.
        codes: token ids of the codes, int64 (codes,).
        prefix: the shared part as run by `run`; the items alone are computed.
        shared: the shared tokens themselves, to compute everything in full (where `prefix` is None).
        features: what `features` made of the batch's pictures, where there are any.

    Raises:
        ValueError: the batch is padded at the right, where no row's last token would be its own.
    """
    last = hidden(model, batch, prefix=prefix, shared=shared, features=features)[:, -1]
    return over(model, last, codes)


def over(model: Any, states: "torch.Tensor", codes: "torch.Tensor") -> "torch.Tensor":
    """Logits of some tokens alone: the rows of the output head that they need, float32."""
    import torch

    return torch.nn.functional.linear(states, model.get_output_embeddings().weight[codes]).float()


def hidden(
    model: Any,
    batch: Batch,
    *,
    prefix: Prefix | None = None,
    shared: Sequence[int] = (),
    features: Features | None = None,
) -> "torch.Tensor":
    """States behind every token, (rows, length, size); length is the items' own where `prefix` holds the rest."""
    import torch

    if not bool(batch.mask[:, -1].all()):
        raise ValueError("the batch is padded at the right; the answer is read behind the last token: pad at the left")
    rows = len(batch.ids)
    ids, mask, kinds = batch.ids, batch.mask, batch.kinds
    before = len(prefix.ids) if prefix else 0
    grid = features.grid.to(ids.device) if features else None
    if prefix is None and shared:  # padding stays at the left of everything
        head = torch.tensor([list(shared)] * rows, device=ids.device)
        ids, mask, kinds = _behind_shared(head, ids, mask, kinds)
    positions = _positions(model, ids, mask, kinds, grid=grid, before=before)
    whole = torch.cat([mask.new_ones((rows, before)), mask], dim=1) if before else mask
    more: dict[str, Any] = {"mm_encoder_outputs": {"image": features.seen}} if features else {}
    states: torch.Tensor = model.base_model(
        input_ids=ids,
        attention_mask=whole,
        position_ids=positions,
        past_key_values=prefix.expanded(rows) if prefix else None,
        use_cache=prefix is not None,
        **more,
    ).last_hidden_state
    return states


def _behind_shared(
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


def _positions(
    model: Any,
    ids: "torch.Tensor",
    mask: "torch.Tensor",
    kinds: "torch.Tensor",
    *,
    grid: "torch.Tensor | None",
    before: int,
) -> "torch.Tensor":
    """Positions behind `before` shared text tokens: (3, rows, length), or (rows, length) for text-only models."""
    rope = getattr(model.base_model, "get_rope_index", None)
    if rope is None:
        return (mask.cumsum(1) - 1).clamp(min=0) + before
    positions, _ = rope(ids, mm_token_type_ids=kinds, image_grid_thw=grid, attention_mask=mask)
    moved: torch.Tensor = positions + before
    return moved
