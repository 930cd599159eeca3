"""When a rule may overrule the pool: only where held-out examples say that it is the better judge.

"Rules first" loses on real data: a rule that is right in general is wrong more often than the pool on those rows where
the two disagree. So a rule has to pass twice. On the row, the Wilson lower bound of its held-out precision must beat
the pool's confidence. And over held-out rows on which rules so strong disagreed with the pool, the rules (all of them,
or this one) must have been right more often than the pool, again by a Wilson bound.
"""

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from kdsl.fusion.facts import Facts
from kdsl.models.voter import LogProbs
from kdsl.rules.provenance import wilson_low


class Override(BaseModel):
    """Who may overrule, and the record behind it: rows of disagreement, and who of the two was right there."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    disagreed: int = 0
    rule_right: int = 0
    pool_right: int = 0
    all_rules: bool = False
    rules: tuple[str, ...] = ()
    """Ids of rules that may overrule by their own record."""
    right: float | None = None
    """Probability that a rule's label is right where one overrules; None: unknown, as where none may."""

    @property
    def possible(self) -> bool:
        """Whether any rule may overrule at all."""
        return self.all_rules or bool(self.rules)


def candidates(facts: Facts, log_probs: LogProbs) -> NDArray[np.int64]:
    """By row the strongest entry of `facts` that contradicts the pool and is surer than it, -1 where there is none.

    Args:
        facts: rules that fired on these rows.
        log_probs: the pool's, calibrated, (n, labels); a silent pool is no judge and is not overruled.
    """
    found = np.full(len(log_probs), -1, dtype=np.int64)
    if not len(facts.row):
        return found
    silent = np.asarray(np.isnan(log_probs).any(axis=1))
    known = np.where(silent[:, None], 0.0, log_probs)
    bound = facts.bound
    surer = (bound > np.exp(known.max(axis=1))[facts.row]) & (facts.label != known.argmax(axis=1)[facts.row])
    entries = np.flatnonzero(surer & ~silent[facts.row])
    # The last one written stands: the highest bound, then the first id.
    for entry in sorted(entries, key=lambda e: (bound[e], [-ord(c) for c in str(facts.rule[e])])):
        found[facts.row[entry]] = entry
    return found


def learn(facts: Facts, log_probs: LogProbs, gold: NDArray[np.int64]) -> Override:
    """Who may overrule, from held-out rows: facts of rules grown without them and a pool fitted without them."""
    at = candidates(facts, log_probs)
    rows = np.flatnonzero(at >= 0)
    entries = at[rows]
    rule_right = facts.label[entries] == gold[rows]
    pool_right = log_probs[rows].argmax(axis=1) == gold[rows]
    names = facts.rule[entries]
    better = [
        str(name)
        for name in np.unique(names)
        if _better(int(rule_right[names == name].sum()), int(pool_right[names == name].sum()))
    ]
    right, other = int(rule_right.sum()), int(pool_right.sum())
    override = Override(
        disagreed=len(rows), rule_right=right, pool_right=other, all_rules=_better(right, other), rules=tuple(better)
    )
    if not override.possible:
        return override
    won = rule_right[apply(override, facts, log_probs)[rows] >= 0]
    return override.model_copy(update={"right": float((won.sum() + 1) / (len(won) + 2))})


def apply(override: Override, facts: Facts, log_probs: LogProbs) -> NDArray[np.int64]:
    """By row the entry of `facts` that overrules the pool, -1 where none may."""
    if not override.possible or not len(facts.row):
        return np.full(len(log_probs), -1, dtype=np.int64)
    at = candidates(facts, log_probs)
    if override.all_rules:
        return at
    allowed = np.isin(facts.rule, np.array(override.rules, dtype=np.str_))
    return np.where((at >= 0) & allowed[at], at, -1)


def overrule(
    override: Override, facts: Facts, log_probs: LogProbs, label: NDArray[np.int64], score: NDArray[np.float64]
) -> NDArray[np.int64]:
    """Put a rule's label and bound where one overrules, in place; by row the entry of `facts`, -1 where none does."""
    by = apply(override, facts, log_probs)
    rows = np.flatnonzero(by >= 0)
    label[rows], score[rows] = facts.label[by[rows]], facts.bound[by[rows]]
    return by


def believed(override: Override, log_probs: LogProbs, label: NDArray[np.int64]) -> LogProbs:
    """The pool's log-probabilities (n, labels), a rule's label made as likely as rules are right where they overrule.

    The rule's record in general says too much there: rows on which the pool contradicts it are harder than others. So
    what counts is the record of disagreements. The other labels keep their ratios.

    Args:
        override: of a release; one that does not know how often its rules are right leaves all as it is.
        log_probs: the pool's.
        label: label index (n,) that a rule put in the place of the pool's, -1 where none did.
    """
    rows = np.flatnonzero(label >= 0)
    if override.right is None or not rows.size:
        return log_probs
    out, at = log_probs.copy(), (rows, label[rows])
    left = np.log1p(-override.right) - np.log1p(-np.minimum(np.exp(out[at]), 1 - 1e-12))
    out[rows] += left[:, None]
    out[at] = np.log(override.right)
    return out


def _better(right: int, other: int) -> bool:
    """Whether one side won more than half of the rows that one of the two got right, beyond chance."""
    return wilson_low(right, right + other) > 0.5
