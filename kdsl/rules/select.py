"""Selection: a small weighted set of rules, by what each adds on rows that it did not grow on.

Rules join one at a time, the one first that lowers the log-loss of those votes most, less what its words cost;
weights are log-odds, fitted to the same votes. A rule that makes no such row right is dropped.

Every word was chosen from some hundred, and the best of many looks better than it is: thousands of candidates that
were right on a held-out fold are right on new rows half as often. A word therefore has to save `WORD_COST` nats.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from kdsl.rules.rule import Rule

WORD_COST = 3.0  # nats of log-loss that each word must save, as much as one choice from twenty
RIDGE = 0.3  # pulls weights to 0
MAX_WEIGHT = 8.0
NEWTON_STEPS = 6
PASSES = 4  # over all weights, after each tenth rule and at the end

Floats = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class Votes:
    """Firings that count: rule `rule[i]` fired on row `row[i]` and did not grow on it; sorted by rule."""

    labels: NDArray[np.int64]  # (rules,) label index of each rule
    sizes: NDArray[np.int64]  # (rules,) words of each rule
    rule: NDArray[np.int64]
    row: NDArray[np.int64]
    gold: NDArray[np.int64]  # (rows,) label index of each row
    n_labels: int


@dataclass(frozen=True, slots=True)
class Selection:
    """Rules kept, by number, with their weights (log-odds), and the log prior over labels."""

    kept: tuple[int, ...]
    weights: tuple[float, ...]
    log_prior: Floats


def log_prior(gold: NDArray[np.int64], n_labels: int) -> Floats:
    """Log of the labels' shares with half a row added to each, shape (labels,)."""
    counts = np.bincount(gold, minlength=n_labels) + 0.5
    return np.asarray(np.log(counts / counts.sum()))


def select(votes: Votes, forced: Sequence[int] = (), most: int | None = None) -> Selection:
    """Choose rules; `forced` ones are in whatever they bring; at most `most` are chosen."""
    prior = log_prior(votes.gold, votes.n_labels)
    n_rules = len(votes.labels)
    bounds = np.searchsorted(votes.rule, np.arange(n_rules + 1))
    state = _State(votes, prior, bounds)
    cost = WORD_COST * votes.sizes
    for number in forced:
        state.add(number)
    while most is None or len(state.weights) < most:
        weights, gains = state.offers()
        gains = gains - cost
        gains[list(state.weights)] = -np.inf
        best = int(np.argmax(gains)) if n_rules else -1
        if best < 0 or gains[best] <= 0:
            break
        state.add(best, float(weights[best]))
        if len(state.weights) % 10 == 0:
            state.refit(PASSES)
    state.refit(PASSES)
    state.drop_idle(set(forced))
    kept = sorted(state.weights)
    return Selection(tuple(kept), tuple(state.weights[i] for i in kept), prior)


class _State:
    """Log-odds of every row under the rules chosen so far."""

    def __init__(self, votes: Votes, prior: Floats, bounds: NDArray[np.int64]) -> None:
        self.votes = votes
        self.bounds = bounds
        self.scores = np.tile(prior, (len(votes.gold), 1))
        self.weights: dict[int, float] = {}

    def offers(self) -> tuple[Floats, Floats]:
        """Best weight of each rule, given the chosen ones, and the nats it would save; shapes (rules,)."""
        votes = self.votes
        if not len(votes.rule):
            return np.zeros(len(votes.labels)), np.zeros(len(votes.labels))
        label = votes.labels[votes.rule]
        share = self._shares(votes.row, label)
        right = votes.gold[votes.row] == label
        n = len(votes.labels)
        hits = np.bincount(votes.rule, right, n)
        weight = np.zeros(n)
        for _ in range(NEWTON_STEPS):
            raised = share * np.exp(weight[votes.rule])
            p = raised / (1 - share + raised)
            slope = hits - np.bincount(votes.rule, p, n) - RIDGE * weight
            bend = np.bincount(votes.rule, p * (1 - p), n) + RIDGE
            weight = np.clip(weight + np.clip(slope / bend, -2, 2), 0, MAX_WEIGHT)
        lost = np.log1p(share * np.expm1(weight[votes.rule]))
        return weight, hits * weight - np.bincount(votes.rule, lost, n)

    def add(self, number: int, weight: float | None = None) -> None:
        """Let a rule in with that weight, or with the best one."""
        self.weights[number] = 0.0
        self._set(number, self._best_weight(number) if weight is None else weight)

    def refit(self, passes: int) -> None:
        """Fit every weight again, the others held."""
        for _ in range(passes):
            for number in list(self.weights):
                self._set(number, self._best_weight(number))

    def drop_idle(self, forced: set[int]) -> None:
        """Take out, lightest first, rules without which every row that is right stays right."""
        for number in sorted(self.weights, key=lambda i: (self.weights[i], i)):
            rows = self._rows(number)
            label = self.votes.labels[number]
            gold = self.votes.gold[rows]
            with_it = (self.scores[rows].argmax(1) == gold) & (gold == label)
            without = self.scores[rows].copy()
            without[:, label] -= self.weights[number] + 1e-9  # a tie made of rounding does not go to the label
            if number not in forced and not (with_it & (without.argmax(1) != gold)).any():
                self._set(number, 0.0)
                del self.weights[number]

    def _rows(self, number: int) -> NDArray[np.int64]:
        return self.votes.row[self.bounds[number] : self.bounds[number + 1]]

    def _set(self, number: int, weight: float) -> None:
        self.scores[self._rows(number), self.votes.labels[number]] += weight - self.weights[number]
        self.weights[number] = weight

    def _best_weight(self, number: int) -> float:
        rows = self._rows(number)
        label = int(self.votes.labels[number])
        before = self.weights[number]
        scores = self.scores[rows].copy()
        scores[:, label] -= before
        share = _softmax(scores)[:, label]
        hits = float((self.votes.gold[rows] == label).sum())
        weight = before
        for _ in range(NEWTON_STEPS):
            raised = share * np.exp(weight)
            p = raised / (1 - share + raised)
            slope = hits - p.sum() - RIDGE * weight
            weight = float(np.clip(weight + np.clip(slope / ((p * (1 - p)).sum() + RIDGE), -2, 2), 0, MAX_WEIGHT))
        return weight

    def _shares(self, row: NDArray[np.int64], label: NDArray[np.int64]) -> Floats:
        return np.asarray(_softmax(self.scores)[row, label])


def _softmax(scores: Floats) -> Floats:
    raised = np.exp(scores - scores.max(axis=1, keepdims=True))
    return np.asarray(raised / raised.sum(axis=1, keepdims=True))


def votes_of(
    rules: Sequence[Rule], fired: Sequence[Sequence[int]], gold: Sequence[str], labels: Sequence[str]
) -> Votes:
    """Votes from the held-out rows of each rule."""
    at = {name: i for i, name in enumerate(labels)}
    return Votes(
        labels=np.array([at[rule.label] for rule in rules], np.int64),
        sizes=np.array([rule.size for rule in rules], np.int64),
        rule=np.repeat(np.arange(len(rules)), [len(rows) for rows in fired]).astype(np.int64),
        row=np.array([row for rows in fired for row in rows], np.int64),
        gold=np.array([at[name] for name in gold], np.int64),
        n_labels=len(labels),
    )
