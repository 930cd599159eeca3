"""LoRA adapters as files: `adapter.safetensors` and `adapter.json`, for one base model and one label set."""

import hashlib
import json
import warnings
from pathlib import Path
from typing import Any, NamedTuple

from pydantic import BaseModel, ConfigDict, ValidationError

from kdsl.errors import ConfigError, ReleaseError
from kdsl.taxonomy import Task

WEIGHTS, FACTS = "adapter.safetensors", "adapter.json"
PASSING = 16  # bytes a weight while `added` adds to it: four times in float32
LANGUAGE = ("q_proj", "k_proj", "v_proj", "o_proj", "gate_proj", "up_proj", "down_proj")
# Attention, MLP and merger of Qwen2-VL, then the MLP of Qwen2.5-VL, then MLP and mergers of Qwen3-VL.
VISION = ("qkv", "proj", "fc1", "fc2", "mlp.0", "mlp.2", *LANGUAGE[4:], "linear_fc1", "linear_fc2")


class Progress(NamedTuple):
    """How far a run is: steps taken, loss, and held-out weighted F1 where it was looked at."""

    step: int
    loss: float
    score: float | None


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
    paraphrases: int = 0  # wordings by the model itself that it learned from too
    curve: tuple[Progress, ...] = ()  # every look, with the mean loss since the one before


def digest(task: Task) -> str:
    """SHA-256 of what the model is asked: another label, order or description is another question."""
    canonical = json.dumps(task.model_dump(mode="json", exclude={"labels": {"__all__": {"aliases"}}}), sort_keys=True)
    return hashlib.sha256(canonical.encode()).hexdigest()


def wrap(model: Any, *, rank: int, alpha: int, dropout: float, vision: bool, seed: int, name: str = "default") -> Any:
    """Put fresh LoRA layers into a model, in place, beside those that it may wear; the base weights are frozen.

    Attention and MLP of the language part; of the vision part and its merger too where `vision` says so.

    Raises:
        ConfigError: the model has no such layers.
    """
    import torch
    from peft import LoraConfig, PeftModel, get_peft_model

    wrapped = isinstance(model, PeftModel)
    base = model.get_base_model() if wrapped else model
    names = sorted(
        {
            place
            for place in (at.split(".base_layer")[0] for at, one in base.named_modules() if _is_linear(at, one))
            if (".visual." not in f".{place}." and place.split(".")[-1] in LANGUAGE) or (vision and _sees(place))
        }
    )
    if not names:
        raise ConfigError(
            f"lora: {base.config.model_type} has no layer of {', '.join(sorted(LANGUAGE))} to adapt; set post_train: "
            "false to label by the descriptions alone, or take a model of another architecture."
        )
    torch.manual_seed(seed)
    config = LoraConfig(r=rank, lora_alpha=alpha, lora_dropout=dropout, target_modules=names, bias="none")
    if wrapped:
        model.add_adapter(name, config)
        return model
    with warnings.catch_warnings():
        # peft 0.21 asks transformers by a name that its next release will know no more.
        warnings.filterwarnings("ignore", message=".*is_gradient_checkpointing", category=FutureWarning)
        return get_peft_model(model, config, adapter_name=name)


def merge(wrapped: Any) -> Any:
    """The base model with the adapter added to its weights, and no LoRA layers left."""
    return wrapped.merge_and_unload().eval()


def layers(wrapped: Any) -> dict[str, Any]:
    """The layers that adapters lie beside, by their place in the base model."""
    from peft.tuners.lora import LoraLayer

    places = wrapped.get_base_model().named_modules()
    return {place: module for place, module in places if isinstance(module, LoraLayer)}


def added(layer: Any, name: str | None) -> Any:
    """The weights of one of these layers with an adapter added, rounded once; without where it has none so named."""
    own = layer.base_layer.weight.data
    if name not in layer.lora_A:
        return own
    return (own.float() + layer.get_delta_weight(name).detach().float()).to(own.dtype)


def narrow(wrapped: Any) -> None:
    """Put the adapters into the base model's numbers: peft keeps them in float32 and turns all that goes in into it."""
    for layer in layers(wrapped).values():
        for part in (layer.lora_A, layer.lora_B):
            part.to(layer.base_layer.weight.dtype)


def weights(wrapped: Any, name: str = "default") -> dict[str, Any]:
    """The adapter's own weights by name, on the CPU."""
    from peft import get_peft_model_state_dict

    found = get_peft_model_state_dict(wrapped, adapter_name=name)
    return {name: value.detach().to("cpu").contiguous().clone() for name, value in sorted(found.items())}


def put(wrapped: Any, found: dict[str, Any], name: str = "default") -> None:
    """Set the adapter's weights.

    Raises:
        ReleaseError: they are of another shape of model.
    """
    from peft import set_peft_model_state_dict

    own = {key: tuple(value.shape) for key, value in weights(wrapped, name).items()}
    if own != {key: tuple(value.shape) for key, value in found.items()}:
        raise ReleaseError(
            "adapter: its weights do not fit the base model; name the base model it was trained on in models.*.path."
        )
    set_peft_model_state_dict(wrapped, found, adapter_name=name)


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


def read(folder: Path, fingerprint: str, task: Task) -> tuple[Adapted, dict[str, Any]]:
    """What an adapter is for, and its weights.

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
        return facts, load_file(folder / WEIGHTS)
    except (OSError, SafetensorError) as error:
        raise ReleaseError(f"adapter: {folder / WEIGHTS} is missing or damaged; run fit again.") from error


def _is_linear(place: str, module: Any) -> bool:
    """Whether it is a linear layer of the model's own, not one of an adapter's."""
    import torch

    return isinstance(module, torch.nn.Linear) and ".lora_" not in f".{place}"


def _sees(name: str) -> bool:
    return ".visual." in f".{name}." and any(name.endswith(f".{end}") for end in VISION)
