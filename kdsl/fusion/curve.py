"""Quality against cost: weighted F1 by the share of rows of which the dear voter is asked, nested."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion.fit import Recipe, cascaded, fit, fit_others
from kdsl.fusion.held_out import HeldOut
from kdsl.metrics import Estimate
from kdsl.paired import compare

SHARES = (0.0, 0.05, 0.1, 0.2, 0.35, 0.5, 0.75, 1.0)
OUTER_FOLDS = 5


@dataclass(frozen=True)
class Sent:
    """One budget: share of rows to ask of, share asked in fact, held-out weighted F1, and that less asking of none."""

    share: float
    asked: float
    score: Estimate
    gain: Estimate


@dataclass(frozen=True)
class Sparing:
    """What the rows get under one budget, by fusions and policies that they had no part in.

    `label` is a label index (n,), -1: abstains; `asked` (n,) tells of which rows the dear voter was asked.
    """

    label: NDArray[np.int64]
    asked: NDArray[np.bool_]


def spare(held: HeldOut, recipe: Recipe, shares: Sequence[float], *, seed: int) -> dict[float, Sparing]:
    """By share of rows to ask of: fusions are fitted once a fold, policies once a fold and share.

    Who is idle in the recipe is so where the dear voter is not asked.
    """
    folds, n = held.folds(OUTER_FOLDS, seed), len(held.ids)
    out = {share: Sparing(np.full(n, -1), np.zeros(n, dtype=bool)) for share in shares}
    whole = Recipe(recipe.uses, recipe.precision)
    for fold in np.unique(folds):
        at = folds == fold
        inside, outside = held.rows(~at), held.rows(at)
        if not inside.ids:
            continue
        fusion, others = fit(inside, whole, seed=seed), fit_others(inside, recipe, seed=seed)
        for share, each in out.items():
            fused = (fusion if share >= 1 else cascaded(fusion, others, inside, share))(outside.said, outside.facts)
            each.label[at], each.asked[at] = fused.label, fused.asked
    return out


def curve(held: HeldOut, turns: Sequence[Mapping[float, Sparing]], *, seed: int) -> tuple[Sent, ...]:
    """A point a share, on the rows of which every voter was asked; means over `turns`, draws of the folds."""
    at = held.complete
    none = [turn[0.0].label[at] for turn in turns]
    points = []
    for share in sorted(turns[0]):
        said = [turn[share].label[at] for turn in turns]
        score, _, gain = compare(held.gold[at], said, {str(n): labels for n, labels in enumerate(none)}, seed=seed)
        asked = float(np.mean([turn[share].asked[at].mean() for turn in turns]))
        mean = [float(np.mean([getattr(one, key) for one in gain.values()])) for key in ("value", "low", "high")]
        points.append(Sent(share, asked, score, Estimate(mean[0], mean[1], mean[2], score.n)))
    return tuple(points)
