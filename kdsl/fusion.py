"""From the voters' log-probabilities to one decision an item: a log-linear pool of those who speak."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

import numpy as np

from kdsl.models.voter import LogProbs


@dataclass(frozen=True, slots=True)
class Vote:
    """What one voter said of one item."""

    voter: str
    label: str | None
    score: float | None
    abstained: bool


@dataclass(frozen=True, slots=True)
class Decision:
    """The fused label of one item, its probability, and who decided."""

    label: str | None
    score: float | None
    abstained: bool
    decided_by: str | None
    votes: tuple[Vote, ...]


def pool(said: Mapping[str, LogProbs]) -> LogProbs:
    """Equal-weight log-linear pool (geometric mean, renormalised) of the voters that do not abstain on a row.

    Shape (n, labels); a row where all abstain is all NaN.
    """
    stacked = np.stack(list(said.values()))
    silent = np.asarray(np.isnan(stacked).any(axis=2))
    speaking = (~silent).sum(axis=0)
    mean = np.where(silent[:, :, None], 0.0, stacked).sum(axis=0) / np.maximum(speaking, 1)[:, None]
    mean -= np.logaddexp.reduce(mean, axis=1, keepdims=True)
    mean[speaking == 0] = np.nan
    return np.asarray(mean, dtype=np.float64)


def decide(labels: Sequence[str], said: Mapping[str, LogProbs]) -> list[Decision]:
    """One decision a row; ties go to the label that stands first in the taxonomy."""
    fused = pool(said)
    decisions = []
    for row, scores in enumerate(fused):
        votes = tuple(_vote(name, labels, log_probs[row]) for name, log_probs in said.items())
        speaking = [vote.voter for vote in votes if not vote.abstained]
        if not speaking:
            decisions.append(Decision(None, None, True, None, votes))
            continue
        best = int(np.argmax(scores))
        by = speaking[0] if len(speaking) == 1 else "pool"
        decisions.append(Decision(labels[best], min(1.0, float(np.exp(scores[best]))), False, by, votes))
    return decisions


def _vote(voter: str, labels: Sequence[str], log_probs: LogProbs) -> Vote:
    if np.isnan(log_probs).any():
        return Vote(voter, None, None, True)
    best = int(np.argmax(log_probs))
    return Vote(voter, labels[best], min(1.0, float(np.exp(log_probs[best]))), False)
