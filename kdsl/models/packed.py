"""Rows of a batch one behind another, without padding: the way of a GPU that has the kernels.

All products of the model then run over the tokens that there are, in one row. The attention of `kdsl.models.kernels`
keeps the rows apart, and reads the shared part of the prompt as it is (as Hydragen does: Juravsky et al., 2024).
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from kdsl.models import fast, fused
from kdsl.models.sight import sent

if TYPE_CHECKING:
    import torch

PLACES, EXACT = 128, 32  # queries of one program, and those where numbers have four bytes


@dataclass(frozen=True, slots=True)
class Packed:
    """Where the rows of a batch lie in the one row they make, for the attention of every layer.

    `starts` int32 (rows + 1,), the last one being the end; `blocks` int32 (blocks, 2): a row, and the first of the
    `places` queries in it that one program answers; `shared`: keys and values of each layer that stand before each row.
    """

    starts: "torch.Tensor"
    blocks: "torch.Tensor"
    places: int
    shared: "tuple[tuple[torch.Tensor, torch.Tensor], ...]" = ()


def packs(model: Any) -> bool:
    """Whether rows of this model can be packed now: it has kernels, attends to all before, and learns nothing."""
    import torch

    config = model.config.get_text_config()
    kinds = set(getattr(config, "layer_types", None) or ["full_attention"])
    return bool(
        not torch.is_grad_enabled()
        and config._attn_implementation == fast.NAME
        and kinds == {"full_attention"}
        and fused.kernels(model.device.type) is not None
    )


def laid_out(model: Any, mask: "torch.Tensor", shared: "tuple[tuple[torch.Tensor, torch.Tensor], ...]" = ()) -> Packed:
    """How the rows of a mask, (rows, length) on the CPU, lie once its zeros are gone."""
    import torch

    config = model.config.get_text_config()
    places = PLACES if model.dtype.itemsize <= 2 else EXACT
    lengths = mask.sum(1)
    starts = torch.nn.functional.pad(lengths.cumsum(0), (1, 0)).int()
    many = -(-lengths * (config.num_attention_heads // config.num_key_value_heads) // places)
    rows = torch.repeat_interleave(torch.arange(len(lengths)), many)
    before = torch.nn.functional.pad(many.cumsum(0), (1, 0))[:-1]
    blocks = torch.stack([rows, (torch.arange(len(rows)) - before[rows]) * places], dim=1).int()
    return Packed(sent(starts, model.device), sent(blocks, model.device), places, shared)


def last_states(
    model: Any, ids: "torch.Tensor", mask: "torch.Tensor", positions: "torch.Tensor", how: Packed, **more: Any
) -> "torch.Tensor":
    """States behind the last token of each row, (rows, size).

    Args:
        model: one that `packs`.
        ids: (rows, length) on the CPU, with padding.
        mask: 0 where padding is.
        positions: (rows, length) or (3, rows, length).
        how: made of the same mask.
        more: what the model is given besides.
    """
    import torch

    there = mask.bool()
    ends = (how.starts[1:] - 1).long()
    narrow = fast.only(model, ends)
    states: torch.Tensor = model.base_model(
        input_ids=sent(ids[there][None], model.device),
        attention_mask=how.starts.new_ones((1, 1, 1, 1), dtype=torch.bool),  # of four dimensions: no other one is made
        position_ids=sent(positions[..., there].unsqueeze(-2), model.device),
        use_cache=False,
        packed=how,
        **narrow,
        **more,
    ).last_hidden_state
    return states[0] if narrow else states[0, ends]
