"""A fusion is fitted on held-out votes, is never worse than its best part there, and has an answer to bad votes."""

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest

from kdsl.errors import ReleaseError
from kdsl.fusion import fusion as fusions
from kdsl.fusion import held_out as votes
from kdsl.fusion import joining
from kdsl.fusion.answered import answers as nested
from kdsl.fusion.decide import decide
from kdsl.fusion.facts import Facts, none
from kdsl.fusion.fit import fit
from kdsl.fusion.fusion import POOL, first_best
from kdsl.fusion.held_out import HeldOut, held_out
from kdsl.fusion.left_out import left_out
from kdsl.fusion.nested import judge, reference, refit
from kdsl.fusion.override import Override, overrule
from kdsl.models.voter import LogProbs
from kdsl.paired import weighted_f1_draws

LABELS = ("a", "b", "c", "d")


def voter(gold: np.ndarray, seed: int, signal: float, silent: float = 0.0) -> LogProbs:
    """Votes that lean to gold by `signal` nats in noise of one nat; a share is silent."""
    dice = np.random.default_rng(seed)
    logits = dice.normal(size=(len(gold), len(LABELS)))
    logits[np.arange(len(gold)), gold] += signal
    log_probs = logits - np.logaddexp.reduce(logits, axis=1, keepdims=True)
    log_probs[dice.random(len(gold)) < silent] = np.nan
    return log_probs


def answers(n: int, seed: int = 0) -> np.ndarray:
    return np.random.default_rng(seed).choice(4, n, p=[0.4, 0.3, 0.2, 0.1])


def votes_of(gold: np.ndarray, said: dict[str, LogProbs], asked: dict[str, np.ndarray] | None = None) -> HeldOut:
    ids = [f"i{row}" for row in range(len(gold))]
    return held_out(LABELS, ids, [LABELS[label] for label in gold], ids, said, asked=asked)


def test_two_voters_that_err_apart_are_better_together() -> None:
    gold = answers(300)
    fusion, verdict = refit(votes_of(gold, {"x": voter(gold, 1, 1.5), "y": voter(gold, 2, 1.5)}), seed=3)
    assert verdict.uses == fusion.uses == POOL
    assert verdict.differences["x"].low > 0
    assert verdict.differences["y"].low > 0
    assert "uses the pool" in str(verdict)


def test_noise_beside_a_good_voter_gets_little_weight_and_costs_nothing() -> None:
    gold = answers(300)
    held = votes_of(gold, {"noise": voter(gold, 1, 0.0), "good": voter(gold, 2, 2.0)})
    fusion, verdict = refit(held, seed=3)
    assert fusion.weights["noise"] * 5 < fusion.weights["good"]
    assert verdict.released.value >= verdict.parts["good"].value


def test_the_best_part_is_used_where_the_pool_is_worse() -> None:
    # The second voter repeats the first and leans to what is wrong.
    gold = answers(120, 8)
    good = voter(gold, 9, 2.0)
    held = votes_of(gold, {"good": good, "echo": good * 0.5 + voter(gold, 13, -0.2)})
    fusion, verdict = refit(held, seed=3)
    assert verdict.differences["good"].value < -0.01
    assert (verdict.uses, fusion.uses) == ("good", "good")
    assert verdict.released == verdict.parts["good"]
    assert "uses good alone" in str(verdict)
    fresh = answers(500, 9)
    said = {"good": voter(fresh, 20, 2.0), "echo": voter(fresh, 21, 3.0)}
    assert fusion(said).label.tolist() == first_best(said["good"]).tolist()
    pooled = fusion.model_copy(update={"uses": POOL})
    assert pooled(said).label.tolist() != first_best(said["good"]).tolist()


def test_of_two_voters_that_say_the_same_neither_is_missed_and_who_knows_more_is() -> None:
    gold = answers(240)
    twin, other = voter(gold, 1, 1.2), voter(gold, 2, 1.2)
    idle = np.arange(240) % 5 == 0
    said = {"twin": twin, "copy": twin, "other": other, "small": voter(gold, 3, 0.5)}
    held = votes_of(gold, said, {"small": idle})
    found = left_out(held, ("small",), seed=3)
    verdict = judge(held, seed=3, idle=("small",))
    assert set(found) == {"twin", "copy", "other"}
    assert verdict.differences["twin"].low > 0.02  # the pool is better than it alone
    for name in ("twin", "copy"):
        assert found[name].low <= 0 <= found[name].high
        assert abs(found[name].value) < 0.02
    assert found["other"].low > 0.02
    whole, rest = (
        judge(each, seed=3).pool.value for each in (held.without(["small"]), votes_of(gold, {"t": twin, "c": twin}))
    )
    assert found["other"].value == pytest.approx(whole - rest, abs=0.01)  # these are means of three draws
    assert found["other"].n == 240
    assert left_out(held.only(["twin"]), seed=3) == {}
    assert left_out(votes_of(gold, {"x": twin, "y": twin}, {"x": idle, "y": ~idle}), seed=3) == {}


