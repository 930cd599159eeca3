"""The see-saw: does one adapter for all tasks cost what one adapter a task does not?

From the same base model, with the same seed, examples and steps a task, adapters are trained jointly and one a task.
At every look: held-out weighted F1 of each task, and the conflict of the tasks, the cosine of their gradients by layer.
At the end: the cosine of what training added to the weights. All for several seeds, since one run proves nothing.
"""

import math
import re
import statistics
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

from kdsl.errors import ConfigError
from kdsl.models import adapter
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.tuning import Tuning

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

JOINT = "joint"
# Student's t, 97.5 %, for 2, 3, ... seeds; more seeds than listed: the normal distribution is near enough.
_T = (12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262)
_LAYER = re.compile(r"\.(?:layers|blocks)\.(\d+)\.")


@dataclass(frozen=True, slots=True)
class Look:
    """Held-out weighted F1 of one task at a step of one run; `adapter` is "joint" or the task's own name."""

    seed: int
    adapter: str
    task: str
    step: int
    score: float


@dataclass(frozen=True, slots=True)
class Conflict:
    """Cosine of two tasks' directions in one layer; below 0 what one task learns undoes the other.

    `of` is "gradient" (at a step of the joint run) or "update" (of the two one-task adapters, at the end).
    """

    seed: int
    of: str
    tasks: tuple[str, str]
    layer: str
    step: int
    cosine: float


@dataclass(frozen=True)
class SeeSaw:
    """Everything that was measured. Steps count what one task has seen, in the joint run too."""

    tasks: tuple[str, ...]
    seeds: tuple[int, ...]
    looks: tuple[Look, ...]
    conflicts: tuple[Conflict, ...]

    def gain(self, task: str) -> dict[str, float]:
        """Weighted F1 at the last step, own adapter less joint one: mean over seeds with its 95 % interval."""
        last = {(look.seed, look.adapter): look.score for look in self.looks if look.task == task}
        return interval([last[seed, task] - last[seed, JOINT] for seed in self.seeds])

    def mean_cosine(self, of: str) -> dict[str, float]:
        """The cosine, mean over layers and steps of a seed, then over seeds with its 95 % interval."""
        by_seed = {
            seed: [one.cosine for one in self.conflicts if one.seed == seed and one.of == of] for seed in self.seeds
        }
        return interval([statistics.fmean(found) for found in by_seed.values() if found])

    def verdict(self) -> str:
        """One sentence: which tasks lose by sharing, or that no see-saw shows."""
        losing = [task for task in self.tasks if self.gain(task)["low"] > 0]
        gaining = [task for task in self.tasks if self.gain(task)["high"] < 0]
        if not losing:
            return (
                f"No see-saw shows: over {len(self.seeds)} seeds no task is surely better with an adapter of its own."
            )
        better = f", while {', '.join(gaining)} gains" if gaining else ""
        return f"Sharing one adapter costs {', '.join(losing)}{better}."


def measure(
    load: Callable[[], Scorer],
    lessons: Sequence[Lesson],
    settings: LoraSettings,
    seeds: Iterable[int],
    report: Callable[[Look], None] = lambda _: None,
) -> SeeSaw:
    """Train and look; every run begins with a model fresh from `load`.

    Args:
        load: gives the base model.
        lessons: one a task, two at least, with examples enough to hold some out.
        settings: steps are those that each task gets; early stopping is off, so that budgets are equal.
        seeds: of everything drawn.
        report: gets every look as it is taken.

    Raises:
        ValueError: fewer than two tasks, or nothing is held out.
        ConfigError: too few labels have examples, or too few examples to hold some out.
    """
    if len(lessons) < 2 or settings.held_out <= 0:
        raise ValueError(f"a see-saw needs two tasks and held-out examples; {len(lessons)} tasks, {settings.held_out}")
    looks: list[Look] = []
    conflicts: list[Conflict] = []
    tasks = tuple(lesson.task.name for lesson in lessons)

    def note(look: Look) -> None:
        looks.append(look)
        report(look)

    used = tuple(seeds)
    for seed in used:
        run = Tuning(load(), lessons, settings, seed)
        for one in run.courses:
            if not one.held_out:
                raise ConfigError(
                    f"seesaw: task {one.task.name!r} has too few examples to hold out {settings.held_out:g} of each "
                    "label's; ingest more of them, or raise lora.held_out of the model."
                )
        for step, score in _steps(run, settings, len(lessons)):
            for task, value in score.items():
                note(Look(seed, JOINT, task, step, value))
            for layer, pair, cosine in _cosines(run.gradients(step)):
                conflicts.append(Conflict(seed, "gradient", pair, layer, step, cosine))
        updates = {}
        for lesson in lessons:
            run = Tuning(load(), [lesson], settings, seed)
            for step, score in _steps(run, settings, 1):
                note(Look(seed, lesson.task.name, lesson.task.name, step, score[lesson.task.name]))
            updates[lesson.task.name] = adapter.weights(run.wrapped)
        for layer, pair, cosine in _update_cosines(updates):
            conflicts.append(Conflict(seed, "update", pair, layer, settings.steps, cosine))
    return SeeSaw(tasks, used, tuple(looks), tuple(conflicts))


