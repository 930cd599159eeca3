"""Which map calibrates a voter is read off held-out rows, and few rows leave the voter as it is."""

import numpy as np
import pytest

from kdsl.models import calibrate
from kdsl.models.calibrate import Calibration, fit
from kdsl.models.logistic import log_softmax
from kdsl.models.voter import LogProbs

Gold = np.ndarray


def honest(n: int, seed: int, labels: int = 4, spread: float = 1.5) -> tuple[LogProbs, Gold]:
    """Votes that are right as often as they say, and gold drawn from them."""
    dice = np.random.default_rng(seed)
    log_probs = log_softmax(dice.normal(scale=spread, size=(n, labels)))
    return log_probs, np.array([dice.choice(labels, p=np.exp(row)) for row in log_probs])


def steps(n: int, seed: int) -> tuple[LogProbs, Gold]:
    """Of two labels: right in 60 % of cases up to a confidence of .9, in 98 % above it."""
    dice = np.random.default_rng(seed)
    sure, first = dice.uniform(0.5, 1.0, n), dice.integers(0, 2, n)
    right = dice.random(n) < np.where(sure < 0.9, 0.6, 0.98)
    p = np.where(np.arange(2) == first[:, None], sure[:, None], 1 - sure[:, None])
    return np.log(p), np.where(right, first, 1 - first)


def folds(n: int) -> Gold:
    return np.arange(n) % 4


def log_loss(fitted: Calibration, log_probs: LogProbs, gold: Gold) -> float:
    return float(-fitted(log_probs)[np.arange(len(gold)), gold].mean())


def test_a_voter_that_is_too_sure_by_one_factor_gets_a_temperature() -> None:
    log_probs, gold = honest(600, 1)
    fitted = fit(log_softmax(3 * log_probs), gold, folds(600))
    assert fitted.method == "temperature"
    assert fitted.slope[0] == pytest.approx(1 / 3, rel=0.15)


def test_a_voter_with_a_liking_for_one_label_gets_vector_scaling() -> None:
    log_probs, gold = honest(600, 2)
    liking = np.array([1.5, 0.0, 0.0, -1.0])
    fitted = fit(log_softmax(log_probs + liking), gold, folds(600))
    assert fitted.method == "vector"
    assert fitted.bias[3] - fitted.bias[0] == pytest.approx(2.5, abs=0.8)


def test_a_voter_whose_confidence_goes_in_steps_gets_an_isotonic_map_that_is_better_on_fresh_rows() -> None:
    log_probs, gold = steps(1_200, 3)
    fitted = fit(log_probs, gold, folds(1_200))
    assert fitted.method == "isotonic"
    fresh = steps(4_000, 4)
    losses = {how: log_loss(calibrate.refit(how, log_probs, gold), *fresh) for how in ("temperature", "vector")}
    assert log_loss(fitted, *fresh) < min(losses.values()) - 0.01
    at = np.exp(fitted(np.log([[0.7, 0.3], [0.95, 0.05]])))[:, 0]
    assert at == pytest.approx([0.6, 0.98], abs=0.06)


def test_at_four_examples_a_label_the_prior_wins() -> None:
    # All right and hardly sure: the rows alone would make the voter as sure as it may be.
    gold = np.repeat(np.arange(4), 4)
    timid = np.log(np.where(np.arange(4) == gold[:, None], 0.4, 0.2))
    few = fit(timid, gold, folds(16))
    assert few.method == "temperature"
    assert few.slope[0] < 5
    many = np.tile(gold, 50)
    assert fit(np.tile(timid, (50, 1)), many, folds(800)).slope[0] > 10
    # Wrong in every row: it is believed less, and not turned round.
    assert 0.3 < fit(timid, (gold + 1) % 4, folds(16)).slope[0] < 1
    # A liking for a label that would be vector-scaled with more rows: a richer map is not even tried.
    log_probs, drawn = honest(16, 2)
    assert fit(log_softmax(log_probs + np.array([3.0, 0.0, 0.0, -3.0])), drawn, folds(16)).method == "temperature"


@pytest.mark.parametrize(
    ("gains", "chosen"),
    [
        ({"vector": 0.01, "isotonic": 0.01}, "temperature"),  # better, and by less than the standard error of the gain
        ({"vector": 0.2, "isotonic": 0.0}, "vector"),
        ({"vector": 0.2, "isotonic": 0.21}, "vector"),  # of the richer two the first, where the second adds nothing
        ({"vector": 0.2, "isotonic": 0.5}, "isotonic"),
    ],
)
def test_a_richer_map_has_to_win_by_more_than_a_standard_error(
    gains: dict[str, float], chosen: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    log_probs, gold = honest(100, 5)
    noise = {name: np.random.default_rng(seed).normal(size=100) for seed, name in enumerate(gains)}  # its mean: 0 +- .1

    def loss(method: str, *_: object) -> np.ndarray:
        return np.ones(100) - (gains[method] + noise[method] - noise[method].mean() if method in gains else 0.0)

    monkeypatch.setattr(calibrate, "_held_out_loss", loss)
    assert fit(log_probs, gold, folds(100)).method == chosen


def test_honest_voters_are_left_nearly_as_they_are() -> None:
    fits = [fit(*honest(200, seed), folds(200)) for seed in range(20, 32)]
    assert sum(fitted.method == "temperature" for fitted in fits) >= 9
    assert np.mean([fitted.slope[0] for fitted in fits if fitted.method == "temperature"]) == pytest.approx(1, abs=0.1)


def test_rows_that_abstain_take_no_part_and_none_at_all_change_nothing() -> None:
    log_probs, gold = honest(60, 7)
    silent = np.vstack([log_probs, np.full((20, 4), np.nan)])
    padded = np.concatenate([gold, np.zeros(20, dtype=gold.dtype)])
    assert fit(silent, padded, np.concatenate([folds(60), folds(20)])) == fit(log_probs, gold, folds(60))
    assert fit(np.full((5, 4), np.nan), np.zeros(5, dtype=int), folds(5)) == Calibration()
