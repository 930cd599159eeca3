"""A causal model that scores labels: one prefill an item, logits over the labels' codes, nothing generated.

| array        | shape       | holds                                                                          |
|--------------|-------------|--------------------------------------------------------------------------------|
| `log_probs`  | (n, labels) | float64 natural logs; a row all NaN: the item could not be read, see `faults`  |

Text-only causal models and the Qwen2-VL family go through the same code.
"""

from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl import tally
from kdsl.dialogue import Item
from kdsl.errors import BadRow
from kdsl.models import batching, checkpoint, int8, memory, packed, positions, prefix, sight
from kdsl.models.ahead import Coming, ahead
from kdsl.models.batching import Batch, Encoded, collate
from kdsl.models.codes import Code
from kdsl.models.model_settings import ModelSettings
from kdsl.models.pixels import Decoder, Scaled, Sizes, fitting
from kdsl.models.plan import Plan, planned
from kdsl.models.prefix import Prefix
from kdsl.models.prompt import Limits, Prompter
from kdsl.models.sight import Patches
from kdsl.models.windows import Window, decoded
from kdsl.taxonomy import Task

KEPT = 16  # shared parts kept with their key-value cache


@dataclass
class Scored:
    """Scores of a list of items. `faults` are rows without a score; `runs` gets cut and halved of `counts`."""

    log_probs: NDArray[np.float64]
    faults: dict[int, BadRow] = field(default_factory=dict)
    counts: Counter[str] = field(default_factory=Counter)


@dataclass(frozen=True)
class Ready:
    """A batch that waits for the model: its rows of the whole list, its items, and all that needs no weights."""

    rows: tuple[int, ...]
    items: tuple[Encoded, ...]
    batch: Batch
    patches: Patches | None


