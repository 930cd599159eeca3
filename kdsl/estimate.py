"""Weighted F1 of a batch that nobody labelled: from posteriors, corrected for shifted label shares, with an interval.

1. Where examples with gold that no part of the release learned from say so (Akaike's criterion), the posteriors are
   sharpened or flattened by the one temperature that fits these best.
2. Gold is drawn from the posteriors, row by row, many times, together with the shares of the labels tonight, to which
   the posteriors are moved (`kdsl.shares`): what weighted F1 could have been measured, and how it spreads. (The F1 of
   expected counts is not the expected F1 where labels have few rows.)
3. The same is asked of the examples, weighted to tonight's shares. How far it lies from the truth there corrects the
   figure, by as much as so few examples can be trusted (shrinkage to no correction). The two parts of weighted F1,
   accuracy and what F1 lies above or below it, are trusted each by itself: the first hangs on how many of so few
   examples happen to be right, the second hardly does. The whole spread widens the interval: the posteriors were
   calibrated on those few examples too, so they are off by about as much as others of their number would tell.
4. Where a greater share of tonight's words is new than the examples have it (`kdsl.inputs.unknown`), between none and
   all of the answers in that share are wrong: half of it goes off, and the interval is as much wider as such a share
   may matter more or less (a uniform distribution). The examples share wordings with each other that a night has not.

What this cannot see are other rows of a kind that no example is like; `drift` looks for those by their scores, and
`kdsl.inputs` by what they are made of.
"""

from dataclasses import dataclass
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import ReleaseError
from kdsl.kolmogorov import likeness, reweighted
from kdsl.metrics import Estimate, accuracy_of, weighted_f1_of
from kdsl.models import calibrate
from kdsl.models.calibrate import Calibration
from kdsl.models.voter import LogProbs
from kdsl.shares import drawn, gold_and_shares

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

DRAWS = 240  # of gold
EXAMPLE_DRAWS, GOLD_A_DRAW = 40, 3  # of the examples, and of gold for each
# How far, one standard deviation, calibrated posteriors are expected to be off the truth before any example is seen.
# Chosen on the made-up shop and Bitext.
CALIBRATION_SPREAD = 0.01
# Nats that a temperature must gain, as Akaike's criterion has it for one parameter.
WORTH_A_PARAMETER = 1.0


@dataclass(frozen=True)
class Reference:
    """What a release says of examples that no part of it learned from.

    `gold` and `label` are label indices (n,), label -1 where it abstains; `log_probs` is (n, labels), NaN in rows on
    which no voter spoke. `scores` (n,) are the highest log-probabilities that the release's own fusion has, None in a
    release of an earlier version.
    """

    gold: Labels
    label: Labels
    log_probs: LogProbs
    scores: Floats | None = None

    @property
    def shares(self) -> Floats:
        """Label shares (labels,) among the examples, one more of each counted."""
        counts = np.bincount(self.gold, minlength=self.log_probs.shape[1]) + 1.0
        return np.asarray(counts / counts.sum(), dtype=np.float64)

    def save(self, file: Path) -> None:
        """Write an npz file."""
        more: dict[str, Any] = {} if self.scores is None else {"scores": self.scores}
        np.savez_compressed(file, gold=self.gold, label=self.label, log_probs=self.log_probs.astype(np.float32), **more)


