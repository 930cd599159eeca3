"""Boolean algebra on sparse columns: from the rows on which each word was met to the rows on which a rule holds.

A rule costs what its words were met, not the rows of the batch: it starts from the rows of what must stand there and
narrows them. Only a rule that asks for no word at all looks at every row.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.rules.atom import Atom, Comparison, Expression, Words
from kdsl.rules.rule import Rule

Rows = NDArray[np.int64]  # ascending, each once
Mask = NDArray[np.bool_]
Key = tuple[str, str, str]  # field, kind, word or expression

DENSE = 16  # above one row in so many, a set is built through a mask and not by sorting
_COMPARE: dict[str, Callable[[Any, float], Any]] = {
    "<": np.less,
    "<=": np.less_equal,
    ">": np.greater,
    ">=": np.greater_equal,
    "==": np.equal,
}


class Hits:
    """In which of `n` rows each of the patterns was met."""

    def __init__(self, pattern: Rows, row: Rows, n_patterns: int, n: int) -> None:
        pairs = np.sort(pattern * n + row)  # one number a pair sorts faster than two keys
        pairs = pairs[np.diff(pairs, prepend=-1) != 0]
        self.n = n
        self._rows = pairs % n if n else pairs
        self.met = np.unique(pairs // n) if n else pairs
        """Patterns met somewhere."""
        self._bounds = np.searchsorted(pairs, np.arange(n_patterns + 1) * n).tolist()
        self._mask = np.zeros(n, bool)  # all false but inside a method

    def any_of(self, patterns: Sequence[int]) -> Rows:
        """Rows in which at least one of the patterns was met."""
        met = [rows for pattern in patterns if len(rows := self._met(pattern))]
        if len(met) < 2:
            return met[0] if met else np.zeros(0, np.int64)
        every = np.concatenate(met)
        if len(every) * DENSE < self.n:
            return np.unique(every)
        self._mask[every] = True
        out = np.flatnonzero(self._mask)
        self._mask[out] = False
        return out

    def within(self, held: Rows, rows: Rows, *, wanted: bool) -> Rows:
        """The rows of `held` that are, or are not, among `rows`."""
        self._mask[rows] = True
        out: Rows = held[self._mask[held] == wanted]
        self._mask[rows] = False
        return out

    def _met(self, pattern: int) -> Rows:
        out: Rows = self._rows[self._bounds[pattern] : self._bounds[pattern + 1]]
        return out


@dataclass(frozen=True, slots=True)
class Plan:
    """A rule over numbered patterns: one of each of `groups` must be met, none of `against`, and numbers compare."""

    groups: tuple[tuple[int, ...], ...]
    against: tuple[int, ...]
    comparisons: tuple[Comparison, ...]

    def holds(self, hits: Hits, numbers: Mapping[str, NDArray[np.float64]], compared: dict[Comparison, Mask]) -> Rows:
        """Rows on which the rule holds; `compared` keeps comparisons that rules of a batch share."""
        held: Rows | None = None
        for group in self.groups:
            rows = hits.any_of(group)
            held = rows if held is None else hits.within(held, rows, wanted=True)
            if not len(held):
                return held
        for atom in self.comparisons:
            if atom not in compared:
                compared[atom] = _COMPARE[atom.op](numbers[atom.field], atom.value)
            held = np.flatnonzero(compared[atom]) if held is None else held[compared[atom][held]]
        if held is None:
            held = np.arange(hits.n)
        rows = hits.any_of(self.against)
        return hits.within(held, rows, wanted=False) if len(rows) else held


def plan_of(rule: Rule, index: Mapping[Key, int]) -> Plan:
    """The rule over the numbers that `index` gives its words and expressions."""
    groups: list[tuple[int, ...]] = []
    against: list[int] = []
    for atom in rule.atoms:
        if isinstance(atom, Comparison):
            continue
        numbers = tuple(index[key] for key in keys_of(atom))
        if atom.negative:
            against += numbers
        elif isinstance(atom, Words) and atom.op == "all_of":
            groups += [(number,) for number in numbers]
        else:
            groups.append(numbers)
    return Plan(tuple(groups), tuple(against), tuple(a for a in rule.atoms if isinstance(a, Comparison)))


def keys_of(atom: Atom) -> list[Key]:
    """What is looked for in the atom's field."""
    if isinstance(atom, Expression):
        return [(atom.field, "expression", atom.pattern)]
    assert isinstance(atom, Words)  # noqa: S101 - comparisons are asked of no text
    return [(atom.field, "word", word) for word in atom.words]
