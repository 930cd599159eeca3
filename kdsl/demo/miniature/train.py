"""Training of one miniature on made-up dialogues and screens.

Most steps say what things are: the next token of dialogues, and behind a dialogue or a picture its name, with the
title that stands on a screen. Every few steps ask as `kdsl.models.mllm` does: a list of labels, then a code.
"""

import json
import math
import time
from collections import defaultdict
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from random import Random
from typing import TYPE_CHECKING, Any

from kdsl.demo.chance import dice
from kdsl.demo.miniature import build, corpus
from kdsl.demo.miniature.recipe import MAX_PIXELS, MIN_PIXELS, SEED, Recipe
from kdsl.models import prefix
from kdsl.models.batching import Encoded, collate
from kdsl.models.codes import codes
from kdsl.models.pixels import Pixels, Sizes
from kdsl.models.prompt import Limits, Prompter

if TYPE_CHECKING:
    import torch

    Losses = dict[str, torch.Tensor]

TALKS, SHOTS = 20, 8  # dialogues and pictures of a step
ASKED = 5  # every so many steps, labels are listed and a code is asked
WORDS = 0.3  # weight of the dialogues' words beside the names
WARM = 40  # steps until the rate is at its height
OWN_TOKENS = 200


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the training curve: means since the last, by name: losses, and shares of right labels."""

    step: int
    seconds: float
    means: dict[str, float]


class Trainer:
    """One miniature being trained; every step is a function of the seed and the step's number."""

    def __init__(self, recipe: Recipe, seed: int = SEED) -> None:
        self.recipe, self.seed = recipe, seed
        self.tokenizer = build.tokenizer(corpus.texts(dice(seed, "texts"), 3_000), recipe.shape.vocabulary)
        self.model = build.model(recipe.shape, self.tokenizer, seed)
        self.prompter = Prompter(self.tokenizer, int(self.model.config.image_token_id), Limits(OWN_TOKENS))
        sizes = Sizes(10**8, 10**8, MAX_PIXELS, MIN_PIXELS)
        self.pixels = Pixels(build.processor(self.tokenizer).image_processor, sizes)
        self.codes = codes(self.tokenizer, 26)

    def train(self, steps: int, report: Callable[[Point], None], every: int = 25) -> list[Point]:
        """Run so many steps; `report` gets the curve's points."""
        import torch

        optimizer = self._optimizer()
        self.model.train()
        curve: list[Point] = []
        seen: dict[str, list[float]] = defaultdict(list)
        began = time.monotonic()
        for step in range(steps):
            for group in optimizer.param_groups:
                group["lr"] = self.recipe.rate * _pace(step, steps)
            total, told = self.losses(step)
            optimizer.zero_grad(set_to_none=True)
            total.backward()  # type: ignore[no-untyped-call]
            torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
            optimizer.step()
            for name, value in told.items():
                seen[name].append(value)
            if (step + 1) % every == 0 or step + 1 == steps:
                means = {name: round(sum(values) / len(values), 4) for name, values in seen.items()}
                curve.append(Point(step + 1, round(time.monotonic() - began, 1), means))
                report(curve[-1])
                seen.clear()
        return curve

    def losses(self, step: int) -> "tuple[torch.Tensor, dict[str, float]]":
        """The loss of one step, and what goes into the curve."""
        throw = dice(self.seed, "step", step)
        if step % ASKED == ASKED - 1:
            return self._asked(throw)
        words, talks = self._talks(corpus.talks(throw, TALKS))
        shots = self._shots(corpus.shots(throw, SHOTS))
        told = {"words": words, "names_of_dialogues": talks, "names_of_pictures": shots}
        return WORDS * words + talks + shots, {name: float(value.detach()) for name, value in told.items()}

    def _optimizer(self) -> "torch.optim.Optimizer":
        import torch

        values = list(self.model.parameters())
        groups = [
            {"params": [value for value in values if value.ndim > 1], "weight_decay": 0.05},
            {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0},
        ]
        return torch.optim.AdamW(groups, lr=self.recipe.rate, betas=(0.9, 0.98))

    def _talks(self, made: corpus.Talks) -> "tuple[torch.Tensor, torch.Tensor]":
        """Losses on the words of dialogues, and on their names behind them."""
        items = [self.prompter.own(item, {}) for item in made.items]
        states, ids, named = self._written(items, made.names, None)
        return self._loss(states, ids, ids.ne(self.tokenizer.pad_token_id) & ~named), self._loss(states, ids, named)

    def _shots(self, made: corpus.Shots) -> "torch.Tensor":
        """Loss on the names of pictures and the titles on them."""
        looks, seen = self._looks(made)
        return self._loss(*self._written(looks, made.names, seen))

    def _looks(self, made: corpus.Shots) -> tuple[list[Encoded], prefix.Features | None]:
        scaled = {f"{row:03d}": self.pixels.scale(one.image) for row, one in enumerate(made.shots)}
        looks = [self.prompter.look(name, scaled[name].tokens) for name in scaled]
        batch = collate(looks, self.tokenizer.pad_token_id)
        return looks, prefix.features(self.model, batch, self.pixels.patches(scaled))

    def _written(
        self, items: Sequence[Encoded], texts: Sequence[str], seen: prefix.Features | None
    ) -> "tuple[torch.Tensor, torch.Tensor, torch.Tensor]":
        """Run items with texts written behind them: states, token ids, and which of these are of the texts."""
        import torch

        words = [(*self.tokenizer.encode(text), self.tokenizer.eos_token_id) for text in texts]
        longer = [
            Encoded(item.ids + ids, item.kinds + (0,) * len(ids), item.pictures)
            for item, ids in zip(items, words, strict=True)
        ]
        batch = collate(longer, self.tokenizer.pad_token_id)
        named = torch.zeros_like(batch.ids, dtype=torch.bool)
        for row, ids in enumerate(words):
            named[row, -len(ids) :] = True
        return prefix.hidden(self.model, batch, features=seen), batch.ids, named

    def _loss(self, states: "torch.Tensor", ids: "torch.Tensor", told: "torch.Tensor") -> "torch.Tensor":
        """Mean loss on those of the tokens that are `told`, each read from the state before it."""
        import torch

        chosen = told[:, 1:]
        logits = self.model.get_output_embeddings()(states[:, :-1][chosen])
        return torch.nn.functional.cross_entropy(logits.float(), ids[:, 1:][chosen])

    def _asked(self, throw: Random) -> "tuple[torch.Tensor, dict[str, float]]":
        """Loss on the codes of right labels, behind a list of labels."""
        talks, shots = corpus.ask_talks(throw, TALKS), corpus.ask_shots(throw, SHOTS)
        items = [self.prompter.own(item, {}) for item in talks.items]
        text, text_right = self._coded(throw, talks, items, None)
        looks, seen = self._looks(shots)
        shown, shown_right = self._coded(throw, shots, looks, seen)
        told = {"codes_of_dialogues": float(text.detach()), "codes_of_pictures": float(shown.detach())}
        rights = {"dialogues_right": text_right, "pictures_right": shown_right, "by_chance": 1 / len(talks.task.labels)}
        return text + shown, told | rights

    def _coded(
        self, throw: Random, made: "corpus.Talks | corpus.Shots", items: Sequence[Encoded], seen: prefix.Features | None
    ) -> "tuple[torch.Tensor, float]":
        import torch

        n = len(made.task.labels)
        order = throw.sample(range(n), n)
        shared = prefix.run(self.model, self.prompter.shared(made.task, self.codes[:n], order))
        tokens = torch.tensor([self.codes[place].token for place in order])
        batch = collate(items, self.tokenizer.pad_token_id)
        logits = prefix.code_logits(self.model, batch, tokens, prefix=shared, features=seen)
        gold = torch.tensor(made.labels)
        right = float((logits.argmax(1) == gold).float().mean())
        return torch.nn.functional.cross_entropy(logits, gold), right


def make(
    recipe: Recipe, folder: Path, report: Callable[[Point], None], *, seed: int = SEED, steps: int | None = None
) -> list[Point]:
    """Train one miniature and write it with its curve under `folder`."""
    trainer = Trainer(recipe, seed)
    curve = trainer.train(steps or recipe.steps, report)
    build.save(folder, trainer.model, trainer.tokenizer)
    told: dict[str, Any] = {"recipe": asdict(recipe), "seed": seed, "curve": [asdict(point) for point in curve]}
    (folder / "training.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    return curve


def _pace(step: int, steps: int) -> float:
    """Share of the rate: up over the first steps, then down along a cosine to a twentieth."""
    if step < WARM:
        return (step + 1) / WARM
    return 0.05 + 0.95 * 0.5 * (1 + math.cos(math.pi * (step - WARM) / max(1, steps - WARM)))
