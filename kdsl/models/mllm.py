"""A causal model that scores labels: one prefill an item, logits over the labels' codes, nothing generated.

| array        | shape       | holds                                                                          |
|--------------|-------------|--------------------------------------------------------------------------------|
| `log_probs`  | (n, labels) | float64 natural logs; a row all NaN: the item could not be read, see `faults`  |

Text-only causal models and the Qwen2-VL family go through the same code.
"""

from collections import Counter
from collections.abc import Mapping, Sequence
from concurrent.futures import Future
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict, Field

from kdsl.dialogue import Item
from kdsl.errors import BadRow, ConfigError
from kdsl.models import checkpoint, prefix
from kdsl.models.batching import Encoded, collate, plan
from kdsl.models.codes import codes, orders
from kdsl.models.pixels import Decoder, Pixels, Scaled, Sizes, finished
from kdsl.models.prefix import Prefix
from kdsl.models.prompt import Limits, Listed, Prompter
from kdsl.taxonomy import Task

if TYPE_CHECKING:
    import torch

LEAST = 64  # tokens that must be left for an item
KEPT = 16  # shared parts kept with their key-value cache


class ModelSettings(BaseModel):
    """How one model is loaded and how it scores."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    path: str = Field(min_length=1, description="folder of a checkpoint, or a hub id in the local cache")
    allow_download: bool = Field(False, description="fetch a hub id that is not in the local cache")
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda(:\d+)?)$", description="auto: a GPU where there is one")
    max_pixels: int = Field(200_704, ge=784, description="a picture is scaled down to so many pixels (448 x 448)")
    min_pixels: int = Field(3_136, ge=64, description="and up to so many")
    max_image_bytes: int = Field(20_000_000, ge=1, description="a larger file is not decoded")
    max_image_pixels: int = Field(50_000_000, ge=1, description="pictures with more are refused before decoding")
    max_pictures: int = Field(4, ge=0, le=64, description="pictures of a dialogue that the model sees, the last ones")
    own_tokens: int = Field(1_024, ge=32, description="tokens of one item at most; the oldest agent turns go first")
    labels: Listed = Field(
        "described", description="how labels stand in the prompt; none: only for models post-trained on them"
    )
    permutations: int = Field(1, ge=1, le=26, description="assignments of codes to labels, averaged: see order effects")
    batch_tokens: int = Field(8_192, ge=64, description="tokens of one batch, padding counted")
    window: int = Field(256, ge=1, le=65_536, description="items in a row that are sorted by length together")
    threads: int = Field(2, ge=1, le=64, description="threads that decode pictures ahead of the model")

    def loaded(self) -> checkpoint.Loaded:
        """The checkpoint, loaded anew.

        Raises:
            ConfigError: see `kdsl.models.checkpoint`.
        """
        return checkpoint.load(
            self.path,
            device=checkpoint.device_of(self.device),
            max_pixels=self.max_pixels,
            min_pixels=self.min_pixels,
            allow_download=self.allow_download,
        )


@dataclass
class Scored:
    """Scores of a list of items. `faults` are rows without a score; `counts` go to the ledger."""

    log_probs: NDArray[np.float64]
    faults: dict[int, BadRow] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Plan:
    """How one task is asked: tokens of its labels' codes, and per permutation the order and the shared tokens.

    `room` is what the shared tokens leave of the model's context.
    """

    tokens: tuple[int, ...]
    orders: tuple[tuple[int, ...], ...]
    shared: tuple[tuple[int, ...], ...]
    room: int


class Scorer:
    """One loaded model; not for use by two threads at once."""

    def __init__(self, loaded: checkpoint.Loaded, settings: ModelSettings) -> None:
        self.loaded = loaded
        self.settings = settings
        limits = Limits(settings.own_tokens, settings.max_pictures)
        self.prompter = Prompter(loaded.tokenizer, loaded.picture_token, limits, settings.labels)
        sizes = Sizes(settings.max_image_bytes, settings.max_image_pixels, settings.max_pixels, settings.min_pixels)
        self.pixels = Pixels(loaded.image_processor, sizes) if loaded.image_processor is not None else None
        self._decoder = Decoder(self.pixels, settings.threads)
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        self._budget = settings.batch_tokens

    @classmethod
    def load(cls, settings: ModelSettings) -> "Scorer":
        """Load the checkpoint of the settings.

        Raises:
            ConfigError: see `kdsl.models.checkpoint`.
        """
        return cls(settings.loaded(), settings)

    def plan(self, task: Task) -> Plan:
        """How the task is asked of this model.

        Raises:
            ConfigError: too few codes, or the label list leaves no room for an item in the model's context.
        """
        n = len(task.labels)
        known = codes(self.loaded.tokenizer, n)
        assigned = orders(n, min(self.settings.permutations, n))
        shared = tuple(self.prompter.shared(task, known, order) for order in assigned)
        room = self.loaded.context - max(map(len, shared))
        if room < LEAST:
            raise ConfigError(
                f"model: the labels of task {task.name!r} take {max(map(len, shared)):,} of its "
                f"{self.loaded.context:,} tokens, and an item needs {LEAST}. Set labels: named, or shorten "
                "the descriptions."
            )
        return Plan(tuple(code.token for code in known), assigned, shared, room)

    def score(
        self, task: Task, items: Sequence[Item], contents: Mapping[str, bytes], *, reuse_prefix: bool = True
    ) -> Scored:
        """Log-probabilities of the task's labels for each item.

        Args:
            task: the question and its labels.
            items: conversations or pictures.
            contents: bytes of the items' pictures by SHA-256; a missing one is a fault of a picture item.
            reuse_prefix: False runs the shared tokens with every item, to compare.

        Raises:
            ConfigError: see `plan`.
            RuntimeError: the model itself failed; nothing is hidden.
        """
        import torch

        asked = self.plan(task)
        scored = Scored(np.full((len(items), len(task.labels)), np.nan))
        size = self.settings.window
        windows = [range(at, min(at + size, len(items))) for at in range(0, len(items), size)]
        ahead = self._start(items, windows[0], contents) if windows else {}
        with torch.inference_mode():
            for nth, window in enumerate(windows):
                pictures, bad = finished(ahead)
                if nth + 1 < len(windows):
                    ahead = self._start(items, windows[nth + 1], contents)
                self._window(asked, items, window, pictures, bad, scored=scored, reuse_prefix=reuse_prefix)
        return scored

    def score_decoded(self, task: Task, items: Sequence[Item], pictures: Mapping[str, Scaled]) -> Scored:
        """The same as `score` for pictures that are decoded and scaled already."""
        import torch

        asked = self.plan(task)
        scored = Scored(np.full((len(items), len(task.labels)), np.nan))
        with torch.inference_mode():
            self._window(asked, items, range(len(items)), pictures, {}, scored=scored, reuse_prefix=True)
        return scored

    def encode(self, item: Item, pictures: Mapping[str, Scaled], room: int | None = None) -> Encoded:
        """Tokens of one item.

        Raises:
            BadRow: see `Prompter.own`.
        """
        return self.prompter.own(item, {name: picture.tokens for name, picture in pictures.items()}, room)

    def close(self) -> None:
        """Stop the threads."""
        self._decoder.close()

    def forget(self) -> None:
        """Drop every shared part that was run: the weights have changed."""
        self._prefixes.clear()

    def _start(
        self, items: Sequence[Item], window: range, contents: Mapping[str, bytes]
    ) -> "dict[str, Future[Scaled]]":
        names = {picture.sha256 for at in window for picture in items[at].pictures}
        return self._decoder.start(sorted(names), contents)

    def _window(
        self,
        asked: Plan,
        items: Sequence[Item],
        window: range,
        pictures: Mapping[str, Scaled],
        bad: Mapping[str, BadRow],
        *,
        scored: Scored,
        reuse_prefix: bool,
    ) -> None:
        rows: list[int] = []
        encoded: list[Encoded] = []
        for at in window:
            try:
                encoded.append(self.encode(items[at], pictures, asked.room))
                rows.append(at)
            except BadRow as fault:
                own = [bad[picture.sha256] for picture in items[at].pictures if picture.sha256 in bad]
                scored.faults[at] = own[0] if own and not items[at].turns else fault
        scored.counts["cut"] += sum(item.cut for item in encoded)
        shared = max(map(len, asked.shared))
        lengths = [len(item.ids) for item in encoded]
        for batch in plan(lengths, budget=self._budget, window=len(encoded) or 1, shared=shared):
            logits = self._batch(asked, [encoded[at] for at in batch], pictures, scored.counts, reuse_prefix)
            scored.log_probs[[rows[at] for at in batch]] = logits

    def _batch(
        self,
        asked: Plan,
        items: Sequence[Encoded],
        pictures: Mapping[str, Scaled],
        counts: "Counter[str]",
        reuse_prefix: bool,
    ) -> NDArray[np.float64]:
        import torch

        try:
            return self._forward(asked, items, pictures, counts, reuse_prefix)
        except torch.OutOfMemoryError:
            if len(items) == 1:
                raise
        self._prefixes.clear()  # out of the handler: its traceback held the tensors of the batch
        torch.cuda.empty_cache()
        counts["halved"] += 1
        self._budget = max(1, self._budget // 2)
        half = len(items) // 2
        parts = [self._batch(asked, part, pictures, counts, reuse_prefix) for part in (items[:half], items[half:])]
        return np.concatenate(parts)

    def _forward(
        self,
        asked: Plan,
        items: Sequence[Encoded],
        pictures: Mapping[str, Scaled],
        counts: "Counter[str]",
        reuse_prefix: bool,
    ) -> NDArray[np.float64]:
        import torch

        model = self.loaded.model
        batch = collate(items, self.pad, model.device)
        names = set(batch.pictures)
        patches = self.pixels.patches({name: pictures[name] for name in names}) if self.pixels else {}
        tokens = torch.tensor(asked.tokens, device=model.device)
        seen = prefix.features(model, batch, patches)
        found = []
        for order, shared in zip(asked.orders, asked.shared, strict=True):
            if reuse_prefix:
                logits = prefix.code_logits(model, batch, tokens, prefix=self._prefix(shared), features=seen)
            else:
                logits = prefix.code_logits(model, batch, tokens, shared=shared, features=seen)
            found.append(_log_softmax(logits[:, list(order)]))
        counts["batches"] += 1
        counts["tokens"] += int(batch.mask.sum())
        counts["padded_tokens"] += batch.mask.numel()
        counts["pictures_encoded"] += len(names)
        return _pooled(found)

    @property
    def pad(self) -> int:
        """A token to fill rows with; the mask hides it."""
        pad = self.loaded.tokenizer.pad_token_id
        return int(pad) if pad is not None else 0

    def _prefix(self, shared: tuple[int, ...]) -> Prefix | None:
        if not shared:
            return None
        if shared not in self._prefixes:
            while len(self._prefixes) >= KEPT:
                self._prefixes.pop(next(iter(self._prefixes)))
            self._prefixes[shared] = prefix.run(self.loaded.model, shared)
        return self._prefixes[shared]


def _log_softmax(logits: "torch.Tensor") -> NDArray[np.float64]:
    scores: NDArray[np.float64] = logits.double().log_softmax(1).cpu().numpy()
    return scores


def _pooled(found: Sequence[NDArray[np.float64]]) -> NDArray[np.float64]:
    """The geometric mean of the permutations, normalised: a bias that adds to a code's logit cancels out."""
    if len(found) == 1:
        return found[0]
    mean: NDArray[Any] = np.mean(found, axis=0)
    top = mean.max(axis=1, keepdims=True)
    pooled: NDArray[np.float64] = mean - top - np.log(np.exp(mean - top).sum(axis=1, keepdims=True))
    return pooled
