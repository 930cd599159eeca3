"""Fit a fusion on held-out votes: calibrate each voter, weigh them, calibrate the pool, set threshold and cascade.

Whatever is chosen here (method of calibration, pull to equal weights, threshold, when to ask the dear voter) is chosen
inside the rows given, by cross-validation; `kdsl.fusion.nested` holds rows out of all of it. No voter is asked, so a
fit takes a second.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion import cascade
from kdsl.fusion.cascade import DEAR
from kdsl.fusion.fusion import POOL, Fusion, first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.fusion.override import learn, overrule
from kdsl.fusion.pool import fit_weights, pool
from kdsl.models import calibrate
from kdsl.models.calibrate import Calibration
from kdsl.models.voter import LogProbs

INNER_FOLDS = 4
# Pulls to equal weights that are tried, in nats for a weight 1 off; the last one never leaves them.
RIDGES = (1.0, 8.0, 64.0, float("inf"))
# Fewest answers from which a precision is read.
LEAST_KEPT = 10


@dataclass(frozen=True)
class Recipe:
    """What is settled before a fit."""

    uses: str = POOL
    """`pool`, or the voter that shall decide alone."""
    precision: float | None = None
    """Share of right answers that what is not abstained from shall reach; None: never abstain for doubt."""
    share: float = 1.0
    """Of rows to ask the dear voter of, where there is one."""
    others: str = POOL
    """The same as `uses`, of rows on which it is not asked."""
    idle: tuple[str, ...] = ()
    """Voters without a say (`kdsl.fusion.joining`)."""


def fit(held: HeldOut, recipe: Recipe | None = None, *, seed: int) -> Fusion:
    """The fusion of all rows of `held`, held-out votes of at least one voter; the seed is that of the folds."""
    recipe = recipe or Recipe()
    fusion = _fit(held, recipe, recipe.uses, seed=seed)
    if recipe.share >= 1 or not has_dear(held):
        return fusion
    return cascaded(fusion, fit_others(held, recipe, seed=seed), held, recipe.share)


def has_dear(held: HeldOut) -> bool:
    """Whether there is a voter that others could spare."""
    return DEAR in held.voters and len(held.voters) > 1


def without_dear(held: HeldOut) -> HeldOut:
    """The votes of the others."""
    return held.only([name for name in held.voters if name != DEAR])


def fit_others(held: HeldOut, recipe: Recipe, *, seed: int) -> Fusion:
    """The fusion of rows of which the dear voter is not asked."""
    return _fit(without_dear(held), recipe, recipe.others, seed=seed)


def cascaded(fusion: Fusion, others: Fusion, held: HeldOut, share: float) -> Fusion:
    """The two as one, the dear voter asked of at most this share of rows.

    What the others say of their own rows here is a little too good, as calibration and weights, few numbers, saw them.
    """
    said = np.where(held.asked[DEAR], first_best(held.said[DEAR]), cascade.NOT_ASKED)
    policy = cascade.learn(others(held.said).log_probs, held.gold, said, share=share)
    return fusion.model_copy(update={"cascade": policy, "others": others})


def _fit(every: HeldOut, recipe: Recipe, uses: str, *, seed: int) -> Fusion:
    held = every.without(recipe.idle)
    folds = held.folds(INNER_FOLDS, seed)
    fitted = {name: calibrate.fit(every.said[name], held.gold, folds) for name in every.voters}
    out, ridge = _cross_fitted(held, fitted, folds)
    said = {name: fitted[name](held.said[name]) for name in held.voters}
    weights = fit_weights(held, said, ridge)
    fusion = Fusion(
        labels=held.labels,
        calibrations={name: fitted[name] for name in held.voters},
        weights=weights,
        pool_calibration=calibrate.refit("temperature", out, held.gold),
        uses=uses,
    )
    fusion = fusion.model_copy(update={"override": learn(held.facts, fusion.pool_calibration(out), held.gold)})
    if recipe.precision is not None:
        fusion = fusion.model_copy(update={"threshold": _threshold(fusion, held, out, recipe.precision)})
    idle = tuple(name for name in every.voters if name in recipe.idle)
    weights = {name: weights.get(name, 0.0) for name in every.voters}
    return fusion.model_copy(update={"calibrations": fitted, "weights": weights, "idle": idle})


def _cross_fitted(held: HeldOut, fitted: dict[str, Calibration], folds: NDArray[np.int64]) -> tuple[LogProbs, float]:
    """Pooled log-probabilities of each row by calibrations and weights fitted without it, and the ridge that won."""
    ridges = RIDGES if len(held.voters) > 1 else (float("inf"),)
    out = {ridge: np.full((len(held.ids), len(held.labels)), np.nan) for ridge in ridges}
    for fold in np.unique(folds):
        inside, outside = held.rows(folds != fold), folds == fold
        maps = {name: calibrate.refit(fitted[name].method, inside.said[name], inside.gold) for name in held.voters}
        learned = {name: maps[name](inside.said[name]) for name in held.voters}
        asked = {name: maps[name](held.said[name][outside]) for name in held.voters}
        for ridge in ridges:
            out[ridge][outside] = pool(asked, fit_weights(inside, learned, ridge))
    at = held.complete & ~np.isnan(out[ridges[0]]).any(axis=1)
    losses = {ridge: -float(votes[at, held.gold[at]].sum()) for ridge, votes in out.items()}
    best = min(ridges, key=lambda ridge: (losses[ridge], -ridge))
    return out[best], best


def _threshold(fusion: Fusion, held: HeldOut, out: LogProbs, precision: float) -> float | None:
    """The lowest score from which upwards the wanted share is right; where none is, that of the highest share.

    None where every row, or too few to tell, would be kept anyway.
    """
    label, score = _answers(fusion, held, out)
    heard = held.complete & (label >= 0)
    score = score[heard]
    right = label[heard] == held.gold[heard]
    order = np.argsort(-score, kind="stable")
    share = np.cumsum(right[order]) / np.arange(1, len(order) + 1)
    # Equal scores are kept or left together, so a share counts at the last of them.
    last = np.append(np.diff(score[order]) != 0, True) if len(order) else np.zeros(0, dtype=bool)
    kept = np.flatnonzero(last & (np.arange(1, len(order) + 1) >= LEAST_KEPT))
    if not kept.size:
        return None
    enough = kept[share[kept] >= precision]
    return float(score[order][enough[-1] if enough.size else kept[share[kept].argmax()]])


def _answers(fusion: Fusion, held: HeldOut, out: LogProbs) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Label and score of each row as the fusion will give them: a lone part's own, a rule's where it overrules."""
    if fusion.uses != POOL:
        alone = fusion(held.said)
        return alone.label, alone.score
    log_probs = fusion.pool_calibration(out)
    label, score = first_best(log_probs), np.exp(log_probs.max(axis=1))
    overrule(fusion.override, held.facts, log_probs, label, score)
    return label, score
