"""Is the pool better than its best part? Asked of rows that no part of the fusion was fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.estimate import Reference
from kdsl.fusion.fit import fit
from kdsl.fusion.fusion import POOL, Fusion, equal, first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.metrics import Estimate
from kdsl.models.reliability import Answered, Reliability, reliability
from kdsl.models.voter import LogProbs
from kdsl.paired import compare

OUTER_FOLDS = 5
# The answer to "which is better" should not hang on one draw of the folds.
REPEATS = 3


@dataclass(frozen=True)
class Verdict:
    """Held-out weighted F1 of the pool (nested), of each part, and of what the release uses, on the same rows.

    `differences` are pool less part, by paired bootstrap. `released` counts what is abstained from for doubt as wrong,
    and `answered` is the share that is not. `changed` and `overruled` are how many rows the pool answers other than the
    best part, and a rule other than the pool (means over repeats).
    """

    uses: str
    pool: Estimate
    parts: dict[str, Estimate]
    differences: dict[str, Estimate]
    released: Estimate
    answered: float
    changed: float = 0.0
    overruled: float = 0.0

    @property
    def best_part(self) -> str:
        """The part of highest weighted F1; the first of equals."""
        return max(self.parts, key=lambda name: self.parts[name].value)

    @property
    def scores(self) -> dict[str, Estimate]:
        """By part, `pool` and `fused`, which is what the release says in the end."""
        return {**self.parts, POOL: self.pool, "fused": self.released}

    def __str__(self) -> str:
        if len(self.parts) == 1:
            return f"uses {self.uses}, the only voter"
        d = self.differences[self.best_part]
        gain = f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}] against {self.best_part}, n = {d.n}"
        gain += f"; {self.changed:.0f} rows answered otherwise, {self.overruled:.0f} of them by a rule's word"
        if self.uses == POOL:
            return f"uses the pool: nested {self.pool.value:.3f}, {gain}"
        return f"uses {self.uses} alone: the pool is no better (nested {self.pool.value:.3f}, {gain})"


@dataclass(frozen=True)
class Answers:
    """What fusions fitted on the other folds say: label index (n,), -1: abstains, and where a rule overruled.

    `score` (n,) is the label's probability, `log_probs` (n, labels) those of all; NaN where no voter spoke.
    """

    label: NDArray[np.int64]
    score: NDArray[np.float64]
    log_probs: LogProbs
    overruled: NDArray[np.bool_]
    calibrated: Mapping[str, LogProbs] = field(default_factory=dict)
    """Voter -> its log-probabilities (n, labels), calibrated on the other folds."""


def answers(held: HeldOut, *, seed: int, precision: float | None = None, uses: str = POOL) -> Answers:
    """The answer to each row by a fusion that it had no part in."""
    folds = held.folds(OUTER_FOLDS, seed)
    n, shape = len(held.ids), (len(held.ids), len(held.labels))
    by_voter = {name: np.full(shape, np.nan) for name in held.voters}
    out = Answers(np.full(n, -1), np.full(n, np.nan), np.full(shape, np.nan), np.zeros(n, dtype=bool), by_voter)
    for fold in np.unique(folds):
        inside, outside = held.rows(folds != fold), held.rows(folds == fold)
        if inside.ids:
            fused = fit(inside, seed=seed, precision=precision, uses=uses)(outside.said, outside.facts)
            out.label[folds == fold] = fused.label
            out.score[folds == fold] = fused.score
            out.log_probs[folds == fold] = fused.log_probs
            out.overruled[folds == fold] = fused.overruled_by >= 0
            for name, votes in fused.calibrated.items():
                by_voter[name][folds == fold] = votes
    return out


def reference(held: HeldOut, fusion: Fusion) -> tuple[Reference, dict[str, Reliability]]:
    """What the release says of examples that neither its voters nor its fusion learned from: fusions of its kind.

    Beside it how far the confidence of each voter, and of `fused`, can be believed on them.
    """
    held = held.only([name for name in held.voters if name in fusion.voters])
    said = answers(held, seed=0, uses=fusion.uses)
    doubtful = said.score < (fusion.threshold or 0.0)
    at = held.complete
    known = Reference(held.gold[at], np.where(doubtful, -1, said.label)[at], said.log_probs[at])
    spoke = at & (said.label >= 0)
    curves = {"fused": reliability(Answered(said.score[spoke], (said.label == held.gold)[spoke]), seed=0)}
    for name, votes in said.calibrated.items():
        spoke = held.asked[name] & ~np.isnan(votes).any(axis=1)
        right = votes[spoke].argmax(axis=1) == held.gold[spoke]
        curves[name] = reliability(Answered(np.exp(votes[spoke].max(axis=1)), right), seed=0)
    return known, curves


def judge(held: HeldOut, *, seed: int, precision: float | None = None) -> Verdict:
    """Nested cross-validation of the pool against each part, on the rows of which every voter was asked.

    The release uses the pool only if it is not below the best part. They are compared without a threshold: to abstain
    for doubt is a choice, and would cost the pool what it would cost a part. Where no row was asked of all, nothing is
    known and the pool stands.
    """
    at = held.complete
    gold = held.gold[at]
    parts = {name: first_best(held.said[name])[at] for name in held.voters}
    if not at.any():
        nothing = Estimate(0.0, 0.0, 1.0, 0)
        return Verdict(POOL, nothing, dict.fromkeys(parts, nothing), dict.fromkeys(parts, nothing), nothing, 0.0)
    if len(parts) == 1:
        fused, overruled = list(parts.values()), 0.0
    else:
        repeats = [answers(held, seed=seed + turn) for turn in range(REPEATS)]
        fused = [each.label[at] for each in repeats]
        overruled = float(np.mean([each.overruled[at].sum() for each in repeats]))
    pooled, scores, differences = compare(gold, fused, parts, seed=seed)
    best = max(scores, key=lambda name: scores[name].value)
    uses = POOL if differences[best].value >= 0 and len(parts) > 1 else best
    said, released = (fused, pooled) if uses == POOL else ([parts[best]], scores[best])
    if precision is not None:
        turns = [answers(held, seed=seed + turn, precision=precision, uses=uses) for turn in range(REPEATS)]
        said = [each.label[at] for each in turns]
        released = compare(gold, said, {}, seed=seed)[0]
    return Verdict(
        uses=uses,
        pool=pooled,
        parts=scores,
        differences=differences,
        released=released,
        answered=float(np.mean([each >= 0 for each in said])),
        changed=float(np.mean([(each != parts[best]).sum() for each in fused])),
        overruled=overruled,
    )


def refit(held: HeldOut, *, seed: int, precision: float | None = None) -> tuple[Fusion, Verdict]:
    """Judge and fit anew from held-out votes alone, as after an edit of rules: no model runs.

    A voter that was asked of no row has no say.
    """
    known = [name for name in held.voters if held.asked[name].any()]
    if not known:
        return equal(held.labels, held.voters), judge(held, seed=seed)
    held = held.only(known)
    verdict = judge(held, seed=seed, precision=precision)
    return fit(held, seed=seed, precision=precision, uses=verdict.uses), verdict
