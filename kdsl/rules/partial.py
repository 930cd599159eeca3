"""Partial rules: the states of the search, made of numbered conditions, and the masks they fire on."""

from collections.abc import Sequence
from dataclasses import dataclass

from kdsl.rules.atom import Atom, Words
from kdsl.rules.examples import Examples, rows_of
from kdsl.rules.propose import Proposal

MAX_GROUPS = 3
MAX_SIZE = 6
WITHOUT_EXAMPLES = ("taxonomy",)  # proposers that grow nothing on rows, so that every row may judge what they name


@dataclass(frozen=True, slots=True)
class Partial:
    """All `groups` hold (each: any of its conditions) and none of `against`; numbers point into the conditions.

    Always sorted, so that two ways to the same rule meet in one state.
    """

    groups: tuple[tuple[int, ...], ...] = ()
    against: tuple[int, ...] = ()

    @property
    def size(self) -> int:
        """Words, expressions and comparisons in it."""
        return sum(map(len, self.groups)) + len(self.against)


@dataclass(frozen=True, slots=True)
class Condition:
    """An atom with the mask of the rows that may judge it: all it holds on, less those that alone name it.

    `score` is its proposer's; `against` says that it serves only to rule rows out.
    """

    atom: Atom
    judged: int
    score: float
    proposer: str
    against: bool


@dataclass(frozen=True, slots=True)
class Pool:
    """What the search of one label may build from: conditions, and the proposals as numbers of them."""

    conditions: tuple[Condition, ...]
    adds: tuple[tuple[float, tuple[int, ...]], ...]  # (score, conditions to add), best first
    against: tuple[int, ...]
    rows: int  # mask of all rows of the search

    def fired(self, partial: Partial) -> int:
        """Mask of the judged rows on which the partial rule holds."""
        held = self.rows
        for group in partial.groups:
            any_ = 0
            for i in group:
                any_ |= self.conditions[i].judged
            held &= any_
        for i in partial.against:
            held &= ~self.conditions[i].judged
        return held

    def atoms(self, partial: Partial) -> tuple[Atom, ...]:
        """The partial rule as atoms."""
        out: list[Atom] = []
        for group in partial.groups:
            first = self.conditions[group[0]].atom
            words = [atom.words for i in group if isinstance(atom := self.conditions[i].atom, Words)]
            out.append(Words(first.field, "any_of", sum(words, ())) if words else first)
        for i in partial.against:
            atom = self.conditions[i].atom
            if isinstance(atom, Words):
                out.append(Words(atom.field, "none_of", atom.words))
        return tuple(out)


def pool_of(proposals: Sequence[Proposal], label: str, examples: Examples, rows: int) -> Pool:
    """Number the atoms of the proposals and find where each may be judged."""
    positives = examples.where(label) & rows
    numbers: dict[tuple[Atom, bool], int] = {}
    conditions: list[Condition] = []
    adds: dict[tuple[int, ...], float] = {}
    against: list[int] = []
    for proposal in proposals:
        members = []
        for atom in proposal.atoms:
            key = atom, proposal.against
            if key not in numbers:
                witnesses = rows & ~positives if proposal.against else positives
                judged = examples.mask(atom) & rows
                if proposal.proposer not in WITHOUT_EXAMPLES:
                    judged = judged_rows(examples, judged, witnesses)
                numbers[key] = len(conditions)
                conditions.append(Condition(atom, judged, proposal.score, proposal.proposer, proposal.against))
                if proposal.against:
                    against.append(numbers[key])
            members.append(numbers[key])
        if not proposal.against and all(conditions[i].judged & positives for i in members):
            add = tuple(sorted(set(members)))
            adds[add] = max(adds.get(add, proposal.score), proposal.score)
    ordered = sorted(((score, add) for add, score in adds.items()), key=lambda pair: (-pair[0], pair[1]))
    return Pool(tuple(conditions), tuple(ordered), tuple(against), rows)


def judged_rows(examples: Examples, mask: int, witnesses: int) -> int:
    """The rows of a condition that it did not grow on, left out one at a time.

    A word is named by every group of the label's rows that holds it. Without one of them it would still be named by
    the others, so that group may judge it; one that alone names it may not, since without it there would be no rule.
    """
    seen = rows_of(mask & witnesses)
    groups = {examples.groups[row] for row in seen}
    if len(groups) != 1:
        return mask
    for row in seen:
        mask &= ~(1 << row)
    return mask
