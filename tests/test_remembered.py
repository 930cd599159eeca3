"""Remembered fits: the same arrays are fitted once, others anew, and the oldest are forgotten."""

import numpy as np
import pytest

from kdsl.models import calibrate
from kdsl.models.logistic import fit_pool, log_softmax
from kdsl.remembered import remembered


@pytest.fixture
def asked():
    """A remembered function, and the arguments with which it was really called."""
    calls: list[tuple[object, ...]] = []

    @remembered(3)
    def total(name: str, *arrays: np.ndarray, scale: float = 1.0) -> float:
        calls.append((name, arrays, scale))
        return scale * sum(float(array.sum()) for array in arrays)

    return total, calls


def test_equal_content_is_computed_once_whatever_the_object_is(asked):
    total, calls = asked
    rows = np.arange(12.0).reshape(3, 4)
    assert total("a", rows) == total("a", rows.copy()) == total("a", np.asfortranarray(rows)) == 66.0
    assert len(calls) == 1


@pytest.mark.parametrize(
    "other",
    [
        lambda total, rows: total("b", rows),
        lambda total, rows: total("a", rows + 1),
        lambda total, rows: total("a", rows.reshape(4, 3)),
        lambda total, rows: total("a", rows.astype(np.float32)),
        lambda total, rows: total("a", rows[:, ::-1]),
        lambda total, rows: total("a", rows[:2], rows[2:]),
        lambda total, rows: total("a", rows, scale=2.0),
    ],
)
def test_whatever_differs_is_computed_anew(asked, other):
    total, calls = asked
    rows = np.arange(12.0).reshape(3, 4)
    total("a", rows)
    other(total, rows)
    assert len(calls) == 2


def test_a_list_of_arrays_is_told_apart_by_its_parts():
    calls: list[int] = []

    @remembered(9)
    def parts(arrays: list[np.ndarray]) -> int:
        calls.append(len(arrays))
        return len(arrays)

    rows = np.arange(6.0)
    assert [parts([rows[:2], rows[2:]]), parts([rows[:3], rows[3:]]), parts([rows]), parts([rows])] == [2, 2, 1, 1]
    assert calls == [2, 2, 1]


def test_the_oldest_are_forgotten(asked):
    total, calls = asked
    for number in (0, 1, 2, 3, 0, 3):
        total("a", np.array([number]))
    assert [call[1][0][0] for call in calls] == [0, 1, 2, 3, 0]


def test_fits_of_the_fusion_do_not_hang_on_what_was_asked_before():
    """Interleaved with other rows and asked twice, every fit is what its own function gives."""
    dice = np.random.default_rng(5)
    sets = [(log_softmax(dice.normal(size=(60, 4))), dice.integers(0, 4, 60)) for _ in range(3)]
    for method, own in calibrate.METHODS.items():
        for log_probs, gold in [*sets, *reversed(sets)]:
            assert calibrate.refit(method, log_probs, gold) == own(log_probs, gold)
    for ridge in (1.0, 8.0, 1.0):
        for log_probs, gold in sets:
            votes = [log_probs, log_probs[::-1].copy()]
            again = fit_pool(votes, gold, ridge=ridge)
            assert (again == fit_pool([*votes], gold.copy(), ridge=ridge)).all()
            assert not again.flags.writeable
