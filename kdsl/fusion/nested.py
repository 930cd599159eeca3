"""Is the pool better than its best part? Asked of rows that no part of the fusion was fitted on."""

from dataclasses import dataclass, field, replace

import numpy as np

from kdsl.estimate import Reference
from kdsl.fusion import joining
from kdsl.fusion.answered import REPEATS, answers
from kdsl.fusion.cascade import DEAR
from kdsl.fusion.curve import SHARES, Sent, curve, spare
from kdsl.fusion.fit import Recipe, fit, has_dear, without_dear
from kdsl.fusion.fusion import POOL, Fusion, elsewhere, equal, first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.metrics import Estimate
from kdsl.models.reliability import Answered, Reliability, reliability
from kdsl.paired import compare


@dataclass(frozen=True)
class Verdict:
    """Held-out weighted F1 of the pool (nested), of each part, and of what the release uses, on the same rows.

    A part that is `idle` is scored, and compared with the pool of the others, on its own hold-out. `differences` are
    pool less part, by paired bootstrap. `released` counts what is abstained from for doubt as wrong, and `answered` is
    the share that is not. `changed` and `overruled` are how many rows the pool answers other than the best part, and a
    rule other than the pool (means over repeats).
    """

    uses: str
    pool: Estimate
    parts: dict[str, Estimate]
    differences: dict[str, Estimate]
    released: Estimate
    answered: float
    changed: float = 0.0
    overruled: float = 0.0
    share: float = 1.0
    """Of rows of which the dear voter is asked."""
    others: str = POOL
    """As `uses`, where it is not asked."""
    idle: tuple[str, ...] = ()
    """Parts without a say (`kdsl.fusion.joining`)."""
    curve: tuple[Sent, ...] = ()
    """Weighted F1 by that share; empty where no voter is dear."""
    left_out: dict[str, Estimate] = field(default_factory=dict)
    """By part what the pool loses without it (`kdsl.fusion.left_out`); empty where nobody asked."""

    @property
    def recipe(self) -> Recipe:
        """How the release is fitted."""
        return Recipe(self.uses, share=self.share, others=self.others, idle=self.idle)

    @property
    def best_part(self) -> str:
        """The part of highest weighted F1 among those with a say; the first of equals."""
        return max((name for name in self.parts if name not in self.idle), key=lambda name: self.parts[name].value)

    @property
    def scores(self) -> dict[str, Estimate]:
        """By part, `pool` and `fused`, which is what the release says in the end."""
        return {**self.parts, POOL: self.pool, "fused": self.released}

    def __str__(self) -> str:
        # Asked of nobody for want of a budget it has no say either, however much better answers are with it.
        dear = bool(self.curve) and self.curve[-1].gain.value > 0
        no_better = [name for name in self.idle if name != DEAR or not dear]
        idle = f"; no say for {' and '.join(no_better)}, with whom answers are no better" if no_better else ""
        asked = idle + (f"; {self._asked()}" if self.share < 1 else "")
        if len(self.parts) - len(self.idle) == 1:
            return f"uses {self.uses}, the only voter with a say{asked}"
        d = self.differences[self.best_part]
        gain = f"{d.value:+.3f} [{d.low:+.3f}, {d.high:+.3f}] against {self.best_part}, n = {d.n}"
        gain += f"; {self.changed:.0f} rows answered otherwise, {self.overruled:.0f} of them by a rule's word"
        where = ""
        if 0 < self.share < 1 and self.others != self.uses:
            where = elsewhere("the pool of the others" if self.others == POOL else self.others)
        if self.uses == POOL:
            return f"uses the pool{where}: nested {self.pool.value:.3f}, {gain}{self._abstaining()}{asked}"
        return f"uses {self.uses} alone{where}: the pool is no better (nested {self.pool.value:.3f}, {gain}){asked}"

    def _abstaining(self) -> str:
        """What abstaining costs: the comparison is of answers to all rows."""
        if self.released.value >= self.pool.value:
            return ""
        return f"; {self.released.value:.3f} where it abstains, which counts as wrong"

    def _asked(self) -> str:
        none, every = self.curve[0].score.value, self.curve[-1].score.value
        if not self.share:
            n = self.curve[0].score.n
            return f"{DEAR} is asked of no row: {none:.3f} without it, {every:.3f} if it were asked of all, n = {n}"
        sent = next(one for one in self.curve if one.share == self.share)
        return (
            f"{DEAR} is asked of {sent.asked:.0%} of rows, {self.share:.0%} at most: {sent.score.value:.3f}, without "
            f"it {none:.3f}, asked of all {every:.3f}"
        )


def reference(held: HeldOut, fusion: Fusion) -> tuple[Reference, dict[str, Reliability]]:
    """What the release says of examples that neither its voters nor its fusion learned from: fusions of its kind.

    Beside it how far the confidence of each voter, and of `fused`, can be believed on them.
    """
    held = held.only([name for name in held.voters if name in fusion.voters])
    recipe = Recipe(fusion.uses, idle=fusion.idle)
    if fusion.cascade and fusion.others:
        recipe = replace(recipe, share=fusion.cascade.share, others=fusion.others.uses)
    said = answers(held, recipe, seed=0)
    doubtful = said.score < np.where(said.asked, fusion.threshold or 0.0, fusion.judge(False).threshold or 0.0)
    at = held.without(fusion.idle).complete
    own = fusion(held.said, held.facts).log_probs.max(axis=1)
    known = Reference(held.gold[at], np.where(doubtful, -1, said.label)[at], said.log_probs[at], own[at])
    spoke = at & (said.label >= 0)
    curves = {"fused": reliability(Answered(said.score[spoke], (said.label == held.gold)[spoke]), seed=0)}
    for name, votes in said.calibrated.items():
        spoke = held.asked[name] & ~np.isnan(votes).any(axis=1)
        right = votes[spoke].argmax(axis=1) == held.gold[spoke]
        curves[name] = reliability(Answered(np.exp(votes[spoke].max(axis=1)), right), seed=0)
    return known, curves