class Scorer:
    """One loaded model; not for use by two threads at once. `budget` is the tokens of one batch at most.

    `verbalizers` holds the codes of a task's labels by its name, where they are not the first ones of the tokenizer.
    """

    def __init__(self, loaded: checkpoint.Loaded, settings: ModelSettings) -> None:
        self.loaded = loaded
        self.settings = settings
        limits = Limits(settings.own_tokens, settings.max_pictures, settings.agent_turns)
        self.prompter = Prompter(loaded.tokenizer, loaded.picture_token, limits, settings.labels)
        sizes = Sizes(settings.max_image_bytes, settings.max_image_pixels, settings.max_pixels, settings.min_pixels)
        cut = loaded.image_processor
        self.pixels = fitting(cut, sizes, settings.own_tokens) if cut is not None else None
        self._decoder = Decoder(self.pixels, settings.threads)
        self.verbalizers: dict[str, tuple[Code, ...]] = {}
        self._prefixes: dict[tuple[int, ...], Prefix] = {}
        auto = settings.batch_tokens == "auto"
        self.budget = memory.batch_tokens(loaded.model) if auto else int(settings.batch_tokens)

    @classmethod
    def load(cls, settings: ModelSettings) -> "Scorer":
        """Load the checkpoint of the settings, to score with it as it is.

        Raises:
            ConfigError: see `ModelSettings.loaded`.
        """
        return cls.to_train(settings).ready()

    @classmethod
    def to_train(cls, settings: ModelSettings) -> "Scorer":
        """The same with its weights in full, to be adapted before it is `ready`.

        Raises:
            ConfigError: see `ModelSettings.loaded`.
        """
        return cls(settings.loaded(), settings)

    def ready(self) -> "Scorer":
        """Itself, with the weights in the numbers that the settings want; no adapter can be put on after that."""
        if self.settings.weights == "int8":
            int8.quantise(self.loaded.model)
            self.forget()
        return self

    def plan(self, task: Task) -> Plan:
        """How the task is asked of this model.

        Raises:
            ConfigError: see `kdsl.models.plan.planned`.
        """
        chosen = self.verbalizers.get(task.name)
        return planned(task, self.loaded, self.prompter, self.settings.permutations, chosen)

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
        windows = decoded(items, contents, self.settings.window, self._decoder)
        return self._scored(self.plan(task), items, windows, reuse_prefix=reuse_prefix)

    def score_decoded(self, task: Task, items: Sequence[Item], pictures: Mapping[str, Scaled]) -> Scored:
        """The same as `score` for pictures that are decoded and scaled already."""
        return self._scored(self.plan(task), items, iter([Window(range(len(items)), pictures)]), reuse_prefix=True)

    def score_codes(self, codes: Sequence[Code], items: Sequence[Item], pictures: Mapping[str, Scaled]) -> Scored:
        """Log-probabilities of any codes of one token each, (n, codes), as `score_decoded` gives those of labels.

        Nothing stands before an item.
        """
        asked = Plan(tuple(codes), (tuple(range(len(codes))),), ((),), self.loaded.context)
        return self._scored(asked, items, iter([Window(range(len(items)), pictures)]), reuse_prefix=True)

    def encode(
        self,
        item: Item,
        pictures: Mapping[str, Scaled],
        room: int | None = None,
        told: Mapping[str, tuple[int, ...]] | None = None,
    ) -> Encoded:
        """Tokens of one item, the texts of whose turns are `told` already or not.

        Raises:
            BadRow: see `Prompter.own`.
        """
        return self.prompter.own(item, {name: picture.tokens for name, picture in pictures.items()}, room, told)

    def close(self) -> None:
        """Stop the threads."""
        self._decoder.close()

    def drop(self) -> None:
        """Give the memory of the weights back at once, whoever still holds this; it scores nothing any more."""
        import torch

        self.close()
        self.forget()
        self.loaded.model.to("meta")
        if torch.cuda.is_available():
            torch.cuda.empty_cache()

    def forget(self) -> None:
        """Drop every shared part that was run: the weights have changed."""
        self._prefixes.clear()

    def _scored(self, asked: Plan, items: Sequence[Item], windows: Iterator[Window], *, reuse_prefix: bool) -> Scored:
        import torch

        reuse_prefix = reuse_prefix and self.loaded.prefixes
        scored = Scored(np.full((len(items), len(asked.codes)), np.nan))
        with torch.inference_mode():
            running: list[tuple[tuple[int, ...], Coming]] = []
            repeated = self.repeated(asked) if reuse_prefix else max(map(len, asked.shared))
            for ready in ahead(self._batches(asked, items, windows, scored, repeated)):
                running += self._answers(asked, ready, scored.counts, reuse_prefix)
                while len(running) > 1:  # the last one runs on while the next is given to the model
                    rows, coming = running.pop(0)
                    scored.log_probs[list(rows)] = coming.read()
            for rows, coming in running:
                scored.log_probs[list(rows)] = coming.read()
        for name in (tally.CUT, tally.HALVED):
            tally.add(name, scored.counts[name])
        tally.add(tally.UNSEEN, len(scored.faults))
        return scored

    def repeated(self, asked: Plan) -> int:
        """Shared tokens that every row of a batch takes room for: none where rows are packed. In `inference_mode`."""
        return 0 if self._packs(asked) else max(map(len, asked.shared))

    def _packs(self, asked: Plan) -> bool:
        return asked.trie is None and packed.packs(self.loaded.model)

    def _batches(
        self, asked: Plan, items: Sequence[Item], windows: Iterator[Window], scored: Scored, repeated: int
    ) -> Iterator[Ready]:
        """Every item in one batch, but those that are put among the faults."""
        for window in windows:
            rows: list[int] = []
            encoded: list[Encoded] = []
            told = self.prompter.told(items[at] for at in window.rows)
            for at in window.rows:
                try:
                    encoded.append(self.encode(items[at], window.pictures, asked.room, told))
                    rows.append(at)
                except BadRow as fault:
                    own = [window.bad[one.sha256] for one in items[at].pictures if one.sha256 in window.bad]
                    scored.faults[at] = own[0] if own and not items[at].turns else fault
            scored.counts[tally.CUT] += sum(item.cut for item in encoded)
            lengths = [len(item.ids) for item in encoded]
            for batch in batching.plan(lengths, budget=self.budget, window=len(encoded) or 1, shared=repeated):
                yield self._ready([rows[at] for at in batch], [encoded[at] for at in batch], window.pictures)

    def _ready(self, rows: Sequence[int], items: Sequence[Encoded], pictures: Mapping[str, Scaled]) -> Ready:
        model = self.loaded.model
        batch = collate(items, self.pad)
        names = set(batch.pictures)
        patches = self.pixels.patches({name: pictures[name] for name in names}) if self.pixels else None
        batch = positions.placed(model, batch, patches)
        if patches is not None and model.device.type == "cuda":  # ready to be copied beside other work
            patches = replace(patches, pixels=patches.pixels.pin_memory())
        return Ready(tuple(rows), tuple(items), batch, patches)

    def _answers(
        self, asked: Plan, ready: Ready, counts: "Counter[str]", reuse_prefix: bool
    ) -> list[tuple[tuple[int, ...], Coming]]:
        """Rows and their log-probabilities (rows, labels); where memory runs out, of one half, then of the other."""
        import torch

        try:
            return [(ready.rows, self._forward(asked, ready, counts, reuse_prefix))]
        except torch.OutOfMemoryError:
            if len(ready.rows) == 1:
                raise
        self._prefixes.clear()  # out of the handler: its traceback held the tensors of the batch
        torch.cuda.empty_cache()
        counts[tally.HALVED] += 1
        self.budget = max(1, self.budget // 2)
        return [one for half in self._halves(ready) for one in self._answers(asked, half, counts, reuse_prefix)]

    def _halves(self, ready: Ready) -> Iterator[Ready]:
        middle = len(ready.rows) // 2
        for part in (slice(None, middle), slice(middle, None)):
            items = ready.items[part]
            batch = collate(items, self.pad)
            patches = ready.patches.some(batch.pictures) if ready.patches and batch.pictures else None
            yield Ready(ready.rows[part], items, positions.placed(self.loaded.model, batch, patches), patches)

    def _forward(self, asked: Plan, ready: Ready, counts: "Counter[str]", reuse_prefix: bool) -> Coming:
        import torch

        model, batch = self.loaded.model, ready.batch
        tokens = sight.sent(torch.tensor(asked.tokens), model.device)
        seen = sight.features(model, batch, ready.patches)
        found = []
        for order, shared in zip(asked.orders, asked.shared, strict=True):
            how: dict[str, Any] = {"prefix": self._prefix(shared)} if reuse_prefix else {"shared": shared}
            if asked.trie:
                last, kept = prefix.kept(model, batch, **how, features=seen)
                logits = asked.trie.log_probs(model, last, kept, budget=self.budget)
            else:
                logits = prefix.code_logits(model, batch, tokens, **how, features=seen)
            places = sight.sent(torch.tensor(order), model.device)
            found.append(logits.index_select(1, places).double().log_softmax(1))
        counts["batches"] += 1
        own = int(batch.mask.sum())
        counts["tokens"] += own
        counts["run_tokens"] += own if self._packs(asked) else batch.mask.numel()
        counts["pictures_encoded"] += len(set(batch.pictures))
        # The geometric mean of the permutations, normalised: a bias that adds to a code's logit cancels out.
        return Coming(torch.stack(found).mean(0).log_softmax(1))

    @property
    def pad(self) -> int:
        """A token to fill rows with; the mask hides it."""
        pad = self.loaded.tokenizer.pad_token_id
        return int(pad) if pad is not None else 0

    def _prefix(self, shared: tuple[int, ...]) -> Prefix | None:
        if not shared:
            return None
        if shared not in self._prefixes:
            while len(self._prefixes) >= max(KEPT, self.settings.permutations):
                self._prefixes.pop(next(iter(self._prefixes)))
            self._prefixes[shared] = prefix.run(self.loaded.model, shared)
        return self._prefixes[shared]
