"""One base model a process, however many voters score with it: each puts its own adapter on before it scores.

An adapter that is added to the weights costs nothing at scoring. A single one is; of several each gets a copy of the
weights that it changes, where there is room, and putting one on points the layers at its copy. Taking an adapter out of
bf16 weights again would not give the base back, so without that room they stay beside the weights.
"""

import hashlib
from pathlib import Path
from typing import Any
from weakref import WeakKeyDictionary

from kdsl.models import adapter, checkpoint, memory
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task

NOBODY = ""


class Base:
    """A loaded base model and the adapters that were made for it; None stands for the base as it is."""

    def __init__(self, loaded: checkpoint.Loaded) -> None:
        self.loaded = loaded
        self._wrapped: Any = None
        self._wearers: list[str | None] = []  # each once
        self._worn: str | None = NOBODY
        self._settled = False
        self._merged = False
        self._copies: list[tuple[Any, dict[str | None, Any]]] = []  # a layer, and its weights by who wears them

    @property
    def merged(self) -> bool:
        """Whether its weights hold adapters: then no other adapter can join."""
        return self._merged

    def wears(self, name: str | None) -> bool:
        """Whether a voter with that adapter has joined."""
        return name in self._wearers

    def join(self, folder: Path | None, task: Task) -> str | None:
        """One more voter, with the adapter in `folder` or none; gives the name to `put_on`, the same for equal files.

        Raises:
            ReleaseError: see `kdsl.models.adapter.read`.
            ValueError: its weights hold other adapters, see `shared`.
        """
        name = named(folder)
        if folder is not None:
            facts, found = adapter.read(folder, self.loaded.fingerprint, task)
        if self.wears(name):
            return name
        if self._merged:
            raise ValueError(f"the weights hold {len(self._wearers)} adapters already, and {name} is another one")
        if name is not None:
            model = self.loaded.model if self._wrapped is None else self._wrapped
            self._wrapped = adapter.wrap(
                model, rank=facts.rank, alpha=facts.alpha, dropout=0.0, vision=facts.vision, seed=0, name=name
            )
            adapter.put(self._wrapped, found, name)
            self._wrapped.eval()
            self._settled = False
        self._wearers.append(name)
        return name

    def put_on(self, name: str | None) -> None:
        """From now on the model is the base with that adapter."""
        if self._settled and name == self._worn:
            return
        if not self._settled:
            self.settle()
        for layer, copies in self._copies:
            layer.weight.data = copies[name]
        if self._wrapped is not None:
            tuner = self._wrapped.base_model
            if name is None:
                tuner.disable_adapter_layers()
            else:
                tuner.enable_adapter_layers()
                self._wrapped.set_adapter(name, inference_mode=True)
        self._worn = name

    def settle(self) -> None:
        """Add each adapter to weights of its own, for good, where that leaves batches the room they have.

        Whatever fails, every layer either holds its adapters or has them beside it, and scores stay as they are.
        """
        self._worn = NOBODY
        if self._wrapped is not None and not self._added():
            adapter.narrow(self._wrapped)
        self._settled = True

    def _added(self) -> bool:
        """Add the adapters, layer by layer; False where memory does not reach: they are beside the layers left."""
        import torch

        last = None if None in self._wearers else self._wearers[-1]  # takes the weights' own place
        others = [name for name in self._wearers if name != last]
        changed = adapter.layers(self._wrapped)
        owns = {place: layer.base_layer.weight for place, layer in changed.items()}
        more = sum(owns[place].nbytes for place, layer in changed.items() for name in others if name in layer.lora_A)
        if not memory.spares(self.loaded.model, more, adapter.PASSING * max(own.numel() for own in owns.values())):
            return False
        try:
            made = {place: {name: adapter.added(layer, name) for name in others} for place, layer in changed.items()}
            for place, layer in changed.items():
                copies = made.pop(place) | {last: adapter.added(layer, last)}
                layer.base_layer.weight.data = copies[last]
                self.loaded.model.set_submodule(place, layer.base_layer)
                self._merged = True
                if others:
                    self._copies.append((layer.base_layer, copies))
            self._wrapped.unload()
            self._wrapped = None
        except torch.OutOfMemoryError:
            made = {}
        if self._wrapped is not None:  # out of the handler: its traceback held what was made
            torch.cuda.empty_cache()
        return self._wrapped is None


def named(folder: Path | None) -> str | None:
    """What the adapter in a folder is called: by its files, wherever they lie."""
    if folder is None:
        return None
    files = [file for name in (adapter.WEIGHTS, adapter.FACTS) if (file := folder / name).is_file()]
    return "worn" + hashlib.sha256(b"".join(hashlib.sha256(file.read_bytes()).digest() for file in files)).hexdigest()


def shared(settings: ModelSettings, folder: Path | None) -> Base:
    """The base model of those settings for the adapter in `folder`, or for none.

    It is one that is loaded already in this process, as long as anybody holds it: one with that adapter on, as another
    release's voter may have left it, or one whose weights hold none.

    Raises:
        ConfigError: see `kdsl.models.checkpoint`.
    """
    key = (settings.path, settings.device, settings.max_pixels, settings.min_pixels, settings.allow_download)
    name = named(folder)
    known = [base for base, of in _bases.items() if of == key and (base.wears(name) or not base.merged)]
    if known:
        return max(known, key=lambda base: base.wears(name))
    base = Base(settings.loaded())
    _bases[base] = key
    return base


_bases: "WeakKeyDictionary[Base, tuple[object, ...]]" = WeakKeyDictionary()
