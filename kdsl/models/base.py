"""One base model a process, however many voters score with it: each puts its own adapter on before it scores.

With a single adapter it is added to the weights, which costs nothing at scoring. Several stay beside them: taking
one out of bf16 weights again would not give the base back.
"""

from pathlib import Path
from typing import Any
from weakref import WeakValueDictionary

from kdsl.models import adapter, checkpoint
from kdsl.models.model_settings import ModelSettings
from kdsl.taxonomy import Task


class Base:
    """A loaded base model and the adapters that were made for it; None stands for the base as it is."""

    def __init__(self, loaded: checkpoint.Loaded) -> None:
        self.loaded = loaded
        self._wrapped: Any = None
        self._wearers: list[str | None] = []
        self._worn: str | None = None
        self._merged = False

    @property
    def merged(self) -> bool:
        """Whether its weights hold an adapter: then nobody else can use it."""
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
        self._wearers.append(name)
        return name

    def put_on(self, name: str | None) -> None:
        """From now on the model is the base with that adapter."""
        if self._wrapped is None or self._merged or (name is not None and name == self._worn):
            return
        tuner = self._wrapped.base_model
        if name is None:
            tuner.disable_adapter_layers()
        else:
            tuner.enable_adapter_layers()
            self._wrapped.set_adapter(name, inference_mode=True)
        if self._wearers == [name]:
            tuner.merge_adapter([name])
            self._merged = True
        self._worn = name

    def keep_on(self) -> None:
        """Add the one adapter that was made for it to its weights, for good: nobody else can use it."""
        if self._wrapped is not None:
            adapter.merge(self._wrapped)
        self._merged = True


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
