"""What the voters said of examples that they did not learn from: all that fusions and estimates are fitted on."""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kdsl.errors import ReleaseError
from kdsl.folds import assign
from kdsl.fusion.facts import Facts, none
from kdsl.models.calibrate import clean
from kdsl.models.voter import LogProbs

Mask = NDArray[np.bool_]


@dataclass(frozen=True)
class HeldOut:
    """Held-out votes of one task; build it with `held_out`.

    A voter's row that is all NaN abstains where `asked` is true; where it is false nobody asked (the row was no part of
    the voter's hold-out), which tells nothing about the voter.
    """

    labels: tuple[str, ...]
    ids: tuple[str, ...]
    gold: NDArray[np.int64]
    """Label index, (n,)."""
    groups: tuple[str, ...]
    said: Mapping[str, LogProbs]
    """Voter -> log-probabilities (n, labels)."""
    asked: Mapping[str, Mask]
    """Voter -> (n,)."""
    facts: Facts = field(default_factory=none)
    """Rules that fired, of a voter that has rules; each row's rules were grown without that row."""

    @property
    def voters(self) -> tuple[str, ...]:
        """Names, in the order in which the voters are asked."""
        return tuple(self.said)

    @property
    def complete(self) -> Mask:
        """Rows of which every voter was asked: as at work, so only they can score the pool."""
        every = np.ones((1, len(self.ids)), dtype=bool)
        return np.asarray(np.vstack([every, *self.asked.values()]).all(axis=0))

    def rows(self, chosen: Mask) -> "HeldOut":
        """These rows only."""
        at = np.flatnonzero(chosen)
        return replace(
            self,
            ids=tuple(self.ids[i] for i in at),
            gold=self.gold[at],
            groups=tuple(self.groups[i] for i in at),
            said={name: votes[at] for name, votes in self.said.items()},
            asked={name: mask[at] for name, mask in self.asked.items()},
            facts=self.facts.rows(at),
        )

    def only(self, names: Sequence[str]) -> "HeldOut":
        """The same with these voters alone."""
        return replace(
            self,
            said={name: self.said[name] for name in names},
            asked={name: self.asked[name] for name in names},
        )

    def without(self, names: Collection[str]) -> "HeldOut":
        """The same without these voters; as it is where none would be left."""
        left = [name for name in self.voters if name not in names]
        return self.only(left) if left else self

    def with_voter(
        self, name: str, log_probs: LogProbs, asked: Mask | None = None, facts: Facts | None = None
    ) -> "HeldOut":
        """The same with one voter's votes (and the facts behind them) added or replaced, as after an edit of rules."""
        every = np.ones(len(self.ids), dtype=bool)
        return replace(
            self,
            said={**self.said, name: _rounded(log_probs)},
            asked={**self.asked, name: every if asked is None else asked},
            facts=self.facts if facts is None else facts,
        )

    def folds(self, number: int, seed: int) -> NDArray[np.int64]:
        """A fold (n,) of each row: groups whole, labels spread evenly, by hash of the id."""
        return assign(self.ids, [self.labels[label] for label in self.gold], self.groups, folds=number, seed=seed)

    def save(self, file: Path) -> None:
        """Write an npz file: ids, gold, groups, labels, and by voter a matrix (float32) and who was asked, facts."""
        arrays: dict[str, Any] = {
            "labels": np.array(self.labels),
            "ids": np.array(self.ids),
            "gold": self.gold,
            "groups": np.array(self.groups),
            "voters": np.array(self.voters),
        }
        for name in self.voters:
            arrays[f"said/{name}"] = self.said[name].astype(np.float32)
            arrays[f"asked/{name}"] = self.asked[name]
        arrays |= {f"facts/{name}": array for name, array in self.facts.arrays().items()}
        np.savez_compressed(file, **arrays)


def held_out(
    labels: Sequence[str],
    ids: Sequence[str],
    gold: Sequence[str],
    groups: Sequence[str],
    said: Mapping[str, LogProbs],
    *,
    asked: Mapping[str, Mask] | None = None,
    facts: Facts | None = None,
) -> HeldOut:
    """Held-out votes from gold label names and raw log-probabilities; every row was asked of voters not in `asked`.

    Raises:
        ValueError: a gold label is not among the labels.
    """
    foreign = sorted(set(gold) - set(labels))
    if foreign:
        raise ValueError(f"gold label {foreign[0]!r} is not among the labels: {', '.join(labels)}")
    place = {label: number for number, label in enumerate(labels)}
    numbers = np.array([place[label] for label in gold], dtype=np.int64)
    empty = HeldOut(tuple(labels), tuple(ids), numbers, tuple(groups), {}, {}, facts or none())
    for name, log_probs in said.items():
        empty = empty.with_voter(name, log_probs, (asked or {}).get(name))
    return empty


def load(file: Path) -> HeldOut:
    """Read what `save` wrote.

    Raises:
        ReleaseError: the file is missing or broken.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            voters = [str(name) for name in arrays["voters"]]
            return HeldOut(
                labels=tuple(map(str, arrays["labels"])),
                ids=tuple(map(str, arrays["ids"])),
                gold=arrays["gold"],
                groups=tuple(map(str, arrays["groups"])),
                said={name: _rounded(arrays[f"said/{name}"]) for name in voters},
                asked={name: arrays[f"asked/{name}"] for name in voters},
                facts=Facts(**{name: arrays[f"facts/{name}"] for name in none().arrays()}),
            )
    except (OSError, ValueError, KeyError, BadZipFile) as error:
        raise ReleaseError(
            f"held-out votes in {file} cannot be read ({type(error).__name__}); run fit again."
        ) from error


def _rounded(log_probs: LogProbs) -> LogProbs:
    """To what the file keeps, so that a fusion fitted from memory and one fitted from the file are the same."""
    return clean(np.asarray(log_probs, dtype=np.float32).astype(np.float64)).astype(np.float32).astype(np.float64)
