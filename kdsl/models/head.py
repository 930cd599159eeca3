"""What a model's own forward makes of its last states: logits, here of the tokens alone that are asked for."""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

# Families whose logits are scaled behind the head: the field of the configuration that tells it, and its exponent.
SCALED = {
    "cohere": ("logit_scale", 1),
    "granite": ("logits_scaling", -1),
    "hyperclovax": ("logits_scaling", 1),
    "minicpm3": ("logits_scaling", -1),
}


def over(model: Any, states: "torch.Tensor", codes: "torch.Tensor") -> "torch.Tensor":
    """Logits of some tokens alone: the rows of the output head that they need, float32."""
    import torch

    head = model.get_output_embeddings()
    bias = getattr(head, "bias", None)
    logits = torch.nn.functional.linear(states, head.weight[codes], None if bias is None else bias[codes]).float()
    config = model.config.get_text_config()
    logits = logits * _scale(config)
    cap = getattr(config, "final_logit_softcapping", None)  # Gemma's
    return logits if cap is None else cap * torch.tanh(logits / cap)


def _scale(config: Any) -> float:
    for family, (field, exponent) in SCALED.items():
        if config.model_type.startswith(family):
            return float(getattr(config, field) or 1.0) ** exponent
    return 1.0
