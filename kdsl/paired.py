"""Two sets of answers to the same rows: the difference of their weighted F1, by paired bootstrap."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.metrics import Estimate

Answers = NDArray[np.int64]


def weighted_f1_draws(
    gold: Answers, answers: Sequence[Answers], *, seed: int, resamples: int = 1000
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Weighted F1 of each set of answers on all rows (sets,), and on the same bootstrap samples (resamples, sets).

    Rows alike in gold and in all answers are drawn together, by one multinomial over such cells.

    Args:
        gold: label index (n,), n >= 1.
        answers: label index (n,) each; -1 is no answer, and wrong.
    """
    columns = np.stack([gold, *answers], axis=1)
    cells, counts = np.unique(columns, axis=0, return_counts=True)
    drawn = np.random.default_rng(seed).multinomial(len(gold), counts / len(gold), size=resamples)
    drawn = np.vstack([counts[None, :], drawn]).astype(np.float64)
    labels = np.arange(columns.max() + 1)
    is_gold = cells[:, :1] == labels
    support = drawn @ is_gold
    scores = np.empty((len(drawn), len(answers)))
    for place in range(len(answers)):
        is_said = cells[:, place + 1, None] == labels
        both = drawn @ (is_gold & is_said)
        total = support + drawn @ is_said
        f1 = np.divide(2 * both, total, out=np.zeros_like(both), where=total > 0)
        scores[:, place] = (f1 * support).sum(axis=1) / len(gold)
    return scores[0], scores[1:]


def compare(
    gold: Answers, fused: Sequence[Answers], parts: Mapping[str, Answers], *, seed: int
) -> tuple[Estimate, dict[str, Estimate], dict[str, Estimate]]:
    """Weighted F1 of the fused answers (mean over repeats), of each part, and fused less part; 95 % intervals.

    Raises:
        ValueError: there is no row.
    """
    if not len(gold):
        raise ValueError("no rows to compare on")
    n, repeats = len(gold), len(fused)
    value, draws = weighted_f1_draws(gold, [*fused, *parts.values()], seed=seed)
    whole, whole_draws = value[:repeats].mean(), draws[:, :repeats].mean(axis=1)
    scores, differences = {}, {}
    for place, name in enumerate(parts, start=repeats):
        scores[name] = _estimate(value[place], draws[:, place], n)
        # Not of the means: three times the same number may have a mean that is another in its last digit.
        ahead, ahead_draws = value[:repeats] - value[place], draws[:, :repeats] - draws[:, place, None]
        differences[name] = _estimate(ahead.mean(), ahead_draws.mean(axis=1), n)
    return _estimate(whole, whole_draws, n), scores, differences


def less(gold: Answers, one: Sequence[Answers], other: Sequence[Answers], *, seed: int) -> Estimate:
    """Weighted F1 of one set of answers less that of another, both means over repeats, with a 95 % interval.

    Raises:
        ValueError: there is no row.
    """
    if not len(gold):
        raise ValueError("no rows to compare on")
    value, draws = weighted_f1_draws(gold, [*one, *other], seed=seed)
    n = len(one)
    value, draws = value - value[0], draws - draws[:, :1]  # so that answers that are the same differ by 0 and no less
    return _estimate(
        value[:n].mean() - value[n:].mean(), draws[:, :n].mean(axis=1) - draws[:, n:].mean(axis=1), len(gold)
    )


def _estimate(value: float, draws: NDArray[np.float64], n: int) -> Estimate:
    low, high = np.quantile(draws, [0.025, 0.975])
    return Estimate(float(value), float(low), float(high), n)
