"""LoRA post-training on few examples: the loss is on the code of the right label, exactly what scoring reads.

A step is a function of the seed and its number, and all state is written as safetensors and JSON: a run that was
killed goes on to the same adapter, and on CPU the same seed gives the same adapter.
"""

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING

import numpy as np
from pydantic import BaseModel, ConfigDict, Field

from kdsl.metrics import weighted_f1
from kdsl.models import adapter, prefix, progress
from kdsl.models.adapter import Adapted
from kdsl.models.augment import AugmentSettings
from kdsl.models.batching import Encoded, collate
from kdsl.models.codes import codes
from kdsl.models.lessons import Course, Lesson, Shown, course
from kdsl.models.mllm import Scorer
from kdsl.models.pixels import Decoder, finished
from kdsl.models.progress import State

if TYPE_CHECKING:
    import torch

GAIN = 0.01  # share by which the held-out likelihood must grow, where F1 does not, for training to go on
UNREAD = -50.0  # log-probability of a held-out item that does not fit in


class LoraSettings(BaseModel):
    """How an adapter is trained."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    rank: int = Field(16, ge=1, le=512)
    alpha: int = Field(32, ge=1, le=1_024)
    dropout: float = Field(0.05, ge=0, lt=1)
    vision: bool = Field(False, description="adapt the vision part too")
    rate: float = Field(2e-4, gt=0, le=1, description="learning rate at its height")
    steps: int = Field(200, ge=1, le=1_000_000)
    rows: int = Field(8, ge=1, le=4_096, description="examples of one forward pass")
    accumulate: int = Field(1, ge=1, le=1_024, description="forward passes of one step")
    held_out: float = Field(
        0.2, ge=0, lt=1, description="share of each label's examples kept apart to stop by; 0: none"
    )
    evaluate_every: int = Field(20, ge=1, description="steps between two looks at the held-out examples")
    patience: int = Field(5, ge=1, description="looks without a gain after which training stops")
    save_every: int = Field(20, ge=1, description="steps that a kill can cost")
    checkpointing: bool = Field(False, description="compute activations twice and keep them never: for small GPUs")
    augment: AugmentSettings = Field(default_factory=AugmentSettings)


@dataclass(frozen=True, slots=True)
class Progress:
    """What a run reports: the step, its mean loss, and held-out weighted F1 where it was looked at."""

    step: int
    loss: float
    score: float | None


def post_train(
    scorer: Scorer,
    lessons: Sequence[Lesson],
    settings: LoraSettings,
    *,
    seed: int,
    folder: Path,
    report: Callable[[Progress], None] = lambda _: None,
) -> Adapted:
    """Train one adapter on one task or on several jointly, write it into `folder`, and merge it into the model.

    Args:
        scorer: the loaded base model; it is changed, and scores with the adapter afterwards.
        lessons: one a task; steps take them in turn.
        settings: how.
        seed: of everything drawn.
        folder: gets the adapter; `folder/unfinished` holds the state to go on from, and is removed at the end.
        report: called after each step.

    Returns:
        What was written.

    Raises:
        ConfigError: too few labels have examples, or `folder/unfinished` is of another run.
    """
    run = _Run(scorer, lessons, settings, seed)
    state = progress.latest(folder / "unfinished", run.identity) or State()
    run.restore(state)
    while state.step < settings.steps and not state.ended:
        loss = run.step(state.step)
        state.step += 1
        score = None
        if state.step % settings.evaluate_every == 0 or state.step == settings.steps:
            score = run.look(state)
        report(Progress(state.step, loss, score))
        if state.step % settings.save_every == 0:
            progress.save(folder / "unfinished", run.identity, state, run.moments())
    facts = Adapted(
        base=scorer.loaded.fingerprint,
        tasks={one.task.name: adapter.digest(one.task) for one in lessons},
        rank=settings.rank,
        alpha=settings.alpha,
        vision=settings.vision,
        steps=state.best_step,
        score=round(max(0.0, state.best_score), 6),
    )
    adapter.put(run.wrapped, state.best)
    adapter.save(folder, state.best, facts)
    progress.clear(folder / "unfinished")
    run.close()
    return facts


class _Run:
    """One training run; see `post_train`."""

    def __init__(self, scorer: Scorer, lessons: Sequence[Lesson], settings: LoraSettings, seed: int) -> None:
        import torch

        self.scorer, self.settings, self.seed = scorer, settings, seed
        self.courses = [self._course(lesson) for lesson in lessons]
        self.identity = progress.identity(scorer.loaded.fingerprint, lessons, settings, seed)
        model = scorer.loaded.model
        self.wrapped = adapter.wrap(
            model, rank=settings.rank, alpha=settings.alpha, dropout=settings.dropout, vision=settings.vision, seed=seed
        )
        self.learned = [value for value in model.parameters() if value.requires_grad]
        self.optimizer = torch.optim.AdamW(self.learned, lr=settings.rate, weight_decay=0.01)
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
        return total

    def look(self, state: State) -> float:
        """Held-out weighted F1, mean over the tasks; keeps the best adapter and ends the run after too many misses.

        Where nothing is held out the last adapter is the best. Equal scores: the one with the higher likelihood.
        """
        self.scorer.loaded.model.eval()
        self.scorer.forget()
        scores, likelihoods = [], []
        for one in self.courses:
            if not one.held_out:
                continue
            scored = self.scorer.score_decoded(one.task, one.held_out, one.pictures)
            found = np.nan_to_num(scored.log_probs, nan=UNREAD)
            names = one.task.label_names
            scores.append(weighted_f1(one.held_gold, [names[int(at)] for at in found.argmax(1)]))
            likelihoods.append(sum(found[row, names.index(gold)] for row, gold in enumerate(one.held_gold)))
        self.scorer.forget()
        score = sum(scores) / len(scores) if scores else 0.0
        likelihood = float(sum(likelihoods))
        more = score > state.best_score or likelihood > state.best_likelihood * (1 - GAIN)
        state.misses = 0 if more or not scores else state.misses + 1
        if (score, likelihood) > (state.best_score, state.best_likelihood) or not scores:
            state.best, state.best_step = adapter.weights(self.wrapped), state.step
            state.best_score, state.best_likelihood = score, likelihood
        state.ended = state.misses >= self.settings.patience
        return score

    def moments(self) -> "dict[str, torch.Tensor]":
        """The adapter and the optimizer's moments, by name."""
        found = {f"now/{name}": value for name, value in adapter.weights(self.wrapped).items()}
        for at, value in enumerate(self.learned):
            for name, moment in self.optimizer.state[value].items():
                found[f"adam/{at}/{name}"] = moment.detach().cpu().clone()
        return found

    def restore(self, state: State) -> None:
        """Go on from a saved state; a fresh one changes nothing."""
        now = {name.removeprefix("now/"): value for name, value in state.moments.items() if name.startswith("now/")}
        if not now:
            return
        adapter.put(self.wrapped, now)
        device = self.scorer.loaded.model.device
        for at, value in enumerate(self.learned):
            own = f"adam/{at}/"
            self.optimizer.state[value] = {
                name.removeprefix(own): moment if name.endswith("/step") else moment.to(device)
                for name, moment in state.moments.items()
                if name.startswith(own)
            }
        state.moments = {}

    def close(self) -> None:
        """Merge the adapter that stands in the model now."""
        model = self.scorer.loaded.model
        if self.settings.checkpointing:
            model.activation_checkpointing_disable()
        adapter.merge(self.wrapped)
        for value in model.parameters():
            value.requires_grad_(False)
        self.scorer.forget()

    def _course(self, lesson: Lesson) -> Course:
        decoder = Decoder(self.scorer.pixels, self.scorer.settings.threads)
        names = sorted({picture.sha256 for one in lesson.items for picture in one.pictures})
        pictures, _ = finished(decoder.start(names, lesson.contents))
        decoder.close()
        kept = [at for at, one in enumerate(lesson.items) if one.turns or one.pictures[0].sha256 in pictures]
        readable = Lesson(
            lesson.task,
            [lesson.items[at] for at in kept],
            [lesson.gold[at] for at in kept],
            [lesson.groups[at] for at in kept],
            lesson.contents,
        )
        return course(readable, pictures, share=self.settings.held_out, seed=self.seed)

    def _loss(self, one: Course, step: int) -> "torch.Tensor":
        import torch

        model = self.scorer.loaded.model
        shown = one.draw(self.seed, step, self.settings.rows, self.settings.augment, self.scorer.pixels)
        shared, tokens, room = self._asked(one, step)
        encoded = [self._encoded(example, room) for example in shown]
        batch = collate(encoded, self.scorer.pad, model.device)
        pictures = {name: scaled for example in shown for name, scaled in example.pictures.items()}
        wanted = {name: pictures[name] for name in batch.pictures}
        patches = self.scorer.pixels.patches(wanted) if self.scorer.pixels else {}
        with torch.set_grad_enabled(self.settings.vision):
            seen = prefix.features(model, batch, patches)
        if self.settings.checkpointing or not shared:  # recomputed layers keep no key-value cache
            logits = prefix.code_logits(model, batch, tokens, shared=shared, features=seen)
        else:
            logits = prefix.code_logits(model, batch, tokens, prefix=prefix.run(model, shared), features=seen)
        gold = torch.tensor([example.label for example in shown], device=model.device)
        return torch.nn.functional.cross_entropy(logits, gold)

    def _asked(self, one: Course, step: int) -> "tuple[tuple[int, ...], torch.Tensor, int]":
        """The shared tokens of a step, codes in label order, and the room for an item; codes change places or not."""
        import torch

        plan = self.scorer.plan(one.task)
        dice = Random(f"{self.seed}/codes/{step}")  # noqa: S311 - no secret
        n = len(one.task.labels)
        order: Sequence[int] = plan.orders[step % len(plan.orders)]
        if dice.random() < self.settings.augment.shuffle_codes:
            order = dice.sample(range(n), n)
        known = codes(self.scorer.loaded.tokenizer, n)
        shared = self.scorer.prompter.shared(one.task, known, order)
        tokens = torch.tensor([known[place].token for place in order], device=self.scorer.loaded.model.device)
        return shared, tokens, plan.room

    def _encoded(self, example: Shown, room: int) -> Encoded:
        return self.scorer.encode(example.item, example.pictures, room)


def _pace(step: int, steps: int) -> float:
    """Share of the rate: up over a twentieth of the steps, then down along a cosine to a tenth."""
    warm = max(1, steps // 20)
    if step < warm:
        return (step + 1) / warm
    return 0.1 + 0.9 * 0.5 * (1 + math.cos(math.pi * (step - warm) / max(1, steps - warm)))
