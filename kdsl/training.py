"""Learning a release: every voter of every task out of fold, then once on everything, then their fusion."""

from collections.abc import Callable, Collection, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

import numpy as np

from kdsl import inputs
from kdsl.config import FitSettings
from kdsl.dialogue import Item
from kdsl.folds import group_keys
from kdsl.fusion.fusion import Fusion
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.nested import Verdict, refit
from kdsl.inputs import Inputs
from kdsl.learn import hear
from kdsl.models.voter import Voter, kind
from kdsl.rules.ruleset import RuleSet
from kdsl.taxonomy import Task, Taxonomy

Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Learned:
    """One task: its fitted voters, what they said of examples held out, their fusion, what examples are made of."""

    voters: Mapping[str, Voter]
    held: HeldOut
    fusion: Fusion
    verdict: Verdict
    inputs: Inputs
    ids: tuple[str, ...]
    """All it learned from, those that only teach among them."""


def train(
    taxonomy: Taxonomy,
    examples: Mapping[str, Sequence[tuple[Item, str]]],
    settings: FitSettings,
    stage: Stage,
    by_hand: RuleSet | None = None,
    *,
    only_teach: Mapping[str, Collection[str]] | None = None,
) -> dict[str, Learned]:
    """Learn all tasks that have examples, under the rules of people; `stage(name)` is entered around each slow step.

    Voters learn from all examples. Those whose ids (by task) are in `only_teach` were picked for doubt: they score
    nothing and calibrate nothing, since the worst rows say nothing of the others.
    """
    return {
        task.name: _train(
            task, examples[task.name], settings, stage, by_hand, only_teach=(only_teach or {}).get(task.name, ())
        )
        for task in taxonomy.tasks
        if examples.get(task.name)
    }


def _train(
    task: Task,
    examples: Sequence[tuple[Item, str]],
    settings: FitSettings,
    stage: Stage,
    by_hand: RuleSet | None,
    *,
    only_teach: Collection[str],
) -> Learned:
    items = [item for item, _ in examples]
    gold = [label for _, label in examples]
    groups = group_keys(items)
    voters: dict[str, Voter] = {}
    held = held_out(task.label_names, [item.item_id for item in items], gold, groups, {})
    for name in settings.voters:
        learner, seed = kind(name), settings.seed
        options: dict[str, Any] = {option: getattr(settings, option) for option in learner.options}
        if learner.by_hand:
            options["by_hand"] = by_hand
        with stage(f"learn {task.name}/{name}"):
            heard = hear(learner, task, items, gold, folds=settings.folds, seed=seed, groups=groups, **options)
            held = held.with_voter(name, heard.log_probs, heard.asked, heard.facts)
            voters[name] = learner.fit(task, items, gold, groups, seed=seed, **options)
    made_of = inputs.learn(items, held.gold, groups)
    scores = np.array([item.item_id not in only_teach for item in items], dtype=bool)
    if scores.any():  # else all were picked for doubt, and a score of the worst is better than none
        held, made_of = held.rows(scores), made_of.rows(scores)
    with stage(f"fuse {task.name}"):
        fusion, verdict = refit(held, seed=settings.seed, precision=settings.precision, share=settings.large_share)
    return Learned(voters, held, fusion, verdict, made_of, tuple(item.item_id for item in items))