def test_on_fresh_rows_what_is_released_is_not_below_its_best_part() -> None:
    def said(gold: np.ndarray, seed: int) -> dict[str, LogProbs]:
        signals = {"x": (1.0, 0.5), "y": (0.6, 0.0), "z": (0.1, 0.0)}
        return {name: voter(gold, seed + 50 * n, *how) for n, (name, how) in enumerate(signals.items())}

    gains = []
    for seed in range(6):
        gold, fresh = answers(200, seed), answers(4_000, seed + 500)
        fusion, _ = refit(votes_of(gold, said(gold, seed)), seed=seed)
        asked = said(fresh, seed + 1_000)
        parts = [first_best(asked[name]) for name in fusion.voters]
        (whole, *alone), _ = weighted_f1_draws(fresh, [fusion(asked).label, *parts], seed=0, resamples=1)
        gains.append(whole - max(alone))
    assert min(gains) >= -0.005
    assert np.mean(gains) > 0.05


def test_the_same_votes_from_memory_and_from_a_file_give_the_same_fusion(tmp_path: Path) -> None:
    gold = answers(80)
    held = votes_of(gold, {"x": voter(gold, 1, 1.0, silent=0.3), "y": voter(gold, 2, 1.0)})
    held.save(tmp_path / "intent.npz")
    fusion, verdict = refit(held, seed=3)
    assert refit(votes.load(tmp_path / "intent.npz"), seed=3) == (fusion, verdict)
    fusion.save(tmp_path / "intent.json")
    assert fusions.load(tmp_path / "intent.json", LABELS, ("x", "y")) == fusion
    with pytest.raises(ReleaseError, match="other labels or voters"):
        fusions.load(tmp_path / "intent.json", LABELS, ("x",))
    for file in ("intent.npz", "intent.json"):
        (tmp_path / file).write_bytes(b"{")
    with pytest.raises(ReleaseError, match="run fit again"):
        votes.load(tmp_path / "intent.npz")
    with pytest.raises(ReleaseError, match="run fit again"):
        fusions.load(tmp_path / "intent.json", LABELS, ("x", "y"))


def test_an_edit_of_rules_refits_without_a_model() -> None:
    gold = answers(200)
    held = votes_of(gold, {"rules": voter(gold, 1, 0.0), "linear": voter(gold, 2, 1.0)})
    before = fit(held, seed=3)
    after, _ = refit(held.with_voter("rules", voter(gold, 3, 3.0)), seed=3)
    assert after.weights["rules"] > before.weights["rules"]


def test_a_voter_scored_on_a_hold_out_is_weighed_and_compared_there() -> None:
    gold = answers(400)
    large = voter(gold, 1, 2.5)
    asked = np.arange(len(gold)) % 5 == 0
    large[~asked] = np.nan
    silent = asked & (np.arange(len(gold)) % 10 == 0)
    large[silent] = np.nan
    held = votes_of(gold, {"linear": voter(gold, 2, 1.0), "large": large}, {"large": asked})
    fusion, verdict = refit(held, seed=3)
    assert fusion.weights["large"] > fusion.weights["linear"] > 0
    assert {estimate.n for estimate in verdict.scores.values()} == {80}
    # Half of its hold-out it abstained from: that is its fault; the rest of the rows is not.
    assert 0.3 < verdict.parts["large"].value < 0.7


