"""Are tonight's items of the kind that a release learned from? Asked of what they are made of, before any voter speaks.

A few numbers describe an item: what share of the shopper's words, and of those in its pictures, none of the examples
has, and how its pictures are laid out (`kdsl.features.NUMBERS`). Each number is compared between the examples and the
night by a two-sample test (Kolmogorov-Smirnov), the examples weighted to the labels given tonight, so that a shift of
label shares alone is none; the least probability counts, times the number of tests (Bonferroni). An example is compared
with the others as if it were new. Whether its near-duplicates are among those others hangs on whether tonight's items
will have some among the examples, as where an app sends half of the words: both ways are tried, the likelier counts.
"""

import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any
from zipfile import BadZipFile

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.errors import ReleaseError
from kdsl.features import NUMBERS, numbers, text_fields
from kdsl.kolmogorov import effective_size, likeness, reweighted

Floats = NDArray[np.float64]

# The agent's words are the shop's own: they change with a script or a shift, and what the shopper wants does not.
FIELDS = ("user", "ocr")
FEATURES = tuple(f"new_words_{name}" for name in FIELDS) + NUMBERS
# Of fewer words a share says nothing, of fewer items a distribution.
LEAST_WORDS, LEAST_ITEMS = 3, 10
_WORD = re.compile(r"\w+")
_WRITTEN_WITHOUT_SPACES = re.compile("[\u2e80-\u9fff\uf900-\ufaff\u3040-\u30ff]")


@dataclass(frozen=True)
class Shift:
    """One number of the items that is not as it was: its name, its means before and tonight, and the probability.

    The means are over the items that have such a number, tonight the share `having` of all; `error` is the standard
    error of their difference.
    """

    name: str
    before: float
    tonight: float
    likeness: float
    error: float
    having: float

    def __str__(self) -> str:
        return f"{self.name}, {self.tonight:.3g} on average where the examples have {self.before:.3g}"


@dataclass(frozen=True)
class Inputs:
    """The examples of one task: hashes of their words by field, their features (n, features), their labels (n,).

    In `features` words that only near-duplicates of an example have are new; `own` (n, fields) are the shares of words
    that no other example has at all, None in a release of an earlier version.
    """

    words: dict[str, NDArray[np.uint32]]
    features: Floats
    label: NDArray[np.int64]
    own: Floats | None = None

    def rows(self, chosen: NDArray[np.bool_]) -> "Inputs":
        """The same words, with the features of these examples alone."""
        own = None if self.own is None else self.own[chosen]
        return replace(self, features=self.features[chosen], label=self.label[chosen], own=own)

    def of(self, items: Sequence[Item]) -> Floats:
        """Features (n, features) of other items; NaN where an item has no such thing."""
        known = {name: frozenset(words.tolist()) for name, words in self.words.items()}
        rows = []
        for item in items:
            new = [_share([word not in known[name] for word in own]) for name, own in _words(item)]
            rows.append([*new, *numbers(item).values()])
        return _table(rows)

    def compare(self, tonight: Floats, given: NDArray[np.int64]) -> tuple[float, list[Shift]]:
        """How probable a night so unlike the examples is, and each number compared, the least like first.

        Args:
            tonight: features (n, features) of items of one night.
            given: label index (n,) that each was given, -1 for none.
        """
        some = given[given >= 0]
        # Where the release abstains from all, there are no shares to weigh by, and the night is compared as it is.
        weights = reweighted(self.label, some) if len(some) else np.ones(len(self.label))
        found = []
        for column, name in enumerate(FEATURES):
            one, other = self.features[:, column], tonight[:, column]
            there, here = ~np.isnan(one), ~np.isnan(other)
            if there.sum() < LEAST_ITEMS or here.sum() < LEAST_ITEMS or not weights[there].sum():
                continue
            ways = [one] if self.own is None or column >= len(FIELDS) else [one, self.own[:, column]]
            likely = [likeness(way[there], weights[there], other[here]) for way in ways]
            nearest = ways[int(np.argmax(likely))]
            mean, squared = _mean(nearest[there], weights[there])
            here_mean, here_squared = _mean(other[here], np.ones(here.sum()))
            error = float(np.sqrt(squared + here_squared))
            found.append(Shift(name, mean, here_mean, max(likely), error, float(here.mean())))
        found.sort(key=lambda shift: (shift.likeness, shift.name))
        return (min(1.0, found[0].likeness * len(found)) if found else 1.0), found

    def save(self, file: Path) -> None:
        """Write an npz file."""
        words: dict[str, Any] = {f"words/{name}": hashes for name, hashes in self.words.items()}
        if self.own is not None:
            words["own"] = self.own
        np.savez_compressed(file, features=self.features, label=self.label, **words)


