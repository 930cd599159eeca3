"""A rule base after people laid hands on it: weights and votes out of fold from what the search recorded.

The rules stay those that people saw, with what they changed and nothing else. What the rule base would have said of
examples it did not learn from is asked of the recorded candidates, as when it was learned.
"""

from dataclasses import dataclass, replace

from kdsl.errors import ReleaseError
from kdsl.rules.examples import Examples, mask_of, rows_of
from kdsl.rules.learn import Learned
from kdsl.rules.problem import Floats, Problem, judged
from kdsl.rules.record import Candidate, Record
from kdsl.rules.ruleset import RuleSet


@dataclass(frozen=True)
class Amended:
    """The new rule base, and what its kind says of each example out of fold: (rows, labels), NaN where silent."""

    learned: Learned
    log_probs: Floats


def amend(record: Record, current: RuleSet, by_hand: RuleSet, examples: Examples) -> Amended:
    """The rule base `current` under the hands of people.

    Args:
        record: the search behind `current`.
        current: the rules of one task as they are.
        by_hand: rules that people pinned, wrote, edited or banned since, or before.
        examples: those of the record that are still at hand, in any order; others are left out.

    Raises:
        ReleaseError: no example of the record is at hand.
    """
    record, examples = _at_hand(record, examples, current)
    rules = replace(by_hand, rules=tuple(r for r in by_hand.rules if r.task == record.task)).relearned(current)
    banned = tuple(rule for rule in rules.rules if not rule.active)
    masks = [mask_of(i for i, (_, at) in enumerate(record.rows) if at == fold) for fold in range(record.folds)]
    hands = tuple(rule for rule in rules.active() if rule.state != "learned")
    said = Problem(examples, record.labels, hands, masks, banned).out_of_fold(record.candidates)
    whole = Problem(examples, record.labels, rules.active(), masks, banned)
    calibration = whole.calibration(said)
    pool, chosen = whole.choose(record.candidates, examples.all_rows, most=0)
    told, votes = judged(whole, [pool[i] for i in chosen.kept], record.candidates, seed=record.seed, run=record.run)
    learned = Learned(
        rules=replace(current, rules=(*told, *banned), matching={**current.matching, **examples.matching}),
        weights={pool[i].rule_id: w * calibration.slope for i, w in zip(chosen.kept, chosen.weights, strict=True)},
        log_prior=tuple(chosen.log_prior.tolist()),
        calibration=calibration,
        record=replace(record, selected=tuple(pool[i].rule_id for i in chosen.kept), votes=votes),
    )
    return Amended(learned, said.log_probs(calibration.slope))


def _at_hand(record: Record, examples: Examples, current: RuleSet) -> tuple[Record, Examples]:
    """The record without the rows that are gone, and the examples in its order."""
    place = {example: i for i, example in enumerate(examples.ids)}
    kept = [old for old, (example, _) in enumerate(record.rows) if example in place]
    if not kept:
        raise ReleaseError(
            f"task {record.task!r}: none of the {len(record.rows):,} examples that its rules were learned from is in "
            "the lake any more; run fit again."
        )
    new = {old: i for i, old in enumerate(kept)}
    candidates = tuple(_moved(one, new) for one in record.candidates)
    rows = tuple(record.rows[old] for old in kept)
    taken = examples.take([place[example] for example, _ in rows], current.matching)
    return replace(record, rows=rows, candidates=candidates), taken


def _moved(one: Candidate, new: dict[int, int]) -> Candidate:
    return replace(one, judged=mask_of(new[old] for old in rows_of(one.judged) if old in new))
