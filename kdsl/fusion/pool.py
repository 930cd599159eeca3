"""The log-linear pool: sum over the voters of weight times log-probability, renormalised (Genest and Zidek 1986)."""

from collections.abc import Mapping, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.fusion.held_out import HeldOut
from kdsl.models.logistic import fit_pool, log_softmax
from kdsl.models.voter import LogProbs


def pool(said: Mapping[str, LogProbs], weights: Mapping[str, float] | None = None) -> LogProbs:
    """Pooled log-probabilities (n, labels); a row on which all abstain is all NaN.

    A voter that abstains seconds the others: its weight goes to them in equal parts. Without weights each voter has
    1 / len(said), which makes the pool of a row the geometric mean of those who speak.
    """
    names = list(said)
    by_voter = [1 / len(names)] * len(names) if weights is None else [weights[name] for name in names]
    stacked = seconded([said[name] for name in names])
    # Voter by voter and not by BLAS, whose last digit depends on the rows beside it.
    total = np.zeros(stacked.shape[1:])
    for weight, votes in zip(by_voter, stacked, strict=True):
        total += weight * votes
    return log_softmax(total)


def seconded(said: Sequence[LogProbs]) -> NDArray[np.float64]:
    """Votes (voters, n, labels) in which a silent voter repeats the mean of those who speak; NaN where nobody does."""
    stacked = np.stack(said)
    silent = np.asarray(np.isnan(stacked).any(axis=2))
    speaking = (~silent).sum(axis=0)
    mean = np.where(silent[:, :, None], 0.0, stacked).sum(axis=0) / np.maximum(speaking, 1)[:, None]
    mean[speaking == 0] = np.nan
    return np.where(silent[:, :, None], mean[None], stacked)


def fit_weights(held: HeldOut, said: Mapping[str, LogProbs], ridge: float) -> dict[str, float]:
    """A weight a voter, >= 0, of least log-loss, drawn to equal weights by `ridge` (nats for a distance of 1).

    Voters that were asked of every row are weighed on every row. One scored on a hold-out joins them, as one voter of
    their joint weight, on the rows of which all were asked.

    Args:
        held: gold, and who was asked.
        said: calibrated log-probabilities by voter.
        ridge: infinite for equal weights.
    """
    names = list(said)
    equal = 1 / len(names)
    if np.isinf(ridge):
        return dict.fromkeys(names, equal)
    always = [name for name in names if held.asked[name].all()]
    weights = dict.fromkeys(names, equal)
    if always:
        weights |= _fit(held, {name: said[name] for name in always}, dict.fromkeys(always, equal), ridge)
    late = [name for name in names if name not in always]
    if late:
        together = held.complete
        voices = {name: said[name][together] for name in late}
        centres = dict.fromkeys(late, equal)
        if always:
            share = sum(weights[name] for name in always)
            joint = {name: weights[name] / share if share else 1 / len(always) for name in always}
            voices[""] = pool({name: said[name][together] for name in always}, joint)
            centres[""] = equal * len(always)
        found = _fit(held.rows(together), voices, centres, ridge)
        weights |= {name: found[name] for name in late}
        if always:
            weights |= {name: found[""] * joint[name] for name in always}
    return weights


def _fit(held: HeldOut, said: Mapping[str, LogProbs], centres: Mapping[str, float], ridge: float) -> dict[str, float]:
    stacked = seconded(list(said.values()))
    heard = ~np.isnan(stacked).any(axis=(0, 2))
    if not heard.any():
        return dict(centres)
    found = fit_pool(
        list(stacked[:, heard]), held.gold[heard], ridge=ridge, centre=np.array([centres[name] for name in said])
    )
    return dict(zip(said, found.tolist(), strict=True))
