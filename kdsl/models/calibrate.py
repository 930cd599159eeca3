"""Calibration of a voter on log-probabilities of examples that it did not learn from.

Three maps are tried and the one of least held-out log-loss is kept; a richer one has to win by more than the standard
error of its gain. All are drawn to "leave it as it is" by a prior, so that with four examples a label the prior wins.

| method      | log-probabilities become                                                              |
|-------------|---------------------------------------------------------------------------------------|
| none        | themselves                                                                            |
| temperature | slope * log p, renormalised (Guo et al. 2017)                                         |
| vector      | slope_k * log p_k + bias_k, renormalised (vector scaling, ibid.)                      |
| isotonic    | one monotone map of p for all labels, renormalised (Zadrozny and Elkan 2002)          |
"""

from collections.abc import Callable
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from pydantic import BaseModel, ConfigDict

from kdsl.models.logistic import log_softmax
from kdsl.models.voter import LogProbs
from kdsl.remembered import remembered

Gold = NDArray[np.int64]
Method = Literal["none", "temperature", "vector", "isotonic"]

# Log-probabilities below this are raised to it: no voter may rule a label out for all others.
FLOOR = float(np.log(1e-9))
# Penalties in nats, 1 / (2 variance): the log of a slope strays by about .5, a label's bias by .5, its slope by .25.
SLOPE_PRIOR, BIAS_PRIOR, LABEL_SLOPE_PRIOR = 2.0, 2.0, 8.0
SLOPES = (0.05, 20.0)
# Isotonic steps would tie labels that differ; so much of the straight line keeps their order.
STRAIGHT = 0.02
# Rows from which the richer maps are tried at all.
LEAST_ROWS = 40


