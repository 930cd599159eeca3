"""The frozen record of a search: every candidate with its parent, its scores by example, and what it cost."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kdsl.rules.examples import rows_of
from kdsl.rules.rule import Rule


@dataclass(frozen=True, slots=True)
class Candidate:
    """A rule that the search met.

    `judged` is the mask of the rows it fired on and did not grow on, in the order of the examples that it was learned
    from; `right` counts those of its label. `parent` is the id of the rule one action before (empty: the start),
    `action` the step from there, `budget` the iterations spent when it was met, `fold` the one held out then.
    """

    rule: Rule
    parent: str
    action: str
    proposers: tuple[str, ...]
    judged: int
    right: int
    reward: float
    budget: int
    fold: int


@dataclass(frozen=True, slots=True)
class Record:
    """One run of the search over all labels of a task.

    `votes` holds, by rule id of the selected rules, the examples that the rule fired on without having seen them, and
    whether it was right there: (example id, right).
    """

    task: str
    seed: int
    budget: int
    folds: int
    labels: tuple[str, ...]
    candidates: tuple[Candidate, ...]
    selected: tuple[str, ...]
    votes: Mapping[str, tuple[tuple[str, bool], ...]]
    interrupted: bool = False

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ids of examples, never their texts."""
        return {
            "task": self.task,
            "seed": self.seed,
            "budget": self.budget,
            "folds": self.folds,
            "labels": list(self.labels),
            "interrupted": self.interrupted,
            "selected": list(self.selected),
            "votes": {rule: [[example, right] for example, right in votes] for rule, votes in self.votes.items()},
            "candidates": [
                {
                    "rule": one.rule.rule_id,
                    "label": one.rule.label,
                    "if": one.rule.to_dict()["if"],
                    "parent": one.parent,
                    "action": one.action,
                    "proposers": list(one.proposers),
                    "judged": rows_of(one.judged),
                    "right": one.right,
                    "reward": round(one.reward, 6),
                    "budget": one.budget,
                    "fold": one.fold,
                }
                for one in self.candidates
            ],
        }
