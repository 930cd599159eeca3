"""Decisions, row by row, as the table `labels` keeps them."""

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion.cascade import DEAR
from kdsl.fusion.facts import Facts
from kdsl.fusion.fusion import POOL, Fusion, first_best
from kdsl.models.calibrate import clean
from kdsl.models.voter import LogProbs

DIGITS = 9  # of a score


@dataclass(frozen=True, slots=True)
class Vote:
    """What one voter said of one item: its label, the calibrated probability of that, its log-probabilities."""

    voter: str
    label: str | None
    score: float | None
    abstained: bool
    log_probs: LogProbs | None = field(default=None, compare=False)


@dataclass(frozen=True, slots=True)
class Decision:
    """The fused label of one item, its probability, and who decided."""

    label: str | None
    score: float | None
    abstained: bool
    decided_by: str | None
    votes: tuple[Vote, ...]


def decide(
    fusion: Fusion,
    said: Mapping[str, LogProbs],
    facts: Facts | None = None,
    heard: Mapping[str, NDArray[np.bool_]] | None = None,
) -> list[Decision]:
    """One decision a row of raw log-probabilities (n, labels) by voter and of the rules that fired.

    A row on which a rule overruled the pool names the rule as who decided. A row on which a voter was not heard has no
    vote of it; `heard` tells by voter where it was, (n,). Others were everywhere, the dear one as the cascade asks it.

    A row on which all are silent abstains with neither score nor author; one below the threshold abstains and keeps
    both, so that a person sees how near it was.
    """
    fused = fusion(said, facts)
    heard = {DEAR: fused.asked, **(heard or {})}
    raw = {name: clean(said[name]) for name in fusion.voters}
    best = {name: first_best(raw[name]) for name in fusion.voters}
    decisions = []
    for row, label in enumerate(fused.label.tolist()):
        votes = tuple(
            _vote(fusion, name, int(best[name][row]), raw[name][row], fused.calibrated[name][row])
            for name in fusion.voters
            if name not in heard or heard[name][row]
        )
        judge = fusion.judge(bool(fused.asked[row]))
        speaking = [vote.voter for vote in votes if not vote.abstained and vote.voter in judge.speakers]
        if not speaking:
            decisions.append(Decision(None, None, True, None, votes))
            continue
        alone = judge.uses if judge.uses in speaking else speaking[0] if len(speaking) == 1 else POOL
        if facts is not None and fused.overruled_by[row] >= 0:
            alone = str(facts.rule[fused.overruled_by[row]])
        name = fusion.labels[label] if label >= 0 else None
        decisions.append(Decision(name, _score(fused.score[row]), label < 0, alone, votes))
    return decisions


def votes_of(fusion: Fusion, voter: str, log_probs: LogProbs) -> list[Vote]:
    """One voter's votes, calibrated as in a decision, from its raw log-probabilities (n, labels)."""
    raw = clean(log_probs)
    calibrated, best = fusion.calibrations[voter](raw), first_best(raw)
    return [_vote(fusion, voter, int(best[row]), raw[row], calibrated[row]) for row in range(len(raw))]


def _vote(fusion: Fusion, voter: str, best: int, raw: LogProbs, calibrated: LogProbs) -> Vote:
    if best < 0:
        return Vote(voter, None, None, True)
    return Vote(voter, fusion.labels[best], _score(np.exp(calibrated[best])), False, raw)


def _score(probability: float) -> float:
    # The last digits hang on how rows were batched; a row labelled again must not differ by them.
    return min(1.0, round(float(probability), DIGITS))
