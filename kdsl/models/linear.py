"""The `linear` voter: logistic regressions over views of an item, pooled; seconds to learn, CPU only.

Each member sees one or several blocks (kdsl.models.blocks). Every label's name, aliases and description are training
texts beside the examples, so a label without examples keeps a voice. How much these weigh, how strongly each member
is regularised and how much each member counts in the log-linear pool is chosen by cross-validation inside `fit`.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from kdsl.dialogue import Item
from kdsl.errors import ConfigError, ReleaseError
from kdsl.features import has_anything
from kdsl.folds import assign
from kdsl.models.blocks import Block, Seen, new_block
from kdsl.models.encoder import PACKAGED, Encoder, encoder
from kdsl.models.logistic import Matrix, fit_logistic, fit_pool, log_softmax, reduce
from kdsl.models.voter import LogProbs
from kdsl.taxonomy import Task
from kdsl.text import normalise

FORMAT = 1
JSON_FILE, ARRAYS_FILE = "linear.json", "linear.npz"

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
        (*_SCREEN, ("meaning/ocr", 0.5), ("meaning/ocr_large", 0.5)),
    ),
}
# Strengths of the regularisation, tried for each member.
STRENGTHS = (10.0, 50.0)
# Weights of a label's own texts against one example, tried on the first member: a property of the taxonomy's wording.
LABEL_SHARES = (1.0, 3.0, 10.0)
# Choosing needs no coefficient to the last digit.
CHOOSING_ITERATIONS, FINAL_ITERATIONS = 40, 200
INNER_FOLDS = 3
POOL_RIDGE = 4.0
NEGLIGIBLE = 0.03


@dataclass
class Member:
    """One logistic regression: its blocks and its coefficients, (width + 1, labels), the intercept last."""

    parts: Parts
    coefficients: Matrix
    weight: float
    c: float
    label_share: float


class LinearVoter:
    """A fitted voter of one task."""

    def __init__(
        self, task: Task, members: Sequence[Member], blocks: Mapping[str, Block], encoder_spec: str, encoder_name: str
    ) -> None:
        self.task = task.name
        self.labels = task.label_names
        self.members = list(members)
        self.blocks = dict(blocks)
        self.encoder_spec = encoder_spec
        self.encoder_name = encoder_name

    def log_probs(self, items: Sequence[Item]) -> LogProbs:
        """Log-probabilities (n, labels); an item without a word or a readable picture is abstained from (NaN)."""
        if not items:
            return np.zeros((0, len(self.labels)))
        seen = Seen.of(items)
        rows = {name: block.rows(seen) for name, block in self.blocks.items()}
        pooled = np.zeros((len(items), len(self.labels)))
        for member in self.members:
            pooled += member.weight * log_softmax(_logits(_scaled(member.parts, rows), member.coefficients))
        votes = log_softmax(pooled)
        votes[[not has_anything(item) for item in items]] = np.nan
        return votes

    def save(self, folder: Path) -> None:
        """Write `linear.json` and `linear.npz` into the folder."""
        arrays: dict[str, Any] = {}
        blocks: dict[str, Any] = {}
        for name, block in self.blocks.items():
            blocks[name], own = block.state()
            arrays |= {f"{name}:{key}": value for key, value in own.items()}
        for number, member in enumerate(self.members):
            arrays[f"member/{number}"] = member.coefficients
        data = {
            "format": FORMAT,
            "task": self.task,
            "labels": self.labels,
            "encoder": {"spec": self.encoder_spec, "name": self.encoder_name},
            "members": [
                {"parts": m.parts, "weight": m.weight, "c": m.c, "label_share": m.label_share} for m in self.members
            ],
            "blocks": blocks,
        }
        (folder / JSON_FILE).write_text(json.dumps(data, ensure_ascii=False), encoding="utf-8")
        np.savez_compressed(folder / ARRAYS_FILE, **arrays)


def load(folder: Path, task: Task) -> LinearVoter:
    """Read a saved voter.

    Raises:
        ReleaseError: a file is missing or broken, or it was made for another task, other labels or another encoder.
    """
    try:
        data = json.loads((folder / JSON_FILE).read_text(encoding="utf-8"))
        with np.load(folder / ARRAYS_FILE, allow_pickle=False) as file:
            arrays = {name: file[name] for name in file.files}
        return _restore(data, arrays, task)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise ReleaseError(
            f"voter linear in {folder} cannot be used for task {task.name!r} ({type(error).__name__}: {error}); "
            "was the release made for another taxonomy? Run fit again."
        ) from error


def fit(
    task: Task,
    items: Sequence[Item],
    gold: Sequence[str],
    groups: Sequence[str],
    *,
    seed: int,
    encoder: str = PACKAGED,
) -> LinearVoter:
    """Learn from labelled items; `groups` are keys of near-duplicates, `encoder` a name, a folder, or "" for none.

    The result does not depend on the order of the items.

    Raises:
        ConfigError: no item, a gold label that is not the task's, or no such encoder.
    """
    items, gold, groups = _in_order(task, items, gold, groups)
    meaning = _encoder(encoder)
    seen = Seen.of(items)
    label_texts, label_of = _label_texts(task)
    y = np.array([task.label_names.index(label) for label in gold], dtype=np.int64)
    folds = assign([item.item_id for item in items], gold, groups, folds=INNER_FOLDS, seed=seed)
    problem = _Problem(y, label_of, folds, len(task.labels))
    blocks: dict[str, Block] = {}
    rows: dict[str, Any] = {}
    members: list[Member] = []
    votes: list[Matrix] = []
    share: float | None = None
    for parts in _apart(MEMBERS[task.asked_of], seen, meaning is not None):
        for name, _ in parts:
            if name not in blocks:
                blocks[name] = new_block(name, meaning)
                rows[name] = _stack(blocks[name].fit(seen, label_texts))
        member, vote = _choose(problem, parts, _scaled(parts, rows), share)
        share = member.label_share
        members.append(member)
        votes.append(vote)
    weights = fit_pool(votes, y, ridge=POOL_RIDGE)
    for member, weight in zip(members, weights, strict=True):
        member.weight = float(weight)
    members = [member for member in members if member.weight >= NEGLIGIBLE * weights.sum()]
    used = {name for member in members for name, _ in member.parts}
    for member in members:
        _finish(problem, member, _scaled(member.parts, rows))
    kept = {name: block for name, block in blocks.items() if name in used}
    return LinearVoter(task, members, kept, encoder, meaning.name if meaning else "")


@dataclass(frozen=True)
class _Problem:
    """Gold of the items, the label of each label text, inner folds of the items."""

    gold: NDArray[np.int64]
    label_of: NDArray[np.int64]
    folds: NDArray[np.int64]
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


def _apart(members: Sequence[Parts], seen: Seen, with_encoder: bool) -> list[Parts]:
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


def _choose(problem: _Problem, parts: Parts, rows: Sequence[Any], share: float | None) -> tuple[Member, Matrix]:
    """The candidate of least out-of-fold loss, and its out-of-fold log-probabilities.

    The loss is taken at each candidate's best temperature: the pool sets that anyway.
    """
    x = reduce(_beside(rows)).coordinates
    starts: dict[int, Matrix] = {}

    def tried(c: float, share: float) -> tuple[float, float, float, Matrix]:
        out = np.zeros((len(problem.gold), problem.classes))
        for fold in range(INNER_FOLDS):
            held = np.flatnonzero(problem.folds == fold)
            if held.size:
                rest = np.flatnonzero(problem.folds != fold)
                starts[fold] = problem.solve(
                    x, rest, c=c, label_share=share, iterations=CHOOSING_ITERATIONS, start=starts.get(fold)
                )
                out[held] = log_softmax(_logits([x[held]], starts[fold]))
        temperature = fit_pool([out], problem.gold, ridge=0.0)[0]
        best = log_softmax(temperature * out)
        return -float(best[np.arange(len(best)), problem.gold].mean()), c, share, out

    shares = LABEL_SHARES if share is None else (share,)
    best = min((tried(STRENGTHS[0], each) for each in shares), key=lambda result: result[0])
    best = min((best, *(tried(c, best[2]) for c in STRENGTHS[1:])), key=lambda result: result[0])
    return Member(parts, np.zeros((0, 0)), 0.0, best[1], best[2]), best[3]


def _finish(problem: _Problem, member: Member, rows: Sequence[Any]) -> None:
    """Coefficients over the blocks' own columns, from all items."""
    features = _beside(rows)
    reduced = reduce(features)
    every = np.arange(len(problem.gold))
    found = problem.solve(
        reduced.coordinates, every, c=member.c, label_share=member.label_share, iterations=FINAL_ITERATIONS
    )
    member.coefficients = np.vstack([features.T @ (reduced.back @ found[:-1]), found[-1:]])


