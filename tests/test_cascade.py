"""The large model is asked only where it is expected to change the answer, within a budget; all else stays defined."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kdsl.fusion import cascade
from kdsl.fusion import fusion as fusions
from kdsl.fusion.cascade import DEAR, NEVER, NOT_ASKED
from kdsl.fusion.decide import decide, votes_of
from kdsl.fusion.fusion import POOL, Fusion, first_best
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.nested import Verdict, reference, refit
from kdsl.manifest import Asking
from kdsl.models.voter import LogProbs
from kdsl.paired import weighted_f1_draws

LABELS = ("a", "b", "c", "d")


def answers(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(4, n, p=[0.4, 0.3, 0.2, 0.1])


def voices(gold: np.ndarray, seed: int, labels: int = 4) -> dict[str, LogProbs]:
    """`linear` is sure on most rows and guesses on the others; `large` knows most of those, and is no better on the
    rest."""
    dice = np.random.default_rng(seed)
    hard = dice.random(len(gold)) < 0.35

    def leaning(signal: np.ndarray) -> LogProbs:
        logits = dice.normal(size=(len(gold), labels))
        logits[np.arange(len(gold)), gold] += signal
        return logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)

    return {"linear": leaning(np.where(hard, 0.3, 5.0)), DEAR: leaning(np.full(len(gold), 2.5))}


def held_of(gold: np.ndarray, said: dict[str, LogProbs], asked: np.ndarray | None = None) -> HeldOut:
    ids = [f"i{row}" for row in range(len(gold))]
    masks = None if asked is None else {DEAR: asked}
    return held_out(LABELS, ids, [LABELS[label] for label in gold], ids, said, asked=masks)


def weighted_f1(gold: np.ndarray, *said: np.ndarray) -> list[float]:
    return weighted_f1_draws(gold, said, seed=0, resamples=1)[0].tolist()


def learned_from() -> HeldOut:
    gold = answers(800)
    said = voices(gold, 1)
    asked = np.arange(800) % 5 == 0
    said[DEAR][~asked] = np.nan
    return held_of(gold, said, asked)


@pytest.fixture(scope="module")
def learned() -> tuple[Fusion, Verdict]:
    """Learned with a hold-out, as `fit` does: `large` was asked of a fifth of the examples."""
    return refit(learned_from(), seed=3, share=0.3)


def test_what_is_sent_is_worth_more_than_rows_sent_at_random_and_within_the_budget(
    learned: tuple[Fusion, Verdict],
) -> None:
    fusion, _ = learned
    gold = answers(2000, 9)
    said = voices(gold, 10)
    fused = fusion(said)
    assert abs(fused.asked.mean() - 0.3) < 0.05
    assert fusion.others is not None
    spared, whole = fusion.others(said).label, fusion._whole(said, None).label
    dice = np.random.default_rng(1)
    at_random = dice.permutation(fused.asked)
    alone, ours, chance, every = weighted_f1(gold, spared, fused.label, np.where(at_random, whole, spared), whole)
    print(f"\nof none {alone:.3f}, at random {chance:.3f}, by value {ours:.3f}, of all {every:.3f}")
    assert ours - alone > 2 * (chance - alone) > 0
    assert ours > every - 0.04
    margins = np.sort(np.exp(fusion.others(said).log_probs), axis=1)
    margin = margins[:, -1] - margins[:, -2]
    assert margin[fused.asked].max() < np.quantile(margin[~fused.asked], 0.5)


def test_the_curve_runs_from_nobody_asked_to_the_full_ensemble(learned: tuple[Fusion, Verdict]) -> None:
    fusion, verdict = learned
    first, *_, last = verdict.curve
    assert (first.share, first.asked, last.share, last.asked) == (0.0, 0.0, 1.0, 1.0)
    assert last.score.value == verdict.pool.value
    assert {one.score.n for one in verdict.curve} == {160}
    # The left end is what the other voter says, and asking gains on it.
    held, at = learned_from(), np.arange(800) % 5 == 0
    (alone,) = weighted_f1(held.gold[at], first_best(held.said["linear"])[at])
    assert first.score.value == pytest.approx(alone, abs=1e-9)
    assert all(one.gain.low > 0 for one in verdict.curve if one.share >= 0.2)
    sent = {one.share: one for one in verdict.curve}[0.3]
    assert verdict.released == sent.score
    assert sent.gain.value > 0
    assert "large is asked of" in str(verdict)
    asking = Asking.of(fusion, verdict)
    assert Asking.model_validate_json(asking.model_dump_json()) == asking
    assert (asking.share, asking.price) == (0.3, fusion.cascade and fusion.cascade.price)


def test_the_estimate_is_of_what_the_cascade_says(learned: tuple[Fusion, Verdict]) -> None:
    gold = answers(300)
    held = held_of(gold, voices(gold, 1))
    fusion, verdict = refit(held, seed=3, share=0.3)
    known, _ = reference(held, fusion)
    (measured,) = weighted_f1(gold, known.label)
    assert measured == pytest.approx(verdict.released.value, abs=0.02)


def test_a_share_of_none_and_of_all(learned: tuple[Fusion, Verdict]) -> None:
    gold = answers(200)
    said = voices(gold, 1)
    held = held_of(gold, said)
    whole, verdict = refit(held, seed=3)
    assert whole.cascade is None
    assert (verdict.share, verdict.curve[-1].score.value) == (1.0, verdict.pool.value)
    assert whole(said).asked.all()
    none, verdict = refit(held, seed=3, share=0.0)
    assert not none(said).asked.any()
    assert none.others is not None
    assert none(said).label.tolist() == none.others(said).label.tolist()
    assert "asked of no row" in str(verdict)
    assert "no better" not in str(verdict)  # it is, and may not be asked
    assert (none.who, verdict.uses) == ("linear", "linear")
    assert none(said).label.tolist() == first_best(said["linear"]).tolist()


def test_a_dear_voter_that_knows_nothing_is_asked_of_no_row() -> None:
    gold = answers(300)
    said = {"linear": voices(gold, 1)["linear"], DEAR: voices(answers(300, 5), 2)[DEAR]}
    fusion, verdict = refit(held_of(gold, said), seed=3, share=0.5)
    kept = fusion(said)
    assert weighted_f1(gold, kept.label)[0] >= weighted_f1(gold, first_best(said["linear"]))[0] - 0.01
    assert verdict.share == 0
    assert not kept.asked.any()
    assert {one.share: one for one in verdict.curve}[0.5].gain.value < 0
    # Who is said to decide is who does: it has no say, and the pool with it is nobody's.
    assert verdict.uses == fusion.who == "linear"
    assert verdict.idle == fusion.idle == (DEAR,)
    assert "with whom answers are no better" in str(verdict)


def test_where_the_dear_voter_is_asked_one_may_decide_and_elsewhere_another(learned: tuple[Fusion, Verdict]) -> None:
    fusion, verdict = learned
    assert fusion.others is not None
    alone = fusion.model_copy(update={"others": fusion.others.model_copy(update={"uses": "linear"})})
    both = fusion.model_copy(update={"others": fusion.others.model_copy(update={"uses": POOL})})
    assert (alone.who, both.who) == ("pool where large is asked, linear elsewhere", POOL)
    told = str(replace(verdict, uses=POOL, others="linear"))
    assert told.startswith("uses the pool where large is asked, linear elsewhere: nested ")


def test_the_same_row_is_asked_of_in_any_batch_and_after_a_save(
    learned: tuple[Fusion, Verdict], tmp_path: Path
) -> None:
    fusion, _ = learned
    fusion.save(tmp_path / "intent.json")
    again = fusions.load(tmp_path / "intent.json", LABELS, ("linear", DEAR))
    assert again == fusion
    said = voices(answers(150, 3), 4)
    asked = fusion.asks({"linear": said["linear"]})
    singly = [bool(again.asks({"linear": row[None]})[0]) for row in said["linear"]]
    assert asked.tolist() == singly
    assert asked.tolist() == fusion(said).asked.tolist()


def test_a_row_it_was_not_asked_of_is_the_others_whatever_is_stored_of_it(learned: tuple[Fusion, Verdict]) -> None:
    fusion, _ = learned
    said = voices(answers(80, 3), 4)
    unasked = ~fusion.asks(said)
    assert 0 < unasked.sum() < 80
    spared = {**said, DEAR: np.where(unasked[:, None], np.nan, said[DEAR])}
    decided, other = decide(fusion, said), decide(fusion, spared)
    assert decided == other
    for row, decision in enumerate(decided):
        names = [vote.voter for vote in decision.votes]
        assert names == (["linear"] if unasked[row] else ["linear", DEAR])
        assert decision.decided_by == ("linear" if unasked[row] else POOL)
    told = decide(fusion, said, heard={DEAR: np.ones(80, dtype=bool)})
    assert [len(decision.votes) for decision in told] == [2] * 80
    assert [(d.label, d.score, d.decided_by) for d in told] == [(d.label, d.score, d.decided_by) for d in decided]
    assert votes_of(fusion, DEAR, said[DEAR]) == [decision.votes[1] for decision in told]  # asked alone, later
    stored = [
        {name: None if np.isnan(rows[at]).any() else rows[at].tolist() for name, rows in spared.items()}
        for at in range(80)
    ]
    assert fusion.of_stored(stored).label.tolist() == fusion(said).label.tolist()
    # A row of just the price, as one that comes again is, stays unasked in single precision.
    assert fusion.cascade is not None
    assert fusion.others is not None
    for row in range(80):
        value = float(fusion.cascade.value(fusion.others(said).log_probs[row : row + 1])[0])
        at_price = fusion.model_copy(update={"cascade": fusion.cascade.model_copy(update={"price": value})})
        single = {"linear": said["linear"][row : row + 1].astype(np.float32).astype(np.float64)}
        assert not at_price.asks({"linear": said["linear"][row : row + 1]})[0]
        assert not at_price.asks(single)[0]


def test_silent_others_are_asked_for_first_and_scores_of_nan_are_silence(learned: tuple[Fusion, Verdict]) -> None:
    fusion, _ = learned
    said = voices(answers(6, 3), 4)
    said["linear"][:3] = np.nan
    assert fusion.asks({"linear": said["linear"]})[:3].all()
    dead = {**said, DEAR: np.full((6, 4), np.nan)}
    decisions = decide(fusion, dead)
    assert [decision.label for decision in decisions[:3]] == [None] * 3
    assert all(decision.label for decision in decisions[3:])


def test_a_task_of_one_label_never_asks() -> None:
    one = np.zeros((50, 1))
    policy = cascade.learn(one, np.zeros(50, dtype=np.int64), np.zeros(50, dtype=np.int64), share=0.5)
    assert not policy.asks(one).any()


def test_rows_of_equal_value_never_break_the_budget() -> None:
    assert cascade.price(np.full(100, 0.2), 0.3) == 0.2
    assert cascade.price(np.arange(100) / 100, 0.3) == pytest.approx(0.69)
    assert cascade.price(np.array([]), 0.5) == NEVER
    assert cascade.price(np.arange(10) / 10, 0.05) == NEVER
    flat = np.log(np.full((40, 4), 0.25))
    gold = answers(40)
    policy = cascade.learn(flat, gold, np.where(np.arange(40) < 10, gold, NOT_ASKED), share=0.3)
    assert not policy.asks(flat).any()


def test_labels_that_it_cannot_tell_apart_are_not_asked_about() -> None:
    # It always answers a where b is right: a doubt between these two is worth nothing, one between c and d is.
    gold = np.repeat(np.arange(4), 40)
    policy = cascade.learn(np.log(np.full((160, 4), 0.25)), gold, np.where(gold == 1, 0, gold), share=0.5)
    near = np.log(np.array([[0.49, 0.47, 0.02, 0.02], [0.02, 0.02, 0.49, 0.47]]))
    deaf, telling = policy.value(near)
    assert deaf < 0.1 < telling
