"""Weighted F1 of a batch that nobody labelled: from posteriors, corrected for shifted label shares, with an interval.

1. The shares of the labels tonight are found by expectation maximisation over the posteriors (Saerens, Latinne and
   Decaestecker 2002), drawn to those of the labelled examples; the posteriors are moved with them.
2. The expected confusion matrix adds each row's posterior to the column of the label that the row was given; its
   weighted F1 is the raw figure. It inherits every error of calibration.
3. So the same is asked of examples with gold that no part of the release learned from, weighted to tonight's shares.
   How far the raw figure lies from the truth there corrects it, by as much as so few examples can be trusted
   (shrinkage to no correction), and how that varies over the examples and over rows makes the interval.

What this cannot see are rows of a kind that no example is like; `drift` looks for those by their scores, and
`kdsl.inputs` by what they are made of.
"""

from dataclasses import dataclass
from pathlib import Path
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import ReleaseError
from kdsl.kolmogorov import likeness, reweighted
from kdsl.metrics import Estimate, weighted_f1_of
from kdsl.models.voter import LogProbs

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

DRAWS = 60
EM_STEPS = 20
# Examples' worth of trust in the label shares among the examples.
SHARE_PRIOR = 200.0
# How far, one standard deviation, calibrated posteriors are expected to be off the truth before any example is seen.
CALIBRATION_SPREAD = 0.03


@dataclass(frozen=True)
class Reference:
    """What a release says of examples that no part of it learned from.

    `gold` and `label` are label indices (n,), label -1 where it abstains; `log_probs` is (n, labels), NaN in rows on
    which no voter spoke.
    """

    gold: Labels
    label: Labels
    log_probs: LogProbs

    @property
    def shares(self) -> Floats:
        """Label shares (labels,) among the examples, one more of each counted."""
        counts = np.bincount(self.gold, minlength=self.log_probs.shape[1]) + 1.0
        return np.asarray(counts / counts.sum(), dtype=np.float64)

    def save(self, file: Path) -> None:
        """Write an npz file."""
        np.savez_compressed(file, gold=self.gold, label=self.label, log_probs=self.log_probs.astype(np.float32))


def load(file: Path) -> Reference:
    """Read what `Reference.save` wrote.

    Raises:
        ReleaseError: the file is missing or broken.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            return Reference(arrays["gold"], arrays["label"], arrays["log_probs"].astype(np.float64))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ReleaseError(f"reference in {file} cannot be read ({type(error).__name__}); run fit again.") from error


def estimate(
    reference: Reference, log_probs: LogProbs, label: Labels, *, seed: int, rows: int | None = None
) -> Estimate:
    """Weighted F1 of a batch, with a 95 % interval for the error of calibration and the spread over rows.

    Args:
        reference: the same release on examples with gold.
        log_probs: the release's, (n, labels); rows of NaN, on which no voter spoke, are taken to be of any label.
        label: label index (n,) that the release gave; -1: none, for doubt, silence or a fault, which counts as wrong.
        seed: of the draws.
        rows: size of the batch, where `label` is a sample of it.
    """
    n = len(label)
    if not n or not len(reference.gold):
        return Estimate(0.0, 0.0, 1.0, n)
    known = reference.shares
    (raw,), (shares,) = _expected(_posteriors(log_probs, known), label, np.ones((1, n)), known)
    dice = np.random.default_rng(seed)
    tilt = (shares / known)[reference.gold]
    # The examples drawn anew (Bayesian bootstrap, Rubin 1981): what is known of the error of calibration.
    examples = dice.standard_exponential((DRAWS, len(tilt))) * tilt
    errors = _errors(reference, examples * (len(tilt) / examples.sum(axis=1, keepdims=True)), known)
    trust = CALIBRATION_SPREAD**2 / (CALIBRATION_SPREAD**2 + float(errors.var()))
    # Rows of the batch drawn anew: how far one batch of n strays from its expectation.
    counts = dice.multinomial(n, tilt / tilt.sum(), size=DRAWS).astype(np.float64)
    spread = np.sqrt(trust * errors.var() + _errors(reference, counts, known).var())
    value = float(np.clip(raw + trust * errors.mean(), 0.0, 1.0))
    return Estimate(value, float(max(0.0, value - 1.96 * spread)), float(min(1.0, value + 1.96 * spread)), rows or n)


def drift(reference: Reference, log_probs: LogProbs, label: Labels) -> float:
    """Probability of scores as far as these from the reference's if rows are of the same kind (Kolmogorov-Smirnov).

    The reference is weighted to the shares of labels given tonight, so that a shift of shares alone is no drift.
    """
    spoke = ~np.isnan(log_probs).any(axis=1)
    tonight, label = log_probs[spoke].max(axis=1), label[spoke]
    if not len(tonight) or not len(reference.gold):
        return 1.0
    weights = reweighted(reference.label + 1, label + 1)  # no label is a label of its own here
    held = np.nan_to_num(reference.log_probs.max(axis=1), nan=-np.inf)
    return likeness(held, weights, tonight)


def _errors(reference: Reference, weights: Floats, known: Floats) -> Floats:
    """Measured less expected weighted F1 of the examples under each row of weights (draws, n)."""
    size = reference.log_probs.shape[1]
    expected, _ = _expected(_posteriors(reference.log_probs, known), reference.label, weights, known)
    gold = np.eye(size)[reference.gold]
    return weighted_f1_of(_columns(gold, reference.label, weights, np.ones((len(weights), size)))) - expected


def _expected(posteriors: Floats, label: Labels, weights: Floats, known: Floats) -> tuple[Floats, Floats]:
    """Weighted F1 of the expected confusion matrix (draws,) and the label shares (draws, labels) behind it."""
    total = weights.sum(axis=1, keepdims=True)
    ratio = np.ones((len(weights), len(known)))
    for _ in range(EM_STEPS):
        moved = ratio * ((weights / (posteriors @ ratio.T).T) @ posteriors)
        ratio = (SHARE_PRIOR * known + moved) / (SHARE_PRIOR + total) / known
    shared = weights / (posteriors @ ratio.T).T
    return weighted_f1_of(_columns(posteriors, label, shared, ratio)), ratio * known


def _posteriors(log_probs: LogProbs, known: Floats) -> Floats:
    return np.where(np.isnan(log_probs).any(axis=1, keepdims=True), known, np.exp(log_probs))


def _columns(rows: Floats, label: Labels, weights: Floats, ratio: Floats) -> Floats:
    """Confusion matrices (draws, labels + 1, labels + 1): rows (n, labels) summed by given label, the last is none."""
    size = rows.shape[1]
    counts = np.zeros((len(weights), size + 1, size + 1))
    for column in np.unique(label):
        at = label == column
        counts[:, :size, column] = ratio * (weights[:, at] @ rows[at])  # column -1 is the last: no label
    return counts
