"""Where the kernels of `kdsl.models.kernels` go in a model: one each for what transformers does in three to ten.

Where they cannot be made, since no Triton or no C compiler is there, the model stays as it is. While gradients are
taken it runs as it is, too.
"""

import logging
from functools import cache
from types import FunctionType, MethodType
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

_LOG = logging.getLogger(__name__)


@cache
def kernels(kind: str) -> Any:
    """The module of the kernels for a kind of device, tried once a process; None: it has none."""
    if kind != "cuda":
        return None
    import torch

    try:
        from kdsl.models import kernels as made

        tried = torch.ones((2, 8), device=kind)
        made.gate(tried, tried)
    except Exception as error:  # noqa: BLE001  # whatever a compiler that is not there raises
        _LOG.warning("No kernels can be made on this GPU (%s): the model is somewhat slower.", type(error).__name__)
        return None
    return made


def fuse(model: Any) -> bool:
    """Give the model's gates, activations, norms and rotations kernels of their own; False: its device has none."""
    if kernels(model.device.type) is None:
        return False
    for module in model.modules():
        kind = type(getattr(module, "act_fn", getattr(module, "act", None))).__name__
        if hasattr(module, "gate_proj") and kind in ("SiLU", "SiLUActivation"):
            module.forward = MethodType(_gated, module)
        elif hasattr(module, "fc1") and kind == "QuickGELUActivation":
            module.forward = MethodType(_quick, module)
        elif type(module).__name__ == "LayerNorm" and module.bias is not None and len(module.normalized_shape) == 1:
            module.forward = MethodType(_normed, module)
        _turn(module)
    return True


def _turn(module: Any) -> None:
    """Run an attention's own code with the rotations from here."""
    forward = type(module).forward
    if not isinstance(forward, FunctionType):
        return
    ours = {name: _with(name, forward) for name in _ROTATIONS if name in forward.__code__.co_names}
    if ours:
        known = {**forward.__globals__, **ours}
        made = FunctionType(forward.__code__, known, forward.__name__, forward.__defaults__, forward.__closure__)
        made.__kwdefaults__ = forward.__kwdefaults__
        module.forward = MethodType(made, module)


def _with(name: str, forward: FunctionType) -> Any:
    plain, rotation = forward.__globals__[name], _ROTATIONS[name]

    def chosen(query: "torch.Tensor", key: "torch.Tensor", cos: "torch.Tensor", sin: "torch.Tensor") -> Any:
        import torch

        if torch.is_grad_enabled():
            return plain(query, key, cos, sin)
        return rotation(query, cos, sin), rotation(key, cos, sin)

    return chosen


def _rotated(states: "torch.Tensor", cos: "torch.Tensor", sin: "torch.Tensor") -> Any:
    """(rows, heads, length, size) by (rows, length, size)."""
    return kernels(states.device.type).rotate(states, cos, sin)


def _rotated_patches(states: "torch.Tensor", cos: "torch.Tensor", sin: "torch.Tensor") -> Any:
    """(patches, heads, size) by (patches, size), laid out alike: attention answers in the layout of its query."""
    turned = kernels(states.device.type).rotate(states.transpose(0, 1)[None], cos[None], sin[None], by_token=True)
    return turned[0].transpose(0, 1)


_ROTATIONS = {"apply_rotary_pos_emb": _rotated, "apply_rotary_pos_emb_vision": _rotated_patches}


def _gated(module: Any, x: "torch.Tensor") -> Any:
    import torch

    gates, up = module.gate_proj(x), module.up_proj(x)
    if torch.is_grad_enabled():
        return module.down_proj(module.act_fn(gates) * up)
    return module.down_proj(kernels(x.device.type).gate(gates, up))


def _quick(module: Any, x: "torch.Tensor") -> Any:
    import torch

    inner = module.fc1(x)
    return module.fc2(module.act(inner) if torch.is_grad_enabled() else kernels(x.device.type).quick_gelu(inner))


def _normed(module: Any, states: "torch.Tensor") -> Any:
    import torch

    if torch.is_grad_enabled() or states.dtype != module.weight.dtype:
        return type(module).forward(module, states)
    return kernels(states.device.type).layer_norm(states, module.weight, module.bias, module.eps)
