"""Training of one miniature on made-up dialogues and screens: what each is, by one token, read where labels are read.

Much is asked of little: of a dialogue its wish, and its words by the way; of a picture its kind, and behind each of its
tokens the block of the screen that is there. The codes of wishes and kinds are those that labels get later.
"""

import json
import math
import sys
import time
from collections import defaultdict
from collections.abc import Callable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from kdsl.demo.chance import dice
from kdsl.demo.miniature import beside, build, corpus
from kdsl.demo.miniature.corpus import Made
from kdsl.demo.miniature.recipe import MAX_PIXELS, MIN_PIXELS, RECIPES, SEED, Recipe
from kdsl.demo.miniature.screens import kinds
from kdsl.demo.miniature.wishes import wishes
from kdsl.models import head, prefix, progress, sight
from kdsl.models.batching import collate
from kdsl.models.codes import codes
from kdsl.models.pixels import Pixels, Sizes
from kdsl.models.progress import State
from kdsl.models.prompt import Limits, Prompter

if TYPE_CHECKING:
    import torch

WORDS = 0.2  # weight of the dialogues' words beside their wishes
WARM = 20  # steps until the rate is at its height
OWN_TOKENS = 200
SAVED_EVERY = 25  # steps that a kill can cost


@dataclass(frozen=True, slots=True)
class Point:
    """One point of the training curve: means since the last, by name: losses, and shares of right answers.

    `seconds` are those of the processor since the start, or since the last kill, without those of drawing.
    """

    step: int
    seconds: float
    means: dict[str, float]


