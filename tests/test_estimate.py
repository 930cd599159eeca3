"""Weighted F1 without gold: its interval holds the truth on shifted batches, and it says when it cannot know."""

from pathlib import Path

import numpy as np
import pytest

from kdsl import estimate as estimates
from kdsl import metrics
from kdsl.errors import ReleaseError
from kdsl.estimate import Reference, drift, estimate
from kdsl.fusion.held_out import held_out
from kdsl.fusion.nested import reference as reference_of
from kdsl.fusion.nested import refit

SIZE = 5
EVEN = np.full(SIZE, 1 / SIZE)
SHIFTED = np.array([0.5, 0.3, 0.1, 0.05, 0.05])


def batch(
    n: int, seed: int, shares: np.ndarray = EVEN, *, signal: float = 2.0, overconfident: float = 1.0
) -> Reference:
    """Rows whose posteriors are calibrated for even shares, where `overconfident` is 1."""
    dice = np.random.default_rng(seed)
    gold = dice.choice(SIZE, n, p=shares)
    logits = dice.normal(size=(n, SIZE))
    logits[np.arange(n), gold] += signal
    logits *= signal * overconfident  # log p(x | label) of unit normals `signal` apart
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return Reference(gold, log_probs.argmax(axis=1), log_probs)


def truth(rows: Reference) -> float:
    names = [[None if i < 0 else f"l{i}" for i in side] for side in (rows.gold, rows.label)]
    return metrics.weighted_f1(*names)


@pytest.mark.parametrize(("shares", "overconfident"), [(EVEN, 1.0), (SHIFTED, 1.0), (EVEN, 1.3)], ids=str)
def test_the_interval_holds_the_truth_nineteen_times_in_twenty(shares: np.ndarray, overconfident: float) -> None:
    held, width, gold_width = 0, 0.0, 0.0
    for seed in range(60):
        reference = batch(200, seed, overconfident=overconfident)
        tonight = batch(150, 1000 + seed, shares, overconfident=overconfident)
        found = estimate(reference, tonight.log_probs, tonight.label, seed=seed)
        held += found.low <= truth(tonight) <= found.high
        width += found.high - found.low
        measured = metrics.estimate(metrics.confusion(map(str, tonight.gold), map(str, tonight.label)), resamples=200)
        gold_width += measured.high - measured.low
    assert held >= 54
    assert width <= 2 * gold_width


def test_shifted_shares_do_not_fool_it_as_they_fool_the_mean_confidence() -> None:
    ours, naive = [], []
    for seed in range(40):
        # Two labels are hard to tell apart by what is seen; tonight nearly everything is the first of them.
        reference = _hard(400, seed, EVEN)
        tonight = _hard(300, 500 + seed, np.array([0.88, 0.03, 0.03, 0.03, 0.03]))
        found = estimate(reference, tonight.log_probs, tonight.label, seed=seed)
        ours.append(abs(found.value - truth(tonight)))
        naive.append(abs(float(np.exp(tonight.log_probs.max(axis=1)).mean()) - truth(tonight)))
    assert np.mean(ours) < np.mean(naive)


def _hard(n: int, seed: int, shares: np.ndarray) -> Reference:
    dice = np.random.default_rng(seed)
    gold = dice.choice(SIZE, n, p=shares)
    place = np.array([[0.0, 0], [0.8, 0], [4, 4], [-4, 4], [4, -4]])
    seen = place[gold] + dice.normal(size=(n, 2))
    logits = -((seen[:, None] - place) ** 2).sum(axis=2) / 2
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    return Reference(gold, log_probs.argmax(axis=1), log_probs)


def test_of_a_share_of_new_words_half_goes_off_and_the_interval_holds_none_and_all_of_it() -> None:
    reference, tonight = batch(400, 1), batch(2_000, 2)
    usual, new = (estimate(reference, tonight.log_probs, tonight.label, seed=1, unknown=share) for share in (0.0, 0.3))
    assert new.value == pytest.approx(usual.value * 0.85)
    assert new.low < usual.value * 0.7
    assert new.high > usual.value
    assert estimate(reference, tonight.log_probs, tonight.label, seed=1, unknown=1.0).low == 0.0


def test_wordings_that_no_example_has_leave_the_truth_inside() -> None:
    """Tonight some rows say nothing to the voter, which is as sure of them as of the others."""
    held = {0.0: 0, 0.1: 0}
    for seed in range(40):
        reference, tonight = batch(400, seed), batch(400, 500 + seed)
        lost = np.random.default_rng(seed).random(400) < 0.08
        gold = np.where(lost, np.random.default_rng(seed + 1).integers(0, SIZE, 400), tonight.gold)
        measured = truth(Reference(gold, tonight.label, tonight.log_probs))
        for share in held:
            found = estimate(reference, tonight.log_probs, tonight.label, seed=seed, unknown=share)
            held[share] += found.low <= measured <= found.high
    assert held[0.0] < 30 < 36 <= held[0.1]


