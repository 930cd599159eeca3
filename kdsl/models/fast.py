"""What makes a Qwen2-VL faster and changes no result beyond rounding. Measured by `python -m bench.mllm`.

- Patches of pictures through one matrix product and not a convolution in three dimensions, on CPUs too.
- Root-mean-square norms in one kernel where the model has seven.
- Attention of grouped queries without copies of keys and values: the queries that share a key lie one behind another
  (Ainslie et al., 2023, GQA), so a mask does not force keys and values to be repeated for every head.
- Pictures of the same number of patches are seen in one call and not one by one.
- Nobody asks what stands behind any token but the last one of a row: the last layer mixes them all, and computes the
  rest of itself for those alone that are asked for.
"""

from collections.abc import Mapping
from functools import partial
from types import MethodType
from typing import TYPE_CHECKING, Any

from kdsl.models import fused

if TYPE_CHECKING:
    import torch

    from kdsl.models.packed import Packed

NAME = "sdpa_grouped"
LAST = slice(-1, None)  # the last token of every row
# Layers whose second half is `x + mlp(norm(x))` at every token by itself.
PLAIN_LAYERS = frozenset(
    f"{family}DecoderLayer" for family in ("Qwen2VL", "Qwen2_5_VL", "Qwen3VLText", "Qwen2", "Qwen3", "Llama")
)


def attention() -> str:
    """The name of the attention here, known to transformers from now on."""
    from transformers import AttentionInterface, AttentionMaskInterface
    from transformers.masking_utils import sdpa_mask

    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)
    return NAME


