"""What rules give back behind an adapter: they learn what it learned, and both answer what was held out of both."""

from collections.abc import Mapping
from dataclasses import dataclass, replace

from kdsl.folds import group_keys
from kdsl.fusion.answered import answers
from kdsl.fusion.facts import none
from kdsl.fusion.held_out import held_out
from kdsl.metrics import weighted_f1
from kdsl.models import rule_fit
from kdsl.models.lessons import Course
from kdsl.models.voter import LogProbs

RULES, ADAPTER = "rules", "adapter"
NO_ANSWER = "(no answer)"


@dataclass(frozen=True, slots=True)
class Pooled:
    """Weighted F1 on the held-out examples of an adapter alone, calibrated as in the pool, and pooled with rules."""

    alone: float
    with_rules: float


def beside(course: Course, said: Mapping[str, LogProbs], *, seed: int, budget: int) -> dict[str, Pooled]:
    """What each adapter reads alone and with rules; both calibrated alike, so that their difference is the rules'.

    Calibrations and weights of the pool are cross-fitted on the held-out examples: a row has no part in its own answer.

    Args:
        course: what the adapters learned from, and what was held out of it.
        said: by adapter its log-probabilities of the held-out examples, (held out, labels).
        seed: of search and folds.
        budget: steps of the search for rules, a label.
    """
    names = course.task.label_names
    taught = [(item, names[label]) for label, items in sorted(course.by_label.items()) for item in items]
    items, gold = [item for item, _ in taught], [label for _, label in taught]
    rules = rule_fit.fit(course.task, items, gold, group_keys(items), seed=seed, rules_budget=budget)
    asked = course.held_out
    votes, facts = rules.log_probs(asked), rules.facts(asked)
    ids, groups = [item.item_id for item in asked], group_keys(asked)
    found = {}
    for adapter, log_probs in said.items():
        held = held_out(names, ids, course.held_gold, groups, {ADAPTER: log_probs, RULES: votes}, facts=facts)
        alone = replace(held.only([ADAPTER]), facts=none())
        found[adapter] = Pooled(*(_score(course, answers(one, seed=seed).label.tolist()) for one in (alone, held)))
    return found


def _score(course: Course, label: list[int]) -> float:
    names = course.task.label_names
    return weighted_f1(course.held_gold, [names[at] if at >= 0 else NO_ANSWER for at in label])
