"""Weighted multinomial logistic regression on dense features, and the exact reduction that keeps it small.

An L2-regularised linear model on n rows lives in the span of those rows (representer theorem), so `reduce` turns any
number of features into at most n coordinates with the same inner products; the solution maps back exactly. Above
`MAX_EXACT` rows the leading `LEADING` directions stand for all (truncated SVD).
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.remembered import remembered

Matrix = NDArray[np.float64]

# Eigenvalues below this share of the largest are rounding, not directions.
RANK_TOLERANCE = 1e-9
# The exact reduction costs rows cubed.
MAX_EXACT, LEADING = 2_500, 800
# The intercept is barely regularised; without it a label that no row has would run to minus infinity.
INTERCEPT_RIDGE = 0.01


@dataclass(frozen=True)
class Reduced:
    """Coordinates (n, r) of n rows, and `back` (n, r): features of the rows, transposed, times back is the basis."""

    coordinates: Matrix
    back: Matrix


def reduce(features: Any) -> Reduced:
    """Coordinates of the rows of a dense or sparse (n, d) matrix; inner products are kept, see above."""
    if features.shape[0] > MAX_EXACT:
        return _leading(features)
    gram = features @ features.T
    gram = np.asarray(gram.todense() if hasattr(gram, "todense") else gram, dtype=np.float64)
    values, vectors = np.linalg.eigh(gram)
    keep = values > max(values[-1], 0.0) * RANK_TOLERANCE
    if not keep.any():
        return Reduced(np.zeros((len(gram), 1)), np.zeros((len(gram), 1)))
    root = np.sqrt(values[keep])
    return Reduced(vectors[:, keep] * root, vectors[:, keep] / root)


def _leading(features: Any) -> Reduced:
    from sklearn.utils.extmath import randomized_svd

    size = min(LEADING, *features.shape)
    vectors, values, _ = randomized_svd(features, n_components=size, n_iter=3, random_state=0)
    keep = values > max(values[0], 0.0) * RANK_TOLERANCE
    return Reduced(vectors[:, keep] * values[keep], vectors[:, keep] / values[keep])


def log_softmax(logits: Matrix) -> Matrix:
    """Row-wise, in place of nothing: a new (n, k) array."""
    shifted = logits - logits.max(axis=1, keepdims=True)
    normalised: Matrix = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return normalised


def fit_logistic(
    features: Matrix,
    gold: NDArray[np.int64],
    weights: Matrix,
    classes: int,
    *,
    l2: float,
    iterations: int,
    start: Matrix | None = None,
) -> Matrix:
    """Coefficients (d + 1, classes), the intercept in the last row.

    Minimises sum_i weights_i * -log p(gold_i) + l2 / 2 * |W|^2 by L-BFGS from `start` (zeros where None),
    at most so many iterations.
    """
    from scipy.optimize import minimize

    rows, width = features.shape
    x = np.hstack([features, np.ones((rows, 1))])
    ridge = np.full((width + 1, 1), l2)
    ridge[-1] = l2 * INTERCEPT_RIDGE
    picked = (np.arange(rows), gold)

    def loss(flat: Matrix) -> tuple[float, Matrix]:
        coefficients = flat.reshape(width + 1, classes)
        log_p = log_softmax(x @ coefficients)
        error = np.exp(log_p)
        value = -float(weights @ log_p[picked]) + 0.5 * float((ridge * coefficients**2).sum())
        error[picked] -= 1.0
        return value, (x.T @ (error * weights[:, None]) + ridge * coefficients).ravel()

    begin = np.zeros((width + 1, classes)) if start is None else start
    options = {"maxiter": iterations, "maxcor": 10, "ftol": 1e-6, "gtol": 1e-3}
    found = minimize(loss, begin.ravel(), jac=True, method="L-BFGS-B", options=options)
    solution: Matrix = found.x.reshape(width + 1, classes)
    return solution


@remembered(1_024)
def fit_pool(votes: list[Matrix], gold: NDArray[np.int64], *, ridge: float, centre: Matrix | None = None) -> Matrix:
    """Weights >= 0 of a log-linear pool: softmax(sum_m w_m log p_m), least negative log-likelihood on `gold`.

    `ridge` draws the weights towards `centre`, 1 / len(votes) where None, so that few rows do not decide alone.
    """
    from scipy.optimize import minimize

    stacked = np.stack(votes)  # (members, n, classes)
    rows = np.arange(len(gold))
    middle = np.full(len(votes), 1.0 / len(votes)) if centre is None else centre

    def loss(weights: Matrix) -> tuple[float, Matrix]:
        log_p = log_softmax(np.tensordot(weights, stacked, axes=1))
        error = np.exp(log_p)
        error[rows, gold] -= 1.0
        value = -float(log_p[rows, gold].sum()) + ridge * float(((weights - middle) ** 2).sum())
        return value, np.einsum("mnk,nk->m", stacked, error) + 2 * ridge * (weights - middle)

    bounds = [(0.0, 10.0)] * len(votes)
    found = minimize(loss, middle, jac=True, method="L-BFGS-B", bounds=bounds)
    solution: Matrix = np.asarray(found.x, dtype=np.float64)
    solution.flags.writeable = False  # it is remembered
    return solution
