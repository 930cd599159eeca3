"""Ways to make one answer of several voters' held-out votes, each judged on rows that nothing of it was fitted on."""

from collections.abc import Callable, Iterator

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion.answered import answers
from kdsl.fusion.curve import OUTER_FOLDS
from kdsl.fusion.fusion import first_best
from kdsl.fusion.held_out import HeldOut
from kdsl.fusion.nested import refit
from kdsl.fusion.pool import pool, seconded
from kdsl.models.logistic import fit_logistic, log_softmax
from kdsl.models.voter import LogProbs
from kdsl.paired import weighted_f1_draws

Places = NDArray[np.int64]
"""The place of the label that each row gets, (n,); -1: none."""
STRENGTHS = (0.01, 0.1, 1.0)  # of the stacker, tried on inner folds
ITERATIONS = 200


def systems(held: HeldOut, seed: int) -> Iterator[tuple[str, Places]]:
    """By name what each voter, and each way to fuse them, says of the rows."""
    for name in held.voters:
        yield name, first_best(held.said[name])
    if len(held.voters) < 2:
        return
    yield "as released", _by_folds(held, seed, _released)
    yield "fused: pool", answers(held, seed=seed).label
    yield "equal weights", first_best(pool(held.said))
    if {"rules", "linear"} <= set(held.voters):
        rules, linear = first_best(held.said["rules"]), first_best(held.said["linear"])
        yield "rules first", np.where(rules >= 0, rules, linear)
    yield "stacking", _by_folds(held, seed, _stacked)
    yield "best part, chosen inside", _by_folds(held, seed, _best_part)


def _by_folds(held: HeldOut, seed: int, say: Callable[[HeldOut, HeldOut, int], Places]) -> Places:
    """What `say`, given the rows of the other folds, says of each fold."""
    folds, out = held.folds(OUTER_FOLDS, seed), np.full(len(held.ids), -1)
    for fold in np.unique(folds):
        out[folds == fold] = say(held.rows(folds != fold), held.rows(folds == fold), seed)
    return out


def _released(inside: HeldOut, outside: HeldOut, seed: int) -> Places:
    """The pool or one part, whichever nested cross-validation of the rows inside says, as `fit` has it."""
    fusion, _ = refit(inside, seed=seed)
    return fusion({name: outside.said[name] for name in fusion.voters}, outside.facts).label


def _best_part(inside: HeldOut, outside: HeldOut, seed: int) -> Places:
    said = [first_best(inside.said[name]) for name in inside.voters]
    scores, _ = weighted_f1_draws(inside.gold, said, seed=seed, resamples=1)
    return first_best(outside.said[inside.voters[int(scores.argmax())]])


def _stacked(inside: HeldOut, outside: HeldOut, seed: int) -> Places:
    """Logistic regression on all voters' log-probabilities (Wolpert 1992), its strength by inner cross-validation."""
    folds = inside.folds(4, seed)
    losses = []
    for strength in STRENGTHS:
        loss = 0.0
        for fold in np.unique(folds):
            out = _stack(inside.rows(folds != fold), inside.rows(folds == fold), strength)
            loss -= float(out[np.arange(len(out)), inside.gold[folds == fold]].sum())
        losses.append(loss)
    return first_best(_stack(inside, outside, STRENGTHS[int(np.argmin(losses))]))


def _stack(inside: HeldOut, outside: HeldOut, strength: float) -> LogProbs:
    learned = fit_logistic(
        _beside(inside), inside.gold, np.ones(len(inside.gold)), len(inside.labels), l2=1 / strength,
        iterations=ITERATIONS,
    )  # fmt: skip
    return log_softmax(np.hstack([_beside(outside), np.ones((len(outside.ids), 1))]) @ learned)


def _beside(held: HeldOut) -> NDArray[np.float64]:
    said = np.nan_to_num(seconded([held.said[name] for name in held.voters]), nan=-np.log(len(held.labels)))
    return np.hstack([np.maximum(votes, -8.0) for votes in said])