class Trainer:
    """One miniature being trained; every step is a function of the seed and the step's number."""

    def __init__(self, recipe: Recipe, seed: int = SEED) -> None:
        import torch

        self.recipe, self.seed = recipe, seed
        self.tokenizer = build.tokenizer(corpus.texts(dice(seed, "texts"), 3_000), recipe.shape.vocabulary)
        self.model = build.model(recipe.shape, self.tokenizer, seed)
        self.prompter = Prompter(self.tokenizer, int(self.model.config.image_token_id), Limits(OWN_TOKENS))
        sizes = Sizes(10**8, 10**8, MAX_PIXELS, MIN_PIXELS)
        self.pixels = Pixels(build.processor(self.tokenizer).image_processor, sizes)
        names = len(wishes())
        known = torch.tensor([code.token for code in codes(self.tokenizer, names + len(corpus.BLOCK_NAMES))])
        self.wishes, self.kinds, self.blocks = known[:names], known[: len(kinds())], known[names:]
        values = list(self.model.parameters())
        groups = [
            {"params": [value for value in values if value.ndim > 1], "weight_decay": 0.05},
            {"params": [value for value in values if value.ndim < 2], "weight_decay": 0.0},
        ]
        self.optimizer = torch.optim.AdamW(groups, lr=recipe.rate, betas=(0.9, 0.98))

    def train(self, steps: int, report: Callable[[Point], None], every: int = 25, kept: Path | None = None) -> None:
        """Run so many steps in all; `report` gets the curve's points, `kept` holds the state to go on from."""
        import torch

        whose = f"{self.recipe} seed {self.seed} steps {steps}"
        state = (progress.latest(kept, whose) if kept else None) or State()
        self._restore(state)
        self.model.train()
        seen: dict[str, list[float]] = defaultdict(list)
        began = time.process_time()
        left = range(state.step, steps)
        with beside.drawn(self.recipe, self.seed, left) as coming:
            for step, made in zip(left, coming, strict=True):
                for group in self.optimizer.param_groups:
                    group["lr"] = self.recipe.rate * _pace(step, steps)
                total, told = self.losses(made)
                self.optimizer.zero_grad(set_to_none=True)
                total.backward()  # type: ignore[no-untyped-call]
                torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
                self.optimizer.step()
                for name, value in told.items():
                    seen[name].append(value)
                if (step + 1) % every == 0 or step + 1 == steps:
                    means = {name: round(sum(values) / len(values), 4) for name, values in seen.items()}
                    report(Point(step + 1, round(time.process_time() - began, 1), means))
                    seen.clear()
                if kept and (step + 1) % SAVED_EVERY == 0:
                    progress.save(kept, whose, State(step=step + 1), self._state())

    def losses(self, made: Made) -> "tuple[torch.Tensor, dict[str, float]]":
        """The loss of one step, and what goes into the curve."""
        words, wish, wishes_right = self._talks(made.talks)
        kind, block, kinds_right, blocks_right = self._shots(made.shots)
        told = {"words": words, "wishes": wish, "kinds": kind, "blocks": block}
        rights = {"wishes_right": wishes_right, "kinds_right": kinds_right, "blocks_right": blocks_right}
        return WORDS * words + wish + kind + block, {name: float(x.detach()) for name, x in told.items()} | rights

    def _talks(self, made: corpus.Talks) -> "tuple[torch.Tensor, torch.Tensor, float]":
        """Losses on the words of dialogues and on their wishes, and the share of right wishes."""
        import torch

        batch = collate([self.prompter.own(item, {}) for item in made.items], self.tokenizer.pad_token_id)
        states = prefix.hidden(self.model, batch)
        told = batch.mask[:, 1:].bool()
        logits = self.model.get_output_embeddings()(states[:, :-1][told])
        words = torch.nn.functional.cross_entropy(logits.float(), batch.ids[:, 1:][told])
        return words, *self._said(states[:, -1], self.wishes, made.wishes)

    def _shots(self, made: corpus.Shots) -> "tuple[torch.Tensor, torch.Tensor, float, float]":
        """Losses on the kinds of pictures and on the blocks in them, and the shares of right ones."""
        scaled = {f"{row:03d}": self.pixels.scale(one.image) for row, one in enumerate(made.shots)}
        looks = [self.prompter.look(name, scaled[name].tokens) for name in scaled]
        batch = collate(looks, self.tokenizer.pad_token_id)
        features = sight.features(self.model, batch, self.pixels.patches(scaled))
        states = prefix.hidden(self.model, batch, features=features)
        kind, kinds_right = self._said(states[:, -1], self.kinds, made.kinds)
        there: list[int] = []
        for one, picture in zip(made.shots, scaled.values(), strict=True):
            rows = picture.image.height // self.pixels.unit
            there += [place for place in corpus.blocks(one, rows) for _ in range(picture.tokens // rows)]
        block, blocks_right = self._said(states[batch.kinds.bool()], self.blocks, there)
        return kind, block, kinds_right, blocks_right

    def _said(
        self, states: "torch.Tensor", tokens: "torch.Tensor", right: "list[int] | tuple[int, ...]"
    ) -> "tuple[torch.Tensor, float]":
        """Loss on the right one of the tokens behind each state, and the share of states that prefer it."""
        import torch

        logits, gold = head.over(self.model, states, tokens), torch.tensor(right)
        return torch.nn.functional.cross_entropy(logits, gold), float((logits.argmax(1) == gold).float().mean())

    def _state(self) -> "dict[str, torch.Tensor]":
        """Weights and the optimizer's moments, by name."""
        found = {f"now/{name}": value.detach().clone() for name, value in self.model.named_parameters()}
        for name, value in self.model.named_parameters():
            for moment, held in self.optimizer.state[value].items():
                found[f"adam/{moment}/{name}"] = held.detach().clone()
        return found

    def _restore(self, state: State) -> None:
        for name, value in self.model.named_parameters():
            if f"now/{name}" in state.moments:
                value.data.copy_(state.moments[f"now/{name}"])
                self.optimizer.state[value] = {
                    moment: state.moments[f"adam/{moment}/{name}"] for moment in ("step", "exp_avg", "exp_avg_sq")
                }


def make(
    recipe: Recipe, folder: Path, report: Callable[[Point], None], *, seed: int = SEED, steps: int | None = None
) -> None:
    """Train one miniature and write it with its curve under `folder`; after a kill the same call goes on."""
    trainer = Trainer(recipe, seed)
    kept = folder / "unfinished"
    curve = folder / "curve.jsonl"
    folder.mkdir(parents=True, exist_ok=True)

    def note(point: Point) -> None:
        with curve.open("a", encoding="utf-8") as stream:
            stream.write(json.dumps(asdict(point)) + "\n")
        report(point)

    trainer.train(steps or recipe.steps, note, kept=kept)
    build.save(folder, trainer.model, trainer.tokenizer)
    points = {one["step"]: one for one in map(json.loads, curve.read_text(encoding="utf-8").splitlines())}
    told: dict[str, Any] = {"recipe": asdict(recipe), "seed": seed, "curve": [points[step] for step in sorted(points)]}
    (folder / "training.json").write_text(json.dumps(told, indent=1) + "\n", encoding="utf-8")
    curve.unlink()
    progress.clear(kept)


def make_told(name: str, into: Path, seed: int, steps: int | None) -> None:
    """Train the miniature of that name in a process of its own, and say how it goes."""

    def say(point: Point) -> None:
        means = ", ".join(f"{key} {value:.3f}" for key, value in point.means.items())
        sys.stdout.write(f"{name}: step {point.step:>5}, {point.seconds:6.0f} s, {means}\n")
        sys.stdout.flush()

    make(RECIPES[name], into / name, say, seed=seed, steps=steps)
    sys.stdout.write(f"{name}: written to {into / name}\n")


def _pace(step: int, steps: int) -> float:
    """Share of the rate: up over the first steps, then down along a cosine to a thirtieth."""
    if step < WARM:
        return (step + 1) / WARM
    return 0.03 + 0.97 * 0.5 * (1 + math.cos(math.pi * (step - WARM) / max(1, steps - WARM)))
