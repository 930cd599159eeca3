"""Model directories: what may be loaded, and loading it. Safetensors only, no code of the checkpoint, no network."""

import hashlib
import json
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kdsl.errors import ConfigError, reason
from kdsl.models import fast, probe

PICKLES = (
    ".bin", ".pt", ".pth", ".pkl", ".pickle", ".dill", ".ckpt", ".joblib", ".npy", ".npz", ".h5", ".hdf5", ".keras",
    ".msgpack", ".mar", ".tar",
)  # fmt: skip
WANTED = ("*.json", "*.safetensors", "*.txt", "*.model", "*.jinja")  # what a download takes, and nothing else
MOST = 64_000_000  # bytes of a JSON file; the largest tokenizers take 20 million
FAMILIES = ("qwen2_vl", "qwen2_5_vl", "qwen3_vl")
PLAIN = ("llama", "qwen2", "qwen3")  # text alone; their attention is the one of `kdsl.models.fast`
ENDLESS, UNTOLD = 10**9, 4_096  # what tokenizers say where they know no bound, and what is read then
_SAMPLE = 1 << 14  # bytes of a tensor, from its middle


@dataclass(frozen=True)
class Loaded:
    """A model ready to score: `image_processor` is None for text-only models."""

    model: Any
    tokenizer: Any
    image_processor: Any | None
    picture_token: int | None
    fingerprint: str
    context: int
    prefixes: bool = True
    """Whether items can be run behind a shared part that was run before."""


def folder_of(path: str, *, allow_download: bool = False) -> Path:
    """The directory of a checkpoint given by path or hub id.

    Raises:
        ConfigError: no such directory, and no such checkpoint in the local hub cache.
    """
    if Path(path).is_dir():
        return Path(path)
    if path.count("/") != 1 or path.startswith((".", "/", "~")):
        raise ConfigError(f"model: {path} is no directory; give the folder of a checkpoint that save_pretrained wrote.")
    from huggingface_hub import snapshot_download

    try:
        return Path(snapshot_download(path, local_files_only=not allow_download, allow_patterns=list(WANTED)))
    except Exception as error:  # the hub has many errors; none of them can be used
        raise ConfigError(
            f"model: {path} is neither a directory nor a checkpoint in the local hub cache ({type(error).__name__}); "
            "copy it to a folder and give the folder, or set allow_download: true."
        ) from error


def check(folder: Path) -> str:
    """Refuse what must not or cannot be loaded, before anything of it is loaded.

    Returns:
        The architecture's `model_type`.

    Raises:
        ConfigError: naming the file and the next step.
    """
    for file in sorted(folder.rglob("*")):
        if file.suffix.lower() in PICKLES:
            raise ConfigError(
                f"model: {folder} holds {file.name}, a format that may run code when it is opened; keep only the "
                "safetensors and JSON files, or convert it with save_pretrained elsewhere."
            )
    if (folder / "adapter_config.json").exists() and not (folder / "config.json").exists():
        raise ConfigError(f"model: {folder} holds a LoRA adapter and no model; give the folder of its base model.")
    config = _json(folder, "config.json")
    for file in sorted(folder.glob("*.json")):
        if "auto_map" in _keys(_parsed(file)):
            raise ConfigError(
                f"model: {file.name} in {folder} has auto_map, which runs the checkpoint's own code; use a checkpoint "
                "of an architecture that transformers itself has, or delete the key if it does."
            )
    if (folder / "adapter_config.json").exists():
        raise ConfigError(
            f"model: {folder} holds adapter_config.json beside a model; merge the adapter or move it out."
        )
    for shard in _shards(folder):
        _whole(shard)
    kind = config.get("model_type")
    if not isinstance(kind, str):
        raise ConfigError(f"model: config.json in {folder} names no model_type; save the model with save_pretrained.")
    return kind


def sees(path: str, *, allow_download: bool = False) -> bool:
    """Whether the checkpoint is of a family that looks at pictures; the others read text alone.

    Raises:
        ConfigError: see `check`.
    """
    return check(folder_of(path, allow_download=allow_download)) in FAMILIES


