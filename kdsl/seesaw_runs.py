"""The runs behind a see-saw: adapters trained jointly and one a task, with what is measured on the way.

From the same base model, with the same seed, examples and steps a task. At every look: held-out weighted F1 of each
task, and the cosine of the tasks' gradients by layer. At the end: the cosine of what training added to the weights, and
what each task reads with rules beside its adapter.
"""

import logging
import math
import re
from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import TYPE_CHECKING

from kdsl import seesaw_rules
from kdsl.errors import ConfigError
from kdsl.models import adapter
from kdsl.models.lessons import Lesson
from kdsl.models.mllm import Scorer
from kdsl.models.mllm_settings import LoraSettings
from kdsl.models.tuning import HeldOut, Tuning
from kdsl.models.voter import LogProbs
from kdsl.rules.learn import BUDGET
from kdsl.seesaw import JOINT, Conflict, Look, SeeSaw

if TYPE_CHECKING:
    import torch

    Tensors = Mapping[str, torch.Tensor]

_LOG = logging.getLogger(__name__)
_LAYER = re.compile(r"\.(?:layers|blocks)\.(\d+)\.")


def measure(
    load: Callable[[], Scorer],
    lessons: Sequence[Lesson],
    settings: LoraSettings,
    seeds: Iterable[int],
    *,
    voter: str = "",
    rules_budget: int = BUDGET,
) -> SeeSaw:
    """Train and look; every run begins with a model fresh from `load`. Every look is logged as it is taken.

    Args:
        load: gives the base model.
        lessons: one a task, two at least, with examples enough to hold some out.
        settings: steps are those that each task gets; early stopping is off, so that budgets are equal.
        seeds: of everything drawn.
        voter: whose base model it is.
        rules_budget: steps of the search for rules, a label.

    Raises:
        ValueError: fewer than two tasks, or nothing is held out.
        ConfigError: too few labels have examples, or too few examples to hold some out.
    """
    if len(lessons) < 2 or settings.held_out <= 0:
        raise ValueError(f"a see-saw needs two tasks and held-out examples; {len(lessons)} tasks, {settings.held_out}")
    looks: list[Look] = []
    alone: list[Look] = []
    with_rules: list[Look] = []
    conflicts: list[Conflict] = []
    tasks = tuple(lesson.task.name for lesson in lessons)

    def note(look: Look) -> None:
        looks.append(look)
        at = f"seed {look.seed}, {look.adapter} adapter, step {look.step}"
        _LOG.info(f"{at}: held-out weighted F1 of {look.task} {look.score:.3f}")

    used = tuple(seeds)
    # The pace goes down over all steps of a run, and the joint one has those of every task.
    jointly = settings.model_copy(update={"steps": settings.steps * len(lessons)})
    for seed in used:
        run = Tuning(load(), lessons, jointly, seed)
        for course in run.courses:
            if not course.held_out:
                raise ConfigError(
                    f"seesaw: task {course.task.name!r} has too few examples to hold out {settings.held_out:g} of each "
                    "label's; ingest more of them, or raise lora.held_out of the model."
                )
        said: dict[str, dict[str, LogProbs]] = {task: {} for task in tasks}
        for step, found in _steps(run, settings, len(lessons)):
            for task, one in found.items():
                note(Look(seed, JOINT, task, step, one.score))
                said[task][JOINT] = one.log_probs
            for layer, pair, cosine in _cosines(run.gradients(step)):
                conflicts.append(Conflict(seed, "gradient", pair, layer, step, cosine))
        run.scorer.drop()  # a GPU has room for one model that learns
        updates = {}
        for task, lesson in zip(tasks, lessons, strict=True):
            run = Tuning(load(), [lesson], settings, seed)
            for step, found in _steps(run, settings, 1):
                note(Look(seed, task, task, step, found[task].score))
                said[task][task] = found[task].log_probs
            updates[task] = adapter.weights(run.wrapped)
            run.scorer.drop()
            pooled = seesaw_rules.beside(run.courses[0], said[task], seed=seed, budget=rules_budget)
            for name, both in pooled.items():
                alone.append(Look(seed, name, task, settings.steps, both.alone))
                with_rules.append(Look(seed, name, task, settings.steps, both.with_rules))
        for layer, pair, cosine in _update_cosines(updates):
            conflicts.append(Conflict(seed, "update", pair, layer, settings.steps, cosine))
    return SeeSaw(tasks, used, tuple(looks), tuple(conflicts), voter, tuple(with_rules), tuple(alone))


def _steps(run: Tuning, settings: LoraSettings, tasks: int) -> Iterable[tuple[int, dict[str, HeldOut]]]:
    """Train; at every look the step, as one task counts it, and how the held-out examples are read."""
    for step in range(settings.steps):
        for turn in range(tasks):
            run.step(step * tasks + turn)
        if (step + 1) % settings.evaluate_every == 0 or step + 1 == settings.steps:
            yield step + 1, run.held_out()


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
