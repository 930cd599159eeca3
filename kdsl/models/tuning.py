"""One post-training as it runs: steps, looks at held-out examples, gradients, and its state to go on from."""

import math
from collections.abc import Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass, replace
from random import Random
from typing import TYPE_CHECKING, Any

import numpy as np

from kdsl.errors import BadRow
from kdsl.metrics import weighted_f1
from kdsl.models import adapter, prefix, progress, sight, verbalizer
from kdsl.models.averaged import Mean
from kdsl.models.batching import Encoded, collate
from kdsl.models.codes import named
from kdsl.models.lessons import Course, Lesson, Shown
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.prepared import prepared
from kdsl.models.progress import State
from kdsl.models.trie import Trie
from kdsl.models.voter import LogProbs

if TYPE_CHECKING:
    import torch

GAIN = 0.01  # share by which the held-out likelihood must grow, where F1 does not, for training to go on
UNREAD = -50.0  # log-probability of a held-out item that does not fit in


@dataclass(frozen=True, slots=True)
class HeldOut:
    """Weighted F1 on held-out examples, the sum of the right labels' log-probabilities, and all of them (n, labels)."""

    score: float
    likelihood: float
    log_probs: LogProbs


class Tuning:
    """A model with a fresh adapter in it, and the courses that it learns from; `lora.post_train` runs it."""

    def __init__(self, scorer: Scorer, lessons: Sequence[Lesson], settings: LoraSettings, seed: int) -> None:
        import torch

        self.scorer, self.settings, self.seed = scorer, settings, seed
        self.courses = [prepared(scorer, lesson, settings, seed) for lesson in lessons]
        if scorer.settings.labels == "none":
            for one in self.courses:
                verbalizer.choose(scorer, one)
        self.identity = progress.identity(scorer.loaded.fingerprint, scorer.settings.shown, lessons, settings, seed)
        model = scorer.loaded.model
        self.wrapped = adapter.wrap(
            model, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout, vision=settings.vision, seed=seed
        )
        self.learned = [value for value in model.parameters() if value.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, lr=settings.rate, weight_decay=0.01)
        self.mean = Mean()
        if settings.checkpointing:
            model.activation_checkpointing_enable()

    def step(self, step: int) -> float:
        """Learn from the examples of one step; returns the mean loss."""
        import torch

        torch.manual_seed(Random(f"{self.seed}/torch/{step}").getrandbits(60))  # noqa: S311 - LoRA's dropout
        self.scorer.loaded.model.train()
        for group in self.optimizer.param_groups:
            group["lr"] = self.settings.rate * _pace(step, self.settings.steps)
        total = 0.0
        self.optimizer.zero_grad(set_to_none=True)
        for part in range(self.settings.accumulate):
            nth = step * self.settings.accumulate + part
            one = self.courses[nth % len(self.courses)]
            loss = self._loss(one, nth // len(self.courses)) / self.settings.accumulate
            loss.backward()  # type: ignore[no-untyped-call]
            total += float(loss.detach())
        torch.nn.utils.clip_grad_norm_(self.learned, 1.0)
        self.optimizer.step()
        if step >= self._averaged_from:
            self.mean.add(self.learned)
        return total

    def look(self, state: State) -> float | None:
        """Held-out weighted F1, mean over the tasks; keeps the best adapter and ends the run after too many misses.

        Where nothing is held out it is None, and the last adapter, or the mean of the last ones, is the best. Equal
        scores: the one with the higher likelihood.
        """
        found = self.held_out()
        score = sum(one.score for one in found.values()) / len(found) if found else 0.0
        likelihood = sum(one.likelihood for one in found.values())
        more = score > state.best_score or likelihood > state.best_likelihood * (1 - GAIN)
        state.misses = 0 if more or not found else state.misses + 1
        if (score, likelihood) > (state.best_score, state.best_likelihood) or not found:
            with nullcontext() if found else self.mean.inside(self.learned):
                state.best, state.best_step = adapter.weights(self.wrapped), state.step
            state.best_score, state.best_likelihood = score, likelihood
        state.ended = state.misses >= self.settings.patience
        return score if found else None

    def held_out(self) -> dict[str, HeldOut]:
        """How the adapter as it stands does on the held-out examples of each task that has some."""
        self.scorer.loaded.model.eval()
        self.scorer.forget()
        found = {}
        for one in self.courses:
            if not one.held_out:
                continue
            scored = self.scorer.score_decoded(one.task, one.held_out, one.pictures)
            said = np.nan_to_num(scored.log_probs, nan=UNREAD)
            names = one.task.label_names
            score = weighted_f1(one.held_gold, [names[int(at)] for at in said.argmax(1)])
            right = sum(float(said[row, names.index(gold)]) for row, gold in enumerate(one.held_gold))
            found[one.task.name] = HeldOut(score, right, scored.log_probs)
        self.scorer.forget()
        return found

    def gradients(self, step: int) -> "dict[str, dict[str, torch.Tensor]]":
        """Gradient of each task's loss on the examples of one step, by weight of the adapter; nothing is learned."""
        self.scorer.loaded.model.eval()
        found = {}
        for one in self.courses:
            self.optimizer.zero_grad(set_to_none=True)
            self._loss(one, step).backward()  # type: ignore[no-untyped-call]
            found[one.task.name] = {
                name: value.grad.detach().float().cpu().clone()
                for name, value in self.wrapped.named_parameters()
                if value.requires_grad and value.grad is not None
            }
        self.optimizer.zero_grad(set_to_none=True)
        return found

    def moments(self) -> "dict[str, torch.Tensor]":
        """The adapter and the optimizer's moments, by name."""
        found = {f"now/{name}": value for name, value in adapter.weights(self.wrapped).items()}
        for at, value in enumerate(self.learned):
            for name, moment in self.optimizer.state[value].items():
                found[f"adam/{at}/{name}"] = moment.detach().cpu().clone()
        return found | self.mean.state()

    def restore(self, state: State) -> None:
        """Go on from a saved state; a fresh one changes nothing, and learns which codes were chosen."""
        chosen, tokenizer = self.scorer.verbalizers, self.scorer.loaded.tokenizer
        # Chosen anew they could differ where two are nearly as good: on a GPU no two runs round alike.
        chosen |= {task: named(tokenizer, texts) for task, texts in state.codes.items()}
        state.codes = {task: [code.text for code in codes] for task, codes in chosen.items()}
        now = {name.removeprefix("now/"): value for name, value in state.moments.items() if name.startswith("now/")}
        if not now:
            return
        adapter.put(self.wrapped, now)
        device = self.scorer.loaded.model.device
        self.mean.restore(state.moments, state.step - self._averaged_from, device)
        for at, value in enumerate(self.learned):
            own = f"adam/{at}/"
            self.optimizer.state[value] = {
                name.removeprefix(own): moment if name.endswith("/step") else moment.to(device)
                for name, moment in state.moments.items()
                if name.startswith(own)
            }
        state.moments = {}

    @property
    def _averaged_from(self) -> int:
        return math.ceil(self.settings.steps * (1 - self.settings.average))

    def close(self) -> None:
        """Merge the adapter that stands in the model now."""
        model = self.scorer.loaded.model
        if self.settings.checkpointing:
            model.activation_checkpointing_disable()
        adapter.merge(self.wrapped)
        for value in model.parameters():
            value.requires_grad_(False)
        self.scorer.forget()

    def _loss(self, one: Course, step: int) -> "torch.Tensor":
        import torch

        model = self.scorer.loaded.model
        drawn = one.draw(self.seed, step, self.settings.rows, self.settings.augment, self.scorer.pixels)
        shared, trie, room = self._asked(one, step)
        told = self.scorer.prompter.told(example.item for example in drawn)
        both = [(example, self._encoded(example, room, told, trie.paths[example.label][:-1])) for example in drawn]
        shown = [example for example, fits in both if fits]
        encoded = [fits for _, fits in both if fits]
        if not shown:
            return torch.zeros((), requires_grad=True)
        batch = collate(encoded, self.scorer.pad)
        pictures = {name: scaled for example in shown for name, scaled in example.pictures.items()}
        wanted = {name: pictures[name] for name in batch.pictures}
        patches = self.scorer.pixels.patches(wanted) if self.scorer.pixels else None
        with torch.set_grad_enabled(self.settings.vision):
            seen = sight.features(model, batch, patches)
        # Recomputed layers keep no key-value cache.
        full = self.settings.checkpointing or not shared or not self.scorer.loaded.prefixes
        how: dict[str, Any] = {"shared": shared} if full else {"prefix": prefix.run(model, shared)}
        labels = [example.label for example in shown]
        if trie.deep:
            return trie.loss(model, prefix.hidden(model, batch, **how, features=seen), labels)
        tokens = torch.tensor([path[0] for path in trie.paths], device=model.device)
        logits = prefix.code_logits(model, batch, tokens, **how, features=seen)
        return torch.nn.functional.cross_entropy(logits, torch.tensor(labels, device=model.device))

    def _asked(self, one: Course, step: int) -> tuple[tuple[int, ...], Trie, int]:
        """The shared tokens of a step, codes in label order, and the room for an item; codes change places or not."""
        plan = self.scorer.plan(one.task)
        dice = Random(f"{self.seed}/codes/{step}")  # noqa: S311 - no secret
        n = len(one.task.labels)
        order: Sequence[int] = plan.orders[step % len(plan.orders)]
        # Where the prompt does not say which code is whose, a label can only learn its own.
        if self.scorer.settings.labels != "none" and dice.random() < self.settings.augment.shuffle_codes:
            order = dice.sample(range(n), n)
        shared = self.scorer.prompter.shared(one.task, plan.codes, order)
        return shared, Trie.of([plan.codes[place] for place in order]), plan.room

    def _encoded(
        self, example: Shown, room: int, told: Mapping[str, tuple[int, ...]], begun: tuple[int, ...]
    ) -> Encoded | None:
        """The item, with the tokens of its code behind it that lead to the last one; None: told so it does not fit."""
        try:
            item = self.scorer.encode(example.item, example.pictures, room, told)
        except BadRow:
            return None
        return replace(item, ids=item.ids + begun, kinds=item.kinds + (0,) * len(begun)) if begun else item


def _pace(step: int, steps: int) -> float:
    """Share of the rate: up over a twentieth of the steps, then down along a cosine to a tenth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
