"""Weighted F1 and its neighbours, from counts of (gold, predicted) pairs, with bootstrap intervals.

Everything is computed from a confusion matrix, so that Spark can count pairs and the rest is small. Weighted F1 is
scikit-learn's `f1_score(average="weighted", zero_division=0)` over the labels seen in gold or predicted: the mean of
per-label F1 = 2 tp / (gold + predicted), each weighted by its share of gold. A missing prediction (abstained, error)
is a label of its own that no gold row has, so it counts as wrong.
"""

from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Counts = NDArray[np.int64] | NDArray[np.float64]  # floats are expected or weighted counts
Statistic = Callable[[Counts], NDArray[np.float64]]
# Rows by gold, prediction and weight = 1 / probability with which the row was drawn.
Cells = Mapping[tuple[str | None, str | None, float], int]


@dataclass(frozen=True)
class Estimate:
    """A figure with its 95 % interval and the number of rows behind it."""

    value: float
    low: float
    high: float
    n: int

    def __str__(self) -> str:
        return f"{self.value:.3f} [{self.low:.3f}, {self.high:.3f}] n={self.n}"


@dataclass(frozen=True)
class Confusion:
    """Counts of pairs: `counts[..., i, j]` rows whose gold is `labels[i]` and whose prediction is `labels[j]`.

    Labels are those that occur, gold or predicted, in order of first mention; None stands for no prediction.
    """

    labels: tuple[str | None, ...]
    counts: Counts

    @property
    def n(self) -> int:
        """Rows counted."""
        return round(float(self.counts.sum()))


def confusion(gold: Iterable[str | None], predicted: Iterable[str | None]) -> Confusion:
    """Count pairs.

    Raises:
        ValueError: the two are of different lengths.
    """
    return from_pairs(Counter(zip(gold, predicted, strict=True)))


def from_pairs(pairs: Mapping[tuple[str | None, str | None], int]) -> Confusion:
    """The confusion matrix of pair counts `{(gold, predicted): n}`."""
    labels = tuple(dict.fromkeys(label for pair in pairs for label in pair))
    place = {label: i for i, label in enumerate(labels)}
    counts = np.zeros((len(labels), len(labels)), dtype=np.int64)
    for (gold, predicted), n in pairs.items():
        counts[place[gold], place[predicted]] += n
    return Confusion(labels, counts)


def from_cells(cells: Cells) -> Confusion:
    """The confusion matrix of rows `{(gold, predicted, weight): n}`, each counted once whatever its weight."""
    pairs = Counter[tuple[str | None, str | None]]()
    for (gold, predicted, _), n in cells.items():
        pairs[gold, predicted] += n
    return from_pairs(pairs)


def f1_by_label(counts: Counts) -> NDArray[np.float64]:
    """F1 of each label, shape (..., labels) from counts (..., labels, labels); 0 where it is undefined."""
    true = np.diagonal(counts, axis1=-2, axis2=-1).astype(np.float64)
    total = counts.sum(axis=-1) + counts.sum(axis=-2)
    return _ratio(2 * true, total)


def weighted_f1_of(counts: Counts) -> NDArray[np.float64]:
    """Weighted F1, shape (...) from counts (..., labels, labels); 0 of no rows."""
    support = counts.sum(axis=-1)
    n = support.sum(axis=-1)
    weighted = (f1_by_label(counts) * support).sum(axis=-1)
    return _ratio(weighted, n)


def macro_f1_of(counts: Counts) -> NDArray[np.float64]:
    """Mean of F1 over the labels that occur in gold or predicted."""
    seen = (counts.sum(axis=-1) + counts.sum(axis=-2)) > 0
    total = (f1_by_label(counts) * seen).sum(axis=-1)
    return _ratio(total, seen.sum(axis=-1))


def accuracy_of(counts: Counts) -> NDArray[np.float64]:
    """Share of rows whose prediction is gold."""
    true = np.diagonal(counts, axis1=-2, axis2=-1).sum(axis=-1).astype(np.float64)
    n = counts.sum(axis=(-2, -1))
    return _ratio(true, n)


def weighted_f1(gold: Sequence[str | None], predicted: Sequence[str | None]) -> float:
    """Weighted F1 of two sequences of the same length."""
    return float(weighted_f1_of(confusion(gold, predicted).counts))


def estimate(
    matrix: Confusion, statistic: Statistic = weighted_f1_of, *, seed: int = 0, resamples: int = 1000
) -> Estimate:
    """A statistic with its percentile bootstrap interval over rows (Efron and Tibshirani 1993, ch. 13).

    Resampling n rows with replacement is one multinomial draw over the cells of the matrix: cost goes with cells.
    """
    n = matrix.n
    value = float(statistic(matrix.counts))
    if n == 0:
        return Estimate(value, 0.0, 1.0, 0)
    drawn = resample(matrix.counts, seed=seed, resamples=resamples)
    low, high = np.quantile(statistic(drawn), [0.025, 0.975])
    return Estimate(value, float(low), float(high), n)


