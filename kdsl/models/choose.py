"""Members of the linear voter: which there are, and how each one's strength is chosen by inner cross-validation."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from operator import itemgetter
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.folds import assign
from kdsl.models.blocks import Seen
from kdsl.models.logistic import Matrix, fit_logistic, fit_pool, log_softmax, reduce

# What a member sees: groups of blocks, side by side. The first group speaks at full voice, each other at a scale of its
# own, found by cross-validation.
Group = tuple[str, ...]
Groups = tuple[Group, ...]
# The blocks of a member, each times its scale.
Parts = tuple[tuple[str, float], ...]
_ZONES: Group = tuple(f"ngrams/{zone}/char12" for zone in ("ocr_top", "ocr_middle", "ocr_bottom", "ocr_large"))
_SCREEN: Groups = (("ngrams/ocr/char12",), _ZONES, ("numbers",), ("colours",))
# Members by what the task is asked of. All are tried; the pool decides what each is worth.
MEMBERS: Mapping[str, tuple[Groups, ...]] = {
    "conversation": (
        (("ngrams/last_user/char12",),),
        (("ngrams/last_user/char25", "ngrams/last_user/word12"),),
        (("ngrams/user/char13",),),
        (("ngrams/ocr/char12",), ("numbers",)),
        (("meaning/last_user",),),
        (("meaning/recent_user",),),
        (("meaning/last_agent",),),
        (("meaning/last_user", "meaning/recent_user"), ("ngrams/last_user/char13",)),
    ),
    "image": (
        _SCREEN,
        (("ngrams/ocr/char25", "ngrams/ocr/word12"), ("numbers",), ("colours",)),
        (*_SCREEN, ("meaning/ocr_large",)),
    ),
}
# Scales of a group beside the first, the one to start from first.
SCALES = (0.5, 1.0, 0.25)
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


def apart(members: Sequence[Groups], seen: Seen, with_encoder: bool) -> list[Groups]:
    """The members that see something, and not what an earlier one sees: single messages have but one view."""
    same: dict[tuple[str, ...], str] = {}
    first = {name: same.setdefault(tuple(texts), name) for name, texts in seen.texts.items()}
    kept: dict[tuple[str, ...], Groups] = {}
    colours: Groups = () if np.isnan(seen.thumbnails).all() else (("colours",),)
    for every in members:
        groups = tuple(group for group in every if group != ("colours",) or colours)
        views = [name.split("/") for group in groups for name in group]
        texts = [view for view in views if len(view) > 1]
        blind = texts and not any(any(seen.texts[view[1]]) for view in texts)
        if blind or (not with_encoder and any(view[0] == "meaning" for view in views)):
            continue
        key = tuple(
            sorted({"/".join([view[0], first[view[1]], *view[2:]]) if len(view) > 1 else view[0] for view in views})
        )
        kept.setdefault(key, groups)
    return list(kept.values()) or [(("numbers",), *colours)]


def sample(ids: Sequence[str], gold: Sequence[str], groups: Sequence[str], seed: int) -> NDArray[np.int64]:
    """Places of at most about MAX_CHOOSING examples, labels in proportion."""
    parts = -(-len(ids) // MAX_CHOOSING)
    if parts == 1:
        return np.arange(len(ids))
    return np.flatnonzero(assign(ids, gold, groups, folds=parts, seed=seed + 1) == 0)


@dataclass
class Chosen:
    """What was chosen so far: later members take it over, so that each choice is paid for once."""

    label_share: float | None = None
    scales: dict[Group, float] = field(default_factory=dict)


def choose(
    problem: Problem, folds: NDArray[np.int64], groups: Groups, rows: Mapping[str, Any], so_far: Chosen
) -> tuple[Member, Matrix]:
    """The candidate of least out-of-fold loss, and its out-of-fold log-probabilities; `so_far` grows.

    One choice after the other, each with the best of those before: the share of the labels' texts, the scale of each
    group, the strength. The loss is taken at each candidate's best temperature: the pool sets that anyway.
    """
    scales = {group: so_far.scales.get(group, SCALES[0]) for group in groups[1:]}

    def parts(scales: Mapping[Group, float]) -> Parts:
        return tuple((name, scales.get(group, 1.0)) for group in groups for name in group)

    def at(scales: Mapping[Group, float]) -> _Trial:
        return _Trial(problem, folds, reduce(_beside(scaled(parts(scales), rows))).coordinates)

    trial = at(scales)
    shares = LABEL_SHARES if so_far.label_share is None else (so_far.label_share,)
    loss, votes, share = min(((*trial.run(STRENGTHS[0], each), each) for each in shares), key=itemgetter(0))
    for group in groups[1:]:
        if group not in so_far.scales:
            for scale in SCALES[1:]:
                other = at({**scales, group: scale})
                its_loss, its_votes = other.run(STRENGTHS[0], share)
                if its_loss < loss:
                    trial, loss, votes, scales = other, its_loss, its_votes, {**scales, group: scale}
    c = STRENGTHS[0]
    for strength in STRENGTHS[1:]:
        its_loss, its_votes = trial.run(strength, share)
        if its_loss < loss:
            loss, votes, c = its_loss, its_votes, strength
    so_far.label_share = share
    so_far.scales |= scales
    return Member(parts(scales), np.zeros((0, 0)), 0.0, c, share), votes


class _Trial:
    """One set of rows, tried at several strengths."""

    def __init__(self, problem: Problem, folds: NDArray[np.int64], x: Matrix) -> None:
        self._problem, self._folds, self._x = problem, folds, x
        self._starts: dict[int, Matrix] = {}

    def run(self, c: float, share: float) -> tuple[float, Matrix]:
        """Loss of the out-of-fold log-probabilities at their best temperature, and these."""
        problem, x = self._problem, self._x
        out = np.zeros((len(problem.gold), problem.classes))
        for fold in range(INNER_FOLDS):
            held = np.flatnonzero(self._folds == fold)
            if held.size:
                rest = np.flatnonzero(self._folds != fold)
                self._starts[fold] = problem.solve(
                    x, rest, c=c, label_share=share, iterations=CHOOSING_ITERATIONS, start=self._starts.get(fold)
                )
                out[held] = log_softmax(logits_of([x[held]], self._starts[fold]))
        temperature = fit_pool([out], problem.gold, ridge=0.0)[0]
        best = log_softmax(temperature * out)
        return -float(best[np.arange(len(best)), problem.gold].mean()), out


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
