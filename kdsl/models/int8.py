"""Linear layers of a model in whole numbers of 8 bits, for CPUs: a quarter of the memory, and several times as fast.

Weights are rounded once, by output channel; what goes in is rounded by token, so that no row
sets the scale of another (vector-wise, as in Dettmers et al. 2022, without its outliers); a score may still move in its
third digit with the batch, where a number lies between two whole ones. torch's own quantisation of modules
is deprecated and bound to go, so the product below is what its successor, torchao, builds on. The output head and the
embeddings stay as they are.
"""

from types import MethodType
from typing import TYPE_CHECKING, Any

from kdsl.errors import ConfigError

if TYPE_CHECKING:
    import torch

HIGHEST = 127
LEAST = 1e-12  # no row is divided by less


def check(model: Any) -> None:
    """See whether rounding wins anything.

    Raises:
        ConfigError: less than half of the weights are in linear layers below the head.
    """
    held = sum(layer.weight.numel() for layer in _layers(model))
    embedded = model.get_input_embeddings().weight.numel()
    below = sum(value.numel() for value in model.base_model.parameters()) - embedded
    if 2 * held < below:
        raise ConfigError(
            f"weights: int8 given, and of this {model.config.model_type} only {held:,} of {below:,} weights stand in "
            "plain linear layers, which are those that it rounds; leave weights at its default."
        )


def quantise(model: Any) -> None:
    """Round the weights of every linear layer below the head, in place.

    Adapters must be merged: a layer that wraps another one is none of these.
    """
    import torch

    for layer in _layers(model):
        weight = layer.weight.detach()
        scale = (weight.abs().amax(1) / HIGHEST).clamp(min=LEAST)
        layer.register_buffer("whole", (weight / scale[:, None]).round_().to(torch.int8))
        layer.register_buffer("scale", scale)
        # Empty, but of the type and on the device that a vision part asks its layers for.
        layer.weight = torch.nn.Parameter(weight.new_empty(0), requires_grad=False)
        layer.forward = MethodType(_product, layer)


def _layers(model: Any) -> list[Any]:
    import torch

    return [layer for layer in model.base_model.modules() if type(layer) is torch.nn.Linear]


def _product(layer: Any, given: "torch.Tensor") -> "torch.Tensor":
    """(..., inputs) to (..., outputs), as `torch.nn.Linear` has it but for rounding."""
    import torch

    rows = given.reshape(-1, given.shape[-1])
    scale = (rows.abs().amax(1, keepdim=True) / HIGHEST).clamp_(min=LEAST)
    sums = torch._int_mm((rows / scale).round_().to(torch.int8), layer.whole.t())
    out = sums.to(given.dtype).mul_(scale).mul_(layer.scale)
    if layer.bias is not None:
        out += layer.bias
    return out.view(*given.shape[:-1], -1)
