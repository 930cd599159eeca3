"""The shared part of a prompt, run once: its key-value cache is expanded over every batch of items.

On the Qwen2-VL family positions have three axes and a picture takes fewer positions than tokens, so they are given
explicitly: those of the item alone (`get_rope_index`), moved behind the shared part. Batches are laid out on the CPU,
whose loops over rows would halt a GPU at every row.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from kdsl.models import fast
from kdsl.models.batching import Batch
from kdsl.models.fused import Behind

if TYPE_CHECKING:
    import torch


@dataclass(frozen=True, slots=True)
class Patches:
    """Pictures cut up for the model, one behind the other: (patches, values), and int64 (pictures, 3) grids.

    A grid is time, rows, columns of a picture's patches; both tensors are on the CPU.
    """

    names: tuple[str, ...]
    pixels: "torch.Tensor"
    grid: "torch.Tensor"


@dataclass(frozen=True, slots=True)
class Prefix:
    """A shared part: its tokens, and keys and values of each layer, (1, heads, tokens, size) each."""

    ids: tuple[int, ...]
    layers: "tuple[tuple[torch.Tensor, torch.Tensor], ...]"

    def expanded(self, rows: int, *, keep: bool = False) -> Any:
        """A `DynamicCache` for a batch of that many rows; they are views, the prefix itself stays as it is.

        Good for one pass, unless it shall `keep` them: a layer puts new keys behind the shared ones, and no more.
        """
        from transformers import DynamicCache

        cache: Any = DynamicCache()
        for at, (keys, values) in enumerate(self.layers):
            cache.update(keys, values, at)
            layer = cache.layers[at]
            layer.keys, layer.values = (part.expand(rows, -1, -1, -1) for part in (keys, values))
            if not keep:
                layer.update = Behind(keys, values)
        return cache


@dataclass(frozen=True, slots=True)
class Kept:
    """What a batch leaves behind: keys and values of each layer, (rows, heads, length, size), mask, next positions.

    `mask` is (rows, length) and `place` (rows,), where the text goes on: a picture takes fewer positions than tokens.
    """

    layers: "tuple[tuple[torch.Tensor, torch.Tensor], ...]"
    mask: "torch.Tensor"
    place: "torch.Tensor"

    @property
    def length(self) -> int:
        """Tokens of a row, padding counted."""
        return self.mask.shape[1]


@dataclass(frozen=True, slots=True)
class Features:
    """Encoded pictures of a batch in the order of their tokens, and their grids, int64 (pictures, 3) on the CPU."""

    seen: Any
    grid: "torch.Tensor"


def run(model: Any, ids: Sequence[int]) -> Prefix:
    """Prefill the shared tokens once, in whatever gradient mode is on (`inference_mode` to score)."""
    import torch
    from transformers import DynamicCache

    cache: Any = DynamicCache()
    given = torch.tensor([list(ids)])
    mask = torch.ones_like(given)
    positions = _positions(model, given, mask, torch.zeros_like(given), None)
    model.base_model(
        input_ids=given.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=positions.to(model.device),
        past_key_values=cache,
        use_cache=True,
    )
    return Prefix(tuple(ids), tuple((layer.keys, layer.values) for layer in cache.layers))


def placed(model: Any, batch: Batch, patches: Patches | None = None) -> Batch:
    """The batch with the positions of its items."""
    grid = patches.grid[_places(batch, patches)] if patches is not None else None
    return replace(batch, positions=_positions(model, batch.ids, batch.mask, batch.kinds, grid))


def features(model: Any, batch: Batch, patches: Patches | None) -> Features | None:
    """What the vision part makes of a batch's pictures; each distinct one is encoded once. None: there are none."""
    if patches is None or not batch.pictures:
        return None
    inner = model.base_model
    pixels = sent(patches.pixels, inner.visual.device)
    how, grid = _how_seen(model, patches)
    seen = inner.get_image_features(pixels, grid, return_dict=True, **how)
    places = _places(batch, patches)
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