def weighed(cells: Cells) -> Confusion:
    """The confusion matrix of rows drawn with unequal probability, each counted by its weight (Horvitz and Thompson
    1952); the weights are scaled to as many as there are rows. Where all are equal, they say nothing.
    """
    matrix = from_cells(cells)
    if len({weight for _, _, weight in cells}) <= 1:
        return matrix
    at, weight, rows = _laid_out(matrix, cells)
    counts = np.bincount(at, weight * rows, matrix.counts.size).reshape(matrix.counts.shape)
    return Confusion(matrix.labels, counts * (rows.sum() / counts.sum()))


def redrawn(cells: Cells, *, seed: int, resamples: int = 1000) -> Counts:
    """Bootstrap confusion matrices (resamples, labels, labels) in the order of `weighed`: rows with their weights."""
    matrix = from_cells(cells)
    if len({weight for _, _, weight in cells}) <= 1:
        return resample(matrix.counts, seed=seed, resamples=resamples)
    at, weight, rows = _laid_out(matrix, cells)
    drawn = np.random.default_rng(seed).multinomial(int(rows.sum()), rows / rows.sum(), size=resamples) * weight
    summed = np.zeros((resamples, matrix.counts.size))
    for cell, place in enumerate(at.tolist()):
        summed[:, place] += drawn[:, cell]
    return summed.reshape(resamples, *matrix.counts.shape)


def _laid_out(matrix: Confusion, cells: Cells) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.int64]]:
    """Of each cell its place in the flat matrix, its weight, its rows."""
    place, size = {label: at for at, label in enumerate(matrix.labels)}, len(matrix.labels)
    at = np.array([place[gold] * size + place[said] for gold, said, _ in cells], dtype=np.int64)
    return at, np.array([cell[2] for cell in cells]), np.array(list(cells.values()), dtype=np.int64)


def estimate_drawn(cells: Cells, *, seed: int = 0) -> Estimate:
    """Weighted F1 of rows drawn with unequal probability, see `weighed`; n counts rows.

    The interval is that of rows redrawn with their weights.
    """
    return estimates_drawn(cells, weighted_f1_of, seed=seed)[0]


def estimates_drawn(cells: Cells, *statistics: Statistic, seed: int = 0) -> list[Estimate]:
    """Several statistics as `estimate_drawn` has weighted F1, over the same redrawn rows."""
    if not cells:
        return [Estimate(0.0, 0.0, 1.0, 0) for _ in statistics]
    matrix, drawn, n = weighed(cells), redrawn(cells, seed=seed), sum(cells.values())
    found = []
    for statistic in statistics:
        low, high = np.quantile(statistic(drawn), [0.025, 0.975])
        found.append(Estimate(float(statistic(matrix.counts)), float(low), float(high), n))
    return found


def estimates_by_label(cells: Cells, *, seed: int = 0) -> dict[str, Estimate]:
    """F1 of each label that gold has, with the interval of `estimate_drawn`; n counts its gold rows."""
    if not cells:
        return {}
    matrix, rows = weighed(cells), from_cells(cells).counts.sum(axis=1)
    lows, highs = np.quantile(f1_by_label(redrawn(cells, seed=seed)), [0.025, 0.975], axis=0)
    found = zip(matrix.labels, f1_by_label(matrix.counts), lows, highs, rows, strict=True)
    return {
        label: Estimate(float(f1), float(low), float(high), int(n)) for label, f1, low, high, n in found if label and n
    }


def resample(counts: Counts, *, seed: int, resamples: int) -> Counts:
    """Bootstrap confusion matrices, shape (resamples, labels, labels)."""
    size = len(counts)
    cells = np.flatnonzero(counts)
    shares = counts.ravel()[cells] / counts.sum()
    drawn = np.zeros((resamples, size * size), dtype=np.int64)
    drawn[:, cells] = np.random.default_rng(seed).multinomial(int(counts.sum()), shares, size=resamples)
    return drawn.reshape(resamples, size, size)


def confused_pairs(matrix: Confusion, most: int = 20) -> list[tuple[str | None, str | None, int]]:
    """The most frequent (gold, predicted, rows) off the diagonal."""
    pairs = [
        (matrix.labels[i], matrix.labels[j], int(matrix.counts[i, j]))
        for i, j in zip(*np.nonzero(matrix.counts), strict=True)
        if i != j
    ]
    return sorted(pairs, key=lambda pair: (-pair[2], str(pair[0]), str(pair[1])))[:most]


def _ratio(part: NDArray[np.float64], whole: Counts) -> NDArray[np.float64]:
    """part / whole, and 0 where whole is 0."""
    top, bottom = np.asarray(part, dtype=np.float64), np.asarray(whole, dtype=np.float64)
    ratio: NDArray[np.float64] = np.divide(top, bottom, out=np.zeros_like(top), where=bottom > 0)
    return ratio
