"""Members of the linear voter: which there are, and how each one's strength is chosen by inner cross-validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.folds import assign
from kdsl.models.blocks import Seen
from kdsl.models.logistic import Matrix, fit_logistic, fit_pool, log_softmax, reduce

# Members by what the task is asked of: blocks side by side, each times a scale. All are tried; the pool decides what
# each is worth. Zones and numbers are narrower than the whole text and speak more softly.
Parts = tuple[tuple[str, float], ...]
_ZONES = ("ocr_top", "ocr_middle", "ocr_bottom", "ocr_large")
_SCREEN: Parts = (
    ("ngrams/ocr/char12", 1.0),
    *((f"ngrams/{zone}/char12", 0.6) for zone in _ZONES),
    ("numbers", 0.2),
)
MEMBERS: Mapping[str, tuple[Parts, ...]] = {
    "conversation": (
        (("ngrams/last_user/char12", 1.0),),
        (("ngrams/last_user/char25", 1.0), ("ngrams/last_user/word12", 1.0)),
        (("ngrams/user/char13", 1.0),),
        (("ngrams/ocr/char12", 1.0), ("numbers", 0.2)),
        (("meaning/last_user", 1.0),),
        (("meaning/recent_user", 1.0),),
        (("meaning/last_user", 1.0), ("meaning/recent_user", 1.0), ("ngrams/last_user/char13", 1.0)),
    ),
    "image": (
        _SCREEN,
        (("ngrams/ocr/char25", 1.0), ("ngrams/ocr/word12", 1.0), ("numbers", 0.2)),
        (*_SCREEN, ("meaning/ocr_large", 0.5)),
    ),
}
# Strengths of the regularisation, tried for each member.
STRENGTHS = (10.0, 50.0)
# Weights of a label's own texts against one example, tried on the first member: a property of the taxonomy's wording.
LABEL_SHARES = (1.0, 3.0, 10.0)
# Choosing needs no coefficient to the last digit.
CHOOSING_ITERATIONS, FINAL_ITERATIONS = 40, 200
INNER_FOLDS = 3
# Above this many examples, choices are made on a sample by hash; the final fit sees all.
MAX_CHOOSING = 1_500


@dataclass
class Member:
    """One logistic regression: its blocks and its coefficients, (width + 1, labels), the intercept last."""

    parts: Parts
    coefficients: Matrix
    weight: float
    c: float
    label_share: float


@dataclass(frozen=True)
class Problem:
    """Gold of the items, and the label of each label text."""

    gold: NDArray[np.int64]
    label_of: NDArray[np.int64]
    classes: int

    def solve(
        self,
        x: Matrix,
        rows: NDArray[np.int64],
        *,
        c: float,
        label_share: float,
        iterations: int,
        start: Matrix | None = None,
    ) -> Matrix:
        """Coefficients learned from these items' rows of x and from all label texts (the last rows of x)."""
        texts = np.arange(len(self.gold), len(x))
        share = label_share / np.bincount(self.label_of, minlength=self.classes)[self.label_of]
        gold = np.concatenate([self.gold[rows], self.label_of])
        weights = np.concatenate([np.ones(len(rows)), share])
        seen = x[np.concatenate([rows, texts])]
        return fit_logistic(seen, gold, weights, self.classes, l2=1 / c, iterations=iterations, start=start)


def apart(members: Sequence[Parts], seen: Seen, with_encoder: bool) -> list[Parts]:
    """The members that see something, and not what an earlier one sees: single messages have but one view."""
    same: dict[tuple[str, ...], str] = {}
    first = {name: same.setdefault(tuple(texts), name) for name, texts in seen.texts.items()}
    kept: dict[tuple[str, ...], Parts] = {}
    for parts in members:
        views = [name.split("/") for name, _ in parts]
        texts = [view for view in views if len(view) > 1]
        blind = texts and not any(any(seen.texts[view[1]]) for view in texts)
        if blind or (not with_encoder and any(view[0] == "meaning" for view in views)):
            continue
        key = tuple(
            sorted({"/".join([view[0], first[view[1]], *view[2:]]) if len(view) > 1 else view[0] for view in views})
        )
        kept.setdefault(key, parts)
    return list(kept.values()) or [(("numbers", 1.0),)]


def sample(ids: Sequence[str], gold: Sequence[str], groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Places of at most about MAX_CHOOSING examples, labels in proportion."""
    parts = -(-len(ids) // MAX_CHOOSING)
    if parts == 1:
        return np.arange(len(ids))
    return np.flatnonzero(assign(ids, gold, groups, folds=parts, seed=seed + 1) == 0)


def choose(
    problem: Problem, folds: NDArray[np.int64], parts: Parts, rows: Sequence[Any], share: float | None
) -> tuple[Member, Matrix]:
    """The candidate of least out-of-fold loss, and its out-of-fold log-probabilities.

    The loss is taken at each candidate's best temperature: the pool sets that anyway.
    """
    x = reduce(_beside(rows)).coordinates
    starts: dict[int, Matrix] = {}

    def tried(c: float, share: float) -> tuple[float, float, float, Matrix]:
        out = np.zeros((len(problem.gold), problem.classes))
        for fold in range(INNER_FOLDS):
            held = np.flatnonzero(folds == fold)
            if held.size:
                rest = np.flatnonzero(folds != fold)
                starts[fold] = problem.solve(
                    x, rest, c=c, label_share=share, iterations=CHOOSING_ITERATIONS, start=starts.get(fold)
                )
                out[held] = log_softmax(logits_of([x[held]], starts[fold]))
        temperature = fit_pool([out], problem.gold, ridge=0.0)[0]
        best = log_softmax(temperature * out)
        return -float(best[np.arange(len(best)), problem.gold].mean()), c, share, out

    shares = LABEL_SHARES if share is None else (share,)
    best = min((tried(STRENGTHS[0], each) for each in shares), key=lambda result: result[0])
    best = min((best, *(tried(c, best[2]) for c in STRENGTHS[1:])), key=lambda result: result[0])
    return Member(parts, np.zeros((0, 0)), 0.0, best[1], best[2]), best[3]


def finish(problem: Problem, member: Member, rows: Sequence[Any]) -> None:
    """Coefficients over the blocks' own columns, from all items."""
    features = _beside(rows)
    reduced = reduce(features)
    every = np.arange(len(problem.gold))
    found = problem.solve(
        reduced.coordinates, every, c=member.c, label_share=member.label_share, iterations=FINAL_ITERATIONS
    )
    member.coefficients = np.vstack([features.T @ (reduced.back @ found[:-1]), found[-1:]])


def scaled(parts: Parts, rows: Mapping[str, Any]) -> list[Any]:
    """The blocks' rows by name, each times its scale, in the order of the parts."""
    return [rows[name] if scale == 1.0 else rows[name] * scale for name, scale in parts]


def _beside(rows: Sequence[Any]) -> Any:
    from scipy import sparse

    return rows[0] if len(rows) == 1 else sparse.hstack(rows).tocsr()


def logits_of(rows: Sequence[Any], coefficients: Matrix) -> Matrix:
    """Sum over the blocks of rows times their part of the coefficients, plus the intercept."""
    logits = np.repeat(coefficients[-1:], rows[0].shape[0], axis=0)
    start = 0
    for part in rows:
        logits = logits + np.asarray(part @ coefficients[start : start + part.shape[1]])
        start += part.shape[1]
    return logits