def attend(
    module: Any,
    query: "torch.Tensor",
    key: "torch.Tensor",
    value: "torch.Tensor",
    attention_mask: "torch.Tensor | None",
    *,
    alike: int = 0,
    packed: "Packed | None" = None,
    **more: Any,
) -> "tuple[torch.Tensor, None]":
    """Scaled dot products as `sdpa` of transformers has them.

    Args:
        module: the layer; `num_key_value_groups` query heads share a key.
        query: (rows, heads, queries, size).
        key: (rows, heads / groups, keys, size).
        value: the same shape.
        attention_mask: (rows, 1, queries, keys) bool, or None.
        alike: where one row is pictures one behind another: so many, of equal length, that do not see each other.
        packed: where one row is the rows of a batch one behind another, where they lie; the mask tells nothing then.
        more: `dropout`, `scaling` and `is_causal`, and what other attentions need.

    Returns:
        (rows, queries, heads, size), and no weights.
    """
    import torch
    from transformers.integrations.sdpa_attention import sdpa_attention_forward

    rows, heads, queries, size = query.shape
    if packed is not None:
        shared = packed.shared[module.layer_idx] if packed.shared else None
        return fused.kernels(query.device.type).attend(
            query, key, value, packed, shared=shared, scale=more["scaling"]
        ), None
    if alike > 1:
        query, key, value = (_apart(part, alike) for part in (query, key, value))
        seen, _ = sdpa_attention_forward(module, query, key, value, None, **more)
        return seen.reshape(1, queries, heads, size), None
    groups = getattr(module, "num_key_value_groups", 1)
    if attention_mask is None or groups == 1 or attention_mask.shape[1] != 1:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **more)
    found = torch.nn.functional.scaled_dot_product_attention(
        query.reshape(rows, heads // groups, groups * queries, size),
        key,
        value,
        attn_mask=_repeated(attention_mask, groups, query.dtype),
        dropout_p=more.get("dropout", 0.0),
        scale=more.get("scaling"),
    )
    return found.reshape(rows, heads, queries, -1).transpose(1, 2).contiguous(), None


_made: "tuple[torch.Tensor | None, int, torch.Tensor | None]" = (None, 0, None)


def _repeated(mask: "torch.Tensor", groups: int, dtype: "torch.dtype") -> "torch.Tensor":
    """What is added to the products for a mask, once for each of the queries that share a key; made once a pass.

    (rows, 1, queries, keys) bool to (rows, 1, groups * queries, keys) numbers. The lowest one and no infinity stands
    for what is hidden: a row of padding that sees nothing must not come out as NaN.
    """
    global _made  # noqa: PLW0603  # every layer of a pass asks for the same
    import torch

    if mask.dtype != torch.bool:
        return mask.repeat(1, 1, groups, 1)
    known, times, made = _made
    if known is not mask or times != groups or made is None or made.dtype != dtype:
        hidden = torch.zeros(mask.shape, dtype=dtype, device=mask.device).masked_fill_(~mask, torch.finfo(dtype).min)
        made = hidden.repeat(1, 1, groups, 1)
        _made = (mask, groups, made)
    return made


def hasten(model: Any) -> None:
    """All that makes a model faster where it is now, but its attention, which it is made with."""
    flatten_patches(model)
    narrow(model)
    if model.device.type == "cuda":
        fuse_norms(model)
        fused.fuse(model)


def flatten_patches(model: Any) -> None:
    """Let patches be embedded by a matrix product: a convolution whose steps are as wide as its kernel is one."""
    for module in model.modules():
        if type(module).__name__.endswith("PatchEmbed") and module.proj.kernel_size == module.proj.stride:
            module.forward = _flat(module.proj)


def _flat(convolution: Any) -> Any:
    import torch

    def forward(patches: "torch.Tensor") -> "torch.Tensor":
        weight = convolution.weight.flatten(1)
        return torch.nn.functional.linear(patches.to(weight.dtype), weight, convolution.bias)

    return forward


def narrow(model: Any) -> None:
    """Let the last layer do its second half for `places` alone, where a call of the model names some.

    `places` picks tokens, a slice or an index of (length,); the model's last states are theirs then.
    """
    last = _last_layer(model)
    if type(last).__name__ in PLAIN_LAYERS:
        last.forward = MethodType(_narrowed, last)


def only(model: Any, places: "slice | torch.Tensor | None") -> dict[str, Any]:
    """What a call of the model is given to name `places`; nothing where there are none, or it computes all anyway."""
    return {"places": places} if places is not None and narrows(model) else {}


def narrows(model: Any) -> bool:
    """Whether a call of this model may name `places`."""
    return getattr(getattr(_last_layer(model), "forward", None), "__func__", None) is _narrowed


def _last_layer(model: Any) -> Any:
    """None where the model keeps its layers otherwise than those that are known here."""
    layers = getattr(model.get_decoder(), "layers", None)
    return layers[-1] if layers else None


def _narrowed(
    layer: Any, hidden_states: "torch.Tensor", *, places: "slice | torch.Tensor | None" = None, **how: Any
) -> Any:
    if places is None:
        return type(layer).forward(layer, hidden_states, **how)
    run = partial(_behind, layer, places, how)
    if layer.gradient_checkpointing and layer.training:  # which the library wraps around its own forward
        return layer._gradient_checkpointing_func(run, hidden_states)
    return run(hidden_states)


def _behind(
    layer: Any, places: "slice | torch.Tensor", how: Mapping[str, Any], hidden_states: "torch.Tensor"
) -> "torch.Tensor":
    mixed, _ = layer.self_attn(hidden_states=layer.input_layernorm(hidden_states), **how)
    states = hidden_states[:, places] + mixed[:, places]
    changed: torch.Tensor = states + layer.mlp(layer.post_attention_layernorm(states))
    return changed


def fuse_norms(model: Any) -> None:
    """Let every root-mean-square norm of the model run as one kernel."""
    for module in model.modules():
        if type(module).__name__.endswith("RMSNorm") and hasattr(module, "variance_epsilon"):
            module.forward = _fused(module)


def _fused(norm: Any) -> Any:
    import torch

    def forward(states: "torch.Tensor") -> "torch.Tensor":
        return torch.nn.functional.rms_norm(states, norm.weight.shape, norm.weight, norm.variance_epsilon)

    return forward


def _apart(part: "torch.Tensor", alike: int) -> "torch.Tensor":
    """(1, heads, alike * length, size) to (alike, heads, length, size)."""
    _, heads, _, size = part.shape
    return part.view(heads, alike, -1, size).transpose(0, 1)
