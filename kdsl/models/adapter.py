"""LoRA adapters as files: `adapter.safetensors` and `adapter.json`, for one base model and one label set."""

import hashlib
import json
from pathlib import Path
from typing import Any

from pydantic import BaseModel, ConfigDict, ValidationError

from kdsl.errors import ReleaseError
from kdsl.taxonomy import Task

WEIGHTS, FACTS = "adapter.safetensors", "adapter.json"
LANGUAGE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
VISION = ("qkv", "proj", "fc1", "fc2", "mlp.0", "mlp.2")


class Adapted(BaseModel):
    """What an adapter is made for and of."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    base: str  # fingerprint of the base model
    tasks: dict[str, str]  # task -> digest of its question and labels
    rank: int
    alpha: int
    vision: bool
    steps: int  # after which it was taken
    score: float  # held-out weighted F1, mean over the tasks


def digest(task: Task) -> str:
    """SHA-256 of what the model is asked: another label, order or description is another question."""
    canonical = json.dumps(task.model_dump(mode="json", exclude={"labels": {"__all__": {"aliases"}}}), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def wrap(model: Any, *, rank: int, alpha: int, dropout: float, vision: bool, seed: int) -> Any:
    """Put fresh LoRA layers into a model, in place; the base weights are frozen.

    Attention and MLP of the language part; of the vision part and its merger too where `vision` says so.
    """
    import torch
    from peft import LoraConfig, get_peft_model

    names = [
        name
        for name, module in model.named_modules()
        if isinstance(module, torch.nn.Linear)
        and ((".visual." not in f".{name}." and name.split(".")[-1] in LANGUAGE) or (vision and _sees(name)))
    ]
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names, bias="none")
    return get_peft_model(model, config)


def merge(wrapped: Any) -> Any:
    """The base model with the adapter added to its weights, and no LoRA layers left."""
    return wrapped.merge_and_unload().eval()


def weights(wrapped: Any) -> dict[str, Any]:
    """The adapter's own weights by name, on the CPU."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(wrapped)
    return {name: value.detach().to("cpu").contiguous().clone() for name, value in sorted(found.items())}


def put(wrapped: Any, found: dict[str, Any]) -> None:
    """Set the adapter's weights.

    Raises:
        ReleaseError: they are of another shape of model.
    """
    from peft import set_peft_model_state_dict

    own = {name: tuple(value.shape) for name, value in weights(wrapped).items()}
    if own != {name: tuple(value.shape) for name, value in found.items()}:
        raise ReleaseError(
            "adapter: its weights do not fit the base model; name the base model it was trained on in models.*.path."
        )
    set_peft_model_state_dict(wrapped, found)


def save(folder: Path, found: dict[str, Any], facts: Adapted) -> None:
    """Write an adapter."""
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    save_file(found, folder / WEIGHTS)
    (folder / FACTS).write_text(json.dumps(facts.model_dump(), indent=1, sort_keys=True) + "\n", encoding="utf-8")


def facts_of(folder: Path) -> Adapted:
    """What an adapter is for.

    Raises:
        ReleaseError: the directory holds none.
    """
    try:
        return Adapted.model_validate_json((folder / FACTS).read_text(encoding="utf-8"))
    except (OSError, ValidationError) as error:
        raise ReleaseError(f"adapter: {folder} holds no readable {FACTS}; run fit again.") from error


def load_into(model: Any, fingerprint: str, folder: Path, task: Task) -> Any:
    """Merge an adapter into its base model.

    Raises:
        ReleaseError: it was made for another base model or another label set, or it is damaged.
    """
    from safetensors import SafetensorError
    from safetensors.torch import load_file

    facts = facts_of(folder)
    if facts.base != fingerprint:
        raise ReleaseError(
            f"adapter: {folder} was trained on the base model {facts.base[:12]} and {fingerprint[:12]} is loaded; set "
            "models.*.path to the same checkpoint, or run fit again."
        )
    if facts.tasks.get(task.name) != digest(task):
        raise ReleaseError(
            f"adapter: {folder} was trained for other labels of task {task.name!r} than the taxonomy has; run "
            "fit again."
        )
    try:
        found = load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ReleaseError(f"adapter: {folder / WEIGHTS} is missing or damaged; run fit again.") from error
    wrapped = wrap(model, rank=facts.rank, alpha=facts.alpha, dropout=0.0, vision=facts.vision, seed=0)
    put(wrapped, found)
    return merge(wrapped)


def _sees(name: str) -> bool:
    return ".visual." in f".{name}." and any(name.endswith(f".{end}") for end in VISION)
