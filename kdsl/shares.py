"""Gold of a batch that nobody labelled, and the shares of its labels, drawn from the posteriors by Gibbs sampling.

The posteriors hold for the label shares among examples. How far tonight's lie from those is not known beforehand, so it
is asked of the batch: three things are drawn in turn, each given the others (Geman and Geman 1984).

- Gold, row by row, from posteriors moved to the shares.
- How far shares may have shifted: strengths of a Dirichlet prior around the examples' shares, from next to none to half
  an example a label, all as likely at first, weighed by how well each explains the counts of gold.
- The shares, from that prior and the counts.

A few rows that say little leave the shares near those of the examples; many rows of which most are of one label move
them there.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]
Labels = NDArray[np.int64]

# Examples' worth of trust in the shares among the examples, for each label there is; the last allows of no shift.
STRENGTHS = np.array([0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 32.0, 64.0, 1000.0])
FORGOTTEN = 10  # first turns, which still show where the drawing began


def drawn(weights: Floats, dice: np.random.Generator, draws: int) -> Labels:
    """A label of each row (draws, n), as likely as its `weights` (n, labels) say, which need not sum to 1."""
    n, size = weights.shape
    line = np.cumsum(weights)  # all rows end to end
    ends = line[size - 1 :: size]
    starts = np.append(0.0, ends[:-1])
    found = np.searchsorted(line, starts + (ends - starts) * dice.random((draws, n)), side="right")
    return np.asarray(np.clip(found - size * np.arange(n), 0, size - 1), dtype=np.int64)


def gold_and_shares(posteriors: Floats, known: Floats, dice: np.random.Generator, draws: int) -> tuple[Labels, Floats]:
    """Gold (draws, n) and the label shares (draws, labels) that go with it.

    Args:
        posteriors: (n, labels), n >= 1, of rows whose labels have the shares `known`.
        known: label shares (labels,) among the examples, all above 0.
        dice: where chance comes from.
        draws: how many, one after another in one chain.
    """
    from scipy.special import gammaln

    n, size = posteriors.shape
    trust = STRENGTHS * size
    prior = trust[:, None] * known
    before = gammaln(trust) - gammaln(trust + n) - gammaln(prior).sum(axis=1)
    gold, shares = np.empty((draws, n), dtype=np.int64), np.empty((draws, size))
    tonight = known
    for turn in range(-FORGOTTEN, draws):
        labels = drawn(posteriors * (tonight / known), dice, 1)[0]
        counts = prior + np.bincount(labels, minlength=size)
        evidence = before + gammaln(counts).sum(axis=1)  # of the Dirichlet-multinomial distribution
        strength = drawn(np.exp(evidence - evidence.max())[None, :], dice, 1)[0, 0]
        tonight = dice.dirichlet(counts[strength])
        if turn >= 0:
            gold[turn], shares[turn] = labels, tonight
    return gold, shares
