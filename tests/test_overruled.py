"""Rows that a rule overruled enter the estimate without gold by how often such rules are right."""

import dataclasses
from datetime import date

import numpy as np
import pytest

from jobs.unfamiliar import Likeness
from jobs.unlabelled import estimates
from kdsl import metrics
from kdsl.estimate import Reference, estimate
from kdsl.fusion.answered import answers
from kdsl.fusion.decide import decide
from kdsl.fusion.facts import Facts
from kdsl.fusion.fit import Recipe, fit
from kdsl.fusion.fusion import Fusion, first_best
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.nested import reference
from kdsl.fusion.override import believed
from kdsl.inputs import Shift

LABELS = ("a", "b", "c", "d")


def shop(n: int, seed: int, ruled: float, right: float = 0.85) -> HeldOut:
    """Held-out votes; on a share of rows the voters believe in label a, and a rule says d, which is right so often."""
    dice = np.random.default_rng(seed)
    gold = dice.integers(4, size=n)
    fires = dice.random(n) < ruled
    gold[fires] = np.where(dice.random(n) < right, 3, 0)[fires]
    believed_in = np.where(fires, 0, gold)
    said = {}
    for name in ("x", "y"):
        logits = dice.normal(size=(n, 4))
        logits[np.arange(n), believed_in] += 2.0
        said[name] = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    at = np.flatnonzero(fires)
    # The record in general is better than that of disagreements.
    facts = Facts(at, np.full(len(at), "r1"), np.full(len(at), 3), np.full(len(at), 99), np.full(len(at), 100))
    ids = [f"{seed}/{row}" for row in range(n)]
    return held_out(LABELS, ids, [LABELS[label] for label in gold], ids, said, facts=facts)


def test_the_estimate_is_closer_than_with_the_pools_probabilities() -> None:
    ours, plain = [], []
    for seed in range(6):
        held, night = shop(240, seed, 0.2), shop(300, 100 + seed, 0.45)
        fusion = fit(held, seed=1)
        said, blind = fusion(night.said, night.facts), fusion(night.said)
        assert (said.overruled_by >= 0).sum() > 50
        known, _ = reference(held, fusion)
        pool = dataclasses.replace(held, facts=held.facts.of([]))
        unruled = Reference(known.gold, known.label, answers(pool, seed=0).log_probs)
        truth = metrics.weighted_f1(*([LABELS[label] for label in side] for side in (night.gold, said.label)))
        ours.append(abs(estimate(known, said.log_probs, said.label, seed=seed).value - truth))
        plain.append(abs(estimate(unruled, blind.log_probs, said.label, seed=seed).value - truth))
    print(f"\nmean error {np.mean(ours):.3f}, with the pool's probabilities {np.mean(plain):.3f}")
    assert np.mean(ours) < np.mean(plain) / 2


@pytest.fixture(scope="module")
def cascaded() -> tuple[Fusion, HeldOut]:
    held = shop(240, 1, 0.2)
    dice = np.random.default_rng(9)
    large = np.log(np.where(np.arange(4) == np.where(dice.random(240) < 0.9, held.gold, 0)[:, None], 0.91, 0.03))
    held = held.with_voter("large", large)
    fusion = fit(held, Recipe(share=0.3), seed=1)
    assert fusion.cascade is not None
    return fusion, held


def test_stored_votes_and_the_rules_label_give_what_facts_gave(cascaded: tuple[Fusion, HeldOut]) -> None:
    fusion, held = cascaded
    said = fusion(held.said, held.facts)
    overruled = said.overruled_by >= 0
    assert overruled[said.asked].any() or overruled[~said.asked].any()
    again = fusion(held.said)
    np.testing.assert_array_equal(again.asked, said.asked)  # no rule's word decides who is asked
    by_rule = np.where(overruled, said.label, -1)
    np.testing.assert_allclose(fusion.ruled(again, by_rule), said.log_probs)
    assert (np.abs(again.log_probs - said.log_probs).max(axis=1) > 0.1).tolist() == overruled.tolist()


def test_a_night_is_estimated_so_from_its_stored_rows(cascaded: tuple[Fusion, HeldOut]) -> None:
    fusion, held = cascaded
    known, _ = reference(held, fusion)
    rows = [
        {
            "label": decision.label,
            "decided_by": decision.decided_by,
            "rows": len(held.ids),
            "votes": [{"voter": vote.voter, "log_probs": [*vote.log_probs]} for vote in decision.votes],
        }
        for decision in decide(fusion, held.said, held.facts)
    ]
    assert "r1" in {row["decided_by"] for row in rows}

    class Shelved:
        manifest = type("Manifest", (), {"settings": {"seed": 4}})

        def fusion(self, _: str) -> Fusion:
            return fusion

        def reference(self, _: str) -> Reference:
            return known

    said = fusion(held.said, held.facts)
    night = (date(2026, 3, 2), "intent")
    found, _ = estimates(Shelved(), {night: rows}, {})[night]  # type: ignore[arg-type]
    wanted = estimate(known, said.log_probs, said.label, seed=4)
    assert found.value == pytest.approx(wanted.value, abs=0.003)
    assert found.value > estimate(known, fusion(held.said).log_probs, said.label, seed=4).value + 0.02
    newer = Likeness(0.5, [Shift("new_words_user", 0.1, 0.3, 0.5, 0.0, 1.0)], 240)
    lower, _ = estimates(Shelved(), {night: rows}, {night: newer})[night]  # type: ignore[arg-type]
    assert lower.value == pytest.approx(0.9 * found.value)


def test_a_rules_label_is_as_likely_as_rules_are_right_and_the_others_keep_their_ratios() -> None:
    fusion = fit(shop(240, 1, 0.2), seed=1)
    assert 0.75 < (fusion.override.right or 0) < 0.95
    rows = np.log([[0.7, 0.1, 0.1, 0.1], [0.7, 0.1, 0.1, 0.1]])
    moved = np.exp(believed(fusion.override, rows, np.array([3, -1])))
    assert moved[0, 3] == pytest.approx(fusion.override.right)
    assert moved[0, 0] / moved[0, 1] == pytest.approx(7)
    np.testing.assert_allclose(moved.sum(axis=1), 1)
    np.testing.assert_allclose(moved[1], np.exp(rows[1]))


def test_a_release_that_does_not_know_it_is_estimated_as_before() -> None:
    held = shop(240, 1, 0.2)
    fusion = fit(held, seed=1)
    old = Fusion.model_validate_json(fusion.model_dump_json(exclude={"override": {"right"}}))
    said = old(held.said, held.facts)
    assert (said.overruled_by >= 0).any()
    np.testing.assert_allclose(said.log_probs, old(held.said).log_probs)
    assert (first_best(said.log_probs) != said.label).any()
