"""The shared part of a prompt, run once: its key-value cache is expanded over every batch of items.

On the Qwen2-VL family positions are given explicitly: those of the item alone (`kdsl.models.positions`), moved
behind the shared part.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.models import fast, head, packed
from kdsl.models.batching import Batch
from kdsl.models.positions import behind_shared, positions_of
from kdsl.models.sight import Features, sent

if TYPE_CHECKING:
    import torch


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
class Behind:
    """What a layer of a key-value cache gives for new states: they stand behind the shared ones, and nothing is kept.

    `keys` and `values` are (1, heads, tokens, size). Nothing is generated, so no later token asks for the new states.
    """

    keys: "torch.Tensor"
    values: "torch.Tensor"

    def __call__(
        self, keys: "torch.Tensor", values: "torch.Tensor", *_: Any, **__: Any
    ) -> "tuple[torch.Tensor, torch.Tensor]":
        """Keys and values of all tokens, (rows, heads, tokens and new ones, size) each."""
        import torch

        both = ((self.keys, keys), (self.values, values))
        first, second = (torch.cat([old.expand(len(new), -1, -1, -1), new], dim=-2) for old, new in both)
        return first, second


@dataclass(frozen=True, slots=True)
class Asked:
    """What a model is asked of a batch: ids, (rows, length), and their mask and positions, and what else it is given.

    `whole` is the mask with what stands before each row, (rows, before + length).
    """

    ids: "torch.Tensor"
    mask: "torch.Tensor"
    positions: "torch.Tensor"
    whole: "torch.Tensor"
    more: dict[str, Any]


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


def run(model: Any, ids: Sequence[int]) -> Prefix:
    """Prefill the shared tokens once, in whatever gradient mode is on (`inference_mode` to score)."""
    import torch
    from transformers import DynamicCache

    cache: Any = DynamicCache()
    given = torch.tensor([list(ids)])
    mask = torch.ones_like(given)
    positions = positions_of(model, given, mask, torch.zeros_like(given), None)
    model.base_model(
        input_ids=given.to(model.device),
        attention_mask=mask.to(model.device),
        position_ids=positions.to(model.device),
        past_key_values=cache,
        use_cache=True,
        **fast.only(model, fast.LAST),
    )
    return Prefix(tuple(ids), tuple((layer.keys.contiguous(), layer.values.contiguous()) for layer in cache.layers))


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
    if packed.packs(model):
        asked = _asked(model, batch, prefix, shared, features)
        how = packed.laid_out(model, asked.mask, prefix.layers if prefix else ())
        last = packed.last_states(model, asked.ids, asked.mask, asked.positions, how, **asked.more)
    else:
        last = _ran(model, batch, prefix, shared, features, places=fast.LAST)[0][:, -1]
    return head.over(model, last, codes)


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
    states, cache, mask, positions = _ran(model, batch, prefix, shared, features, keep=True, places=fast.LAST)
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
        **fast.only(model, fast.LAST),
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
    places: slice | None = None,
) -> "tuple[torch.Tensor, Any, torch.Tensor, torch.Tensor]":
    """States, the cache if there is one, which keeps the batch's own keys if it shall, and its mask and positions.

    States behind every token, unless `places` names those that will do.
    """
    from transformers import DynamicCache

    asked, device = _asked(model, batch, prefix, shared, features), model.device
    cache: Any = prefix.expanded(len(asked.ids), keep=keep) if prefix else DynamicCache() if keep else None
    states: torch.Tensor = model.base_model(
        input_ids=sent(asked.ids, device),
        attention_mask=sent(asked.whole, device),
        position_ids=sent(asked.positions, device),
        past_key_values=cache,
        use_cache=cache is not None,
        **fast.only(model, places),
        **asked.more,
    ).last_hidden_state
    return states, cache, asked.whole, asked.positions


def _asked(model: Any, batch: Batch, prefix: Prefix | None, shared: Sequence[int], features: Features | None) -> Asked:
    """All that is run: the items behind the prefix, or behind the shared tokens that every row then repeats."""
    import torch

    if not bool(batch.mask[:, -1].all()):
        raise ValueError("the batch is padded at the right; the answer is read behind the last token: pad at the left")
    rows = len(batch.ids)
    ids, mask, kinds, positions = batch.ids, batch.mask, batch.kinds, batch.positions
    before = len(prefix.ids) if prefix else 0
    if prefix is None and shared:  # padding stays at the left of everything
        head = torch.tensor([list(shared)] * rows)
        ids, mask, kinds = behind_shared(head, ids, mask, kinds)
        positions = None
    if positions is None:
        positions = positions_of(model, ids, mask, kinds, features.grid if features else None)
    whole = torch.cat([mask.new_ones((rows, before)), mask], dim=1) if before else mask
    more: dict[str, Any] = {"mm_encoder_outputs": {"image": features.seen}} if features else {}
    return Asked(ids, mask, positions + before, whole, more)
