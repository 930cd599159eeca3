"""From labelled examples to a rule base: searches with a fold held out each, selection, calibration out of fold."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

from kdsl.rules.calibrate import Calibration
from kdsl.rules.examples import Examples, folds_of
from kdsl.rules.problem import Problem, judged
from kdsl.rules.propose import Proposer
from kdsl.rules.record import Candidate, Record, run_id_of
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.search import Found, search_label

BUDGET = 300  # iterations a label and fold
FOLDS = 5

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
    banned = [rule for rule in hands if not rule.active]
    forced = [rule for rule in hands if rule.active]
    problem = Problem(examples, tuple(labels), tuple(forced), masks, tuple(banned))
    pool, chosen = problem.choose(candidates, examples.all_rows)
    calibration = problem.calibration(problem.out_of_fold(candidates))
    rows = tuple(zip(examples.ids, _fold_of(masks, len(examples)), strict=True))
    run_id = run_id_of(task, rows, seed=seed, budget=budget)
    kept, votes = judged(problem, [pool[i] for i in chosen.kept], candidates, seed=seed, run=run_id)
    record = Record(
        task=task,
        run=run_id,
        seed=seed,
        budget=budget,
        folds=folds,
        labels=tuple(labels),
        rows=rows,
        candidates=tuple(candidates),
        selected=tuple(pool[i].rule_id for i in chosen.kept),
        votes=votes,
        interrupted=interrupted,
    )
    return Learned(
        rules=RuleSet(taxonomy, (*kept, *banned), dict(examples.matching)),
        weights={
            pool[i].rule_id: weight * calibration.slope for i, weight in zip(chosen.kept, chosen.weights, strict=True)
        },
        log_prior=tuple(chosen.log_prior.tolist()),
        calibration=calibration,
        record=record,
    )


def _fold_of(masks: Sequence[int], rows: int) -> list[int]:
    return [next(fold for fold, mask in enumerate(masks) if mask >> row & 1) for row in range(rows)]


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
