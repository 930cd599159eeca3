"""What a proposer is: it names conditions that may tell a label from the others, each with a score.

The scores order the actions of the tree search and nothing else; a proposal that leads nowhere costs a visit.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from kdsl.rules.atom import Atom
from kdsl.rules.examples import Examples


@dataclass(frozen=True, slots=True)
class Proposal:
    """One or two atoms to add at once, or with `against` the words of one atom to rule out."""

    atoms: tuple[Atom, ...]
    score: float  # z-like: 2 is worth a look, 5 is strong
    proposer: str
    against: bool = False


class Proposer(Protocol):
    """Names conditions for a label from the rows of mask `rows`, and sees no others. Deterministic."""

    @property
    def name(self) -> str:
        """Its name, kept as the provenance of rules."""
        ...

    def propose(self, label: str, examples: Examples, rows: int) -> Sequence[Proposal]:
        """Proposals, best first."""
        ...
