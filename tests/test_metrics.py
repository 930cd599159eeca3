"""Weighted F1 is scikit-learn's, whatever the labels; its interval is a bootstrap over rows."""

import random

import numpy as np
import pytest
from sklearn.metrics import accuracy_score, f1_score

from kdsl import metrics
from kdsl.paired import compare, less


def _case(seed: int) -> tuple[list[str | None], list[str | None]]:
    dice = random.Random(seed)
    gold_labels: list[str | None] = [f"l{i}" for i in range(dice.choice([1, 2, 3, 8]))]
    said_labels: list[str | None] = [*gold_labels, "unseen", None][dice.choice([0, 1]) :]
    if dice.random() < 0.2:
        gold_labels = [*gold_labels, None]
    n = dice.choice([1, 2, 5, 60])
    return [dice.choice(gold_labels) for _ in range(n)], [dice.choice(said_labels) for _ in range(n)]


def test_scores_equal_scikit_learn_in_500_cases() -> None:
    for seed in range(500):
        gold, said = _case(seed)
        named = [["<none>" if label is None else label for label in side] for side in (gold, said)]
        counts = metrics.confusion(gold, said).counts
        theirs = f1_score(*named, average="weighted", zero_division=0)
        assert metrics.weighted_f1(gold, said) == pytest.approx(theirs, abs=1e-12), seed
        if seed < 100:
            theirs = f1_score(*named, average="macro", zero_division=0)
            assert float(metrics.macro_f1_of(counts)) == pytest.approx(theirs, abs=1e-12), seed
            assert float(metrics.accuracy_of(counts)) == pytest.approx(accuracy_score(*named), abs=1e-12), seed


def test_no_rows_have_no_score_and_the_widest_interval() -> None:
    assert metrics.estimate(metrics.confusion([], [])) == metrics.Estimate(0.0, 0.0, 1.0, 0)


def test_lengths_must_agree() -> None:
    with pytest.raises(ValueError, match="shorter"):
        metrics.confusion(["a"], [])


def test_interval_holds_the_value_and_narrows_with_rows() -> None:
    gold, said = ["a", "a", "b", "b", "b"] * 10, ["a", "b", "b", "b", "a"] * 10
    few = metrics.estimate(metrics.confusion(gold, said), seed=1)
    many = metrics.estimate(metrics.confusion(gold * 20, said * 20), seed=1)
    assert few.low < few.value < few.high
    assert many.high - many.low < 0.4 * (few.high - few.low)
    assert few == metrics.estimate(metrics.confusion(gold, said), seed=1)


def test_bootstrap_over_cells_is_the_bootstrap_over_rows() -> None:
    dice = np.random.default_rng(0)
    gold = dice.choice(["a", "b", "c"], 300)
    said = np.where(dice.random(300) < 0.7, gold, dice.choice(["a", "b", "c"], 300))
    by_rows = [
        metrics.weighted_f1(list(gold[pick]), list(said[pick])) for pick in dice.integers(0, 300, size=(600, 300))
    ]
    by_cells = metrics.estimate(metrics.confusion(list(gold), list(said)), resamples=4000)
    assert by_cells.low == pytest.approx(np.quantile(by_rows, 0.025), abs=0.02)
    assert by_cells.high == pytest.approx(np.quantile(by_rows, 0.975), abs=0.02)


def test_confused_pairs_come_most_frequent_first() -> None:
    matrix = metrics.confusion(["a", "a", "a", "b", "c"], ["b", "b", "a", "a", None])
    assert metrics.confused_pairs(matrix) == [("a", "b", 2), ("b", "a", 1), ("c", None, 1)]


def test_each_label_of_gold_has_its_f1_with_an_interval() -> None:
    gold, said = ["a"] * 30 + ["b"] * 10, ["a"] * 25 + ["b"] * 5 + ["b"] * 8 + ["c", None]
    cells: dict[tuple[str | None, str | None, float], int] = {}
    for one, other in zip(gold, said, strict=True):
        cells[one, other, 1.0] = cells.get((one, other, 1.0), 0) + 1
    found = metrics.estimates_by_label(cells)
    assert {label: f1.n for label, f1 in found.items()} == {"a": 30, "b": 10}
    for label, f1 in found.items():
        wanted = f1_score(gold, [str(one) for one in said], labels=[label], average="macro", zero_division=0)
        assert f1.value == pytest.approx(wanted, abs=1e-12)
        assert f1.low < f1.value < f1.high
    assert metrics.estimates_by_label({}) == {}
    f1, accuracy = metrics.estimates_drawn(cells, metrics.weighted_f1_of, metrics.accuracy_of)
    assert f1 == metrics.estimate_drawn(cells)
    assert accuracy.value == pytest.approx(33 / 40)
    assert 0.6 < accuracy.low < accuracy.value < accuracy.high < 1


def test_the_same_answers_differ_by_nothing_not_even_in_the_last_digit() -> None:
    """A mean over repeats must not make them a hair worse: on that hair hangs who decides."""
    for seed in range(60):
        dice = np.random.default_rng(seed)
        gold = dice.integers(0, 4, int(dice.integers(20, 200)))
        said = np.where(dice.random(len(gold)) < 0.8, gold, dice.integers(0, 4, len(gold)))
        _, _, differences = compare(gold, [said] * 3, {"same": said}, seed=0)
        assert differences["same"].value == differences["same"].low == differences["same"].high == 0
        assert less(gold, [said] * 3, [said] * 3, seed=0).value == less(gold, [said], [said] * 3, seed=0).value == 0
