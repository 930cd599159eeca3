"""Gold and label shares drawn together: as likely as by Bayes' rule, and no further from the examples than rows say."""

from itertools import product

import numpy as np
from scipy.special import gammaln

from kdsl.shares import STRENGTHS, drawn, gold_and_shares

KNOWN = np.array([0.6, 0.3, 0.1])


def test_labels_are_drawn_as_often_as_their_weights_say() -> None:
    weights = np.array([[1.0, 0, 3], [0, 0, 2], [5, 5, 0]])
    found = drawn(weights, np.random.default_rng(1), 4000)
    often = np.stack([(found == label).mean(axis=0) for label in range(3)], axis=1)
    np.testing.assert_allclose(often, weights / weights.sum(axis=1, keepdims=True), atol=0.03)
    assert not often[weights == 0].any()


def test_gold_is_drawn_as_bayes_rule_has_it() -> None:
    posteriors = np.array([[0.2, 0.5, 0.3], [0.1, 0.8, 0.1], [0.5, 0.4, 0.1], [0.3, 0.1, 0.6]])
    gold, shares = gold_and_shares(posteriors, KNOWN, np.random.default_rng(1), 20_000)
    exact = np.zeros((len(posteriors), 3))
    for labels in product(range(3), repeat=len(posteriors)):
        rows = np.arange(len(posteriors)), np.array(labels)
        likely = np.prod((posteriors / KNOWN)[rows]) * _evidence(np.bincount(labels, minlength=3))
        exact[rows] += likely
    exact /= exact.sum(axis=1, keepdims=True)
    often = np.stack([(gold == label).mean(axis=0) for label in range(3)], axis=1)
    np.testing.assert_allclose(often, exact, atol=0.015)
    np.testing.assert_allclose(shares.sum(axis=1), 1)


def _evidence(counts: np.ndarray) -> float:
    """Probability of gold in one order under each strength of prior, the mean of all."""
    trust = STRENGTHS * len(counts)
    prior = trust[:, None] * KNOWN
    of_labels = (gammaln(prior + counts) - gammaln(prior)).sum(axis=1)
    return float(np.exp(gammaln(trust) - gammaln(trust + counts.sum()) + of_labels).mean())


def test_shares_move_with_many_clear_rows_and_stay_where_rows_say_little() -> None:
    tonight = np.array([0.1, 0.1, 0.8])
    clear = np.full((500, 3), 1e-4) + 0.9997 * np.eye(3)[np.random.default_rng(1).choice(3, 500, p=tonight)]
    moved = gold_and_shares(clear, KNOWN, np.random.default_rng(1), 200)[1].mean(axis=0)
    np.testing.assert_allclose(moved, tonight, atol=0.05)
    silent = gold_and_shares(np.tile(KNOWN, (60, 1)), KNOWN, np.random.default_rng(1), 4_000)[1]
    np.testing.assert_allclose(silent.mean(axis=0), KNOWN, atol=0.05)
    few = gold_and_shares(clear[:4], KNOWN, np.random.default_rng(1), 1_000)[1].mean(axis=0)
    counted = clear[:4].mean(axis=0)
    assert np.abs(few - KNOWN).sum() < 0.75 * np.abs(counted - KNOWN).sum()


def test_a_row_that_can_be_of_one_label_only_is_of_it_whatever_the_shares() -> None:
    sure = np.eye(3)[[2] * 5]
    gold, shares = gold_and_shares(sure, np.array([1 - 2e-9, 1e-9, 1e-9]), np.random.default_rng(1), 50)
    assert (gold == 2).all()
    assert np.isfinite(shares).all()
