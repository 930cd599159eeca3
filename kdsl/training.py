"""Learning a release: every voter of every task out of fold, then once on everything, then their fusion.

Voters that are too dear for folds are learned apart (`kdsl.models.apart`), from the start, while the others are fitted.
"""

import logging
from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass, replace
from typing import Any

import numpy as np

from kdsl import inputs
from kdsl.config import FitSettings
from kdsl.dialogue import Item
from kdsl.errors import ConfigError
from kdsl.folds import group_keys
from kdsl.fusion.fusion import Fusion
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.left_out import left_out
from kdsl.fusion.nested import Verdict, refit
from kdsl.inputs import Inputs
from kdsl.learn import hear
from kdsl.models import apart
from kdsl.models.apart import Coming, Order
from kdsl.models.checkpoint import sees
from kdsl.models.lessons import Lesson
from kdsl.models.mllm_settings import MllmSettings
from kdsl.models.mllm_voter import contents_of
from kdsl.models.voter import interrupted, kind
from kdsl.release import Saves
from kdsl.rules.ruleset import RuleSet
from kdsl.taxonomy import Task, Taxonomy

_LOG = logging.getLogger(__name__)
Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Learned:
    """One task: its fitted voters, what they said of examples held out, their fusion, what examples are made of."""

    voters: Mapping[str, Saves]
    held: HeldOut
    fusion: Fusion
    verdict: Verdict
    inputs: Inputs
    ids: tuple[str, ...]
    """All it learned from, those that only teach among them."""
    interrupted: tuple[str, ...] = ()
    """Voters whose learning Ctrl-C ended early, with the best so far."""


def train(
    taxonomy: Taxonomy,
    examples: Mapping[str, Sequence[tuple[Item, str]]],
    settings: FitSettings,
    stage: Stage,
    by_hand: RuleSet | None = None,
    *,
    only_teach: Mapping[str, Collection[str]] | None = None,
    start: apart.Start = apart.in_turn,
) -> dict[str, Learned]:
    """Learn all tasks that have examples, under the rules of people; `stage(name)` is entered around each slow step.

    `start` sees to the voters that are learned apart: by default in this process, one after the other.
    Voters learn from all examples. Those whose ids (by task) are in `only_teach` were picked for doubt: they score
    nothing and calibrate nothing, since the worst rows say nothing of the others.
    """
    lessons = [_lesson(task, examples[task.name], settings) for task in taxonomy.tasks if examples.get(task.name)]
    coming = start([_joined(order, lessons) for lesson in lessons for order in lesson.orders])
    taught = [(lesson, _teach(lesson, settings, stage, by_hand)) for lesson in lessons]
    return {
        lesson.task.name: _fuse(
            lesson, found, settings, stage, coming, only_teach=(only_teach or {}).get(lesson.task.name, ())
        )
        for lesson, found in taught
    }


@dataclass(frozen=True)
class _Lesson:
    task: Task
    items: Sequence[Item]
    gold: Sequence[str]
    groups: Sequence[str]
    orders: Sequence[Order]


@dataclass(frozen=True)
class _Taught:
    voters: Mapping[str, Saves]
    held: HeldOut
    interrupted: tuple[str, ...]


def _lesson(task: Task, examples: Sequence[tuple[Item, str]], settings: FitSettings) -> _Lesson:
    items, gold = [item for item, _ in examples], [label for _, label in examples]
    groups = group_keys(items)
    orders = [
        Order(name, task, items, gold, groups, settings.folds, settings.seed, _options(name, settings))
        for name in settings.voters
        if kind(name).hold_out and _can_see(name, task, settings)
    ]
    return _Lesson(task, items, gold, groups, orders)


def _can_see(name: str, task: Task, settings: FitSettings) -> bool:
    """Whether a voter can look at what the task is asked of; that one cannot is logged."""
    models = [one for one in _models(_options(name, settings)) if one.path]
    if task.asked_of != "image" or all(sees(one.path, allow_download=one.allow_download) for one in models):
        return True
    _LOG.warning(f"{name} reads text alone, and task {task.name!r} is asked of pictures: it takes no part there")
    return False


def _joined(order: Order, lessons: Sequence[_Lesson]) -> Order:
    """With the other tasks' examples, where the voter's adapter is to learn all tasks that it can look at."""
    if not any(one.post_train and one.lora.joint for one in _models(order.options)):
        return order
    theirs = [one for one in lessons if any(its.voter == order.voter for its in one.orders)]
    others = [one for one in theirs if one.task.name != order.task.name]
    return replace(
        order,
        beside=[Lesson(one.task, one.items, one.gold, one.groups, contents_of(one.items)) for one in others],
    )


def _models(options: Mapping[str, Any]) -> list[MllmSettings]:
    """The multimodal models among a voter's options."""
    return [one for one in options.values() if isinstance(one, MllmSettings)]


def _options(name: str, settings: FitSettings) -> dict[str, Any]:
    return {option: getattr(settings, option) for option in kind(name).options}


def _teach(lesson: _Lesson, settings: FitSettings, stage: Stage, by_hand: RuleSet | None) -> _Taught:
    """The voters that are fitted here, and what they said of examples held out."""
    task, items, gold, groups, seed = lesson.task, lesson.items, lesson.gold, lesson.groups, settings.seed
    held = held_out(task.label_names, [item.item_id for item in items], gold, groups, {})
    voters: dict[str, Saves] = {}
    cut: list[str] = []
    for name in settings.voters:
        learner, options = kind(name), _options(name, settings)
        if learner.hold_out:
            continue
        if learner.by_hand:
            options["by_hand"] = by_hand
        with stage(f"learn {task.name}/{name}"):
            heard = hear(learner, task, items, gold, folds=settings.folds, seed=seed, groups=groups, **options)
            held = held.with_voter(name, heard.log_probs, heard.asked, heard.facts)
            voters[name] = voter = learner.fit(task, items, gold, groups, seed=seed, **options)
        if heard.interrupted or interrupted(voter):
            cut.append(name)
    return _Taught(voters, held, tuple(cut))


def _fuse(
    lesson: _Lesson,
    taught: _Taught,
    settings: FitSettings,
    stage: Stage,
    coming: Coming,
    *,
    only_teach: Collection[str],
) -> Learned:
    task, held, voters = lesson.task, taught.held, dict(taught.voters)
    for order in lesson.orders:
        with stage(f"wait for {task.name}/{order.voter}"):
            done = coming[task.name, order.voter]()
        held, voters[order.voter] = held.with_voter(order.voter, done.heard.log_probs, done.heard.asked), done
    names = [name for name in settings.voters if name in voters]
    if not names:
        raise ConfigError(
            f"fit.voters: {', '.join(settings.voters)} given, and none of them can look at the pictures of task "
            f"{task.name!r}; add linear, or a model that sees."
        )
    held = held.only(names)
    made_of = inputs.learn(lesson.items, held.gold, lesson.groups)
    scores = np.array([item.item_id not in only_teach for item in lesson.items], dtype=bool)
    if scores.any():  # else all were picked for doubt, and a score of the worst is better than none
        held, made_of = held.rows(scores), made_of.rows(scores)
    with stage(f"fuse {task.name}"):
        fusion, verdict = refit(held, seed=settings.seed, precision=settings.precision, share=settings.large_share)
        verdict = replace(verdict, left_out=left_out(held, verdict.idle, seed=settings.seed))
    by_name = {name: voters[name] for name in names}
    ids = tuple(item.item_id for item in lesson.items)
    return Learned(by_name, held, fusion, verdict, made_of, ids, taught.interrupted)
