"""Is the pool better than its best part? Asked of rows that no part of the fusion was fitted on."""

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np
from numpy.typing import NDArray

from kdsl.estimate import Reference
from kdsl.fusion.cascade import DEAR
from kdsl.fusion.curve import OUTER_FOLDS, SHARES, Sent, curve, spare
from kdsl.fusion.fit import Recipe, fit, has_dear, without_dear
from kdsl.fusion.fusion import POOL, Fusion, equal, first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.metrics import Estimate
from kdsl.models.reliability import Answered, Reliability, reliability
from kdsl.models.voter import LogProbs
from kdsl.paired import compare

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
    share: float = 1.0
    """Of rows of which the dear voter is asked."""
    others: str = POOL
    """As `uses`, where it is not asked."""
    curve: tuple[Sent, ...] = ()
    """Weighted F1 by that share; empty where no voter is dear."""

    @property
    def recipe(self) -> Recipe:
        """How the release is fitted."""
        return Recipe(self.uses, share=self.share, others=self.others)

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
        asked = f"; {self._asked()}" if self.share < 1 else ""
        if self.uses == POOL:
            return f"uses the pool: nested {self.pool.value:.3f}, {gain}{asked}"
        return f"uses {self.uses} alone: the pool is no better (nested {self.pool.value:.3f}, {gain}){asked}"

    def _asked(self) -> str:
        none, every = self.curve[0].score.value, self.curve[-1].score.value
        if not self.share:
            return f"{DEAR} is asked of no row: {none:.3f} without it, {every:.3f} if it were asked of all"
        sent = next(one for one in self.curve if one.share == self.share)
        return (
            f"{DEAR} is asked of {sent.asked:.0%} of rows, {self.share:.0%} at most: {sent.score.value:.3f}, without "
            f"it {none:.3f}, asked of all {every:.3f}"
        )


@dataclass(frozen=True)
class Answers:
    """What fusions fitted on the other folds say: label index (n,), -1: abstains, and where a rule overruled.

    `score` (n,) is the label's probability, `log_probs` (n, labels) those of all; NaN where no voter spoke.
    """

    label: NDArray[np.int64]
    score: NDArray[np.float64]
    log_probs: LogProbs
    overruled: NDArray[np.bool_]
    asked: NDArray[np.bool_]
    """Whether the dear voter counts there."""
    calibrated: Mapping[str, LogProbs] = field(default_factory=dict)
    """Voter -> its log-probabilities (n, labels), calibrated on the other folds."""


def answers(held: HeldOut, recipe: Recipe | None = None, *, seed: int) -> Answers:
    """The answer to each row by a fusion that it had no part in."""
    folds = held.folds(OUTER_FOLDS, seed)
    n, shape = len(held.ids), (len(held.ids), len(held.labels))
    by_voter = {name: np.full(shape, np.nan) for name in held.voters}
    masks = np.zeros(n, dtype=bool), np.ones(n, dtype=bool)
    out = Answers(np.full(n, -1), np.full(n, np.nan), np.full(shape, np.nan), *masks, by_voter)
    for fold in np.unique(folds):
        inside, outside = held.rows(folds != fold), held.rows(folds == fold)
        if inside.ids:
            fused = fit(inside, recipe, seed=seed)(outside.said, outside.facts)
            out.label[folds == fold] = fused.label
            out.score[folds == fold] = fused.score
            out.log_probs[folds == fold] = fused.log_probs
            out.overruled[folds == fold] = fused.overruled_by >= 0
            out.asked[folds == fold] = fused.asked
            for name, votes in fused.calibrated.items():
                by_voter[name][folds == fold] = votes
    return out


