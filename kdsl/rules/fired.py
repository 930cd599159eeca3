"""Which rules fired on which rows, sparse; and what matched where, for the rows one asks about."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray


@dataclass(frozen=True, slots=True)
class Match:
    """A word or expression of a rule and where it stands in the normalised field, in code points."""

    rule_id: str
    field: str
    what: str
    start: int
    end: int


@dataclass(frozen=True, slots=True)
class RuleFired:
    """A rule that fired on an item: its id, what it says, and the words that matched, in the order of the text."""

    rule_id: str
    sentence: str
    matches: tuple[Match, ...]


@dataclass(frozen=True, slots=True)
class Fired:
    """Row i fired `rule_ids[j]` for j in `indices[indptr[i]:indptr[i + 1]]`, ascending."""

    rule_ids: tuple[str, ...]
    indptr: NDArray[np.int64]  # (rows + 1,)
    indices: NDArray[np.int32]

    def __len__(self) -> int:
        return len(self.indptr) - 1

    def numbers(self, row: int) -> NDArray[np.int32]:
        """Numbers of the rules that fired on a row."""
        return self.indices[self.indptr[row] : self.indptr[row + 1]]

    def of(self, row: int) -> tuple[str, ...]:
        """Ids of the rules that fired on a row."""
        return tuple(self.rule_ids[j] for j in self.numbers(row))

    def rows(self) -> NDArray[np.int64]:
        """Row of every entry of `indices`."""
        return np.repeat(np.arange(len(self)), np.diff(self.indptr))

    def counts(self) -> NDArray[np.int64]:
        """Rows on which each rule fired, shape (rules,)."""
        return np.bincount(self.indices, minlength=len(self.rule_ids))

    def to_arrow(self) -> pa.ListArray:
        """One list of rule ids a row."""
        ids = pa.array(self.rule_ids, pa.string()).take(pa.array(self.indices))
        return pa.ListArray.from_arrays(pa.array(self.indptr, pa.int32()), ids)


def joined(rule_ids: tuple[str, ...], parts: Sequence[Fired]) -> Fired:
    """Parts of one set of rules, one after the other."""
    lengths = [np.diff(part.indptr) for part in parts]
    indptr = np.concatenate([[0], np.cumsum(np.concatenate(lengths))]) if parts else np.zeros(1)
    indices = np.concatenate([part.indices for part in parts]) if parts else np.zeros(0)
    return Fired(rule_ids, indptr.astype(np.int64), indices.astype(np.int32))