def _in_order(
    task: Task, items: Sequence[Item], gold: Sequence[str], groups: Sequence[str]
) -> tuple[list[Item], list[str], list[str]]:
    """Sorted by id, checked."""
    if not items:
        raise ConfigError(f"fit: task {task.name!r} has no labelled item to learn from; ingest gold labels first.")
    unknown = sorted(set(gold) - set(task.label_names))
    if unknown:
        raise ConfigError(
            f"fit: {len(unknown)} gold labels are not of task {task.name!r}, the first is {unknown[0]!r}."
        )
    order = sorted(range(len(items)), key=lambda row: items[row].item_id)
    return [items[row] for row in order], [gold[row] for row in order], [groups[row] for row in order]


def _encoder(spec: str) -> Encoder | None:
    return encoder(spec) if spec else None


def _label_texts(task: Task) -> tuple[list[str], NDArray[np.int64]]:
    pairs = [
        (normalise(text), number)
        for number, label in enumerate(task.labels)
        for text in dict.fromkeys((label.name, *label.aliases, label.description))
        if text
    ]
    return [text for text, _ in pairs], np.array([number for _, number in pairs], dtype=np.int64)


def _stack(parts: tuple[Any, Any]) -> Any:
    from scipy import sparse

    return sparse.vstack([sparse.csr_matrix(part) for part in parts]).tocsr()


