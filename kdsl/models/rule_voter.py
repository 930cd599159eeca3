"""The `rules` voter: learned rules as evidence. Where no rule fires it abstains.

Saved as `rules.json`, which `rules export` gives to people to edit, and `weights.json`: prior, calibration, weights by
rule id.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.errors import ReleaseError
from kdsl.features import NUMBERS, TEXT_FIELDS, numbers, text_fields
from kdsl.fusion.facts import Facts
from kdsl.models.voter import LogProbs
from kdsl.rules import parse
from kdsl.rules.calibrate import Calibration
from kdsl.rules.errors import RuleError
from kdsl.rules.fired import RuleFired
from kdsl.rules.record import Record
from kdsl.rules.ruleset import RuleSet
from kdsl.rules.sentence import sentence
from kdsl.rules.vote import Ballot
from kdsl.taxonomy import Task

FORMAT = 1
RULES_FILE, WEIGHTS_FILE, RECORD_FILE = "rules.json", "weights.json", "search.json"


class RulesVoter:
    """A fitted voter of one task; `record` is the search behind it, where it was fitted just now."""

    def __init__(
        self,
        task: Task,
        rules: RuleSet,
        *,
        weights: dict[str, float],
        log_prior: Sequence[float],
        calibration: Calibration,
        record: Record | None = None,
    ) -> None:
        self.task = task.name
        self.labels = task.label_names
        self.rules = rules
        self.calibration = calibration
        self.record = record
        self._weights = dict(weights)
        self._said: dict[str, dict[str, str]] = {}
        self._ballot = Ballot(rules, task.name, self.labels, weights=weights, log_prior=log_prior)

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities (n, labels); all NaN on an item on which no rule fires."""
        return self._ballot.log_probs(columns_of(items))[0]

    @property
    def interrupted(self) -> bool:
        """Whether Ctrl-C ended the search behind it: the best rules until then are kept."""
        return self.record is not None and self.record.interrupted

    @property
    def unseen(self) -> Mapping[str, tuple[tuple[str, bool], ...]]:
        """By rule id, the examples that it fired on and that its search did not see, and whether it was right there.

        Empty where there is no record of the search.
        """
        return self.record.votes if self.record else {}

    @property
    def fingerprint(self) -> str:
        """That of the rule set."""
        return self.rules.fingerprint

    def explained(self, items: Sequence[Item], language: str = "en") -> tuple[LogProbs, list[tuple[RuleFired, ...]]]:
        """Log-probabilities, and by item the rules that fired with the words that matched, placed as normalised."""
        columns = columns_of(items)
        votes, fired = self._ballot.log_probs(columns)
        matches = self._ballot.engine.explain(columns, fired)
        says = self._sentences(language)
        return votes, [
            tuple(
                RuleFired(rule_id, says[rule_id], tuple(match for match in found if match.rule_id == rule_id))
                for rule_id in fired.of(row)
            )
            for row, found in enumerate(matches)
        ]

    def _sentences(self, language: str) -> dict[str, str]:
        if language not in self._said:
            self._said[language] = {rule.rule_id: sentence(rule, language) for rule in self.rules.active()}
        return self._said[language]

    def facts(self, items: Sequence[Item]) -> Facts:
        """The rules that fired, each with its record on examples that no search that met it could see."""
        fired = self._ballot.engine.evaluate(columns_of(items))
        return self._facts(fired.rows(), fired.indices)

    def facts_of(self, fired: Sequence[Sequence[RuleFired]]) -> Facts:
        """As `facts`, of what `explained` said already."""
        number = {rule_id: at for at, rule_id in enumerate(self._ballot.engine.rule_ids)}
        pairs = [(row, number[rule.rule_id]) for row, rules in enumerate(fired) for rule in rules]
        rows, at = np.array(pairs, np.int64).reshape(-1, 2).T
        return self._facts(rows, at)

    def _facts(self, rows: NDArray[np.int64], at: NDArray[Any]) -> Facts:
        rules = self._ballot.engine.rules
        return Facts(
            row=rows,
            rule=np.array([rule.rule_id for rule in rules], dtype=np.str_)[at],
            label=self._ballot.targets[at],
            right=np.array([rule.evidence.unseen_right for rule in rules], dtype=np.int64)[at],
            fired=np.array([rule.evidence.unseen_fired for rule in rules], dtype=np.int64)[at],
        )

    def save(self, folder: Path) -> None:
        """Write the rules, their weights and, where there is one, the record of the search into the folder."""
        data = {
            "format": FORMAT,
            "task": self.task,
            "labels": self.labels,
            "fingerprint": self.rules.fingerprint,
            "log_prior": self._ballot.log_prior.tolist(),
            "calibration": asdict(self.calibration),
            "weights": self._weights,
        }
        (folder / RULES_FILE).write_text(self.rules.to_json(), encoding="utf-8")
        (folder / WEIGHTS_FILE).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        if self.record is not None:
            record = json.dumps(self.record.to_dict(), ensure_ascii=False)
            (folder / RECORD_FILE).write_text(record, encoding="utf-8")


def load(folder: Path, task: Task) -> RulesVoter:
    """Read a saved voter.

    Raises:
        ReleaseError: a file is missing or broken, the rules are not those that the weights belong to, or the voter
            was made for another task or other labels.
    """
    rules, data = _read(folder, task)
    with _usable(folder, task):
        return RulesVoter(
            task,
            rules,
            weights={str(rule): float(weight) for rule, weight in data["weights"].items()},
            log_prior=[float(value) for value in data["log_prior"]],
            calibration=Calibration(**data["calibration"]),
        )


def read_rules(folder: Path, task: Task) -> RuleSet:
    """The rules of a saved voter, to be looked at: nothing is compiled.

    Raises:
        ReleaseError: as `load`.
    """
    return _read(folder, task)[0]


def read_weights(folder: Path, task: Task) -> dict[str, float]:
    """The weights of a saved voter's active rules by rule id, in log-odds.

    Raises:
        ReleaseError: as `load`.
    """
    rules, data = _read(folder, task)
    with _usable(folder, task):
        return {rule.rule_id: float(data["weights"][rule.rule_id]) for rule in rules.active()}


def _read(folder: Path, task: Task) -> tuple[RuleSet, dict[str, Any]]:
    with _usable(folder, task):
        data: dict[str, Any] = json.loads((folder / WEIGHTS_FILE).read_text(encoding="utf-8"))
        if data["format"] != FORMAT:
            raise ValueError(f"format {data['format']!r:.20}, this version reads {FORMAT}")
        if data["task"] != task.name or tuple(data["labels"]) != task.label_names:
            raise ValueError("made for another task or other labels")
        rules = parse.load(folder / RULES_FILE)
        if rules.fingerprint != data["fingerprint"]:
            raise ValueError("the rules are not those that the weights were fitted for")
        return rules, data


@contextmanager
def _usable(folder: Path, task: Task) -> Iterator[None]:
    try:
        yield
    except (OSError, ValueError, KeyError, TypeError, AttributeError, RuleError) as error:
        raise ReleaseError(
            f"voter rules in {folder} cannot be used for task {task.name!r} ({type(error).__name__}: {error}); "
            "was the release changed by hand? Run fit again."
        ) from error


def columns_of(items: Sequence[Item]) -> dict[str, Any]:
    """All text fields and numbers of the items, as the engine takes them."""
    texts = [text_fields(item) for item in items]
    counts = [numbers(item) for item in items]
    columns: dict[str, Any] = {name: [row[name] for row in texts] for name in TEXT_FIELDS}
    return columns | {name: np.array([row[name] for row in counts], np.float64) for name in NUMBERS}