def fingerprint(folder: Path) -> str:
    """SHA-256 that tells base models apart: configuration, tokenizer, headers, and some of each tensor.

    Raises:
        ConfigError: a shard is damaged or cut off.
    """
    digest = hashlib.sha256()
    for name in ("config.json", "tokenizer.json"):
        file = folder / name
        digest.update(name.encode() + (hashlib.sha256(file.read_bytes()).digest() if file.exists() else b""))
    for shard in _shards(folder):
        spans = _whole(shard)  # it may be the pointer that git leaves of a large file
        with shard.open("rb") as stream:
            length = struct.unpack("<Q", stream.read(8))[0]
            digest.update(shard.name.encode() + stream.read(length))
            for begin, end in spans:  # a fine-tune changes the layers alone, which may lie anywhere
                stream.seek(8 + length + begin + max(0, end - begin - _SAMPLE) // 2)
                digest.update(stream.read(min(_SAMPLE, end - begin)))
    return digest.hexdigest()


def load(path: str, *, device: str, max_pixels: int, min_pixels: int, allow_download: bool = False) -> Loaded:
    """Load a checkpoint: bf16 on a GPU, fp32 on CPU, scaled-dot-product attention if it has that, in evaluation mode.

    Args:
        path: a directory or a hub id.
        device: "cpu" or "cuda:N".
        max_pixels: pictures are scaled down to so many pixels.
        min_pixels: and up to so many.
        allow_download: whether a hub id may be fetched; a cluster's executors never do.

    Raises:
        ConfigError: see `check`; or the checkpoint lacks weights, a tokenizer or an image processor.
    """
    import torch
    from transformers import AutoModelForCausalLM, AutoModelForImageTextToText, AutoTokenizer
    from transformers.utils import logging as shown

    said: Any = shown
    said.disable_progress_bar()  # the jobs show their own
    folder = folder_of(path, allow_download=allow_download)
    kind = check(folder)
    looks = kind in FAMILIES
    known = looks or kind in PLAIN
    safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}
    tokenizer, image_processor = None, None
    if looks:
        tokenizer, image_processor = _processor(folder, max_pixels, min_pixels, safe)
    else:
        tokenizer = _tried(folder, "a tokenizer", lambda: AutoTokenizer.from_pretrained(folder, **safe))
    maker = AutoModelForImageTextToText if looks else AutoModelForCausalLM
    gpu = device.startswith("cuda")
    dtype = torch.bfloat16 if gpu else torch.float32
    attention = fast.attention() if known else None  # as transformers thinks fit: Gemma 2 has no sdpa
    model, report = _tried(
        folder,
        "a model",
        lambda: maker.from_pretrained(
            folder, dtype=dtype, attn_implementation=attention, use_safetensors=True, output_loading_info=True, **safe
        ),
    )
    missing = sorted(report["missing_keys"]) + sorted(str(key) for key in report.get("mismatched_keys", ()))
    if missing:
        raise ConfigError(
            f"model: the weights in {folder} are half a checkpoint: {len(missing)} are missing or of another shape, "
            f"first {missing[0]}; copy it again."
        )
    if looks and not hasattr(model.model, "get_rope_index"):
        raise ConfigError(f"model: {kind} in {folder} gives no positions; known families: {', '.join(FAMILIES)}.")
    model.to(device).eval()
    fast.hasten(model)
    return Loaded(
        model=model,
        tokenizer=tokenizer,
        image_processor=image_processor,
        picture_token=int(model.config.image_token_id) if looks else None,
        fingerprint=fingerprint(folder),
        context=_context(model, tokenizer),
        prefixes=not probe.windowed(model) if known else probe.prefixes(model, str(folder)),
    )