def _scaled(parts: Parts, rows: Mapping[str, Any]) -> list[Any]:
    return [rows[name] if scale == 1.0 else rows[name] * scale for name, scale in parts]


def _beside(rows: Sequence[Any]) -> Any:
    from scipy import sparse

    return rows[0] if len(rows) == 1 else sparse.hstack(rows).tocsr()


def _logits(rows: Sequence[Any], coefficients: Matrix) -> Matrix:
    """Sum over the blocks of rows times their part of the coefficients, plus the intercept."""
    logits = np.repeat(coefficients[-1:], rows[0].shape[0], axis=0)
    start = 0
    for part in rows:
        logits = logits + np.asarray(part @ coefficients[start : start + part.shape[1]])
        start += part.shape[1]
    return logits


def _restore(data: Mapping[str, Any], arrays: Mapping[str, Any], task: Task) -> LinearVoter:
    if data["format"] != FORMAT:
        raise ValueError(f"format {data['format']!r}, this version reads {FORMAT}")
    if data["task"] != task.name or tuple(data["labels"]) != task.label_names:
        raise ValueError(f"made for task {data['task']!r} with {len(data['labels'])} labels")
    spec = str(data["encoder"]["spec"])
    meaning = _encoder(spec) if spec and any(name.startswith("meaning/") for name in data["blocks"]) else None
    name = str(data["encoder"]["name"])
    if meaning is not None and meaning.name != name:
        raise ValueError(f"made with encoder {name!r}, found {meaning.name!r}")
    blocks: dict[str, Block] = {}
    for block_name, values in data["blocks"].items():
        blocks[block_name] = new_block(block_name, meaning)
        prefix = f"{block_name}:"
        own = {key.removeprefix(prefix): value for key, value in arrays.items() if key.startswith(prefix)}
        blocks[block_name].restore(values, own)
    members = []
    for number, m in enumerate(data["members"]):
        coefficients = arrays[f"member/{number}"]
        parts = tuple((str(name), float(scale)) for name, scale in m["parts"])
        shape = (sum(blocks[name].width for name, _ in parts) + 1, len(task.labels))
        if coefficients.shape != shape:
            raise ValueError(f"member {number} has coefficients of shape {coefficients.shape}, not {shape}")
        members.append(Member(parts, coefficients, float(m["weight"]), m["c"], m["label_share"]))
    return LinearVoter(task, members, blocks, spec, name)
