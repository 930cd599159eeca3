"""The frozen record of a search: every candidate with its parent, its scores by example, and what it cost."""

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from kdsl.rules.atom import atom_of
from kdsl.rules.examples import mask_of, rows_of
from kdsl.rules.provenance import Provenance
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
    """One run of the search over all labels of a task; `run` names it in the provenance of its rules.

    `rows` are the examples that it was learned from, (id, fold held out), in the order of the bits of `judged`. `votes`
    holds, by rule id of the selected rules, the examples that the rule fired on without having seen them, and whether
    it was right there: (example id, right).
    """

    task: str
    seed: int
    budget: int
    folds: int
    labels: tuple[str, ...]
    rows: tuple[tuple[str, int], ...]
    candidates: tuple[Candidate, ...]
    selected: tuple[str, ...]
    votes: Mapping[str, tuple[tuple[str, bool], ...]]
    interrupted: bool = False
    run: str = ""

    def to_dict(self) -> dict[str, Any]:
        """Plain data: ids of examples, never their texts."""
        return {
            "task": self.task,
            "run": self.run,
            "seed": self.seed,
            "budget": self.budget,
            "folds": self.folds,
            "labels": list(self.labels),
            "interrupted": self.interrupted,
            "rows": [[example, fold] for example, fold in self.rows],
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
                    "reward": one.reward,
                    "budget": one.budget,
                    "fold": one.fold,
                }
                for one in self.candidates
            ],
        }

    @classmethod
    def from_dict(cls, data: Mapping[str, Any]) -> "Record":
        """What `to_dict` gave.

        Raises:
            RuleError, ValueError, KeyError, TypeError: the data are none.
        """
        task = str(data["task"])
        return cls(
            task=task,
            seed=int(data["seed"]),
            budget=int(data["budget"]),
            folds=int(data["folds"]),
            labels=tuple(map(str, data["labels"])),
            rows=tuple((str(example), int(fold)) for example, fold in data["rows"]),
            candidates=tuple(_candidate(task, one) for one in data["candidates"]),
            selected=tuple(map(str, data["selected"])),
            votes={
                str(rule): tuple((str(example), bool(right)) for example, right in votes)
                for rule, votes in data["votes"].items()
            },
            interrupted=bool(data["interrupted"]),
            run=str(data["run"]),
        )


def run_id_of(task: str, rows: Sequence[tuple[str, int]], *, seed: int, budget: int) -> str:
    """`s` and twelve hex digits of what was searched: the same examples, folds, seed and budget have the same."""
    canonical = json.dumps([task, seed, budget, list(rows)], ensure_ascii=False)
    return "s" + hashlib.sha256(canonical.encode()).hexdigest()[:12]


def _candidate(task: str, data: Mapping[str, Any]) -> Candidate:
    atoms = tuple(
        atom_of(field, op, value) for atom in data["if"] for field, body in atom.items() for op, value in body.items()
    )
    return Candidate(
        rule=Rule(task, str(data["label"]), atoms, "learned", Provenance(source="search")),
        parent=str(data["parent"]),
        action=str(data["action"]),
        proposers=tuple(map(str, data["proposers"])),
        judged=mask_of(data["judged"]),
        right=int(data["right"]),
        reward=float(data["reward"]),
        budget=int(data["budget"]),
        fold=int(data["fold"]),
    )