def sent(values: "torch.Tensor", device: "torch.device") -> "torch.Tensor":
    """The tensor on that device; the copy to a GPU is not waited for."""
    if device.type == "cuda" and values.device.type == "cpu":
        return values.pin_memory().to(device, non_blocking=True)
    return values.to(device)


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
    return _ran(model, batch, prefix, shared, features)[0]


def kept(
    model: Any,
    batch: Batch,
    *,
    prefix: Prefix | None = None,
    shared: Sequence[int] = (),
    features: Features | None = None,
) -> "tuple[torch.Tensor, Kept]":
    """States behind each row's last token, (rows, size), and what `further` goes on from."""
    states, cache, mask, positions = _ran(model, batch, prefix, shared, features, keep=True)
    layers = tuple((layer.keys, layer.values) for layer in cache.layers)
    last = positions[..., -1].reshape(-1, len(states)).amax(0)
    return states[:, -1], Kept(layers, mask.to(states.device), last.to(states.device) + 1)


def further(model: Any, kept: Kept, paths: "Sequence[tuple[int, ...]]") -> "torch.Tensor":
    """States behind some equally long paths of tokens that follow each row: (rows * paths, size), row by row."""
    import torch
    from transformers import DynamicCache

    rows, many, device = len(kept.mask), len(paths), kept.mask.device
    ids = torch.tensor(paths, device=device).repeat(rows, 1)
    cache: Any = DynamicCache()
    for at, (keys, values) in enumerate(kept.layers):
        cache.update(keys.repeat_interleave(many, 0), values.repeat_interleave(many, 0), at)
    positions = (kept.place[:, None] + torch.arange(ids.shape[1], device=device)).repeat_interleave(many, 0)
    if getattr(model.base_model, "get_rope_index", None) is not None:
        positions = positions.expand(3, -1, -1)
    states: torch.Tensor = model.base_model(
        input_ids=ids,
        attention_mask=torch.cat([kept.mask.repeat_interleave(many, 0), torch.ones_like(ids)], dim=1),
        position_ids=positions,
        past_key_values=cache,
        use_cache=True,
    ).last_hidden_state
    return states[:, -1]


def _ran(
    model: Any,
    batch: Batch,
    prefix: Prefix | None,
    shared: Sequence[int],
    features: Features | None,
    *,
    keep: bool = False,
) -> "tuple[torch.Tensor, Any, torch.Tensor, torch.Tensor]":
    """States, the cache if there is one, which keeps the batch's own keys if it shall, and its mask and positions."""
    import torch
    from transformers import DynamicCache

    if not bool(batch.mask[:, -1].all()):
        raise ValueError("the batch is padded at the right; the answer is read behind the last token: pad at the left")
    rows, device = len(batch.ids), model.device
    ids, mask, kinds, positions = batch.ids, batch.mask, batch.kinds, batch.positions
    before = len(prefix.ids) if prefix else 0
    if prefix is None and shared:  # padding stays at the left of everything
        head = torch.tensor([list(shared)] * rows)
        ids, mask, kinds = _behind_shared(head, ids, mask, kinds)
        positions = None
    if positions is None:
        positions = _positions(model, ids, mask, kinds, features.grid if features else None)
    whole = torch.cat([mask.new_ones((rows, before)), mask], dim=1) if before else mask
    more: dict[str, Any] = {"mm_encoder_outputs": {"image": features.seen}} if features else {}
    cache: Any = prefix.expanded(rows, keep=keep) if prefix else DynamicCache() if keep else None
    positions = positions + before
    states: torch.Tensor = model.base_model(
        input_ids=sent(ids, device),
        attention_mask=sent(whole, device),
        position_ids=sent(positions, device),
        past_key_values=cache,
        use_cache=cache is not None,
        **more,
    ).last_hidden_state
    return states, cache, whole, positions


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


def _places(batch: Batch, patches: Patches) -> list[int]:
    """Of each of the batch's pictures, the place among those that are cut up."""
    place = {name: at for at, name in enumerate(patches.names)}
    return [place[name] for name in batch.pictures]


def _positions(
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
