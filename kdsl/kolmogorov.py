"""The Kolmogorov-Smirnov test of two samples of which one is weighted."""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

DIGITS = 4  # of a value: to the test the last digit of a float is a difference, and values come by several ways
UNLIKE = 0.001  # probability of such samples below which they are called unlike


def reweighted(before: Labels, tonight: Labels) -> Floats:
    """Weights (n,) of the labels `before` that give them the shares of `tonight`; labels are numbers from 0."""
    size = int(max(before.max(initial=0), tonight.max(initial=0))) + 1
    was, now = (np.bincount(labels, minlength=size) / max(1, len(labels)) for labels in (before, tonight))
    weights: Floats = np.divide(now, was, out=np.zeros(size), where=was > 0)[before]
    return weights


def effective_size(weights: Floats) -> float:
    """Of a sample with these weights, not all 0: as many rows of equal weight tell as much (Kish 1965)."""
    return float(weights.sum() ** 2 / (weights**2).sum())


def likeness(before: Floats, weights: Floats, tonight: Floats) -> float:
    """Probability of samples as far apart as these if both come from one distribution.

    Asymptotic (Stephens 1970), with Kish's effective size for the weighted sample; too high where values tie. 1 where
    one sample has no value, 0 where the weights leave nothing of the first. Values count to `DIGITS` digits.

    Args:
        before: values (n,), no NaN.
        weights: of each of them, >= 0.
        tonight: values (m,), no NaN.
    """
    if not len(before) or not len(tonight):
        return 1.0
    before, tonight = np.round(before, DIGITS), np.round(tonight, DIGITS)
    total = weights.sum()
    if not total:
        return 0.0
    points = np.concatenate([before, tonight])
    order = np.argsort(before)
    steps = np.append(0.0, np.cumsum(weights[order]) / total)
    gap = np.abs(
        steps[np.searchsorted(before[order], points, side="right")]
        - np.searchsorted(np.sort(tonight), points, side="right") / len(tonight)
    ).max()
    known = effective_size(weights)
    root = np.sqrt(known * len(tonight) / (known + len(tonight)))
    from scipy.special import kolmogorov

    return float(kolmogorov(gap * (root + 0.12 + 0.11 / root)))
