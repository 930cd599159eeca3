"""Calibration error: near the truth, with an interval that holds it, whatever the number of rows."""

import numpy as np
import pytest

from kdsl.models.reliability import Answered, reliability


def answers(n: int, seed: int, *, surplus: float) -> Answered:
    """Answers that are right `surplus` less often than they say."""
    dice = np.random.default_rng(seed)
    score = 0.15 + 0.8 * dice.beta(4, 2, n)
    return Answered(score, dice.random(n) < score - surplus)


@pytest.mark.parametrize("surplus", [0.0, 0.1])
def test_the_interval_holds_the_truth_and_chance_is_taken_off(surplus: float) -> None:
    found = [reliability(answers(200, seed, surplus=surplus), seed=seed) for seed in range(60)]
    held = sum(one.low <= surplus <= one.high for one in found)
    assert held >= 51, held
    assert np.mean([one.value for one in found]) == pytest.approx(surplus, abs=0.05)


def test_bins_hold_every_row_once_and_equal_scores_share_one() -> None:
    score = np.repeat([0.2, 0.5, 0.9], [50, 110, 40])
    curve = reliability(Answered(score, score > 0.4), seed=1)
    assert [(one.n, round(one.confidence, 6), one.right) for one in curve.bins] == [
        (50, 0.2, 0.0),
        (110, 0.5, 1.0),
        (40, 0.9, 1.0),
    ]
    assert all(0 <= one.low <= one.right <= one.high <= 1 for one in curve.bins)
    assert curve.low <= (50 * 0.2 + 110 * 0.5 + 40 * 0.1) / 200 <= curve.high + 1e-9


def test_few_rows_and_none_have_a_defined_answer() -> None:
    nothing = np.zeros(0)
    assert reliability(Answered(nothing, nothing > 0), seed=1).ece.high == 1.0
    one = reliability(Answered(np.array([0.7]), np.array([True])), seed=1)
    assert one.n == 1
    assert 0 <= one.low <= one.value <= one.high <= 1
