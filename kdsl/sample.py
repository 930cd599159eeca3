"""Which items a person should label next: some at random, which also score, and some for doubt, which only teach.

1. The random part is a systematic sample: the items of a task in the order of the label they were given, then of a hash
   of their id, and every (N / k)-th of them from a random start. Each item is drawn with the same probability k / N,
   and each label given has its share of the sample (implicit stratification; Saerndal, Swensson and Wretman 1992, 3.4).
2. The rest is picked for doubt. Tasks and labels given get places by the errors expected among their items, the sum of
   1 - score; of those least sure, one after the other is taken that is both doubtful and unlike those taken already.

Scores on rows picked for doubt would say how good the worst are. So only the random part may be scored, each row with
the weight 1 / probability (Horvitz and Thompson 1952). Who is drawn is not drawn again: after a second draw of the
same items each has had two chances, and the probability of a row is that of either (`either`).
"""

from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from kdsl.folds import hash_order

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

Floats = NDArray[np.float64]
Key = TypeVar("Key")
Part = Literal["random", "doubt"]

# So many of the least sure are looked at for each place to fill,
SHORTLIST = 8
# but no more than so many in all, or one a place: words of all of them are held at once.
LOOKED_AT = 8_000


@dataclass(frozen=True)
class Pool:
    """Items without gold, never drawn: `given` is the label each was given (empty: none), `doubt` (n,) is 1 - score."""

    ids: Sequence[str]
    tasks: Sequence[str]
    given: Sequence[str]
    doubt: Floats

    def rows(self, task: str) -> list[int]:
        """The rows of a task."""
        return [row for row, name in enumerate(self.tasks) if name == task]


@dataclass(frozen=True)
class Pick:
    """One item picked: its row in the pool, the probability with which it was, and why, without words of the item."""

    row: int
    part: Part
    inclusion: float
    why: str


def at_random(pool: Pool, n: int, *, seed: int) -> list[Pick]:
    """`n` items, all where there are fewer; tasks get equal parts as far as they have items."""
    names = sorted(set(pool.tasks))
    sizes = {name: len(pool.rows(name)) for name in names}
    picks = []
    for name, k in shared_out(dict.fromkeys(names, 1.0), sizes, n).items():
        order = sorted(pool.rows(name), key=lambda row: (pool.given[row], hash_order(pool.ids[row], seed)))
        start = int(hash_order(name, seed)[:12], 16) / 16**12
        why = f"at random, one of {k:,} of the {len(order):,} items left without gold"
        picks += [
            Pick(order[int((place + start) * len(order) / k)], "random", k / len(order), why) for place in range(k)
        ]
    return picks


def either(earlier: float, now: float) -> float:
    """The probability that an item was drawn at random by now: earlier, or else now from those that were left."""
    return earlier + (1.0 - earlier) * now


def shortlist(pool: Pool, n: int, taken: Collection[int], *, seed: int) -> dict[tuple[str, str], tuple[int, list[int]]]:
    """By task and label given: how many of `n` places it gets, and its least sure rows, surest last."""
    by_stratum: dict[tuple[str, str], list[int]] = {}
    for row in sorted(set(range(len(pool.ids))) - set(taken)):
        if pool.doubt[row] > 0:
            by_stratum.setdefault((pool.tasks[row], pool.given[row]), []).append(row)
    errors = {key: float(pool.doubt[rows].sum()) for key, rows in by_stratum.items()}
    places = shared_out(errors, {key: len(rows) for key, rows in by_stratum.items()}, n)
    each = min(SHORTLIST, max(1, LOOKED_AT // max(1, n)))
    return {
        key: (k, sorted(by_stratum[key], key=lambda r: (-pool.doubt[r], hash_order(pool.ids[r], seed)))[: each * k])
        for key, k in places.items()
        if k
    }


def for_doubt(
    pool: Pool, listed: Mapping[tuple[str, str], tuple[int, Sequence[int]]], texts: Mapping[int, str]
) -> list[Pick]:
    """From each short list its number of rows, each unlike those taken before it in its task.

    Args:
        pool: where the rows lie.
        listed: what `shortlist` gave.
        texts: words of each row on it, by which rows are alike; rows without words are unlike any.
    """
    picks = []
    for task in dict.fromkeys(task for task, _ in listed):
        strata = [(k, own) for (name, _), (k, own) in listed.items() if name == task]
        rows = np.array([row for _, own in strata for row in own], dtype=np.int64)
        vectors = _vectors([texts.get(row, "") for row in rows.tolist()])
        nearest, doubt, start = np.zeros(len(rows)), pool.doubt[rows], 0
        for k, own in strata:
            left = np.arange(start, start := start + len(own))
            for _ in range(min(k, len(own))):
                best = int(left[np.argmax(doubt[left] * (1 - nearest[left]))])  # the first of equals
                left = left[left != best]
                why = (
                    f"for doubt, sure only to {1 - doubt[best]:.0%}, {nearest[best]:.0%} like another picked for doubt"
                )
                picks.append(Pick(int(rows[best]), "doubt", 1.0, why))
                nearest = np.maximum(nearest, vectors @ vectors[best].toarray()[0])
    return picks


def shared_out(weights: Mapping[Key, float], most: Mapping[Key, int], n: int) -> dict[Key, int]:
    """`n` places in parts by weight, none above its most: one by one to whom the most is owed (Webster)."""
    given = dict.fromkeys(weights, 0)
    for _ in range(min(n, sum(most[key] for key in weights))):
        open_ = [key for key in weights if given[key] < most[key]]
        best = max(open_, key=lambda key: weights[key] / (given[key] + 0.5))
        given[best] += 1
    return given


def _vectors(texts: Sequence[str]) -> "csr_matrix":
    """Unit vectors (n, 4096), sparse, of hashed character n-grams; zeros of no text."""
    from sklearn.feature_extraction.text import HashingVectorizer

    grams = HashingVectorizer(analyzer="char", ngram_range=(2, 4), n_features=4096, alternate_sign=False)
    return grams.transform(texts)