def test_the_parts_add_up_to_weighted_f1_and_silence_is_wrong() -> None:
    rows = batch(200, 3, SHIFTED)
    label = np.where(np.arange(200) < 30, -1, rows.label)
    accuracy, rest = estimates._parts(rows.gold[None], label, np.ones((1, 200)), SIZE)[:, 0]
    assert accuracy == pytest.approx((rows.gold == label).mean())
    assert accuracy + rest == pytest.approx(truth(Reference(rows.gold, label, rows.log_probs)))


def test_what_few_golds_a_draw_add_is_taken_off_the_variance() -> None:
    dice = np.random.default_rng(1)
    errors = dice.normal(0.0, 0.03, size=(2, 4_000, 1)) + dice.normal(0.0, 0.05, size=(2, 4_000, 3))
    assert estimates._variance(errors) == pytest.approx([0.03**2] * 2, rel=0.15)
    assert estimates._variance(dice.normal(size=(1, 1))[None].repeat(40, 1).repeat(3, 2)) == 0.0


def test_rows_without_an_answer_count_as_wrong() -> None:
    reference, tonight = batch(300, 1), batch(300, 2)
    silent = tonight.label.copy()
    silent[:150] = -1
    log_probs = tonight.log_probs.copy()
    log_probs[:75] = np.nan
    found = estimate(reference, log_probs, silent, seed=1)
    half = truth(Reference(tonight.gold, silent, log_probs))
    assert found.low <= half <= found.high
    assert found.value < estimate(reference, tonight.log_probs, tonight.label, seed=1).value - 0.2


def test_other_rows_are_told_from_other_shares() -> None:
    reference = batch(300, 1)
    for seed in range(20):
        shifted = batch(200, 10 + seed, SHIFTED)
        assert drift(reference, shifted.log_probs, shifted.label) > 0.001
        strange = batch(200, 10 + seed, signal=0.7)
        assert drift(reference, strange.log_probs, strange.label) < 0.001


def _sure(n: int, seed: int, gap: float) -> Reference:
    """A voter that is right in 95 of 100 rows and far surer than that, as models are that learned few examples well."""
    dice = np.random.default_rng(seed)
    gold = dice.integers(0, SIZE, n)
    logits = dice.normal(size=(n, SIZE))
    said = np.where(dice.random(n) < 0.95, gold, dice.integers(0, SIZE, n))
    logits[np.arange(n), said] += np.maximum(dice.normal(gap, 5.0, n), 0.0)
    return Reference(gold, said, logits - np.logaddexp.reduce(logits, axis=1, keepdims=True))


@pytest.mark.parametrize("gap", [18.0, 40.0])
def test_nights_of_a_sure_release_are_no_drift_unless_it_is_less_sure(gap: float, tmp_path: Path) -> None:
    labels, seen = [f"label {at}" for at in range(SIZE)], _sure(150, 1, gap)
    ids = [str(at) for at in range(150)]
    held = held_out(labels, ids, [labels[at] for at in seen.gold], ids, {"small": seen.log_probs})
    fusion, _ = refit(held, seed=1)
    reference_of(held, fusion)[0].save(tmp_path / "r.npz")
    known = estimates.load(tmp_path / "r.npz")

    def likeness(night: Reference) -> float:
        fused = fusion({"small": night.log_probs.astype(np.float32).astype(np.float64)})  # as votes are stored
        return drift(known, fused.log_probs, fused.label)

    for seed in range(2, 12):
        assert likeness(_sure(300, seed, gap)) > 0.001
        assert likeness(_sure(300, seed, 4.0)) < 0.001


def test_nothing_is_known_of_nothing() -> None:
    reference = batch(50, 1)
    none = np.zeros((0, SIZE))
    empty = Reference(np.zeros(0, dtype=int), np.zeros(0, dtype=int), none)
    assert estimate(reference, none, np.zeros(0, dtype=int), seed=1) == metrics.Estimate(0.0, 0.0, 1.0, 0)
    assert estimate(empty, reference.log_probs, reference.label, seed=1).high == 1.0
    assert drift(empty, reference.log_probs, reference.label) == 1.0
    one = batch(1, 3)
    found = estimate(reference, one.log_probs, one.label, seed=1)
    assert 0 <= found.low <= found.value <= found.high <= 1


def test_a_reference_is_read_back_and_a_broken_one_refused(tmp_path: Path) -> None:
    reference = batch(20, 1)
    reference.save(tmp_path / "r.npz")
    again = estimates.load(tmp_path / "r.npz")
    np.testing.assert_array_equal(again.gold, reference.gold)
    np.testing.assert_allclose(again.log_probs, reference.log_probs, atol=1e-5)
    (tmp_path / "r.npz").write_bytes(b"PK")
    with pytest.raises(ReleaseError, match="run fit again"):
        estimates.load(tmp_path / "r.npz")