def load(file: Path) -> Reference:
    """Read what `Reference.save` wrote.

    Raises:
        ReleaseError: the file is missing or broken.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            log_probs = arrays["log_probs"].astype(np.float64)
            return Reference(arrays["gold"], arrays["label"], log_probs, arrays.get("scores"))
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ReleaseError(f"reference in {file} cannot be read ({type(error).__name__}); run fit again.") from error


def estimate(
    reference: Reference,
    log_probs: LogProbs,
    label: Labels,
    *,
    seed: int,
    rows: int | None = None,
    unknown: float = 0.0,
) -> Estimate:
    """Weighted F1 of a batch, with a 95 % interval for the error of calibration and the spread over rows.

    Args:
        reference: the same release on examples with gold.
        log_probs: the release's, (n, labels); rows of NaN, on which no voter spoke, are taken to be of any label.
        label: label index (n,) that the release gave; -1: none, for doubt, silence or a fault, which counts as wrong.
        seed: of the draws.
        rows: size of the batch, where `label` is a sample of it.
        unknown: by so much is a greater share of the words new than the examples have it, 0 to 1.
    """
    n = len(label)
    if not n or not len(reference.gold):
        return Estimate(0.0, 0.0, 1.0, n)
    known, dice = reference.shares, np.random.default_rng(seed)
    temper = _temper(reference)
    posteriors = _posteriors(temper(log_probs), known)
    gold, shares = gold_and_shares(posteriors, known, dice, DRAWS)
    possible = _parts(gold, label, np.ones(gold.shape), len(known)).sum(axis=0)
    ratio = shares.mean(axis=0) / known
    errors = _errors(reference, _posteriors(temper(reference.log_probs), known) * ratio, ratio, dice)
    trust = CALIBRATION_SPREAD**2 / (CALIBRATION_SPREAD**2 + _variance(errors))
    unseen = (CALIBRATION_SPREAD**2 * (1 - trust)).sum()
    familiar = possible.mean() + trust @ errors.mean(axis=(1, 2))
    lost = unknown * familiar  # if every answer in that share is wrong
    spread = np.sqrt(_variance(errors.sum(axis=0)) + unseen + possible.var() + lost**2 / 12)
    value = float(np.clip(familiar - lost / 2, 0.0, 1.0))
    return Estimate(value, float(max(0.0, value - 1.96 * spread)), float(min(1.0, value + 1.96 * spread)), rows or n)


def drift(reference: Reference, log_probs: LogProbs, label: Labels) -> float:
    """Probability of scores as far as these from the reference's if rows are of the same kind (Kolmogorov-Smirnov).

    The reference is weighted to the shares of labels given tonight, so that a shift of shares alone is no drift. Its
    scores are those of the fusion that speaks tonight: another one, fitted on other rows, is a little more or less
    sure, which is a difference where most answers are about equally sure.
    """
    spoke = ~np.isnan(log_probs).any(axis=1)
    tonight, label = log_probs[spoke].max(axis=1), label[spoke]
    if not len(tonight) or not len(reference.gold):
        return 1.0
    weights = reweighted(reference.label + 1, label + 1)  # no label is a label of its own here
    known = reference.log_probs.max(axis=1) if reference.scores is None else reference.scores
    held = np.nan_to_num(known, nan=-np.inf)
    return likeness(held, weights, tonight)


def _temper(reference: Reference) -> Calibration:
    """The temperature of the examples if it is worth having, else none."""
    fitted = calibrate.refit("temperature", reference.log_probs, reference.gold)
    at = np.flatnonzero(~np.isnan(reference.log_probs).any(axis=1))
    gain = (fitted(reference.log_probs) - reference.log_probs)[at, reference.gold[at]].sum()
    return fitted if gain > WORTH_A_PARAMETER else Calibration()


def _errors(reference: Reference, posteriors: Floats, ratio: Floats, dice: np.random.Generator) -> Floats:
    """Measured less possible parts of weighted F1 of the examples at those shares (Bayesian bootstrap, Rubin 1981).

    By part, draw of the examples and gold drawn for it: (2, draws, golds). `posteriors` (n, labels) are the examples',
    moved to those shares.
    """
    tilt, size = ratio[reference.gold], len(ratio)
    weights = dice.standard_exponential((EXAMPLE_DRAWS, len(tilt))) * tilt
    measured = _parts(np.broadcast_to(reference.gold, weights.shape), reference.label, weights, size)
    gold = drawn(posteriors, dice, EXAMPLE_DRAWS * GOLD_A_DRAW)
    possible = _parts(gold, reference.label, np.repeat(weights, GOLD_A_DRAW, axis=0), size)
    return np.asarray(measured[:, :, None] - possible.reshape(2, EXAMPLE_DRAWS, GOLD_A_DRAW), dtype=np.float64)


def _variance(errors: Floats) -> Floats:
    """Over draws of the examples (..., draws, golds): that of means over gold, less what so few golds add to it."""
    golds = errors.shape[-1]
    found = errors.mean(axis=-1).var(axis=-1, ddof=1) - errors.var(axis=-1, ddof=1).mean(axis=-1) / golds
    return np.asarray(np.maximum(found, 0.0), dtype=np.float64)


def _parts(gold: Labels, label: Labels, weights: Floats, size: int) -> Floats:
    """Accuracy, and weighted F1 less that, (2, draws) of the labels given; gold and weights are (draws, n)."""
    side = size + 1
    cell = (np.arange(len(gold))[:, None] * side + gold) * side + np.where(label < 0, size, label)
    counts = np.bincount(cell.ravel(), weights.ravel(), len(gold) * side**2).reshape(len(gold), side, side)
    accuracy = accuracy_of(counts)
    return np.stack([accuracy, weighted_f1_of(counts) - accuracy])


def _posteriors(log_probs: LogProbs, known: Floats) -> Floats:
    return np.where(np.isnan(log_probs).any(axis=1, keepdims=True), known, np.exp(log_probs))
