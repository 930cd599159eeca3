"""One base model a process, however many voters score with it: each puts its own adapter on before it scores.

An adapter that is added to the weights costs nothing at scoring. A single one is; of several each gets a copy of the
weights that it changes, where there is room, and putting one on points the layers at its copy. Taking an adapter out of
bf16 weights again would not give the base back, so without that room they stay beside the weights.
"""

from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from kdsl.models import adapter, checkpoint, memory
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task


class Base:
    """A loaded base model and the adapters that were made for it; None stands for the base as it is."""

    def __init__(self, loaded: checkpoint.Loaded) -> None:
        self.loaded = loaded
        self._wrapped: Any = None
        self._wearers: list[str | None] = []
        self._worn: str | None = None
        self._settled = False
        self._merged = False
        self._copies: list[tuple[Any, dict[str | None, Any]]] = []  # a layer, and its weights by who wears them

    @property
    def merged(self) -> bool:
        """Whether its weights hold adapters: then nobody else can use it."""
        return self._merged

    def join(self, folder: Path | None, task: Task) -> str | None:
        """One more voter, with the adapter in `folder` or none; gives the name to `put_on`.

        Raises:
            ReleaseError: see `kdsl.models.adapter.read`.
        """
        name = None
        if folder is not None:
            facts, found = adapter.read(folder, self.loaded.fingerprint, task)
            name = f"worn{len(self._wearers)}"
            model = self.loaded.model if self._wrapped is None else self._wrapped
            self._wrapped = adapter.wrap(
                model, rank=facts.rank, alpha=facts.alpha, dropout=0.0, vision=facts.vision, seed=0, name=name
            )
            adapter.put(self._wrapped, found, name)
            self._wrapped.eval()
            self._worn = None
            self._settled = False
        self._wearers.append(name)
        return name

    def put_on(self, name: str | None) -> None:
        """From now on the model is the base with that adapter."""
        if not self._settled:
            self.settle()
        if self._merged:
            if name != self._worn:
                for layer, copies in self._copies:
                    layer.weight.data = copies[name]
        elif self._wrapped is not None and (name is None or name != self._worn):
            tuner = self._wrapped.base_model
            if name is None:
                tuner.disable_adapter_layers()
            else:
                tuner.enable_adapter_layers()
                self._wrapped.set_adapter(name, inference_mode=True)
        self._worn = name

    def settle(self) -> None:
        """Add each adapter to weights of its own, for good, where that leaves batches the room they have."""
        self._settled = True
        if self._wrapped is None:
            return
        wearers = list(dict.fromkeys(self._wearers))
        changed = adapter.layers(self._wrapped)
        more = (len(wearers) - 1) * sum(layer.base_layer.weight.nbytes for layer in changed)
        if not memory.spares(self.loaded.model, more):
            adapter.narrow(self._wrapped)
            return
        for layer in changed:
            copies = {name: adapter.added(layer, name) for name in wearers}
            layer.base_layer.weight.data = copies[wearers[0]]
            if len(wearers) > 1:
                self._copies.append((layer.base_layer, copies))
        self._wrapped.unload()
        self._wrapped, self._worn, self._merged = None, wearers[0], True


def shared(settings: ModelSettings) -> Base:
    """The base model of those settings: the one that is loaded already in this process, as long as anybody holds it.

    Raises:
        ConfigError: see `kdsl.models.checkpoint`.
    """
    key = (settings.path, settings.device, settings.max_pixels, settings.min_pixels, settings.allow_download)
    found = _bases.get(key)
    if found is None or found.merged:
        _bases[key] = found = Base(settings.loaded())
    return found


_bases: "WeakValueDictionary[tuple[object, ...], Base]" = WeakValueDictionary()