def test_a_voter_that_adds_nothing_on_its_hold_out_is_idle_and_the_others_keep_all_rows_as_evidence() -> None:
    gold = answers(300)
    said = {"linear": voter(gold, 2, 2.0), "rules": voter(gold, 3, 1.0, silent=0.4)}
    asked = np.arange(len(gold)) % 5 == 0
    noise = voter(gold, 9, 0.0)
    noise[~asked] = np.nan
    alone, without = refit(votes_of(gold, said), seed=3)
    held = votes_of(gold, {**said, "small": noise}, {"small": asked})
    fusion, verdict = refit(held, seed=3)
    assert (fusion.idle, fusion.weights["small"]) == (("small",), 0.0)
    assert verdict.scores["small"].n == 60
    assert {name: score for name, score in verdict.scores.items() if name != "small"} == without.scores
    assert "no say for small" in str(verdict)
    # At work it speaks everywhere, and not even where a voter is silent does it move an answer.
    heard = {**said, "small": voter(gold, 9, 0.0)}
    np.testing.assert_array_equal(fusion(heard).log_probs, alone(said).log_probs)
    decided = decide(fusion, heard)
    assert [(one.label, one.score, one.decided_by) for one in decided] == [
        (one.label, one.score, one.decided_by) for one in decide(alone, said)
    ]
    assert all(one.votes[2].voter == "small" and one.votes[2].label for one in decided)
    assert len(reference(held, fusion)[0].gold) == 300


def test_a_voter_that_helps_on_its_hold_out_has_a_say_whatever_the_others() -> None:
    gold = answers(400)
    asked = np.arange(len(gold)) % 5 == 0
    good = voter(gold, 1, 2.5)
    good[~asked] = np.nan
    held = votes_of(gold, {"linear": voter(gold, 2, 1.0), "small": good}, {"small": asked})
    assert joining.idle(held, seed=3) == ()
    assert len(reference(held, fit(held, seed=3))[0].gold) == 80
    assert joining.idle(held.only(["small"]), seed=3) == ()


def test_a_budget_for_the_dear_voter_leaves_no_cheap_part_above_the_whole() -> None:
    # Over all rows the cheap voters are better together, on those where the dear one was scored one is alone.
    gold, rows = answers(150), np.arange(150)
    scored = rows % 3 == 0
    linear = np.where(scored[:, None], voter(gold, 1, 4.0), voter(gold, 2, 0.5))
    small = np.where(scored[:, None], voter((gold + 1) % 4, 3, 2.0), voter(gold, 4, 3.0))
    large = np.where(scored[:, None], voter(gold, 5, 1.5), np.nan)
    held = votes_of(gold, {"linear": linear, "small": small, "large": large}, {"large": scored})
    _, verdict = refit(held, seed=3, share=0.2)
    assert verdict.released.value >= max(verdict.parts[name].value for name in ("linear", "small"))
    assert verdict.others == "linear"


def test_a_threshold_is_fitted_to_the_wanted_precision() -> None:
    gold = answers(600)
    held = votes_of(gold, {"x": voter(gold, 1, 1.5), "y": voter(gold, 2, 1.5)})
    sure, verdict = refit(held, seed=3, precision=0.95)
    fresh = answers(4_000, seed=1)  # rows that no threshold was fitted on
    fused = sure({"x": voter(fresh, 11, 1.5), "y": voter(fresh, 12, 1.5)})
    kept = fused.label >= 0
    assert 0.2 < kept.mean() < 0.95
    assert abs(verdict.answered - kept.mean()) < 0.1
    assert (fused.label[kept] == fresh[kept]).mean() == pytest.approx(0.95, abs=0.03)
    unsure = fit(held, seed=3)
    assert (unsure({"x": voter(fresh, 11, 1.5), "y": voter(fresh, 12, 1.5)}).label == fresh).mean() < 0.9
    assert verdict.released.value < verdict.pool.value  # what is left unsaid counts as wrong
    assert unsure.threshold is None


def dead(gold: np.ndarray) -> LogProbs:
    return np.full((len(gold), len(LABELS)), np.nan)


def test_a_voter_that_is_silent_everywhere_changes_nothing() -> None:
    gold = answers(60)
    held = votes_of(gold, {"dead": dead(gold), "x": voter(gold, 2, 1.0)})
    fusion, verdict = refit(held, seed=3)
    assert verdict.parts["dead"].value == 0
    assert verdict.released.value >= verdict.parts["x"].value
    assert (fusion({"dead": dead(gold), "x": held.said["x"]}).label >= 0).all()


def test_all_silent_everywhere_is_a_score_of_nothing_and_an_abstention() -> None:
    gold = answers(20)
    fusion, verdict = refit(votes_of(gold, {"x": dead(gold), "y": dead(gold)}), seed=3)
    assert verdict.released.value == 0
    assert (fusion({"x": dead(gold), "y": dead(gold)}).label == -1).all()


