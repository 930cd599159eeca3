"""How many tokens a device has room for at once."""

from typing import Any

ON_CPU = 8_192
LEAST, MOST = 2_048, 65_536
WORK = 1.4e14  # tokens times weights: more keeps a GPU no busier, and pads more
COPIES = 1 << 30  # bytes of weights on a CPU that are a process's to spend; a GPU is one process's alone
SHARE = 0.5  # of the free memory; an estimate that was too high costs a halved batch, see `kdsl.models.mllm`


def batch_tokens(model: Any, less: int = 0) -> int:
    """Tokens of one batch for a model on its device: by the memory that is free beside the weights and `less` bytes."""
    if model.device.type != "cuda":
        return ON_CPU
    import torch

    free, _ = torch.cuda.mem_get_info(model.device)
    room = SHARE * (free - less) / bytes_a_token(model.config.get_text_config(), model.dtype.itemsize)
    return int(max(LEAST, min(MOST, room, WORK / model.num_parameters())))


def spares(model: Any, more: int) -> bool:
    """Whether so many bytes more of weights leave its batches as large as they are."""
    if model.device.type != "cuda":
        return more <= COPIES
    return batch_tokens(model, more) == batch_tokens(model)


def bytes_a_token(config: Any, itemsize: int) -> int:
    """About what one token takes while it is scored: one layer's states, and its keys and values.

    Counted in a Qwen2 layer: four of the MLP's width, and sixteen of the model's (norms and rotations run in float32).
    """
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cache = 2 * config.num_key_value_heads * size
    return int(itemsize * (cache + 4 * config.intermediate_size + 16 * config.hidden_size))
