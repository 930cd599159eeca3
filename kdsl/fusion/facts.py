"""Rules as evidence: which rules fired on which rows, and how often each was right where it was not grown."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol, runtime_checkable

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.rules.provenance import wilson_low

Numbers = NDArray[np.int64]


@dataclass(frozen=True)
class Facts:
    """One entry a row and rule that fired there, (entries,) each: the rule, its label, its record on unseen rows."""

    row: Numbers
    rule: NDArray[np.str_]
    label: Numbers
    right: Numbers
    fired: Numbers

    @property
    def bound(self) -> NDArray[np.float64]:
        """Lower end of the 95 % Wilson interval of each rule's held-out precision, (entries,)."""
        pairs = zip(self.right.tolist(), self.fired.tolist(), strict=True)
        return np.array([wilson_low(right, fired) for right, fired in pairs])

    def rows(self, chosen: Numbers) -> "Facts":
        """The entries of these rows, numbered by their place among them."""
        place = {row: number for number, row in enumerate(chosen.tolist())}
        kept = np.array([row in place for row in self.row.tolist()], dtype=bool)
        moved = np.array([place[row] for row in self.row[kept].tolist()], dtype=np.int64)
        return Facts(moved, self.rule[kept], self.label[kept], self.right[kept], self.fired[kept])

    def of(self, rules: Sequence[str]) -> "Facts":
        """The entries of these rules."""
        return self.where(np.isin(self.rule, np.array(rules, dtype=np.str_)))

    def without(self, rules: Sequence[str]) -> "Facts":
        """The entries of the other rules."""
        return self.where(~np.isin(self.rule, np.array(rules, dtype=np.str_)))

    def where(self, chosen: NDArray[np.bool_]) -> "Facts":
        """The chosen entries, (entries,)."""
        return Facts(**{name: column[chosen] for name, column in self.arrays().items()})

    def arrays(self) -> dict[str, Any]:
        """By field name, to be saved."""
        return {name: getattr(self, name) for name in ("row", "rule", "label", "right", "fired")}


@runtime_checkable
class Evidential(Protocol):
    """A voter that can say which rules fired on which items."""

    def facts(self, items: Sequence[Item]) -> Facts:
        """Entries numbered by the items' places."""
        ...


def none() -> Facts:
    """No rule fired anywhere."""
    empty = np.zeros(0, dtype=np.int64)
    return Facts(empty, np.zeros(0, dtype=np.str_), empty, empty, empty)


def out_of_fold(facts: Facts, gold: Numbers, folds: Numbers) -> Facts:
    """The entries with the record of each rule on the rows of the other folds: of rules that grew on no row.

    Args:
        facts: entries over all rows.
        gold: label index of each row.
        folds: fold of each row.
    """
    right = facts.label == gold[facts.row]
    key = np.unique(facts.rule, return_inverse=True)[1]
    n_folds = int(folds.max(initial=0)) + 1
    both = key * n_folds + folds[facts.row]
    record = []
    for counted in (right, np.ones(len(right), dtype=bool)):
        whole = np.bincount(key, counted, key.max(initial=0) + 1)
        own = np.bincount(both, counted, (key.max(initial=0) + 1) * n_folds)
        record.append((whole[key] - own[both]).astype(np.int64))
    return replace(facts, right=record[0], fired=record[1])


def joined(parts: Sequence[tuple[Numbers, Facts]]) -> Facts:
    """Facts of several batches; the numbers are the rows that each batch's items have in the whole."""
    if not parts:
        return none()
    columns = [facts.arrays() | {"row": rows[facts.row]} for rows, facts in parts]
    return Facts(**{name: np.concatenate([column[name] for column in columns]) for name in columns[0]})