def unknown(shifts: Sequence[Shift]) -> float:
    """How much greater a share of an item's words is new than the examples have it, in the field where it is the most.

    A mean over all items of the night, those without such words too, less what chance may have of it (the positive part
    of James and Stein 1961); 0 where no more words are new.
    """
    further = [shift for shift in shifts if shift.name in FEATURES[: len(FIELDS)] and shift.tonight > shift.before]
    sizes = [(shift.tonight - shift.before, shift.error, shift.having) for shift in further]
    return max((having * size * max(0.0, 1 - (error / size) ** 2) for size, error, having in sizes), default=0.0)


def learn(items: Sequence[Item], label: NDArray[np.int64], groups: Sequence[str]) -> Inputs:
    """The examples; `groups` (n) are keys of near-duplicates."""
    groups_of: dict[str, dict[int, set[str]]] = {name: defaultdict(set) for name in FIELDS}
    times: dict[str, Counter[int]] = {name: Counter() for name in FIELDS}
    told = [dict(_words(item)) for item in items]
    for own, group in zip(told, groups, strict=True):
        for name, words in own.items():
            times[name].update(words)
            for word in words:
                groups_of[name][word].add(group)
    rows, alone = [], []
    for item, own, group in zip(items, told, groups, strict=True):
        new = [_share([groups_of[name][word] == {group} for word in own[name]]) for name in FIELDS]
        rows.append([*new, *numbers(item).values()])
        alone.append([_share([times[name][word] == 1 for word in own[name]]) for name in FIELDS])
    hashes = {name: np.array(sorted(words), dtype=np.uint32) for name, words in groups_of.items()}
    return Inputs(hashes, _table(rows), np.asarray(label, dtype=np.int64), _table(alone, len(FIELDS)))


def load(file: Path) -> Inputs:
    """Read what `Inputs.save` wrote.

    Raises:
        ReleaseError: the file is broken, or of other features.
    """
    try:
        with np.load(file, allow_pickle=False) as arrays:
            features = arrays["features"]
            if features.shape[1] != len(FEATURES):
                raise ValueError("other features")
            words = {name: arrays[f"words/{name}"] for name in FIELDS}
            return Inputs(words, features, arrays["label"], arrays.get("own"))
    except (OSError, ValueError, KeyError, IndexError, BadZipFile) as error:
        raise ReleaseError(f"inputs in {file} cannot be read ({type(error).__name__}); run fit again.") from error


def _words(item: Item) -> Iterator[tuple[str, frozenset[int]]]:
    """By field the hashes of its words; of scripts without spaces, of pairs of characters."""
    fields = text_fields(item)
    for name in FIELDS:
        found: set[int] = set()
        for word in _WORD.findall(fields[name]):
            pieces = [word]
            if len(word) > 1 and _WRITTEN_WITHOUT_SPACES.search(word):
                pieces = [word[at : at + 2] for at in range(len(word) - 1)]
            found.update(zlib.crc32(piece.encode("utf-8", "replace")) for piece in pieces)
        yield name, frozenset(found)


def _mean(values: Floats, weights: Floats) -> tuple[float, float]:
    """The weighted mean, and the square of its standard error."""
    mean = float(np.average(values, weights=weights))
    return mean, float(np.average((values - mean) ** 2, weights=weights)) / effective_size(weights)


def _table(rows: Sequence[Sequence[float]], columns: int = len(FEATURES)) -> Floats:
    return np.array(rows, dtype=np.float64).reshape(-1, columns)


def _share(new: Sequence[bool]) -> float:
    return sum(new) / len(new) if len(new) >= LEAST_WORDS else float("nan")
