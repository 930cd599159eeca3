"""Is the pool better than its best part? Asked of rows that no part of the fusion was fitted on."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion.fit import fit
from kdsl.fusion.fusion import POOL, Fusion, equal, first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.metrics import Estimate
from kdsl.paired import compare

OUTER_FOLDS = 5
# The answer to "which is better" should not hang on one draw of the folds.
REPEATS = 3


@dataclass(frozen=True)
class Verdict:
    """Held-out weighted F1 of the pool (nested), of each part, and of what the release uses, on the same rows.

    `differences` are pool less part, by paired bootstrap. `released` counts what is abstained from for doubt as wrong,
    and `answered` is the share that is not.
    """

    uses: str
    pool: Estimate
    parts: dict[str, Estimate]
    differences: dict[str, Estimate]
    released: Estimate
    answered: float

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
        if self.uses == POOL:
            return f"uses the pool: nested {self.pool.value:.3f}, {gain}"
        return f"uses {self.uses} alone: the pool is no better (nested {self.pool.value:.3f}, {gain})"


def answers(held: HeldOut, *, seed: int, precision: float | None = None, uses: str = POOL) -> NDArray[np.int64]:
    """Label index (n,) that a fusion fitted on the other folds gives each row; -1 where it abstains."""
    folds = held.folds(OUTER_FOLDS, seed)
    out = np.full(len(held.ids), -1, dtype=np.int64)
    for fold in np.unique(folds):
        inside = folds != fold
        if inside.any():
            fitted = fit(held.rows(inside), seed=seed, precision=precision, uses=uses)
            out[~inside] = fitted({name: votes[~inside] for name, votes in held.said.items()}).label
    return out


def judge(held: HeldOut, *, seed: int, precision: float | None = None) -> Verdict:
    """Nested cross-validation of the pool against each part, on the rows of which every voter was asked.

    The release uses the pool only if it is not below the best part. They are compared without a threshold: to abstain
    for doubt is a choice, and would cost the pool what it would cost a part. Where no row was asked of all, nothing is
    known and the pool stands.
    """
    at = held.complete
    parts = {name: first_best(held.said[name])[at] for name in held.voters}
    if not at.any():
        nothing = Estimate(0.0, 0.0, 1.0, 0)
        return Verdict(POOL, nothing, dict.fromkeys(parts, nothing), dict.fromkeys(parts, nothing), nothing, 0.0)
    alone = len(parts) == 1
    fused = list(parts.values()) if alone else _repeats(held, seed=seed)
    pooled, scores, differences = compare(held.gold[at], fused, parts, seed=seed)
    best = max(scores, key=lambda name: scores[name].value)
    uses = POOL if differences[best].value >= 0 and not alone else best
    said, released = (fused, pooled) if uses == POOL else ([parts[best]], scores[best])
    if precision is not None:
        said = _repeats(held, seed=seed, precision=precision, uses=uses)
        released = compare(held.gold[at], said, {}, seed=seed)[0]
    return Verdict(uses, pooled, scores, differences, released, float(np.mean([each >= 0 for each in said])))


def _repeats(held: HeldOut, *, seed: int, precision: float | None = None, uses: str = POOL) -> list[NDArray[np.int64]]:
    turns = range(REPEATS)
    return [answers(held, seed=seed + turn, precision=precision, uses=uses)[held.complete] for turn in turns]


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
