"""From labelled examples to a rule base: searches with a fold held out each, then selection on the held-out votes."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, replace

from kdsl.rules.examples import Examples, folds_of, rows_of
from kdsl.rules.propose import Proposer
from kdsl.rules.provenance import Evidence, Provenance, wilson_low
from kdsl.rules.record import Candidate, Record
from kdsl.rules.reward import Z
from kdsl.rules.rule import Rule
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.search import Found, search_label
from kdsl.rules.select import Votes, select, votes_of

BUDGET = 300  # iterations a label and fold
FOLDS = 5
SHOWN_IDS = 20  # examples and counter-examples kept by id
ELIGIBLE = 24  # rules of a label that may vote on a fold, the best of those found without it

Job = tuple[int, str]  # fold held out, label
Search = Callable[[Job], Found]
Mapper = Callable[[Search, Sequence[Job]], Iterable[Found]]


@dataclass(frozen=True)
class Learned:
    """A rule base with its weights (log-odds by rule id), the log prior of the labels, and the record of the search."""

    rules: RuleSet
    weights: Mapping[str, float]
    log_prior: tuple[float, ...]  # in the order of `record.labels`
    record: Record


def learn(
    task: str,
    labels: Sequence[str],
    examples: Examples,
    proposers: Callable[[], Sequence[Proposer]],
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
        proposers: makes the proposers, once a fold.
        by_hand: rules that people pinned, wrote, edited or banned: they stay, and a banned meaning is not learned.
        search: searches one label; the benchmark passes greedy search here.
        mapper: runs the searches, in order; the answer does not depend on how.
    """
    masks = folds_of(examples, folds, seed)
    jobs = [(fold, label) for fold in range(folds) for label in labels if examples.where(label)]
    made: dict[int, Sequence[Proposer]] = {}

    def run(job: Job) -> Found:
        fold, label = job
        if fold not in made:
            made[fold] = proposers()
        rows = examples.all_rows & ~masks[fold]
        return search(task, label, examples, rows, made[fold], budget=budget, seed=seed, fold=fold)

    candidates: list[Candidate] = []
    interrupted = False
    for found in mapper(run, jobs):
        candidates += found.candidates
        if found.interrupted:
            interrupted = True
            break
    hands = [rule for rule in by_hand.rules if rule.task == task] if by_hand else []
    banned = {rule for rule in hands if not rule.active}
    forced = [rule for rule in hands if rule.active]
    first: dict[Rule, Candidate] = {}
    for one in candidates:
        if one.rule not in banned:
            first.setdefault(one.rule, one)
    pool = [*forced, *(rule for rule in first if rule not in forced)]
    fired = held_out(pool, forced, examples, masks, candidates)
    votes = votes_of(pool, fired, examples.labels, labels)
    chosen = select(votes, range(len(forced)))
    record = Record(
        task=task,
        seed=seed,
        budget=budget,
        folds=folds,
        labels=tuple(labels),
        candidates=tuple(candidates),
        selected=tuple(pool[i].rule_id for i in chosen.kept),
        votes={pool[i].rule_id: _votes(pool[i], fired[i], examples) for i in chosen.kept},
        interrupted=interrupted,
    )
    kept = [_told(pool[i], fired[i], examples, first.get(pool[i]), record) for i in chosen.kept]
    return Learned(
        rules=RuleSet(taxonomy, (*kept, *banned), dict(examples.matching)),
        weights={pool[i].rule_id: weight for i, weight in zip(chosen.kept, chosen.weights, strict=True)},
        log_prior=tuple(chosen.log_prior.tolist()),
        record=record,
    )


def held_out(
    pool: Sequence[Rule],
    forced: Sequence[Rule],
    examples: Examples,
    masks: Sequence[int],
    candidates: Sequence[Candidate],
) -> list[list[int]]:
    """Rows on which each rule may vote: it fires there, and was found, or would have ranked, without their fold.

    A rule that people made was never fitted to a row: it votes on all.
    """
    fires = [examples.rule_mask(rule.atoms) for rule in pool]
    met = {(one.rule, one.fold) for one in candidates}
    votes = [fires[i] if rule in forced else 0 for i, rule in enumerate(pool)]
    by_label: dict[str, list[int]] = {}
    for i, rule in enumerate(pool):
        by_label.setdefault(rule.label, []).append(i)
    for fold, mask in enumerate(masks):
        rest = examples.all_rows & ~mask
        for label, members in by_label.items():
            positives = examples.where(label) & rest
            worth = {i: _worth(fires[i] & rest, positives) for i in members}
            own = sorted((worth[i] for i in members if (pool[i], fold) in met), reverse=True)
            least = own[min(len(own), ELIGIBLE) - 1] if own else float("inf")
            for i in members:
                if (pool[i], fold) in met or worth[i] >= max(least, 1e-9):
                    votes[i] |= fires[i] & mask
    return [rows_of(mask) for mask in votes]


def _worth(fired: int, positives: int) -> float:
    right = (fired & positives).bit_count()
    return wilson_low(right, fired.bit_count(), Z) * right / max(1, positives.bit_count())


def _votes(rule: Rule, rows: Sequence[int], examples: Examples) -> tuple[tuple[str, bool], ...]:
    return tuple((examples.ids[row], examples.labels[row] == rule.label) for row in rows)


def _told(rule: Rule, unseen: Sequence[int], examples: Examples, found: Candidate | None, record: Record) -> Rule:
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
        seed=record.seed,
    )
    return replace(rule, evidence=evidence, provenance=made)


__all__ = ["BUDGET", "FOLDS", "Learned", "Votes", "learn"]
