"""How far to trust summed weights, learned from predictions out of fold."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.models.logistic import log_softmax

SLOPES = np.geomspace(0.2, 1.5, 40)
PRECISION = 0.9  # share right that rules speaking alone should reach
LEAST = 10  # rows from which such a share is read

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Calibration:
    """`slope` multiplies the weights; at probability `speak` and above, `PRECISION` of the held-out answers were right.

    `speak` is above 1 where no threshold reached it. The rest tells of the predictions out of fold.
    """

    slope: float
    speak: float
    rows: int
    covered: float
    right_where_fired: float
    spoken: float


def calibrate(sums: Floats, priors: Floats, fired: NDArray[np.bool_], gold: NDArray[np.int64]) -> Calibration:
    """Fit the slope by log-loss on the rows where a rule fired, then the threshold.

    Args:
        sums: weights of the rules that fired, added by label, (rows, labels).
        priors: log prior, (rows, labels).
        fired: whether any rule fired, (rows,).
        gold: label index, (rows,).
    """
    if not fired.any():
        return Calibration(1.0, 2.0, len(gold), 0.0, 0.0, 0.0)
    sums, priors, gold_fired = sums[fired], priors[fired], gold[fired]
    at = np.arange(len(gold_fired))
    losses = [-log_softmax(sums * slope + priors)[at, gold_fired].mean() for slope in SLOPES]
    slope = float(SLOPES[int(np.argmin(losses))])
    p = np.exp(log_softmax(sums * slope + priors))
    sure, right = p.max(axis=1), p.argmax(axis=1) == gold_fired
    speak, spoken = 2.0, 0
    for threshold in np.unique(sure)[::-1]:
        over = sure >= threshold
        if over.sum() >= LEAST and right[over].mean() >= PRECISION:
            speak, spoken = float(threshold), int(over.sum())
    n = len(gold)
    return Calibration(slope, speak, n, float(fired.mean()), float(right.mean()), spoken / n)
