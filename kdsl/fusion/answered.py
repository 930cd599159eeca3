"""What a fusion answers to rows that no part of it was fitted on: everything but the voters, nested."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion.curve import OUTER_FOLDS
from kdsl.fusion.fit import Recipe, fit
from kdsl.fusion.held_out import HeldOut
from kdsl.models.voter import LogProbs

# The answer to "which is better" should not hang on one draw of the folds.
REPEATS = 3


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
