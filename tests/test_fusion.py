"""The pool: who speaks is heard, who is silent changes nothing."""

import numpy as np
import pytest

from kdsl.fusion.decide import decide
from kdsl.fusion.fusion import equal
from kdsl.fusion.override import Override
from kdsl.fusion.pool import pool

LABELS = ("a", "b", "c")
SURE = np.log([[0.8, 0.1, 0.1]])
UNSURE = np.log([[0.3, 0.4, 0.3]])
SILENT = np.full((1, 3), np.nan)
ONE, TWO = equal(LABELS, ("x",)), equal(LABELS, ("x", "y"))


def test_one_voter_is_left_as_it_is() -> None:
    (decision,) = decide(ONE, {"x": SURE})
    assert (decision.label, decision.decided_by, decision.abstained) == ("a", "x", False)
    assert decision.score == pytest.approx(0.8)


def test_silence_changes_nothing() -> None:
    np.testing.assert_allclose(pool({"x": SURE, "y": SILENT}), SURE)
    (decision,) = decide(TWO, {"x": SURE, "y": SILENT})
    assert decision.decided_by == "x"
    assert [vote.abstained for vote in decision.votes] == [False, True]


def test_two_voices_meet_in_the_geometric_mean() -> None:
    expected = np.sqrt([0.8 * 0.3, 0.1 * 0.4, 0.1 * 0.3])
    np.testing.assert_allclose(np.exp(pool({"x": SURE, "y": UNSURE}))[0], expected / expected.sum())
    assert decide(TWO, {"x": SURE, "y": UNSURE})[0].decided_by == "pool"


def test_all_silent_abstains() -> None:
    (decision,) = decide(ONE, {"x": SILENT})
    assert (decision.label, decision.score, decision.abstained, decision.decided_by) == (None, None, True, None)


def test_a_tie_goes_to_the_label_that_stands_first() -> None:
    assert decide(TWO, {"x": np.log([[0.25, 0.25, 0.5]]), "y": np.log([[0.5, 0.25, 0.25]])})[0].label == "a"
    assert decide(ONE, {"x": np.log([[1 / 3, 1 / 3, 1 / 3]])})[0].label == "a"


def test_certainty_does_not_break_the_pool() -> None:
    certain = np.array([[0.0, -np.inf, -np.inf]])
    (decision,) = decide(TWO, {"x": certain, "y": UNSURE})
    assert decision.label == "a"
    assert 0.999 < decision.score <= 1.0  # type: ignore[operator]


@pytest.mark.parametrize("broken", [np.nan, np.inf, -np.inf])
def test_a_score_that_is_no_probability_is_an_abstention(broken: float) -> None:
    row = np.full((1, 3), broken) if broken < 0 else np.array([[broken, -1.0, -1.0]])
    (decision,) = decide(TWO, {"x": row, "y": SURE})
    assert (decision.label, decision.decided_by) == ("a", "y")
    assert decision.votes[0].abstained


def test_below_the_threshold_it_abstains_and_keeps_the_score() -> None:
    doubtful = ONE.model_copy(update={"threshold": 0.5})
    first, second = decide(doubtful, {"x": np.vstack([SURE, UNSURE])})
    assert (first.label, first.abstained) == ("a", False)
    assert (second.label, second.abstained, second.decided_by) == (None, True, "x")
    assert second.score == pytest.approx(0.4)


def test_a_part_that_is_used_alone_decides_and_the_others_stand_in_for_it() -> None:
    alone = TWO.model_copy(update={"uses": "x"})
    first, second = decide(alone, {"x": np.vstack([UNSURE, SILENT]), "y": np.vstack([SURE, SURE])})
    assert (first.label, first.decided_by) == ("b", "x")
    assert (second.label, second.decided_by) == ("a", "y")


def test_a_rule_may_overrule_where_the_dear_voter_is_spared_alone() -> None:
    whole = equal(["a", "b"], ["linear", "large"])
    assert not whole.may_overrule
    spared = equal(["a", "b"], ["linear"]).model_copy(update={"override": Override(all_rules=True)})
    assert whole.model_copy(update={"others": spared}).may_overrule