def judge(
    held: HeldOut, *, seed: int, precision: float | None = None, share: float = 1.0, idle: tuple[str, ...] = ()
) -> Verdict:
    """Nested cross-validation of the pool against each part, on the rows of which every voter with a say was asked.

    The release uses the pool only if it is not below the best part. They are compared without a threshold: to abstain
    for doubt is a choice, and would cost the pool what it would cost a part. Where no row was asked of all, nothing is
    known and the pool stands. The dear voter is asked of at most `share` of the rows; of none where that is not below
    asking.
    """
    heard = held.without(idle)
    at = heard.complete
    gold = held.gold[at]
    parts = {name: first_best(held.said[name])[at] for name in heard.voters}
    if not at.any():
        nothing = Estimate(0.0, 0.0, 1.0, 0)
        return Verdict(POOL, nothing, dict.fromkeys(parts, nothing), dict.fromkeys(parts, nothing), nothing, 0.0)
    if len(parts) == 1:
        fused, overruled = list(parts.values()), 0.0
    else:
        repeats = [answers(heard, seed=seed + turn) for turn in range(REPEATS)]
        fused = [each.label[at] for each in repeats]
        overruled = float(np.mean([each.overruled[at].sum() for each in repeats]))
    pooled, scores, differences = compare(gold, fused, parts, seed=seed)
    best = max(scores, key=lambda name: scores[name].value)
    uses = POOL if differences[best].value >= 0 and len(parts) > 1 else best
    said, released = (fused, pooled) if uses == POOL else ([parts[best]], scores[best])
    verdict = Verdict(
        uses=uses,
        pool=pooled,
        parts=scores,
        differences=differences,
        released=released,
        answered=float(np.mean([each >= 0 for each in said])),
        changed=float(np.mean([(each != parts[best]).sum() for each in fused])),
        overruled=overruled,
    )
    for name in idle:
        own = held.asked[name][at]
        alone = {name: first_best(held.said[name])[at][own]}
        _, score, difference = compare(gold[own], [each[own] for each in fused], alone, seed=seed)
        verdict = replace(verdict, parts=verdict.parts | score, differences=verdict.differences | difference, idle=idle)
    if has_dear(held):
        others = verdict.uses if DEAR in idle else judge(without_dear(held), seed=seed).uses
        spared = _spared(held, verdict, others, seed=seed, share=share)
        cheap = max((name for name in scores if name != DEAR), key=lambda name: scores[name].value)
        if share < 1 and spared.released.value < scores[cheap].value:
            # The others were judged on more rows than these; whom they lose to here speaks for them.
            spared = _spared(held, verdict, cheap, seed=seed, share=share)
        if not spared.share and DEAR not in idle:  # asked of nobody it has no say, and takes no rows from the others
            return judge(held, seed=seed, precision=precision, share=share, idle=(*idle, DEAR))
        verdict = spared
    if precision is None:
        return verdict
    recipe = replace(verdict.recipe, precision=precision)
    said = [answers(held, recipe, seed=seed + turn).label[at] for turn in range(REPEATS)]
    answered = float(np.mean([each >= 0 for each in said]))
    return replace(verdict, released=compare(gold, said, {}, seed=seed)[0], answered=answered)


def _spared(held: HeldOut, verdict: Verdict, others: str, *, seed: int, share: float) -> Verdict:
    """The verdict with what asking the dear voter of fewer rows would cost, and of how many it is asked.

    `others` decides where it is not: the pool of the others, or one of them.
    Where another part decides alone, the pool may still be the better judge of the few rows that are worth asking.
    """
    recipe = Recipe(verdict.uses if verdict.uses == DEAR else POOL, others=others, idle=verdict.idle)
    turns = [spare(held, recipe, sorted({*SHARES, share}), seed=seed + turn) for turn in range(REPEATS)]
    points = curve(held, turns, seed=seed)
    if DEAR in verdict.idle:
        return replace(verdict, others=others, share=0.0, curve=points)
    if share >= 1:
        return replace(verdict, curve=points)
    at = held.complete
    if next(one for one in points if one.share == share).gain.value < 0:
        share = 0.0
    said = [turn[share].label[at] for turn in turns]
    return replace(
        verdict,
        uses=recipe.uses,
        others=others,
        share=share,
        curve=points,
        released=next(one for one in points if one.share == share).score,
        answered=float(np.mean([each >= 0 for each in said])),
    )


def refit(held: HeldOut, *, seed: int, precision: float | None = None, share: float = 1.0) -> tuple[Fusion, Verdict]:
    """Judge and fit anew from held-out votes alone, as after an edit of rules: no model runs.

    A voter that was asked of no row has no say, nor one that adds nothing on its hold-out.
    """
    known = [name for name in held.voters if held.asked[name].any()]
    if not known:
        return equal(held.labels, held.voters), judge(held, seed=seed)
    held = held.only(known)
    idle = joining.idle(held, seed=seed, share=share)
    verdict = judge(held, seed=seed, precision=precision, share=share, idle=idle)
    return fit(held, replace(verdict.recipe, precision=precision), seed=seed), verdict
