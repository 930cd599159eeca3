"""Learning a release: every voter of every task out of fold for its score, then once on everything."""

from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager
from dataclasses import dataclass

from kdsl import metrics
from kdsl.config import FitSettings
from kdsl.dialogue import Item
from kdsl.folds import group_keys
from kdsl.fusion import decide
from kdsl.learn import out_of_fold
from kdsl.metrics import Estimate
from kdsl.models.voter import LogProbs, Voter, kind
from kdsl.release import Score
from kdsl.taxonomy import Task, Taxonomy

Stage = Callable[[str], AbstractContextManager[None]]


@dataclass(frozen=True)
class Trained:
    """Fitted voters and their held-out scores, each by task and voter, and the ids learned from, by task."""

    voters: Mapping[str, Mapping[str, Voter]]
    scores: Mapping[str, Mapping[str, Score]]
    learned: Mapping[str, list[str]]


def train(
    taxonomy: Taxonomy, examples: Mapping[str, Sequence[tuple[Item, str]]], settings: FitSettings, stage: Stage
) -> Trained:
    """Learn all tasks that have examples; `stage(name)` is entered around each slow step.

    Scores are weighted F1 on out-of-fold predictions with their bootstrap interval; "fused" is what the pool says.
    """
    voters: dict[str, dict[str, Voter]] = {}
    scores: dict[str, dict[str, Score]] = {}
    for task in taxonomy.tasks:
        if not examples.get(task.name):
            continue
        items = [item for item, _ in examples[task.name]]
        gold = [label for _, label in examples[task.name]]
        groups = group_keys(items)
        said: dict[str, LogProbs] = {}
        voters[task.name] = {}
        for name in settings.voters:
            learner, seed = kind(name), settings.seed
            options = {option: getattr(settings, option) for option in learner.options}
            with stage(f"learn {task.name}/{name}"):
                folds = settings.folds
                said[name] = out_of_fold(learner, task, items, gold, folds=folds, seed=seed, groups=groups, **options)
                voters[task.name][name] = learner.fit(task, items, gold, groups, seed=seed, **options)
        scores[task.name] = {name: _score(task, gold, {name: said[name]}) for name in said}
        scores[task.name]["fused"] = _score(task, gold, said)
    learned = {task: sorted(item.item_id for item, _ in examples[task]) for task in voters}
    return Trained(voters, scores, learned)


def _score(task: Task, gold: Sequence[str], said: Mapping[str, LogProbs]) -> Score:
    predicted = [decision.label for decision in decide(task.label_names, said)]
    figure: Estimate = metrics.estimate(metrics.confusion(gold, predicted))
    return Score(value=figure.value, low=figure.low, high=figure.high, n=figure.n)