class Calibration(BaseModel):
    """A fitted map; `slope` holds one number or one a label, `steps` the knots (p, calibrated p) of an isotonic map."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    method: Method = "none"
    slope: tuple[float, ...] = ()
    bias: tuple[float, ...] = ()
    steps: tuple[tuple[float, float], ...] = ()

    def __call__(self, log_probs: LogProbs) -> LogProbs:
        """Calibrated log-probabilities of the same shape (n, labels); rows that abstain (NaN) stay as they are."""
        if self.method == "none":
            return log_probs
        if self.method == "isotonic":
            known, mapped = np.array(self.steps).T
            p = np.exp(log_probs)
            bent = (1 - STRAIGHT) * np.interp(p, known, mapped) + STRAIGHT * p
            return log_softmax(np.maximum(np.log(np.maximum(bent, 1e-300)), FLOOR))
        return log_softmax(log_probs * np.array(self.slope) + (np.array(self.bias) if self.bias else 0.0))


def clean(log_probs: LogProbs) -> LogProbs:
    """Rows fit to be pooled: normalised, floored at `FLOOR`; a row with a NaN, or with no finite value, abstains."""
    rows = np.array(log_probs, dtype=np.float64)
    bad = np.isnan(rows).any(axis=1) | ~np.isfinite(rows).any(axis=1) | np.isposinf(rows).any(axis=1)
    rows[bad] = 0.0
    rows = log_softmax(np.maximum(log_softmax(rows), FLOOR))
    rows[bad] = np.nan
    return rows


def fit(log_probs: LogProbs, gold: Gold, folds: Gold) -> Calibration:
    """The map of least log-loss on rows it was not fitted on.

    Args:
        log_probs: (n, labels), out of fold, as `clean` leaves them; rows that abstain are left out.
        gold: label index (n,).
        folds: fold (n,) in which each row is held out to choose the method.
    """
    speaks = ~np.isnan(log_probs).any(axis=1)
    log_probs, gold, folds = log_probs[speaks], gold[speaks], folds[speaks]
    if not len(gold):
        return Calibration()
    best, best_loss = "temperature", _held_out_loss("temperature", log_probs, gold, folds)
    for method in ("vector", "isotonic") if len(gold) >= LEAST_ROWS else ():
        loss = _held_out_loss(method, log_probs, gold, folds)
        gain = best_loss - loss
        if gain.mean() > gain.std() / np.sqrt(len(gain)):
            best, best_loss = method, loss
    return _fitted(best, log_probs, gold)


def refit(method: Method, log_probs: LogProbs, gold: Gold) -> Calibration:
    """The map of a method that was chosen before, on other rows."""
    speaks = ~np.isnan(log_probs).any(axis=1)
    if method == "none" or not speaks.any():
        return Calibration()
    return _fitted(method, log_probs[speaks], gold[speaks])


@remembered(1_024)
def _fitted(method: str, log_probs: LogProbs, gold: Gold) -> Calibration:
    return METHODS[method](log_probs, gold)


def _held_out_loss(method: str, log_probs: LogProbs, gold: Gold, folds: Gold) -> NDArray[np.float64]:
    loss = np.zeros(len(gold))
    for fold in np.unique(folds):
        held = folds == fold
        fitted = _fitted(method, log_probs[~held], gold[~held]) if (~held).any() else Calibration()
        loss[held] = -fitted(log_probs[held])[np.arange(held.sum()), gold[held]]
    return loss


def _temperature(log_probs: LogProbs, gold: Gold) -> Calibration:
    from scipy.optimize import minimize_scalar

    at = np.arange(len(gold))

    def loss(log_slope: float) -> float:
        fit = log_softmax(np.exp(log_slope) * log_probs)[at, gold].sum()
        return -float(fit) + SLOPE_PRIOR * log_slope**2

    found = minimize_scalar(loss, bounds=tuple(np.log(SLOPES)), method="bounded", options={"xatol": 1e-4})
    return Calibration(method="temperature", slope=(float(np.exp(found.x)),))


def _vector(log_probs: LogProbs, gold: Gold) -> Calibration:
    from scipy.optimize import minimize

    rows, labels = log_probs.shape
    start = _temperature(log_probs, gold).slope[0]
    at = np.arange(rows)
    # A label without an example would only ever be pushed down: it keeps the voice that its description gives it.
    seen = np.bincount(gold, minlength=labels) > 0

    def loss(flat: NDArray[np.float64]) -> tuple[float, NDArray[np.float64]]:
        slope, bias = flat[:labels], flat[labels:]
        log_p = log_softmax(log_probs * slope + bias)
        error = np.exp(log_p)
        error[at, gold] -= 1.0
        drawn = LABEL_SLOPE_PRIOR * (slope - start) ** 2 + BIAS_PRIOR * bias**2
        by_slope = ((error * log_probs).sum(axis=0) + 2 * LABEL_SLOPE_PRIOR * (slope - start)) * seen
        by_bias = (error.sum(axis=0) + 2 * BIAS_PRIOR * bias) * seen
        return -float(log_p[at, gold].sum()) + float(drawn.sum()), np.concatenate([by_slope, by_bias])

    begin = np.concatenate([np.full(labels, start), np.zeros(labels)])
    bounds = [SLOPES] * labels + [(-5.0, 5.0)] * labels
    found = minimize(loss, begin, jac=True, method="L-BFGS-B", bounds=bounds, options={"maxiter": 100, "ftol": 1e-7})
    return Calibration(method="vector", slope=tuple(found.x[:labels].tolist()), bias=tuple(found.x[labels:].tolist()))


def _isotonic(log_probs: LogProbs, gold: Gold) -> Calibration:
    from sklearn.isotonic import IsotonicRegression

    p = np.exp(log_probs).ravel()
    right = (np.arange(log_probs.shape[1])[None, :] == gold[:, None]).ravel().astype(np.float64)
    fitted = IsotonicRegression(y_min=0.0, y_max=1.0, out_of_bounds="clip").fit(p, right)
    knots = zip(fitted.X_thresholds_.tolist(), fitted.y_thresholds_.tolist(), strict=True)
    return Calibration(method="isotonic", steps=tuple(knots))


METHODS: dict[str, Callable[[LogProbs, Gold], Calibration]] = {
    "temperature": _temperature,
    "vector": _vector,
    "isotonic": _isotonic,
}
