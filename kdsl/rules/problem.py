"""What selection decides on: examples, folds, candidates, and the rules of people; and what it tells of a rule."""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

from kdsl.models.logistic import log_softmax
from kdsl.rules.calibrate import Calibration, calibrate
from kdsl.rules.examples import Examples, rows_of
from kdsl.rules.provenance import Evidence, Provenance
from kdsl.rules.record import Candidate
from kdsl.rules.rule import Rule
from kdsl.rules.select import Selection, select, votes_of

SHOWN_IDS = 20  # examples and counter-examples kept by id

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Sums:
    """Predictions out of fold, not yet calibrated: weights added by label, log priors (rows, labels), who fired."""

    weights: Floats
    priors: Floats
    fired: NDArray[np.bool_]

    def log_probs(self, slope: float) -> Floats:
        """Log-probabilities (rows, labels), a row all NaN where no rule fired."""
        said = log_softmax(self.weights * slope + self.priors)
        said[~self.fired] = np.nan
        return said


@dataclass(frozen=True)
class Problem:
    """What selection needs beside the candidates: examples, labels, rules of people, masks of the folds."""

    examples: Examples
    labels: tuple[str, ...]
    forced: tuple[Rule, ...]
    masks: Sequence[int]

    def choose(
        self, candidates: Sequence[Candidate], rows: int, most: int | None = None
    ) -> tuple[list[Rule], Selection]:
        """Select among the candidates by the rows of a mask that each did not grow on; the pool, and who is in.

        A rule of people that no search met is judged by all rows of the mask.
        """
        met: dict[Rule, int] = {}
        for one in candidates:
            outside = self.examples.rule_mask(one.rule.atoms) & self.masks[one.fold]
            met[one.rule] = met.get(one.rule, 0) | one.judged | outside
        votes = {r: met.pop(r) if r in met else self.examples.rule_mask(r.atoms) for r in self.forced} | met
        pool = list(votes)
        inside = rows_of(rows)
        at = {row: i for i, row in enumerate(inside)}
        fired = [[at[row] for row in rows_of(votes[rule] & rows)] for rule in pool]
        gold = [self.examples.labels[row] for row in inside]
        return pool, select(votes_of(pool, fired, gold, self.labels), range(len(self.forced)), most)

    def out_of_fold(self, candidates: Sequence[Candidate]) -> "Sums":
        """What the rules found and selected without it say of each fold."""
        sums = np.zeros((len(self.examples), len(self.labels)))
        priors = np.zeros((len(self.examples), len(self.labels)))
        fired = np.zeros(len(self.examples), bool)
        for fold, mask in enumerate(self.masks):
            own = [one for one in candidates if one.fold == fold]
            pool, chosen = self.choose(own, self.examples.all_rows & ~mask)
            priors[rows_of(mask)] = chosen.log_prior
            for i, weight in zip(chosen.kept, chosen.weights, strict=True):
                rows = rows_of(self.examples.rule_mask(pool[i].atoms) & mask)
                sums[rows, self.labels.index(pool[i].label)] += weight
                fired[rows] = True
        return Sums(sums, priors, fired)

    def calibration(self, said: "Sums") -> Calibration:
        """From predictions out of fold."""
        gold = np.array([self.labels.index(label) for label in self.examples.labels], np.int64)
        return calibrate(said.weights, said.priors, said.fired, gold)

    def unseen(self, rule: Rule, candidates: Sequence[Candidate]) -> list[int]:
        """Rows the rule fires on that no search that met it could see; all rows for a rule that a person made."""
        by_person = rule in self.forced and rule.provenance.source == "person"
        mask = self.examples.all_rows if by_person else 0
        for one in candidates:
            if one.rule == rule:
                mask |= self.masks[one.fold]
        return rows_of(mask & self.examples.rule_mask(rule.atoms))


def judged(
    problem: Problem, rules: Sequence[Rule], candidates: Sequence[Candidate], seed: int
) -> tuple[list[Rule], dict[str, tuple[tuple[str, bool], ...]]]:
    """The rules with their evidence, and by id the examples each fired on without having seen them: (id, right)."""
    first: dict[Rule, Candidate] = {}
    for one in candidates:
        first.setdefault(one.rule, one)
    told, votes = [], {}
    for rule in rules:
        rows = problem.unseen(rule, candidates)
        told.append(_told(rule, rows, problem.examples, first.get(rule), seed))
        ids, labels = problem.examples.ids, problem.examples.labels
        votes[rule.rule_id] = tuple((ids[row], labels[row] == rule.label) for row in rows)
    return told, votes


def _told(rule: Rule, unseen: Sequence[int], examples: Examples, found: Candidate | None, seed: int) -> Rule:
    """The rule with its evidence, and its provenance if the search made it."""
    rows = rows_of(examples.rule_mask(rule.atoms))
    right = [row for row in rows if examples.labels[row] == rule.label]
    wrong = [row for row in rows if examples.labels[row] != rule.label]
    evidence = Evidence(
        fired=len(rows),
        right=len(right),
        unseen_fired=len(unseen),
        unseen_right=sum(examples.labels[row] == rule.label for row in unseen),
        examples=tuple(examples.ids[row] for row in right[:SHOWN_IDS]),
        counter_examples=tuple(examples.ids[row] for row in wrong[:SHOWN_IDS]),
    )
    if found is None or rule.state != "learned":
        return replace(rule, evidence=evidence)
    made = Provenance(
        source="taxonomy" if found.proposers == ("taxonomy",) else "search",
        parent=found.parent,
        proposer="+".join(found.proposers),
        budget=found.budget,
        seed=seed,
    )
    return replace(rule, evidence=evidence, provenance=made)
