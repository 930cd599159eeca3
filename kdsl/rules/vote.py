"""Fired rules into log-probabilities: the log prior plus the weights of the rules that fired, normalised."""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.models.logistic import log_softmax
from kdsl.rules.engine import Engine
from kdsl.rules.errors import RuleError
from kdsl.rules.fired import Fired
from kdsl.rules.ruleset import RuleSet

Floats = NDArray[np.float64]


class Ballot:
    """The rules of one task with their weights (log-odds by rule id), ready to vote.

    Raises:
        RuleError: a rule has no weight, or a label that is not among `labels`.
    """

    def __init__(
        self,
        rules: RuleSet,
        task: str,
        labels: Sequence[str],
        *,
        weights: Mapping[str, float],
        log_prior: Sequence[float],
    ) -> None:
        self.engine = Engine(rules, task)
        self.labels = tuple(labels)
        lacking = [i for i in self.engine.rule_ids if i not in weights]
        if lacking:
            raise RuleError(f"rule {lacking[0]} has no weight; fit the rules again")
        foreign = [rule for rule in self.engine.rules if rule.label not in self.labels]
        if foreign:
            raise RuleError(f"rule {foreign[0].rule_id} is for label {foreign[0].label!r}, which the task lacks")
        self.weights = np.array([weights[i] for i in self.engine.rule_ids], np.float64)
        self.targets = np.array([self.labels.index(rule.label) for rule in self.engine.rules], np.int64)
        self.log_prior = np.asarray(log_prior, np.float64)

    def log_probs(self, columns: Mapping[str, Any]) -> tuple[Floats, Fired]:
        """Log-probabilities (rows, labels), a row all NaN where no rule fired, and the rules that fired."""
        fired = self.engine.evaluate(columns)
        scores = np.tile(self.log_prior, (len(fired), 1))
        np.add.at(scores, (fired.rows(), self.targets[fired.indices]), self.weights[fired.indices])
        said = log_softmax(scores)
        said[np.diff(fired.indptr) == 0] = np.nan
        return said, fired
