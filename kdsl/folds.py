"""Folds by hash of the id, near-duplicates kept together, labels spread evenly.

Nothing depends on row order: the same items in any order get the same folds.
"""

import hashlib
import re
import zlib
from collections import Counter, defaultdict
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.features import text_fields

SHINGLE = 4
NEAR = 0.8  # Jaccard similarity of shingles from which two texts are near-duplicates
MIN_CHARS = 12  # shorter texts are equal by chance
HASHES, BAND = 32, 4
# A picture sent in more dialogues than this is a sticker, and says nothing about them.
MAX_SHARED = 10
# A text is compared with so many before it that have a band in common with it, in the order of the alphabet.
COMPARED = 64
_WORDS = re.compile(r"[\W_]+")
_PRIME = (1 << 61) - 1


def hash_order(key: str, seed: int) -> str:
    """A string that sorts keys in an order drawn by the seed."""
    return hashlib.sha256(f"{seed}\x1f{key}".encode("utf-8", "surrogatepass")).hexdigest()


def assign(
    ids: Sequence[str], gold: Sequence[str], groups: Sequence[str], *, folds: int, seed: int
) -> NDArray[np.int64]:
    """The fold, 0 to folds - 1, of each row.

    A group is never split. Groups are dealt in hash order, the largest first, each to the fold that has the fewest
    rows of its labels so far, then the fewest rows.
    """
    members: dict[str, list[int]] = defaultdict(list)
    for row, group in enumerate(groups):
        members[group].append(row)
    order = {group: hash_order(min(ids[row] for row in rows), seed) for group, rows in members.items()}
    by_label = [Counter[str]() for _ in range(folds)]
    total = [0] * folds
    fold = np.zeros(len(ids), dtype=np.int64)
    for group in sorted(members, key=lambda g: (-len(members[g]), order[g])):
        labels = Counter(gold[row] for row in members[group])
        turn = int(order[group][:8], 16)
        best = min(
            range(folds),
            key=lambda f: (sum(by_label[f][label] * n for label, n in labels.items()), total[f], (f + turn) % folds),
        )
        fold[members[group]] = best
        by_label[best].update(labels)
        total[best] += len(members[group])
    return fold


def group_keys(items: Sequence[Item]) -> list[str]:
    """A key per item; items with the same key are near-duplicates, or share a picture, and belong in one fold."""
    union = _Union(len(items))
    texts = [_signature(item) for item in items]
    for rows in _buckets(_exact_keys(item, text) for item, text in zip(items, texts, strict=True)):
        union.join(rows)
    _join_near(union, texts)
    first: dict[int, str] = {}
    for row, item in enumerate(items):
        root = union.root(row)
        first[root] = min(first.get(root, item.item_id), item.item_id)
    return [first[union.root(row)] for row in range(len(items))]


def _join_near(union: "_Union", texts: Sequence[str]) -> None:
    """Join rows of near-duplicate texts; rows of equal texts are joined already.

    Candidates are compared each with each, but for large buckets, where a text meets `COMPARED` others and is joined
    to further ones through them: time grows with the texts, not with their pairs.
    """
    row_of = {text: row for row, text in enumerate(texts)}
    rows = [row_of[text] for text in sorted(row_of)]
    shingles = [_shingles(texts[row]) for row in rows]
    for bucket in _buckets(map(_bands, shingles)):
        for place, one in enumerate(bucket):
            for other in bucket[max(0, place - COMPARED) : place]:
                if (
                    union.root(rows[one]) != union.root(rows[other])
                    and _jaccard(shingles[one], shingles[other]) >= NEAR
                ):
                    union.join([rows[other], rows[one]])


def _signature(item: Item) -> str:
    """What a dialogue's shopper wrote, or what a picture shows, without spaces and punctuation."""
    fields = text_fields(item)
    return _WORDS.sub("", fields["user"] if item.turns else fields["ocr"])


def _exact_keys(item: Item, text: str) -> Iterable[str]:
    kind = "dialogue" if item.turns else "picture"
    yield from {f"{kind}:{picture.sha256}" for picture in item.pictures if picture.sha256}
    if len(text) >= MIN_CHARS:
        yield f"text:{text}"


def _buckets(keys: Iterable[Iterable[str]]) -> list[list[int]]:
    found: dict[str, list[int]] = defaultdict(list)
    for row, own in enumerate(keys):
        for key in own:
            found[key].append(row)
    return [
        rows
        for key, rows in found.items()
        if len(rows) > 1 and not (key.startswith("dialogue:") and len(rows) > MAX_SHARED)
    ]


def _shingles(text: str) -> frozenset[int]:
    if len(text) < MIN_CHARS:
        return frozenset()
    data = [text[i : i + SHINGLE].encode("utf-8", "replace") for i in range(len(text) - SHINGLE + 1)]
    return frozenset(map(zlib.crc32, data))


def _bands(shingles: frozenset[int]) -> list[str]:
    """MinHash bands: texts with a band in common are candidates (Broder 1997; banding as in Leskovec et al., ch. 3)."""
    if not shingles:
        return []
    values = np.fromiter(shingles, dtype=np.uint64, count=len(shingles))
    low = [int(((values * np.uint64(a) + np.uint64(b)) % np.uint64(_PRIME)).min()) for a, b in _COEFFICIENTS]
    return [f"{start}:{low[start : start + BAND]}" for start in range(0, HASHES, BAND)]


def _jaccard(one: frozenset[int], other: frozenset[int]) -> float:
    return len(one & other) / len(one | other) if one or other else 0.0


def _coefficients() -> list[tuple[int, int]]:
    draw = [int(hash_order(str(i), 0)[:7], 16) | 1 for i in range(2 * HASHES)]
    return list(zip(draw[::2], draw[1::2], strict=True))


_COEFFICIENTS = _coefficients()


class _Union:
    """Disjoint sets of rows."""

    def __init__(self, size: int) -> None:
        self._parent = list(range(size))

    def root(self, row: int) -> int:
        while self._parent[row] != row:
            self._parent[row] = self._parent[self._parent[row]]
            row = self._parent[row]
        return row

    def join(self, rows: Sequence[int]) -> None:
        for row in rows[1:]:
            self._parent[self.root(row)] = self.root(rows[0])
