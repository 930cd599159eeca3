"""Rules as evidence: which rules fired on which rows, and how often each was right where it was not grown."""

from collections.abc import Sequence
from dataclasses import dataclass
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


def joined(parts: Sequence[tuple[Numbers, Facts]]) -> Facts:
    """Facts of several batches; the numbers are the rows that each batch's items have in the whole."""
    if not parts:
        return none()
    columns = [facts.arrays() | {"row": rows[facts.row]} for rows, facts in parts]
    return Facts(**{name: np.concatenate([column[name] for column in columns]) for name in columns[0]})