def interval(values: Sequence[float]) -> dict[str, float]:
    """Mean of some seeds' values and its 95 % interval by Student's t; one value alone has no bounds (infinite)."""
    mean = statistics.fmean(values)
    if len(values) < 2:
        return {"value": mean, "low": -math.inf, "high": math.inf, "n": 1}
    t = _T[len(values) - 2] if len(values) - 2 < len(_T) else 1.96
    half = t * statistics.stdev(values) / math.sqrt(len(values))
    return {"value": mean, "low": mean - half, "high": mean + half, "n": len(values)}


def _steps(run: Tuning, settings: LoraSettings, tasks: int) -> Iterable[tuple[int, dict[str, float]]]:
    """Train; at every look the step, as one task counts it, and the held-out scores."""
    for step in range(settings.steps):
        for turn in range(tasks):
            run.step(step * tasks + turn)
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            yield step + 1, {task: found.score for task, found in run.held_out().items()}


def _cosines(by_task: Mapping[str, "Tensors"]) -> Iterable[tuple[str, tuple[str, str], float]]:
    for one, other in _pairs(by_task):
        dots: dict[str, list[float]] = {}
        for name in sorted(set(by_task[one]) & set(by_task[other])):
            a, b = by_task[one][name], by_task[other][name]
            _add(dots, name, (float((a * b).sum()), float((a * a).sum()), float((b * b).sum())))
        yield from _finished(dots, (one, other))


def _update_cosines(by_task: Mapping[str, "Tensors"]) -> Iterable[tuple[str, tuple[str, str], float]]:
    """Cosines of the products B A that adapters add to weights."""
    for one, other in _pairs(by_task):
        dots: dict[str, list[float]] = {}
        for name in sorted(by_task[one]):
            if "lora_A" not in name:
                continue
            first, second = (
                (by_task[task][name].float(), by_task[task][name.replace("lora_A", "lora_B")].float())
                for task in (one, other)
            )
            _add(dots, name, (_inner(first, second), _inner(first, first), _inner(second, second)))
        yield from _finished(dots, (one, other))


def _inner(one: "tuple[torch.Tensor, torch.Tensor]", other: "tuple[torch.Tensor, torch.Tensor]") -> float:
    """<B A, D C> for (A, B) and (C, D) as the sum over (A C') * (B' D): the products are never made."""
    (a, b), (c, d) = one, other
    return float(((a @ c.T) * (b.T @ d)).sum())


def _add(dots: dict[str, list[float]], name: str, parts: tuple[float, float, float]) -> None:
    found = _LAYER.search(name)
    part = "vision" if ".visual." in name else "language"
    key = f"{part} {int(found[1]):02d}" if found else part
    held = dots.setdefault(key, [0.0, 0.0, 0.0])
    for at, value in enumerate(parts):
        held[at] += value


def _finished(
    dots: Mapping[str, Sequence[float]], pair: tuple[str, str]
) -> Iterable[tuple[str, tuple[str, str], float]]:
    for layer, (both, one, other) in sorted(dots.items()):
        if one > 0 and other > 0:
            yield layer, pair, both / math.sqrt(one * other)


def _pairs(names: Iterable[str]) -> list[tuple[str, str]]:
    known = list(names)
    return [(one, other) for at, one in enumerate(known) for other in known[at + 1 :]]
