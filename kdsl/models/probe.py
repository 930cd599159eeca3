"""How a text model of any family may be asked, seen on a few tokens once it is loaded.

Rows of a batch are padded at the left, and the shared part of a prompt is run once. Most families heed both; one whose
state runs on over padding answers otherwise beside other rows, without a word, and one that keeps more than keys and
values goes on from a shared part wrongly, or not at all.
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any

from kdsl.errors import ConfigError, reason
from kdsl.models import prefix
from kdsl.models.batching import Encoded, collate

if TYPE_CHECKING:
    import torch

SHARED, OWN, LONG = range(1, 7), range(7, 12), range(1, 65)  # tokens, whatever they mean
UNLIKE = ("recurrent_gemma",)  # depend on the padding as well, which these few tokens do not show
# Shares of the largest state by which states may differ by rounding; in 16 bits a few tokens may even change experts.
CLOSE, CLOSE_ROUNDED = 1e-3, 0.25


def prefixes(model: Any, named: str) -> bool:
    """Whether items can be run behind a shared part that was run before.

    Raises:
        ConfigError: the model does not run, or a row's state depends on the padding beside it.
    """
    try:
        alone = _state(model, [OWN])
        padded = _state(model, [OWN, LONG])
    except Exception as error:  # whatever an unknown family sets off
        raise ConfigError(
            f"model: {named} loads and does not run ({reason(error)}); use another checkpoint."
        ) from error
    if model.config.model_type in UNLIKE or not _close(alone, padded):
        raise ConfigError(
            f"model: in {named} an answer depends on the padding of its batch, as in families whose state runs on over "
            "it; use a model whose layers are attention, as Qwen2-VL, Llama or Qwen3."
        )
    if windowed(model):
        return False
    try:
        return _close(_state(model, [[*SHARED, *OWN]]), _state(model, [OWN, LONG], shared=SHARED))
    except Exception:  # noqa: BLE001 - a family without a cache of keys and values has its own way to say so
        return False


def windowed(model: Any) -> bool:
    """Whether some layers see the last tokens alone: padding between a shared part and an item pushes out real ones."""
    config = model.config.get_text_config()
    kinds = getattr(config, "layer_types", None)
    return any(kind != "full_attention" for kind in kinds) if kinds else bool(getattr(config, "sliding_window", None))


def _state(model: Any, rows: Sequence[Sequence[int]], shared: Sequence[int] = ()) -> "torch.Tensor":
    """The state behind the first row's last token."""
    import torch

    most = model.get_input_embeddings().num_embeddings
    batch = collate([Encoded(tuple(at % most for at in row), (0,) * len(row)) for row in rows], 0)
    with torch.inference_mode():
        run = prefix.run(model, [at % most for at in shared]) if shared else None
        return prefix.hidden(model, batch, prefix=run)[0, -1]


def _close(one: "torch.Tensor", other: "torch.Tensor") -> bool:
    import torch

    share = CLOSE if one.dtype == torch.float32 else CLOSE_ROUNDED
    return bool((one - other).abs().max() <= share * one.abs().max())
