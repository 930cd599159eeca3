"""How many tokens a device has room for at once."""

from typing import Any

ON_CPU = 8_192
LEAST, MOST = 2_048, 65_536
WORK = 1.4e14  # tokens times weights: more keeps a GPU no busier
COPIES = 1 << 30  # bytes of copied weights that a process may spend on each model on a CPU; a GPU is its alone
SHARE = 0.5  # of the free memory; an estimate that was too high costs a halved batch, see `kdsl.models.mllm`


def batch_tokens(model: Any) -> int:
    """Tokens of one batch for a model on its device: by the memory that is free beside the weights."""
    return ON_CPU if model.device.type != "cuda" else max(LEAST, _tokens(model, _free(model.device)))


def spares(model: Any, more: int, passing: int) -> bool:
    """Whether `more` bytes of weights, and `passing` ones while they are made, leave its batches as large as they are.

    Compared is what there is room for: a batch of `LEAST` tokens, which is tried on the fullest card too, is not room.
    """
    if model.device.type != "cuda":
        return more <= COPIES
    free = _free(model.device)
    return more + passing <= free and _tokens(model, free - more) == _tokens(model, free)


def _tokens(model: Any, free: int) -> int:
    room = SHARE * free / bytes_a_token(model.config.get_text_config(), model.dtype.itemsize)
    return int(min(MOST, room, WORK / model.num_parameters()))


def _free(device: Any) -> int:
    """Bytes of a GPU that this process can have: those that nobody holds, and those that torch keeps for reuse."""
    import torch

    free, _ = torch.cuda.mem_get_info(device)
    return int(free + torch.cuda.memory_reserved(device) - torch.cuda.memory_allocated(device))


def bytes_a_token(config: Any, itemsize: int) -> int:
    """About what one token takes while it is scored: one layer's states, and its keys and values.

    Counted in a Qwen2 layer: four of the MLP's width, and sixteen of the model's (norms and rotations run in float32).
    """
    size = getattr(config, "head_dim", None) or config.hidden_size // config.num_attention_heads
    cache = 2 * config.num_key_value_heads * size
    return int(itemsize * (cache + 4 * config.intermediate_size + 16 * config.hidden_size))
