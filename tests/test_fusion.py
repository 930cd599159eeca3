"""The pool: who speaks is heard, who is silent changes nothing."""

import numpy as np
import pytest

from kdsl.fusion import decide, pool

LABELS = ("a", "b", "c")
SURE = np.log([[0.8, 0.1, 0.1]])
UNSURE = np.log([[0.3, 0.4, 0.3]])
SILENT = np.full((1, 3), np.nan)


def test_one_voter_is_left_as_it_is() -> None:
    (decision,) = decide(LABELS, {"linear": SURE})
    assert (decision.label, decision.decided_by, decision.abstained) == ("a", "linear", False)
    assert decision.score == pytest.approx(0.8)


def test_silence_changes_nothing() -> None:
    np.testing.assert_allclose(pool({"x": SURE, "y": SILENT}), SURE)
    (decision,) = decide(LABELS, {"x": SURE, "y": SILENT})
    assert decision.decided_by == "x"
    assert [vote.abstained for vote in decision.votes] == [False, True]


def test_two_voices_meet_in_the_geometric_mean() -> None:
    expected = np.sqrt([0.8 * 0.3, 0.1 * 0.4, 0.1 * 0.3])
    np.testing.assert_allclose(np.exp(pool({"x": SURE, "y": UNSURE}))[0], expected / expected.sum())
    assert decide(LABELS, {"x": SURE, "y": UNSURE})[0].decided_by == "pool"


def test_all_silent_abstains() -> None:
    (decision,) = decide(LABELS, {"x": SILENT})
    assert (decision.label, decision.score, decision.abstained, decision.decided_by) == (None, None, True, None)


def test_a_tie_goes_to_the_label_that_stands_first() -> None:
    assert decide(LABELS, {"x": np.log([[0.25, 0.25, 0.5]]), "y": np.log([[0.5, 0.25, 0.25]])})[0].label == "a"


def test_certainty_does_not_break_the_pool() -> None:
    certain = np.array([[0.0, -np.inf, -np.inf]])
    (decision,) = decide(LABELS, {"x": certain, "y": UNSURE})
    assert (decision.label, decision.score) == ("a", 1.0)
