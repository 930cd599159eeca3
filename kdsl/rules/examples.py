"""Labelled rows of one task as the search sees them: columns, labels, and a bit mask a condition.

A mask is a Python integer whose bit i says that the condition holds on row i: a few hundred rows fit in some words
of memory, and `&`, `|` and `bit_count` on them cost less than a microsecond.
"""

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.features import NUMBERS, TEXT_FIELDS, numbers, text_fields
from kdsl.folds import assign
from kdsl.rules import expression
from kdsl.rules.atom import Atom, Comparison, Expression
from kdsl.rules.matching import Matching, decide, occurs

MIN_FILLED = 0.02  # of the rows must have text in a field, else nothing is learned from it


@dataclass(frozen=True)
class Examples:
    """Rows with text columns, number columns, label and grouping key; `matching` is decided by the texts."""

    ids: tuple[str, ...]
    labels: tuple[str, ...]
    groups: tuple[str, ...]
    texts: Mapping[str, tuple[str, ...]]
    numbers: Mapping[str, NDArray[np.float64]]
    matching: Mapping[str, Matching]
    _masks: dict[Atom, int] = field(default_factory=dict, repr=False, compare=False)
    _words: dict[tuple[str, str], int] = field(default_factory=dict, repr=False, compare=False)

    def __len__(self) -> int:
        return len(self.ids)

    @property
    def all_rows(self) -> int:
        """Mask of every row."""
        return (1 << len(self)) - 1

    def where(self, label: str) -> int:
        """Mask of the rows with that label."""
        return mask_of(i for i, name in enumerate(self.labels) if name == label)

    def take(self, rows: Sequence[int], matching: Mapping[str, Matching]) -> "Examples":
        """These rows in this order; `matching` stands over what the texts decided."""
        return Examples(
            tuple(self.ids[row] for row in rows),
            tuple(self.labels[row] for row in rows),
            tuple(self.groups[row] for row in rows),
            {name: tuple(column[row] for row in rows) for name, column in self.texts.items()},
            {name: column[list(rows)] for name, column in self.numbers.items()},
            {name: matching.get(name, how) for name, how in self.matching.items()},
        )

    def columns(self) -> dict[str, object]:
        """Columns as the engine takes them."""
        return {**self.texts, **self.numbers}

    def word_mask(self, name: str, word: str) -> int:
        """Mask of the rows whose field holds the word."""
        key = name, word
        if key not in self._words:
            how = self.matching[name]
            self._words[key] = mask_of(i for i, text in enumerate(self.texts[name]) if occurs(word, text, how))
        return self._words[key]

    def remember(self, name: str, word: str, mask: int) -> None:
        """Take a word's mask that was found in another way."""
        self._words.setdefault((name, word), mask)

    def mask(self, atom: Atom) -> int:
        """Mask of the rows on which the atom holds."""
        if atom not in self._masks:
            self._masks[atom] = self._mask(atom)
        return self._masks[atom]

    def rule_mask(self, atoms: Iterable[Atom]) -> int:
        """Mask of the rows on which all atoms hold."""
        held = self.all_rows
        for atom in atoms:
            held &= self.mask(atom)
        return held

    def _mask(self, atom: Atom) -> int:
        if isinstance(atom, Comparison):
            column, value = self.numbers[atom.field], atom.value
            held = {"<": column < value, "<=": column <= value, ">": column > value, ">=": column >= value}
            return mask_of(np.flatnonzero(held.get(atom.op, column == value)).tolist())
        if atom.field not in self.texts:
            return self.all_rows if atom.negative else 0
        if isinstance(atom, Expression):
            search = expression.compiled(atom.pattern).search
            found = mask_of(i for i, text in enumerate(self.texts[atom.field]) if search(text) is not None)
            return self.all_rows & ~found if atom.negative else found
        masks = [self.word_mask(atom.field, word) for word in atom.words]
        if atom.op == "all_of":
            out = self.all_rows
            for mask in masks:
                out &= mask
            return out
        out = 0
        for mask in masks:
            out |= mask
        return self.all_rows & ~out if atom.negative else out


def examples_of(
    items: Sequence[Item], gold: Sequence[str], groups: Sequence[str], keep: Container[str] = ()
) -> Examples:
    """Examples from items: fields and numbers with nothing in them are left out, but for those in `keep`."""
    rows = [text_fields(item) for item in items]
    counts = [numbers(item) for item in items]
    texts = {name: tuple(row[name] for row in rows) for name in TEXT_FIELDS}
    filled = {n: t for n, t in texts.items() if n in keep or sum(map(bool, t)) > MIN_FILLED * len(rows)}
    columns = {name: np.array([row[name] for row in counts], np.float64) for name in NUMBERS}
    told = {n: c for n, c in columns.items() if n in keep or len(np.unique(c[~np.isnan(c)])) > 1}
    return of_columns([item.item_id for item in items], gold, groups, filled, told)


def of_columns(
    ids: Sequence[str],
    gold: Sequence[str],
    groups: Sequence[str],
    texts: Mapping[str, Sequence[str]],
    numbers_: Mapping[str, NDArray[np.float64]] | None = None,
) -> Examples:
    """Examples from columns of normalised texts and numbers."""
    return Examples(
        tuple(ids),
        tuple(gold),
        tuple(groups),
        {name: tuple(column) for name, column in texts.items()},
        dict(numbers_ or {}),
        {name: decide(column) for name, column in texts.items()},
    )


def mask_of(rows: Iterable[int]) -> int:
    """The mask with those bits set."""
    mask = 0
    for row in rows:
        mask |= 1 << row
    return mask


def rows_of(mask: int) -> list[int]:
    """The bits of a mask, ascending."""
    out = []
    while mask:
        low = mask & -mask
        out.append(low.bit_length() - 1)
        mask ^= low
    return out


def folds_of(examples: Examples, folds: int, seed: int) -> list[int]:
    """Masks of the folds, groups kept together and labels spread evenly."""
    numbers_ = assign(examples.ids, examples.labels, examples.groups, folds=folds, seed=seed)
    return [mask_of(np.flatnonzero(numbers_ == fold).tolist()) for fold in range(folds)]
