"""What selection decides on: examples, folds, candidates, and the rules of people; and what it tells of a rule."""

from collections.abc import Iterable, Sequence
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
    """What selection needs beside the candidates: examples, labels, rules of people, masks of the folds.

    A banned rule is no candidate for selection; what its search saw still counts for a rule that was made from it.
    """

    examples: Examples
    labels: tuple[str, ...]
    forced: tuple[Rule, ...]
    masks: Sequence[int]
    banned: tuple[Rule, ...] = ()

    def choose(
        self, candidates: Sequence[Candidate], rows: int, most: int | None = None
    ) -> tuple[list[Rule], Selection]:
        """Select among the candidates by the rows of a mask that each did not grow on; the pool, and who is in.

        Of candidates, only those that are right on a row that was held out of a search that met them: a search that saw
        all of the mask has held out none, and its candidates stay.
        A rule of people is judged by all rows of the mask but those on which it, or a rule that it was made from, grew.
        """
        met: dict[Rule, int] = {}
        helps: set[Rule] = set()
        for one in candidates:
            outside = self.examples.rule_mask(one.rule.atoms) & self.masks[one.fold]
            met[one.rule] = met.get(one.rule, 0) | one.judged | outside
            if outside & self.examples.where(one.rule.label) or not self.masks[one.fold] & rows:
                helps.add(one.rule)
        grew = {rule: self.examples.rule_mask(rule.atoms) & ~held for rule, held in met.items()}
        votes: dict[Rule, int] = {}
        for rule in self.forced:
            votes[rule] = self.examples.rule_mask(rule.atoms)
            for origin in self._origins(rule, candidates):
                votes[rule] &= ~grew.get(origin, 0)
        votes |= {r: held for r, held in met.items() if r in helps and r not in votes and r not in self.banned}
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
        """Rows the rule fires on that were held out of a search that met it, or one of those it was made from.

        All rows for a rule of a person's own; none for one made from a learned rule that no search met this time.
        """
        origins = self._origins(rule, candidates)
        mask = self.examples.all_rows if _own(origins[-1]) else 0
        for one in candidates:
            if one.rule in origins:
                mask |= self.masks[one.fold]
        return rows_of(mask & self.examples.rule_mask(rule.atoms))

    def seen(self, rule: Rule, candidates: Sequence[Candidate]) -> list[int]:
        """Rows the rule fires on that a search that met it, or one of those it was made from, could see.

        All rows where no search met it: nobody knows what a person saw.
        """
        origins = self._origins(rule, candidates)
        mask = 0
        for one in candidates:
            if one.rule in origins:
                mask |= self.examples.all_rows & ~self.masks[one.fold]
        return rows_of((mask or self.examples.all_rows) & self.examples.rule_mask(rule.atoms))

    def _origins(self, rule: Rule, candidates: Iterable[Candidate]) -> list[Rule]:
        """The rule, the one that a person made it from, and so on back to one that was learned or written."""
        found = [rule]
        while found[-1].provenance.source == "person" and (parent := found[-1].provenance.parent):
            known = (*self.forced, *self.banned, *(one.rule for one in candidates))
            origin = next((one for one in known if one.rule_id == parent), None)
            if origin is None or origin in found:
                break
            found.append(origin)
        return found


def _own(rule: Rule) -> bool:
    """Whether a person made the rule and made it from no other."""
    return rule.provenance.source == "person" and not rule.provenance.parent


def judged(
    problem: Problem, rules: Sequence[Rule], candidates: Sequence[Candidate], *, seed: int, run: str
) -> tuple[list[Rule], dict[str, tuple[tuple[str, bool], ...]]]:
    """The rules with their evidence, and by id the examples each fired on without having seen them: (id, right).

    `run` names the search.
    """
    first: dict[Rule, Candidate] = {}
    for one in candidates:
        first.setdefault(one.rule, one)
    told, votes = [], {}
    for rule in rules:
        rows = problem.unseen(rule, candidates)
        evidence = _evidence(rule, rows, problem.seen(rule, candidates), problem.examples)
        told.append(_told(rule, evidence, first.get(rule), seed=seed, run=run))
        ids, labels = problem.examples.ids, problem.examples.labels
        votes[rule.rule_id] = tuple((ids[row], labels[row] == rule.label) for row in rows)
    return told, votes


def _evidence(rule: Rule, unseen: Sequence[int], seen: Sequence[int], examples: Examples) -> Evidence:
    rows = rows_of(examples.rule_mask(rule.atoms))
    right = [row for row in rows if examples.labels[row] == rule.label]
    wrong = [row for row in rows if examples.labels[row] != rule.label]
    return Evidence(
        fired=len(seen),
        right=len(set(seen) & set(right)),
        unseen_fired=len(unseen),
        unseen_right=len(set(unseen) & set(right)),
        examples=tuple(examples.ids[row] for row in right[:SHOWN_IDS]),
        counter_examples=tuple(examples.ids[row] for row in wrong[:SHOWN_IDS]),
    )


def _told(rule: Rule, evidence: Evidence, found: Candidate | None, *, seed: int, run: str) -> Rule:
    """The rule with its evidence, and its provenance if the search made it."""
    if found is None or rule.state != "learned":
        return replace(rule, evidence=evidence)
    made = Provenance(
        source="taxonomy" if found.proposers == ("taxonomy",) else "search",
        run=run,
        parent=found.parent,
        proposer="+".join(found.proposers),
        budget=found.budget,
        seed=seed,
    )
    return replace(rule, evidence=evidence, provenance=made)