def _context(model: Any, tokenizer: Any) -> int:
    """Tokens that the model can read at once; of one without positions, what its tokenizer says."""
    config = model.config.get_text_config()
    known = (getattr(config, name, None) for name in ("max_position_embeddings", "max_seq_len"))
    found = next((int(most) for most in known if most), int(tokenizer.model_max_length))
    return found if found < ENDLESS else UNTOLD


def _processor(folder: Path, max_pixels: int, min_pixels: int, safe: dict[str, Any]) -> tuple[Any, Any]:
    from transformers import AutoProcessor
    from transformers.image_utils import SizeDict

    processor = _tried(folder, "a processor", lambda: _from(AutoProcessor, folder, safe))
    if getattr(processor, "image_processor", None) is None:  # AutoProcessor falls back to a bare tokenizer, silently
        raise ConfigError(
            f"model: {folder} has a tokenizer and no image processor; copy preprocessor_config.json or "
            "processor_config.json of the same model into it."
        )
    processor.image_processor.size = SizeDict(shortest_edge=min_pixels, longest_edge=max_pixels)
    return processor.tokenizer, processor.image_processor


def _from(maker: Any, folder: Path, safe: dict[str, Any]) -> Any:
    return maker.from_pretrained(folder, **safe)


def _tried(folder: Path, what: str, make: Any) -> Any:
    try:
        return make()
    except Exception as error:
        raise ConfigError(
            f"model: {folder} does not load as {what} ({reason(error)}); "
            "check that the copy is complete and of a known architecture."
        ) from error


def _shards(folder: Path) -> list[Path]:
    index = folder / "model.safetensors.index.json"
    if index.exists():
        names = sorted(set(_json(folder, index.name).get("weight_map", {}).values()))
        lost = [name for name in names if Path(name).name != name or not (folder / name).is_file()]
        if lost or not names:
            raise ConfigError(
                f"model: {folder} lacks {', '.join(lost) or 'every shard'} that {index.name} names; copy it again."
            )
        return [folder / name for name in names]
    if not (folder / "model.safetensors").is_file():
        raise ConfigError(f"model: {folder} holds no model.safetensors; give a checkpoint saved as safetensors.")
    return [folder / "model.safetensors"]


def _whole(shard: Path) -> list[tuple[int, int]]:
    """Where its tensors begin and end, behind the header. A file states that; a copy that stopped early is shorter."""
    size = shard.stat().st_size
    with shard.open("rb") as stream:
        head = stream.read(8)
        length = struct.unpack("<Q", head)[0] if len(head) == 8 else size
        try:
            header = json.loads(stream.read(length)) if 0 < length <= size - 8 else {}
        except (ValueError, RecursionError):
            header = {}
    try:
        tensors = [entry for name, entry in header.items() if name != "__metadata__"]
        spans = sorted((int(one["data_offsets"][0]), int(one["data_offsets"][1])) for one in tensors)
    except (AttributeError, KeyError, IndexError, TypeError, ValueError):
        spans = []
    if not spans or min(spans)[0] < 0 or 8 + length + max(end for _, end in spans) != size:
        raise ConfigError(f"model: {shard} is damaged or cut off at {size:,} bytes; copy it again.")
    return spans


def _json(folder: Path, name: str) -> dict[str, Any]:
    file = folder / name
    if not file.is_file():
        raise ConfigError(
            f"model: {folder} holds no {name}; give the folder of a checkpoint that save_pretrained wrote."
        )
    data = _parsed(file)
    return data if isinstance(data, dict) else {}


def _parsed(file: Path) -> Any:
    if file.stat().st_size > MOST:
        raise ConfigError(f"model: {file} is larger than {MOST:,} bytes, as no file of a model is; copy it again.")
    try:
        return json.loads(file.read_text(encoding="utf-8"))
    except (ValueError, RecursionError) as error:
        raise ConfigError(f"model: {file} is no JSON; copy it again.") from error


def _keys(data: Any) -> Iterator[str]:
    """Those of all objects, however deep."""
    left = [data]
    while left:
        here = left.pop()
        if isinstance(here, dict):
            yield from here
            left += here.values()
        elif isinstance(here, list):
            left += here