def reference(held: HeldOut, fusion: Fusion) -> tuple[Reference, dict[str, Reliability]]:
    """What the release says of examples that neither its voters nor its fusion learned from: fusions of its kind.

    Beside it how far the confidence of each voter, and of `fused`, can be believed on them.
    """
    held = held.only([name for name in held.voters if name in fusion.voters])
    recipe = Recipe(fusion.uses)
    if fusion.cascade and fusion.others:
        recipe = replace(recipe, share=fusion.cascade.share, others=fusion.others.uses)
    said = answers(held, recipe, seed=0)
    doubtful = said.score < np.where(said.asked, fusion.threshold or 0.0, fusion.judge(False).threshold or 0.0)
    at = held.complete
    known = Reference(held.gold[at], np.where(doubtful, -1, said.label)[at], said.log_probs[at])
    spoke = at & (said.label >= 0)
    curves = {"fused": reliability(Answered(said.score[spoke], (said.label == held.gold)[spoke]), seed=0)}
    for name, votes in said.calibrated.items():
        spoke = held.asked[name] & ~np.isnan(votes).any(axis=1)
        right = votes[spoke].argmax(axis=1) == held.gold[spoke]
        curves[name] = reliability(Answered(np.exp(votes[spoke].max(axis=1)), right), seed=0)
    return known, curves


def judge(held: HeldOut, *, seed: int, precision: float | None = None, share: float = 1.0) -> Verdict:
    """Nested cross-validation of the pool against each part, on the rows of which every voter was asked.

    The release uses the pool only if it is not below the best part. They are compared without a threshold: to abstain
    for doubt is a choice, and would cost the pool what it would cost a part. Where no row was asked of all, nothing is
    known and the pool stands. The dear voter is asked of at most `share` of the rows; of none where that is not below
    asking.
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
    verdict = Verdict(
        uses=uses,
        pool=pooled,
        parts=scores,
        differences=differences,
        released=released,
        answered=float(np.mean([each >= 0 for each in said])),
        changed=float(np.mean([(each != parts[best]).sum() for each in fused])),
        overruled=overruled,
    )
    if has_dear(held):
        verdict = _spared(held, verdict, seed=seed, share=share)
    if precision is None:
        return verdict
    recipe = replace(verdict.recipe, precision=precision)
    said = [answers(held, recipe, seed=seed + turn).label[at] for turn in range(REPEATS)]
    answered = float(np.mean([each >= 0 for each in said]))
    return replace(verdict, released=compare(gold, said, {}, seed=seed)[0], answered=answered)


def _spared(held: HeldOut, verdict: Verdict, *, seed: int, share: float) -> Verdict:
    """The verdict with what asking the dear voter of fewer rows would cost, and of how many it is asked.

    Where another part decides alone, the pool may still be the better judge of the few rows that are worth asking.
    """
    others = judge(without_dear(held), seed=seed).uses
    recipe = Recipe(verdict.uses if verdict.uses == DEAR else POOL, others=others)
    turns = [spare(held, recipe, sorted({*SHARES, share}), seed=seed + turn) for turn in range(REPEATS)]
    points = curve(held, turns, seed=seed)
    if share >= 1:
        return replace(verdict, curve=points)
    at = held.complete
    if next(one for one in points if one.share == share).gain.value < 0:
        share = 0.0
    said = [turn[share].label[at] for turn in turns]
    return replace(
        verdict,
        uses=recipe.uses,
        others=others,
        share=share,
        curve=points,
        released=next(one for one in points if one.share == share).score,
        answered=float(np.mean([each >= 0 for each in said])),
    )


def refit(held: HeldOut, *, seed: int, precision: float | None = None, share: float = 1.0) -> tuple[Fusion, Verdict]:
    """Judge and fit anew from held-out votes alone, as after an edit of rules: no model runs.

    A voter that was asked of no row has no say.
    """
    known = [name for name in held.voters if held.asked[name].any()]
    if not known:
        return equal(held.labels, held.voters), judge(held, seed=seed)
    held = held.only(known)
    verdict = judge(held, seed=seed, precision=precision, share=share)
    return fit(held, replace(verdict.recipe, precision=precision), seed=seed), verdict