def test_a_voter_nobody_asked_has_no_say_and_all_unasked_are_equal() -> None:
    gold = answers(20)
    nobody = np.zeros(20, dtype=bool)
    said = {"x": voter(gold, 1, 1.0), "large": dead(gold)}
    fusion, _ = refit(votes_of(gold, said, {"large": nobody}), seed=3)
    assert fusion.voters == ("x",)
    fusion, verdict = refit(votes_of(gold, said, {"large": nobody, "x": nobody}), seed=3)
    assert fusion.weights == {"x": 0.5, "large": 0.5}
    assert (verdict.released.n, verdict.uses) == (0, POOL)


@pytest.mark.parametrize("n", [1, 2, 5])
def test_few_rows_leave_the_voters_as_they_are(n: int) -> None:
    gold = np.arange(n) % 2
    fusion, _ = refit(votes_of(gold, {"x": voter(gold, 1, 1.0), "y": voter(gold, 2, 1.0)}), seed=3)
    assert all(0.1 < weight < 1.1 for weight in fusion.weights.values())


def test_one_label_only_and_a_label_with_one_example_keep_the_others_alive() -> None:
    for gold in (np.zeros(50, dtype=int), np.array([1] + [0] * 49)):
        fusion, _ = refit(votes_of(gold, {"x": voter(gold, 1, 1.0), "y": voter(gold, 2, 1.0)}), seed=3)
        sure_of_d = np.log([[0.01, 0.01, 0.01, 0.97]])
        assert fusion({"x": sure_of_d, "y": sure_of_d}).label.tolist() == [3]


def test_ties_go_to_the_label_that_stands_first() -> None:
    # Both voters think two labels of a row as likely as each other, and either is right as often.
    dice = np.random.default_rng(0)
    pairs = np.array([sorted(dice.choice(4, 2, replace=False)) for _ in range(200)])
    gold = pairs[np.arange(200), dice.integers(2, size=200)]
    tied = np.log(np.where((np.arange(4) == pairs[:, :1]) | (np.arange(4) == pairs[:, 1:]), 0.48, 0.02))
    fusion, verdict = refit(votes_of(gold, {"x": tied, "y": tied}), seed=3)
    assert fusion({"x": tied, "y": tied}).label.tolist() == pairs[:, 0].tolist()
    assert verdict.uses == POOL
    assert verdict.parts["x"].value == verdict.parts["y"].value == pytest.approx(verdict.pool.value)


def test_a_gold_label_that_is_unknown_is_refused() -> None:
    with pytest.raises(ValueError, match="gold label 'z' is not among"):
        held_out(LABELS, ["i"], ["z"], ["i"], {"x": np.zeros((1, 4))})


