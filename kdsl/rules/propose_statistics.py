"""The statistics proposer: words, n-grams, pairs and bounds by their log-odds, against all and against the nearest.

Log-odds with an informative Dirichlet prior: B. Monroe, M. Colaresi, K. Quinn, Fightin' Words, Political Analysis 16
(2008), equations 15 to 22, over rows that hold a term instead of counts of it. The prior is the term's share over
all rows. A z-value is the log-odds over its standard deviation.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.rules.atom import Comparison, Words
from kdsl.rules.examples import Examples, mask_of, rows_of
from kdsl.rules.propose import Proposal
from kdsl.rules.terms import term_masks

LEAST_ROWS = 2  # of the search that hold a term: of one row it would be judged by none (`partial.judged_rows`)
PRIOR_ROWS = 5.0  # weight of the prior, in rows
MAX_WORDS, MAX_AGAINST, MAX_PAIRS, MAX_BOUNDS = 120, 60, 40, 12
PAIR_WORDS = 30  # words of which pairs are made
NEAR_WEIGHT = 0.5  # of the z-value against the nearest label
CUTS = (0.1, 0.25, 0.5, 0.75, 0.9)  # quantiles at which numbers are cut

Floats = NDArray[np.float64]


@dataclass(frozen=True)
class _Table:
    """Terms of all fields with their rows, as a sparse matrix (terms, rows)."""

    examples: Examples
    terms: tuple[tuple[str, str], ...]
    masks: tuple[int, ...]
    matrix: Any


class Statistics:
    """Proposes by counting. Holds the term table of the examples it saw last."""

    name = "statistics"

    def __init__(self) -> None:
        self._table: _Table | None = None
        self._counted: dict[int, tuple[tuple[str, ...], Floats, Floats]] = {}

    def propose(self, label: str, examples: Examples, rows: int) -> Sequence[Proposal]:
        """Proposals for the label from the rows of the mask."""
        table = self._of(examples)
        names, counts, sizes = self._counts(table, rows)
        if label not in names or not table.terms:
            return _bounds(label, examples, rows)
        at = names.index(label)
        against_all = _z(counts[at], sizes[at], counts.sum(0) - counts[at], sizes.sum() - sizes[at])
        near = nearest(counts, sizes, at)
        against_near = _z(counts[at], sizes[at], counts[near], sizes[near])
        known = counts.sum(0) > 0
        score = np.where(known, against_all + NEAR_WEIGHT * against_near, -np.inf)
        words = self._best(table, score, rows, MAX_WORDS)
        proposals = [Proposal((Words(*_any(table.terms[i])),), float(score[i]), self.name) for i in words]
        proposals += self._pairs(table, words[:PAIR_WORDS], score, label, rows)
        proposals += [
            Proposal((Words(*_any(table.terms[i])),), float(-against_near[i]), self.name, against=True)
            for i in self._best(
                table, np.where(known, -np.minimum(against_all, against_near), -np.inf), rows, MAX_AGAINST
            )
        ]
        proposals += _bounds(label, examples, rows)
        return sorted(proposals, key=lambda p: -p.score)

    def _of(self, examples: Examples) -> _Table:
        if self._table is None or self._table.examples is not examples:
            from scipy import sparse

            found = [(name, term, mask) for name in examples.texts for term, mask in term_masks(examples, name).items()]
            pointers = np.cumsum([0, *(mask.bit_count() for _, _, mask in found)])
            columns = np.array([row for _, _, mask in found for row in rows_of(mask)], np.int64)
            matrix = sparse.csr_matrix(
                (np.ones(len(columns), np.float64), columns, pointers), shape=(len(found), len(examples))
            )
            terms = tuple((name, term) for name, term, _ in found)
            self._table = _Table(examples, terms, tuple(mask for _, _, mask in found), matrix)
            self._counted = {}
        return self._table

    def _counts(self, table: _Table, rows: int) -> tuple[tuple[str, ...], Floats, Floats]:
        """Labels, rows that hold each term (labels, terms), and rows (labels,), within the mask."""
        if rows not in self._counted:
            inside = rows_of(rows)
            names = tuple(sorted({table.examples.labels[row] for row in inside}))
            one_hot = np.zeros((len(table.examples), len(names)))
            for row in inside:
                one_hot[row, names.index(table.examples.labels[row])] = 1
            counts = np.asarray((table.matrix @ one_hot).T)
            counts[:, counts.sum(0) < LEAST_ROWS] = 0  # the table was made of all rows; the search sees these alone
            self._counted[rows] = names, counts, one_hot.sum(0)
        return self._counted[rows]

    def _best(self, table: _Table, score: Floats, rows: int, most: int) -> list[int]:
        """The best terms, one for all that stand in the same rows: the shortest of two letters or more."""
        kept: dict[int, int] = {}
        for i in np.argsort(-score, kind="stable")[: 6 * most].tolist():
            if score[i] <= 0:
                break
            mask = table.masks[i] & rows
            if mask not in kept or _plainness(table.terms[i]) < _plainness(table.terms[kept[mask]]):
                kept[mask] = i
        return sorted(kept.values(), key=lambda i: (-score[i], table.terms[i]))[:most]

    def _pairs(self, table: _Table, words: list[int], score: Floats, label: str, rows: int) -> list[Proposal]:
        positives = table.examples.where(label) & rows
        found = []
        for at, i in enumerate(words):
            for j in words[at + 1 :]:
                both = table.masks[i] & table.masks[j] & rows
                right, n = (both & positives).bit_count(), both.bit_count()
                alone = max(_share(table.masks[k] & rows, positives) for k in (i, j))
                overlap = table.terms[i][1] in table.terms[j][1] or table.terms[j][1] in table.terms[i][1]
                if right >= 2 and not overlap and right / n > alone:
                    gain = float((score[i] + score[j]) / 2 * (right / n))
                    atoms = (Words(*_any(table.terms[i])), Words(*_any(table.terms[j])))
                    found.append(Proposal(atoms, gain, self.name))
        return sorted(found, key=lambda p: -p.score)[:MAX_PAIRS]


def nearest(counts: Floats, sizes: Floats, at: int) -> int:
    """The label whose rows hold the most alike terms: cosine of idf-weighted shares; `counts` is (labels, terms)."""
    idf = np.log((1 + sizes.sum()) / (1 + counts.sum(0)))
    shares = counts / np.maximum(sizes, 1)[:, None] * idf
    norms = np.linalg.norm(shares, axis=1) + 1e-12
    likeness = shares @ shares[at] / norms / norms[at]
    likeness[at] = -1
    return int(np.argmax(likeness))


def _z(inside: Floats, n_inside: float, outside: Floats, n_outside: float) -> Floats:
    total = n_inside + n_outside
    prior = PRIOR_ROWS * np.clip((inside + outside) / max(total, 1), 1e-6, 1 - 1e-6)
    y, o = inside + prior, outside + prior
    odds_in = np.log(y / np.maximum(n_inside + PRIOR_ROWS - y, 1e-9))
    odds_out = np.log(o / np.maximum(n_outside + PRIOR_ROWS - o, 1e-9))
    return np.asarray((odds_in - odds_out) / np.sqrt(1 / y + 1 / o))


def _bounds(label: str, examples: Examples, rows: int) -> list[Proposal]:
    inside = rows_of(rows)
    wanted = mask_of(i for i in inside if examples.labels[i] == label)
    found = []
    for name, column in examples.numbers.items():
        values = column[inside]
        values = values[~np.isnan(values)]
        if len(values) == 0:
            continue
        for cut in sorted({float(f"{q:.3g}") for q in np.quantile(values, CUTS)}):
            for op in ("<=", ">"):
                atom = Comparison(name, op, cut)
                mask = examples.mask(atom) & rows
                right, n = (mask & wanted).bit_count(), mask.bit_count()
                z = _z(
                    np.array([right], np.float64),
                    wanted.bit_count(),
                    np.array([n - right], np.float64),
                    rows.bit_count() - wanted.bit_count(),
                )[0]
                if z > 0 and n < rows.bit_count():
                    found.append(Proposal((atom,), float(z), "statistics"))
    return sorted(found, key=lambda p: -p.score)[:MAX_BOUNDS]


def _share(mask: int, positives: int) -> float:
    return (mask & positives).bit_count() / max(1, mask.bit_count())


def _any(term: tuple[str, str]) -> tuple[str, Any, tuple[str, ...]]:
    return term[0], "any_of", (term[1],)


def _plainness(term: tuple[str, str]) -> tuple[bool, int, str, str]:
    return len(term[1]) < 2, len(term[1]), term[1], term[0]
