"""From labelled examples to a rule base: searches with a fold held out each, selection, calibration out of fold."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from kdsl.rules.calibrate import Calibration, calibrate
from kdsl.rules.examples import Examples, folds_of, rows_of
from kdsl.rules.propose import Proposer
from kdsl.rules.provenance import Evidence, Provenance
from kdsl.rules.record import Candidate, Record
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.search import Found, search_label
from kdsl.rules.select import Selection, select, votes_of

BUDGET = 300  # iterations a label and fold
FOLDS = 5
SHOWN_IDS = 20  # examples and counter-examples kept by id

Job = tuple[int, str]  # fold held out, label
Mapper = Callable[[Callable[[Job], Found], Sequence[Job]], Iterable[Found]]


@dataclass(frozen=True)
class Learned:
    """A rule base: rules, their calibrated weights (log-odds by rule id), log prior of the labels, and the record."""

    rules: RuleSet
    weights: Mapping[str, float]
    log_prior: tuple[float, ...]  # in the order of `record.labels`
    calibration: Calibration
    record: Record


def learn(
    task: str,
    labels: Sequence[str],
    examples: Examples,
    proposers: Sequence[Proposer],
    *,
    taxonomy: str,
    seed: int,
    budget: int = BUDGET,
    folds: int = FOLDS,
    by_hand: RuleSet | None = None,
    search: Callable[..., Found] = search_label,
    mapper: Mapper = map,
) -> Learned:
    """Learn the rules of one task.

    Args:
        labels: the task's labels in taxonomy order.
        proposers: asked for each label and fold; they see the rows of the search alone.
        by_hand: rules that people pinned, wrote, edited or banned: they stay, and a banned meaning is not learned.
        search: searches one label; the benchmark passes greedy search here.
        mapper: runs the searches and gives their results in order; the answer does not depend on how.
    """
    masks = folds_of(examples, folds, seed)
    jobs = [(fold, label) for fold in range(folds) for label in labels if examples.where(label)]

    def run(job: Job) -> Found:
        fold, label = job
        rows = examples.all_rows & ~masks[fold]
        return search(task, label, examples, rows, proposers, budget=budget, seed=seed, fold=fold)

    candidates, interrupted = _gather(mapper(run, jobs))
    hands = [rule for rule in by_hand.rules if rule.task == task] if by_hand else []
    banned = {rule for rule in hands if not rule.active}
    forced = [rule for rule in hands if rule.active]
    usable = [one for one in candidates if one.rule not in banned]
    problem = _Problem(examples, tuple(labels), tuple(forced), masks)
    pool, chosen = problem.choose(usable, examples.all_rows)
    calibration = problem.calibration(usable)
    unseen = {rule: problem.unseen(rule, usable) for rule in (pool[i] for i in chosen.kept)}
    record = Record(
        task=task,
        seed=seed,
        budget=budget,
        folds=folds,
        labels=tuple(labels),
        candidates=tuple(candidates),
        selected=tuple(pool[i].rule_id for i in chosen.kept),
        votes={rule.rule_id: _votes(rule, rows, examples) for rule, rows in unseen.items()},
        interrupted=interrupted,
    )
    first: dict[Rule, Candidate] = {}
    for one in candidates:
        first.setdefault(one.rule, one)
    kept = [_told(rule, rows, examples, first.get(rule), seed) for rule, rows in unseen.items()]
    return Learned(
        rules=RuleSet(taxonomy, (*kept, *banned), dict(examples.matching)),
        weights={
            pool[i].rule_id: weight * calibration.slope for i, weight in zip(chosen.kept, chosen.weights, strict=True)
        },
        log_prior=tuple(chosen.log_prior.tolist()),
        calibration=calibration,
        record=record,
    )


@dataclass(frozen=True)
class _Problem:
    """What selection needs beside the candidates: examples, labels, rules of people, masks of the folds."""

    examples: Examples
    labels: tuple[str, ...]
    forced: tuple[Rule, ...]
    masks: Sequence[int]

    def choose(self, candidates: Sequence[Candidate], rows: int) -> tuple[list[Rule], Selection]:
        """Select among the candidates by the rows of a mask that each did not grow on; the pool, and who is in."""
        votes = {rule: self.examples.rule_mask(rule.atoms) for rule in self.forced}
        for one in candidates:
            if one.rule not in self.forced:
                outside = self.examples.rule_mask(one.rule.atoms) & self.masks[one.fold]
                votes[one.rule] = votes.get(one.rule, 0) | one.judged | outside
        pool = list(votes)
        inside = rows_of(rows)
        at = {row: i for i, row in enumerate(inside)}
        fired = [[at[row] for row in rows_of(votes[rule] & rows)] for rule in pool]
        gold = [self.examples.labels[row] for row in inside]
        return pool, select(votes_of(pool, fired, gold, self.labels), range(len(self.forced)))

    def calibration(self, candidates: Sequence[Candidate]) -> Calibration:
        """From predictions for each fold by the rules found and selected without it."""
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
        gold = np.array([self.labels.index(label) for label in self.examples.labels])
        return calibrate(sums, priors, fired, gold)

    def unseen(self, rule: Rule, candidates: Sequence[Candidate]) -> list[int]:
        """Rows the rule fires on that no search that met it could see; all rows for a rule that people made."""
        mask = self.examples.all_rows if rule in self.forced else 0
        for one in candidates:
            if one.rule == rule:
                mask |= self.masks[one.fold]
        return rows_of(mask & self.examples.rule_mask(rule.atoms))


def _gather(results: Iterable[Found]) -> tuple[list[Candidate], bool]:
    """Candidates of the searches until one of them was interrupted."""
    candidates: list[Candidate] = []
    try:
        for found in results:
            candidates += found.candidates
            if found.interrupted:
                return candidates, True
    except KeyboardInterrupt:
        return candidates, True
    return candidates, False


def _votes(rule: Rule, rows: Sequence[int], examples: Examples) -> tuple[tuple[str, bool], ...]:
    return tuple((examples.ids[row], examples.labels[row] == rule.label) for row in rows)


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