def ruled(gold: np.ndarray, right: float, record: tuple[int, int]) -> Facts:
    """One rule for label d that fires on the first third of the rows, with a record from elsewhere."""
    rows = np.arange(len(gold) // 3)
    n = len(rows)
    return Facts(rows, np.full(n, "r1"), np.full(n, 3), np.full(n, record[0], dtype=np.int64), np.full(n, record[1]))


@pytest.mark.parametrize(
    ("share_right", "record", "overrules"), [(0.9, (38, 40), True), (0.1, (38, 40), False), (0.9, (4, 5), False)]
)
def test_a_rule_overrules_only_where_it_won_its_disagreements(
    share_right: float, record: tuple[int, int], overrules: bool
) -> None:
    # The rule's claim is d; the pool, blind to it, thinks otherwise. Only held-out rows can tell who is right.
    gold = answers(180)
    fires = np.arange(60)
    gold[fires] = np.where(np.random.default_rng(1).random(60) < share_right, 3, 0)
    believed = np.where(np.arange(180) < 60, 0, gold)
    blind = voter(believed, 1, 2.0)
    held = votes_of(gold, {"x": blind, "y": voter(believed, 2, 2.0)})
    held = held.with_voter("x", blind, facts=ruled(gold, share_right, record))
    fusion, verdict = refit(held, seed=3)
    fused = fusion(held.said, held.facts)
    assert (fused.overruled_by >= 0).any() == overrules
    assert (verdict.overruled > 0) == overrules
    if overrules:
        changed = fused.overruled_by >= 0
        assert (gold[changed] == 3).mean() > 0.7
        decided = decide(fusion, held.said, held.facts)
        assert {decided[row].decided_by for row in np.flatnonzero(changed)} == {"r1"}
        assert verdict.pool.value > refit(held.with_voter("x", blind, facts=none()), seed=3)[1].pool.value


def test_rules_first_loses_where_ours_overrules_by_those_rules_alone_that_win() -> None:
    # Rules of two kinds whose votes look alike: some are right on nearly all of their rows, where the other voter is
    # wrong; the others agree with that voter or are wrong themselves. Rules first follows both.
    dice, rows = np.random.default_rng(4), np.arange(320)
    gold, wins, fires = answers(320), rows < 50, rows < 260
    claimed = dice.choice([2, 3], 320)
    gold[wins] = np.where(dice.random(320) < 0.94, claimed, claimed - 2)[wins]
    said = np.where(wins, claimed - 2, np.where(dice.random(320) < 0.85, gold, (gold + 1) % 4))
    claim = np.where(wins, claimed, np.where(dice.random(320) < 0.4, (said + 2) % 4, said))
    linear = np.log(np.where(np.arange(4) == said[:, None], 0.88, 0.04))
    rules = np.where(fires[:, None], np.log(np.where(np.arange(4) == claim[:, None], 0.64, 0.12)), np.nan)
    at = np.flatnonzero(fires)
    names = np.char.add(np.where(wins, "win-", "lose-"), claim.astype(str))[at]
    right, fired = np.where(wins, 47, 80)[at], np.where(wins, 50, 150)[at]
    held = votes_of(gold, {"rules": rules, "linear": linear})
    held = held.with_voter("rules", rules, facts=Facts(at, names, claim[at], right, fired))
    (alone, first), _ = weighted_f1_draws(gold, [said, np.where(fires, claim, said)], seed=0, resamples=1)
    fusion, verdict = refit(held, seed=3)
    gain, told = verdict.released.value - alone, f"{verdict.overruled:.0f} rows by a rule's word"
    print(f"\nrules first {first - alone:+.3f}, ours {gain:+.3f}, {told}; {verdict}")
    assert first < alone - 0.01
    assert gain > 0
    assert verdict.overruled > 20
    fused = fusion(held.said, held.facts)
    changed = fused.overruled_by >= 0
    assert {name.partition("-")[0] for name in names[fused.overruled_by[changed]].tolist()} == {"win"}
    assert (gold[changed] == fused.label[changed]).mean() > 0.8


@pytest.mark.parametrize("task", ["intent", "scene"])
def test_rules_first_loses_on_real_votes_and_ours_does_not(task: str) -> None:
    kept = sorted(Path(".cache/bench").glob(f"held_out-{task}-*.npz"), key=lambda file: file.stat().st_mtime)
    if not kept:
        pytest.skip(f"no .cache/bench/held_out-{task}-*.npz: python -m bench.estimate --mire DIR writes it")
    held = votes.load(kept[-1])
    alone, rules = (first_best(held.said[name]) for name in ("linear", "rules"))
    (linear, first), _ = weighted_f1_draws(held.gold, [alone, np.where(rules < 0, alone, rules)], seed=0, resamples=1)
    pool = nested(replace(held, facts=none()), seed=7).log_probs
    ours, before = nested(held, seed=7), first_best(pool)
    # Every rule whose bound beats the pool's confidence may overrule: the first of the two tests alone.
    lax, kept = before.copy(), np.zeros(len(before))
    loose = overrule(Override(all_rules=True), held.facts, pool, lax, kept) >= 0

    def told(overruled: np.ndarray, label: np.ndarray) -> tuple[int, int]:
        right = [
            int((overruled & (side == held.gold) & (other != held.gold)).sum())
            for side, other in ((label, before), (before, label))
        ]
        print(f"{int(overruled.sum())} rows overruled, {right[0]} became right, {right[1]} wrong", end="; ")
        return right[0], right[1]

    print(f"\n{task}, n = {len(before)}: linear {linear:.3f}, rules first {first:.3f}; ours: ", end="")
    mended, spoilt = told(ours.overruled, ours.label)
    print("by the bound alone: ", end="")
    lax_mended, lax_spoilt = told(loose, lax)
    assert first < linear - 0.01
    assert loose.any()
    assert mended >= spoilt
    assert mended - spoilt >= lax_mended - lax_spoilt
